"""Relational databases by URL: where one is, how it is opened, and what its errors mean.

SQLite in WAL mode with `synchronous=FULL`, and PostgreSQL, behave alike here: a transaction that
writes is the only one that does (SQLite's own lock, an advisory lock of PostgreSQL), and one that
reads sees one moment. So the rooms need not know which of the two they are in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from .errors import Invalid, Limited, Unavailable

BUSY_S = 30
"""How long a write waits for another one, in seconds."""
ANSWERS_S = 10
"""How long a server of PostgreSQL may be silent before it counts as lost, in seconds."""
WRITER = int.from_bytes(b"wbwriter")
"""The key of the advisory lock that a write transaction holds."""
_PATIENCE = {
    "application_name": "workbench",
    "connect_timeout": str(ANSWERS_S),
    "keepalives_idle": str(ANSWERS_S),
    "tcp_user_timeout": str(ANSWERS_S * 1000),
}
_LOST = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,
    sa.exc.TimeoutError,
)


def locate(url: str, home: Path, file: str) -> sa.URL:
    """The address of a database, with the driver the Studio uses.

    Args:
        url: `sqlite:///` (with an absolute path after it, or none) or `postgresql://…`, which
            takes the parameters of libpq; a `passfile` that is relative lies below the home.
        home: The Studio's home.
        file: The file in the home that an SQLite database without a path is.

    Raises:
        Invalid: It is neither.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        path = rest.lstrip("/")
        return sa.URL.create("sqlite", database=str(Path("/") / path if path else home / file))
    try:
        found = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        found = None
    if found is None or scheme not in ("postgresql", "postgresql+psycopg") or not found.database:
        # Not the address itself: it may hold a password.
        raise Invalid(
            f"A database cannot be at an address that begins with {scheme[:20]!r} like this one.",
            hint="Write sqlite:/// or postgresql://user@host:5432/database.",
        )
    query = {**_PATIENCE, **found.query}
    if passfile := query.get("passfile"):
        query["passfile"] = str(home / str(passfile))
    return found.set(drivername="postgresql+psycopg", query=query)


def connect(url: sa.URL) -> sa.Engine:
    """An engine for a located database.

    A transaction of a connection with the execution option `reading` only reads; every other
    one waits until it is the only one that writes.
    """
    if url.drivername == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_S, "check_same_thread": False})
        sa.event.listen(engine, "connect", _pragmas)
        sa.event.listen(engine, "begin", _begin_immediate)
        return engine
    # What the server closed meanwhile is noticed when a connection is taken from the pool.
    try:
        engine = sa.create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"PostgreSQL cannot be used: {error}.", hint="Install nexus-workbench[postgres]."
        ) from error
    sa.event.listen(engine, "begin", _begin_alone)
    return engine


@contextmanager
def explained() -> Iterator[None]:
    """A database's errors in the Studio's words.

    Raises:
        Limited: The disk is full.
        Invalid: The database has no place for such a value.
        Unavailable: It cannot be reached, or stays locked.
    """
    try:
        yield
    except _LOST as error:
        raise _in_words(error) from error
    except sa.exc.DataError as error:
        raise Invalid(
            f"The Studio's database cannot keep such a value: {_said(error)}.",
            hint="Leave out what is no text in it (a NUL character), or make it shorter.",
        ) from error


def revision_in(connection: sa.Connection) -> str:
    """The schema a database has; empty if it has none yet."""
    if "alembic_version" not in sa.inspect(connection).get_table_names():
        return ""
    return str(connection.scalar(sa.text("SELECT version_num FROM alembic_version")) or "")


def _pragmas(connection: object, _: object) -> None:
    # The driver must not open transactions of its own: BEGIN IMMEDIATE below does.
    connection.isolation_level = None  # type: ignore[attr-defined]
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_S * 1000}",
    ):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _begin_immediate(connection: sa.Connection) -> None:
    # A writer takes the lock at once: upgrading a read lock later fails when two do it.
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _begin_alone(connection: sa.Connection) -> None:
    # Each statement after this one sees what the writer before committed.
    if not connection.get_execution_options().get("reading"):
        connection.exec_driver_sql(
            f"SELECT set_config('lock_timeout', '{BUSY_S}s', true), pg_advisory_xact_lock({WRITER})"
        )


def _in_words(error: sa.exc.SQLAlchemyError) -> Exception:
    said = _said(error)
    if "full" in said or "No space" in said:
        return Limited(
            "The disk is full; nothing was changed.", hint="Free space, then do it again."
        )
    return Unavailable(
        f"The Studio's database cannot be used: {said}.", hint="See `workbench doctor`."
    )


def _said(error: sa.exc.SQLAlchemyError) -> str:
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0].rstrip(".") if said else type(error).__name__
