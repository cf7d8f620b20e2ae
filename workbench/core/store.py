"""The store: one relational database for what the Studio knows, by URL.

A write of a room and its event commit in one transaction (see `door`). SQLite in WAL mode with
`synchronous=FULL`: an acknowledged commit survives the power going out.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from .errors import Limited, Refused, Unavailable
from .ports import Port

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Store:
    """A relational database with the Studio's tables, migrated to today's shape.

    Thread-safe; one per process. Several processes may share one home.
    """

    def __init__(self, url: str, home: Path) -> None:
        self.lite = url.startswith("sqlite")
        if self.lite:
            path = url.partition("://")[2].lstrip("/")
            file = (Path("/") / path) if path else home / "studio.db"
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            url = f"sqlite:///{file}"
        self.engine = sa.create_engine(
            url,
            connect_args={"timeout": 30, "check_same_thread": False} if self.lite else {},
        )
        if self.lite:
            sa.event.listen(self.engine, "connect", _pragmas)
            sa.event.listen(self.engine, "begin", _begin_immediate)
        self._watch: sa.PoolProxiedConnection | None = None
        self._watching = threading.Lock()
        self._local = 0
        self._migrate()

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A write transaction: commits at the end, rolls back on any error.

        Raises:
            Limited: The disk is full; nothing was changed.
            Unavailable: The database cannot be reached or stays locked.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise _explained(error) from error
        self._local += 1

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to read from; what it changes is rolled back."""
        try:
            with self.engine.connect().execution_options(reading=True) as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise _explained(error) from error

    def token(self) -> tuple[int, float]:
        """Changes whenever somebody, in this process or another, has committed.

        SQLite counts commits of other connections (`PRAGMA data_version`, 2 µs); elsewhere the
        token is a clock of one second, so what is cached under it is at most that old.
        """
        if not self.lite:
            return self._local, time.monotonic() // 1
        with self._watching:
            if self._watch is None:
                self._watch = self.engine.raw_connection()
            cursor = self._watch.driver_connection.execute("PRAGMA data_version")  # type: ignore[union-attr]
            return self._local, float(cursor.fetchone()[0])

    def close(self) -> None:
        """Let go of every connection."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self.engine.dispose()

    def _migrate(self) -> None:
        with self.read() as connection:
            tables = sa.inspect(connection).get_table_names()
            found = (
                connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
                if "alembic_version" in tables
                else None
            )
        newest = newest_migration()
        if found == newest:
            return
        known = {path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("*.py")}
        if found is not None and found not in known:
            raise Refused(
                f"This database has the schema {found}; this Studio knows up to {newest}.",
                hint="Install the version of the Studio that wrote it, or a newer one.",
            )
        from alembic import command
        from alembic.config import Config
        from filelock import FileLock

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        lock = FileLock(f"{self.engine.url.database}.migrating") if self.lite else threading.Lock()
        with lock, self.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()


def newest_migration() -> str:
    """The revision the code expects: the highest numbered file of `migrations/versions`."""
    return max(path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _pragmas(connection: object, _: object) -> None:
    # The driver must not open transactions of its own: BEGIN IMMEDIATE below does.
    connection.isolation_level = None  # type: ignore[attr-defined]
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=30000",
    ):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]


def _begin_immediate(connection: sa.Connection) -> None:
    # A writer takes the lock at once: upgrading a read lock later fails when two do it.
    reading = connection.get_execution_options().get("reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _explained(error: sa.exc.OperationalError) -> Exception:
    said = str(error.orig)
    if "full" in said or "No space" in said:
        return Limited(
            "The disk is full; nothing was changed.", hint="Free space, then do it again."
        )
    return Unavailable(
        f"The Studio's database cannot be used: {said}.", hint="See `workbench doctor`."
    )


stores = Port[Store](
    "core.store", default="sqlite:///", doc="The relational database of records, jobs and events."
)
stores.engine("sqlite", "workbench.core.store:Store")
stores.engine("postgresql", "workbench.core.store:Store", hint="Install nexus-workbench[postgres].")
