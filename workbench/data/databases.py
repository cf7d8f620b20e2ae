"""Databases outside: one SELECT, read batch by batch into an Arrow file of ours."""

import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from workbench.core import Context, Invalid, Limited, NotFound, Unavailable

from .fetching import Measured, words
from .places import DRIVERS, Connection
from .reaching import TIMEOUT_S, addresses
from .sources import open_beneath

if TYPE_CHECKING:
    import sqlalchemy as sa

BATCH_BYTES = 8 << 20
FIRST_ROWS = 200
MOST_ROWS = 50_000
STOPPED = "57014"
"""PostgreSQL's SQLSTATE of a statement that took longer than `statement_timeout`."""
QUERY_LIMIT = 100_000
CHANGING = r"insert|update|delete|merge|into"


class Watch:
    """Stops a database's work after a while: by its own means, then by hanging up."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self.raw: Any = None
        """The driver's connection, once there is one."""
        self.cursors: list[Any] = []
        """What was opened on it."""

    @contextmanager
    def step(self) -> Iterator[None]:
        """What runs in here may take `limit_s`."""
        late = threading.Event()

        def stop() -> None:
            late.set()
            with suppress(Exception):
                cancel = getattr(self.raw, "interrupt", None) or self.raw.cancel_safe
                cancel()
            with suppress(Exception), socket.socket(fileno=os.dup(self.raw.pgconn.socket)) as wire:
                wire.shutdown(socket.SHUT_RDWR)

        alarm = threading.Timer(self._limit_s, stop)
        alarm.daemon = True
        alarm.start()
        try:
            yield
        except Exception as error:
            if (
                not late.is_set()
                and getattr(getattr(error, "orig", None), "sqlstate", "") != STOPPED
            ):
                raise
            raise Limited(
                f"The database sent nothing for {self._limit_s:g} s and was stopped.",
                hint="Aggregate or filter; the limit is `query_limit_s`.",
            ) from None
        finally:
            alarm.cancel()


class Database:
    """An open connection to a database, in a transaction that changes nothing."""

    def __init__(self, connection: "sa.Connection", watch: Watch, lite: bool) -> None:
        self._connection, self._watch, self._lite = connection, watch, lite

    def answer(self, sql: str) -> None:
        """Run a query for its having run."""
        for _ in self.batches(sql):
            return

    def batches(self, sql: str) -> Iterator[tuple[list[str], list[tuple[Any, ...]]]]:
        """The names and some rows at a time; first once without rows.

        Raises:
            Invalid: The database does not take the query; the sentence has its words.
            Limited: A step took longer than `query_limit_s`.
            Unavailable: The database went away.
        """
        with self._explained():
            with self._watch.step():
                result = self._connection.execution_options(
                    stream_results=True, max_row_buffer=MOST_ROWS, no_parameters=True
                ).exec_driver_sql(sql)
            with closing(result):
                if not result.returns_rows:
                    raise Invalid("The query answers no rows.", hint="Give one SELECT.")
                names = list(result.keys())
                yield names, []
                many = FIRST_ROWS
                while True:
                    with self._watch.step():
                        rows = [tuple(row) for row in result.fetchmany(many)]
                    if not rows:
                        return
                    yield names, rows
                    each = max(1, sum(_size(v) for row in rows[:50] for v in row) // len(rows[:50]))
                    many = max(1, min(MOST_ROWS, BATCH_BYTES // each, many * 8))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import sqlalchemy as sa

        try:
            yield
        except sa.exc.DBAPIError as error:
            gone = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
            if gone and not self._lite:
                raise Unavailable(
                    f"The database went away: {words(error.orig)}.", hint="Do it again."
                ) from None
            raise Invalid(
                f"The query cannot be run: {words(error.orig)}.",
                hint="It is the database's own SQL: one SELECT that changes nothing.",
            ) from None


@contextmanager
def opened(
    ctx: Context, connection: Connection, secret: SecretStr, *, limit_s: float = 0
) -> Iterator[Database]:
    """The database of a connection.

    Args:
        ctx: The project.
        connection: Which.
        secret: What opens it.
        limit_s: The longest a step may take; `query_limit_s` if 0.

    Raises:
        Unavailable: It cannot be reached, or does not let us in; in its own words.
        Refused: The host is one that a connection may not reach.
    """
    import sqlalchemy as sa

    lite = connection.url.startswith("sqlite:")
    watch = Watch(limit_s or ctx.settings.query_limit_s)
    with TemporaryDirectory(prefix="workbench-") as folder:
        if lite:
            engine = _lite(ctx, connection, Path(folder), watch)
        elif connection.kind == "postgres":
            engine = _postgres(ctx, connection, secret, watch)
        else:
            engine = _other(ctx, connection, secret)
        try:
            try:
                with watch.step():
                    opened = engine.connect()
            except sa.exc.DBAPIError as error:
                raise Unavailable(
                    f"{connection.name} does not let us in: {words(error.orig)}.",
                    hint="Check the host, the port, the database, the user and the secret.",
                ) from None
            with opened:
                if connection.kind == "postgres":
                    opened = opened.execution_options(postgresql_readonly=True)
                if lite:
                    _only_select(watch.raw)
                try:
                    yield Database(opened, watch, lite)
                except Limited:
                    opened.invalidate()  # it was hung up on: nothing can be rolled back
                    raise
        finally:
            engine.dispose()
            for cursor in watch.cursors:
                # One whose connection broke did not end with it, and asks it once more if it can.
                watch.raw.close()
                cursor.close()


def query_to(ctx: Context, connection: Connection, secret: SecretStr, sql: str, file: Path) -> None:
    """One SELECT's whole answer as an Arrow file, in memory of one batch.

    Raises:
        Invalid: It is no single SELECT, or the database does not take it.
        Limited: More than `upload_limit_bytes`, or a step took too long.
    """
    from .staging import Stage, plain_row

    sql = check_query(sql, mysql=connection.url.startswith(("mysql", "mariadb")))
    measured = Measured(ctx, file, connection.name)
    with opened(ctx, connection, secret) as database, Stage(file) as stage:
        for names, rows in database.batches(sql):
            measured.check(stage.add(names, [plain_row(row) for row in rows]))


def check_query(sql: str, *, mysql: bool = False) -> str:
    """One SELECT without a semicolon at its end.

    What the words say is not the guard: the transaction is read-only where the database can.

    Raises:
        Invalid: It is empty, several statements, or says something that changes data.

    Example:
        >>> check_query("SELECT 1;")
        'SELECT 1'
    """
    if len(sql) > QUERY_LIMIT:
        raise Invalid(f"The query has {len(sql):,} characters.", hint=f"At most {QUERY_LIMIT:,}.")
    quoted = r"'(?:[^'\\]|\\.|'')*'" if mysql else r"[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'"
    skipped = re.compile(
        rf"{quoted}|\"(?:[^\"]|\"\")*\"|`[^`]*`|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL
    )
    trimmed = sql.strip().rstrip(";").rstrip()
    bare = skipped.sub(lambda found: " " if found[0][0] in "-/" else " '' ", trimmed).strip()
    if not bare:
        raise Invalid("The query is empty.", hint="Write connection:<name>?SELECT …")
    if ";" in bare or "\0" in sql:
        raise Invalid("The text holds several statements.", hint="Give one SELECT.")
    first = re.match(r"\(*\s*(\w+)", bare)
    word = first[1] if first else bare[:20]
    if word.lower() not in ("select", "with"):
        raise Invalid(f"Only SELECT is possible here, not {word[:40]!r}.", hint="Give one SELECT.")
    changes = re.search(rf"\b({CHANGING})\b", bare, re.IGNORECASE)
    if changes is not None:
        raise Invalid(
            f"A query that changes something is not possible here: {changes[1].upper()}.",
            hint="A column of that name belongs in quotes.",
        )
    return trimmed


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes) else 16


def _postgres(ctx: Context, connection: Connection, secret: SecretStr, watch: Watch) -> "sa.Engine":
    import sqlalchemy as sa

    try:
        import psycopg
    except ImportError as error:
        raise Unavailable(
            "PostgreSQL needs a package that is not installed: psycopg.",
            hint="Install nexus-workbench[postgres].",
        ) from error
    parts = urlsplit(connection.url)
    host, port = parts.hostname or "", parts.port or 5432
    found = addresses(ctx.settings, host, port)
    mode = connection.options.get("sslmode", "prefer")
    limit_ms = max(1, int(ctx.settings.query_limit_s * 1000))
    given: dict[str, Any] = {
        # The name is for the certificate; the connection goes to the addresses that were checked.
        "host": ",".join([host] * len(found)),
        "hostaddr": ",".join(found),
        "port": port,
        "dbname": unquote(parts.path.strip("/")),
        "user": connection.user,
        "password": secret.get_secret_value(),
        "connect_timeout": int(TIMEOUT_S),
        "sslmode": mode,
        **({"sslrootcert": "system"} if mode == "verify-full" else {}),
        # Nothing that lies about on the Studio's machine is offered to another one.
        "passfile": os.devnull,
        "sslcertmode": "disable",
        "gssencmode": "disable",
        "options": f"-c default_transaction_read_only=on -c TimeZone=UTC "
        f"-c statement_timeout={limit_ms}",
        "application_name": "nexus-workbench",
    }

    def connect() -> "psycopg.Connection[Any]":
        watch.raw = psycopg.connect(**given)
        return cast("psycopg.Connection[Any]", watch.raw)

    def note(_: object, cursor: object, *rest: object) -> None:
        watch.cursors.append(cursor)

    engine = sa.create_engine("postgresql+psycopg://", creator=connect, poolclass=sa.NullPool)
    sa.event.listen(engine, "before_cursor_execute", note)
    return engine


def _other(ctx: Context, connection: Connection, secret: SecretStr) -> "sa.Engine":
    import sqlalchemy as sa

    parts = urlsplit(connection.url)
    driver = DRIVERS[parts.scheme]
    usual = {"mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}[parts.scheme]
    port = parts.port or usual
    url = sa.URL.create(
        driver,
        username=connection.user or None,
        password=secret.get_secret_value() or None,
        host=addresses(ctx.settings, parts.hostname or "", port)[0],
        port=port,
        database=unquote(parts.path.strip("/")) or None,
    )
    arguments: dict[str, dict[str, Any]] = {
        "mysql": {"connect_timeout": int(TIMEOUT_S), "read_timeout": ctx.settings.query_limit_s},
        "mssql": {"login_timeout": int(TIMEOUT_S), "timeout": int(ctx.settings.query_limit_s)},
        "oracle": {"tcp_connect_timeout": TIMEOUT_S},
    }
    arguments["mariadb"] = arguments["mysql"]
    try:
        return sa.create_engine(
            url, connect_args=arguments[parts.scheme], poolclass=sa.NullPool, hide_parameters=True
        )
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"{parts.scheme} needs a package that is not installed: {error.name}.",
            hint=f"Install {error.name} where the Studio runs.",
        ) from error


def _lite(ctx: Context, connection: Connection, folder: Path, watch: Watch) -> "sa.Engine":
    """A copy of an SQLite file of the project, read where nobody can swap it for a link."""
    import sqlite3

    import sqlalchemy as sa

    path = connection.url.removeprefix("sqlite:///")
    _copied(ctx, path, folder / "db")
    with suppress(NotFound):  # what a writer has not moved into the file yet, if anything
        _copied(ctx, f"{path}-wal", folder / "db-wal")

    def connect() -> sqlite3.Connection:
        made = sqlite3.connect(folder / "db", check_same_thread=False)
        made.execute("PRAGMA query_only=ON").close()
        made.execute("PRAGMA trusted_schema=OFF").close()
        # Reads the file's head: whatever is no database is told now.
        made.execute("PRAGMA schema_version").close()
        watch.raw = made
        return made

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.NullPool)


def _only_select(connection: Any) -> None:
    import sqlite3

    fine = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
    fine |= {sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION}

    def allowed(code: int, *_: object) -> int:
        return sqlite3.SQLITE_OK if code in fine else sqlite3.SQLITE_DENY

    connection.set_authorizer(allowed)


def _copied(ctx: Context, path: str, to: Path) -> None:
    descriptor = open_beneath(ctx.folder / "files", path)
    with open(descriptor, "rb") as source, open(to, "wb") as out:
        size = os.fstat(descriptor).st_size
        if size > ctx.settings.upload_limit_bytes:
            raise Limited(f"{path} has {size:,} bytes.", hint="The limit is `upload_limit_bytes`.")
        shutil.copyfileobj(source, out, 1 << 20)
