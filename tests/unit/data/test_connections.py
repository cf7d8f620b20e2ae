"""Connections: their URLs and secrets; SQLite and web servers that are really there."""

import base64
import http.server
import json
import logging
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from workbench.core import (
    Cancelled,
    Conflict,
    Context,
    Invalid,
    Limited,
    NotFound,
    Refused,
    Unavailable,
    call_here,
    catalogue,
)
from workbench.core.context import Quiet
from workbench.data.databases import check_query
from workbench.data.places import read_url
from workbench.data.reaching import is_outside
from workbench.security.secrets import secrets

SECRET = "correct-horse-battery"
Call = Callable[..., Any]


@pytest.fixture
def call(ctx: Context) -> Call:
    return lambda verb, **request: call_here(ctx.fresh(), f"data.{verb}", request)


@pytest.fixture
def nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine may be reached, as by the setting `reachable`."""
    monkeypatch.setattr("workbench.data.reaching.reachable", lambda _: ["127.0.0.1", "localhost"])


# What a connection is


@pytest.mark.parametrize(
    ("url", "kind", "plain"),
    [
        ("s3://bucket/a/b/", "s3", "s3://bucket/a/b"),
        ("postgres://db.example/x", "postgres", "postgresql://db.example:5432/x"),
        ("postgresql+psycopg://[fd00::1]:99/x", "postgres", "postgresql://[fd00::1]:99/x"),
        ("mysql://db.example/x", "sql", "mysql://db.example/x"),
        ("sqlite:///in/here.db", "sql", "sqlite:///in/here.db"),
        ("HTTPS://Host.example", "http", "https://host.example/"),
    ],
)
def test_a_url_has_one_spelling(url: str, kind: str, plain: str) -> None:
    assert read_url(url) == (kind, plain)
    assert read_url(plain) == (kind, plain)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"postgresql://ada:{SECRET}@db/x", "holds credentials"),
        (f"https://{SECRET}@db/x", "holds credentials"),
        (f"https://db/x?token={SECRET}", "before \\? and #"),
        ("postgresql:///x?host=/run", "before \\? and #"),
        ("postgresql://%2Frun/x", "names no host"),
        ("postgresql://a,127.0.0.1/x", "names no host"),
        ("postgresql://db", "no database"),
        ("file:///etc/passwd", "the scheme 'file'"),
        ("duckdb:///x.db", "the scheme 'duckdb'"),
        ("mysql+mysqldb://db/x", "the scheme 'mysql\\+mysqldb'"),
        ("sqlite:////etc/x.db", "names a file"),
        ("sqlite:///../x.db", "holds `..`"),
        ("https://db/%2e%2e/x", "holds `..`"),
        ("https://db:port/", "no URL"),
        ("nonsense", "the scheme 'none'"),
    ],
)
def test_a_url_that_cannot_be_is_not_repeated(call: Call, url: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as caught:
        call("create_connection", name="c", url=url, user="ada")
    assert SECRET not in str(caught.value) + caught.value.hint
    assert call("list_connections").items == []


@pytest.mark.parametrize(
    "request_of",
    [
        {"url": "s3://b", "user": "key"},
        {"url": "s3://b", "secret": "x"},
        {"url": "s3://b", "options": {"endpoint": "http://u:p@host"}},
        {"url": "postgresql://db/x", "user": "u", "options": {"sslrootcert": "/etc/passwd"}},
        {"url": "postgresql://db/x", "user": "u", "options": {"sslmode": "no"}},
        {"url": "postgresql://db/x"},
        {"url": "sqlite:///x.db", "user": "u"},
        {"url": "https://h/", "secret": "a\r\nX-Other: b"},
        {"url": "https://h/", "name": "a/b"},
    ],
)
def test_what_does_not_go_together(call: Call, request_of: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        call("create_connection", **{"name": "c", **request_of})


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fd00:ec2::254",
        "100.100.100.200",
        "255.255.255.255",
    ],
)
def test_an_address_that_is_not_outside(address: str) -> None:
    assert not is_outside(address)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.5", "8.8.8.8", "fd12::1", "2606:4700::1"]
)
def test_an_address_that_is_outside(address: str) -> None:
    assert is_outside(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "postgresql://localhost/x",
    ],
)
def test_this_machine_and_its_metadata_are_refused(call: Call, url: str) -> None:
    with pytest.raises(Refused, match="may not reach") as caught:
        call("create_connection", name="c", url=url, user="ada")
    assert "reachable" in caught.value.hint


def test_a_network_that_is_named_may_be_reached(
    call: Call, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.data.reaching.reachable", lambda _: ["10.0.0.0/8"])
    with pytest.raises(Refused):
        call("create_connection", name="c", url=f"{web}/")
    monkeypatch.setattr("workbench.data.reaching.reachable", lambda _: ["127.0.0.0/8"])
    assert call("create_connection", name="c", url=f"{web}/").kind == "http"


def test_a_name_that_changes_its_address_is_not_followed(
    call: Call, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int, *args: Any, **more: Any) -> Any:
        asked.append(host)
        address = host if host == "127.0.0.1" or len(asked) == 1 else "169.254.169.254"
        address = "127.0.0.1" if host == "fickle.example" and len(asked) == 1 else address
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr("workbench.data.reaching.reachable", lambda _: ["127.0.0.0/8"])
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    port = web.rpartition(":")[2]
    made = call("create_connection", name="c", url=f"http://fickle.example:{port}/")
    assert made.kind == "http"
    # Asked once by its name; the connection went to the address that was checked.
    assert asked.count("fickle.example") == 1


# Web servers


class Pages(http.server.BaseHTTPRequestHandler):
    """A small web server; `seen` is what it was asked."""

    seen: ClassVar[list[tuple[str, str | None]]] = []
    other: ClassVar[str] = ""

    def do_GET(self) -> None:
        path, given = self.path.partition("?")[0], self.headers["authorization"]
        self.seen.append((self.headers["host"] + self.path, given))
        moved = {
            "/moved": "/t.csv",
            "/away": f"{self.other}/t.csv",
            "/loop": "/loop",
            "/metadata": "http://169.254.169.254/latest",
            "/file": "file:///etc/passwd",
        }
        if path in moved:
            return self._answer(302, b"", location=moved[path])
        if path.startswith("/private"):
            basic = "Basic " + base64.b64encode(f"ada:{SECRET}".encode()).decode()
            if given not in (basic, f"Bearer {SECRET}"):
                self.send_response(401, f"Not with {given} and {SECRET}")
                self.send_header("content-length", "0")
                return self.end_headers()
        if path == "/stall":
            return threading.Event().wait(3) and None
        if path == "/half":
            self.send_response(200)
            self.send_header("content-length", "1000")
            self.end_headers()
            self.wfile.write(b"a,b\n")
            return None
        if path.endswith(".csv") or path == "/":
            return self._answer(200, b"a,b\n1,x\n2,y\n")
        return self._answer(404, b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as other,
    ):
        Pages.seen.clear()
        Pages.other = f"http://127.0.0.1:{other.server_address[1]}"
        for each in (server, other):
            each.daemon_threads = True
            threading.Thread(target=each.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        other.shutdown()


@pytest.mark.usefixtures("nearby")
def test_a_table_from_a_web_server(call: Call, web: str) -> None:
    call("create_connection", name="site", url=f"{web}/")
    product = call("register", source="connection:site/folder/t.csv?year=2025", name="t")
    assert (product.rows, product.source) == (2, "t.csv")
    assert call("preview", product="t").rows == [[1, "x"], [2, "y"]]
    assert Pages.seen[-1][0].endswith("/folder/t.csv?year=2025")
    assert call("inspect", source="connection:site/t.csv").suggested_name == "t"


@pytest.mark.usefixtures("nearby")
@pytest.mark.parametrize("user", ["ada", ""])
def test_what_a_secret_opens(call: Call, ctx: Context, web: str, user: str) -> None:
    with pytest.raises(Unavailable, match="answers 401") as caught:
        call("create_connection", name="p", url=f"{web}/private.csv", user=user, secret="wrong-one")
    assert "wrong-one" not in str(caught.value)
    assert ctx.engine(secrets).names(ctx.project) == []
    made = call("create_connection", name="p", url=f"{web}/private.csv", user=user, secret=SECRET)
    assert made.secret_set
    assert call("register", source="connection:p", name="t").rows == 2


@pytest.mark.usefixtures("nearby")
def test_redirects_are_followed_and_the_secret_stays_home(call: Call, web: str) -> None:
    call("create_connection", name="site", url=f"{web}/", secret=SECRET)
    assert call("register", source="connection:site/moved", name="a").rows == 2
    assert Pages.seen[-1][1] == f"Bearer {SECRET}"
    assert call("register", source="connection:site/away", name="b").rows == 2
    assert Pages.seen[-1] == (f"{Pages.other.removeprefix('http://')}/t.csv", None)


@pytest.mark.usefixtures("nearby")
@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("metadata", Refused, "169.254.169.254, which a connection may not reach"),
        ("file", Refused, "no web page"),
        ("loop", Unavailable, "more than 5 times"),
        ("nothing", NotFound, "answers 404"),
        ("half", Unavailable, "broke off"),
        ("../x.csv", Invalid, "holds `..`"),
        ("%2e%2E/x.csv", Invalid, "holds `..`"),
    ],
)
def test_what_a_web_server_can_do_wrong(
    call: Call, web: str, path: str, kind: type[Exception], said: str
) -> None:
    call("create_connection", name="site", url=f"{web}/")
    with pytest.raises(kind, match=said):
        call("register", source=f"connection:site/{path}", name="t")
    assert call("list_products").items == []


@pytest.mark.usefixtures("nearby")
def test_a_server_that_stalls(call: Call, web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.data.pages.TIMEOUT_S", 0.3)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"did not answer within 0\.3 s"):
        call("create_connection", name="site", url=f"{web}/stall")
    assert time.monotonic() - began < 3


@pytest.mark.usefixtures("nearby")
def test_hosts_that_are_not_there(call: Call) -> None:
    with pytest.raises(Unavailable, match=r"no host 'nowhere\.invalid'"):
        call("create_connection", name="c", url="http://nowhere.invalid/")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port} cannot be reached"):
        call("create_connection", name="c", url=f"http://127.0.0.1:{port}/")


@pytest.mark.usefixtures("nearby")
def test_more_than_the_limit_and_a_cancelled_fetch(
    ctx: Context, call: Call, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("create_connection", name="site", url=f"{web}/")
    small = ctx.settings.model_copy(update={"upload_limit_bytes": 5})
    monkeypatch.setattr(ctx.engines, "settings", small)
    with pytest.raises(Limited, match="more than 5 bytes"):
        call("register", source="connection:site/t.csv")

    class Stopped(Quiet):
        def check(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        call_here(ctx.fresh(job=Stopped()), "data.register", {"source": "connection:site/t.csv"})


# What is kept


@pytest.mark.usefixtures("nearby")
def test_the_secret_is_nowhere_but_with_the_secrets(
    ctx: Context, call: Call, web: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        request = {"name": "c", "url": f"{web}/private.csv", "secret": SECRET}
        made = call_here(ctx.fresh(), "data.create_connection", request, key="k1")
        again = call_here(ctx.fresh(), "data.create_connection", request, key="k1")
        call("register", source="connection:c", name="t")
    assert again == made == call("get_connection", id="c") == call("get_connection", id=made.id)
    tried = call("test_connection", id="c")
    assert tried.tested_at > made.tested_at
    assert ctx.engine(secrets).get(ctx.project, made.id).get_secret_value() == SECRET
    shown = json.dumps([each.model_dump(mode="json") for each in (made, tried)])
    assert SECRET not in shown + caplog.text
    for file in ctx.home.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


@pytest.mark.usefixtures("nearby")
def test_the_event_does_not_tell_which_secret(ctx: Context, call: Call, web: str) -> None:
    digests = set()
    for secret in ("one-secret", "two-secret"):
        call("create_connection", name="c", url=f"{web}/", secret=secret)
        events = call_here(ctx.fresh(), "audit.list_events", {"limit": 1}).items
        digests.add(events[0].request)
        call("delete_connection", id="c")
    assert len(digests) == 1


@pytest.mark.usefixtures("nearby")
def test_a_deleted_connection_takes_its_secret_along(ctx: Context, call: Call, web: str) -> None:
    made = call("create_connection", name="c", url=f"{web}/", secret=SECRET)
    with pytest.raises(Conflict, match="is a connection 'c' already"):
        call("create_connection", name="c", url=f"{web}/")
    assert call("delete_connection", id="c").id == made.id
    assert ctx.engine(secrets).names(ctx.project) == []
    for request in ("get_connection", "test_connection", "delete_connection"):
        with pytest.raises(NotFound):
            call(request, id="c")
    assert call("create_connection", name="c", url=f"{web}/").id != made.id


def test_the_parameter_is_a_password_on_every_face() -> None:
    schema = catalogue["data.create_connection"].takes.model_json_schema()
    assert schema["properties"]["secret"]["format"] == "password"
    assert schema["properties"]["secret"]["writeOnly"] is True
    assert schema["required"] == ["name", "url"]


# SQLite


@pytest.fixture
def lite(ctx: Context) -> sqlite3.Connection:
    made = sqlite3.connect(ctx.folder / "files" / "shop.db")
    made.executescript("CREATE TABLE t(a, b TEXT); INSERT INTO t VALUES (1, 'x'), (2.5, 'y')")
    made.executescript("PRAGMA journal_mode=WAL; INSERT INTO t VALUES (NULL, '🌍')")
    return made


def test_an_sqlite_file_of_the_project(call: Call, lite: sqlite3.Connection) -> None:
    made = call("create_connection", name="shop", url="sqlite:///shop.db")
    assert (made.kind, made.secret_set) == ("sql", False)
    product = call("register", source="connection:shop?SELECT *, a AS a FROM t WHERE b LIKE '%';")
    assert (product.name, product.source) == ("shop", "shop")
    assert call("preview", product="shop").rows == [
        [1.0, "x", 1.0],
        [2.5, "y", 2.5],
        [None, "🌍", None],
    ]
    assert any("twice" in each for each in product.warnings)
    lite.close()


def test_what_a_writer_has_not_moved_into_the_file_is_read_or_the_read_is_refused(
    ctx: Context, call: Call, lite: sqlite3.Connection
) -> None:
    call("create_connection", name="shop", url="sqlite:///shop.db")
    log = ctx.folder / "files" / "shop.db-wal"
    log.rename(log.with_suffix(".kept"))
    log.symlink_to(log.with_suffix(".kept"))
    with pytest.raises(Invalid, match=r"shop\.db-wal.* cannot be read"):
        call("register", source="connection:shop?SELECT a FROM t")
    lite.close()


def test_types_are_told_from_all_rows(call: Call, lite: sqlite3.Connection) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT "
    many += "i, CASE WHEN i > 4000 THEN i + 0.5 ELSE i END AS f, "
    many += "CASE WHEN i > 3000 THEN 'text' ELSE i END AS t, NULL AS blank FROM n"
    call("create_connection", name="shop", url="sqlite:///shop.db")
    product = call("register", source=f"connection:shop?{many}")
    assert [each.type for each in product.columns] == ["int64", "double", "string", "string"]
    row = "SELECT i, f, t FROM shop WHERE i IN (1, 5000) ORDER BY i"
    assert call("query", sql=row).rows == [[1, 1.0, "1"], [5000, 5000.5, "text"]]
    lite.close()


def test_an_sqlite_file_is_no_way_out(
    ctx: Context, call: Call, lite: sqlite3.Connection, tmp_path: Path
) -> None:
    files = ctx.folder / "files"
    (files / "link.db").symlink_to(ctx.home / "studio.db")
    (files / "folder").symlink_to(ctx.home)
    for path in ("link.db", "folder/studio.db"):
        with pytest.raises(Invalid, match="cannot be read"):
            call("create_connection", name="c", url=f"sqlite:///{path}")
    (files / "no.db").write_bytes(b"this is no database" * 100)
    with pytest.raises((Invalid, Unavailable), match="not a database"):
        call("create_connection", name="c", url="sqlite:///no.db")
    call("create_connection", name="shop", url="sqlite:///shop.db")
    (files / "shop.db").rename(files / "was.db")
    (files / "shop.db").symlink_to(ctx.home / "studio.db")
    with pytest.raises(Invalid):
        call("register", source="connection:shop?SELECT * FROM records")
    lite.close()


@pytest.mark.parametrize(
    "sql",
    [
        "",
        " -- nothing",
        "DELETE FROM t",
        "SELECT 1; DELETE FROM t",
        "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
        "SELECT * INTO u FROM t",
        "ATTACH 'x' AS y",
        "PRAGMA query_only=OFF",
        "SELECT * FROM t FOR UPDATE",
        "/* */ COPY t TO PROGRAM 'x'",
    ],
)
def test_no_query_that_changes_something(sql: str) -> None:
    with pytest.raises(Invalid):
        check_query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'a;b', \"update\" FROM t -- into; x",
        "with x as (select 1) select * from x",
        "(SELECT 1) UNION (SELECT 2)",
        "SELECT $q$ ; delete $q$, E'it\\'s; into'",
        "SELECT updated_at, replace(a, 'x', '') FROM t",
    ],
)
def test_queries_that_are_fine(sql: str) -> None:
    assert check_query(f"{sql}\n;") in (sql, f"{sql}\n")


def test_an_endless_query_is_stopped(
    ctx: Context, call: Call, lite: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("create_connection", name="shop", url="sqlite:///shop.db")
    fast = ctx.settings.model_copy(update={"query_limit_s": 0.3})
    monkeypatch.setattr(ctx.engines, "settings", fast)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
    with pytest.raises(Limited, match=r"nothing for 0\.3 s"):
        call("register", source=f"connection:shop?{endless}")
    lite.close()
