"""The store: one relational database for what the Studio knows, by URL.

A write of a room and its event commit in one transaction (see `door`): an acknowledged commit
survives the power going out.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from .databases import connect, explained, locate, revision_in
from .errors import Refused
from .measures import transactions
from .ports import Port

if TYPE_CHECKING:
    from alembic.config import Config

LOOK_S = 0.1
"""How often PostgreSQL is asked whether anybody committed, in seconds."""

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

    Thread-safe; one per process. Several processes may share one home, and several machines
    one PostgreSQL database.
    """

    def __init__(self, url: str, home: Path) -> None:
        located = locate(url, home, "studio.db")
        self.lite = located.drivername == "sqlite"
        self._home = home
        if self.lite:
            Path(str(located.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.engine = connect(located)
        self._watch: sa.PoolProxiedConnection | None = None
        self._watching = threading.Lock()
        self._local = 0
        self._seen: tuple[float, str] = (0.0, "")
        try:
            with explained():
                self._migrate()
        except BaseException:
            self.engine.dispose()
            raise

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A write transaction: commits at the end, rolls back on any error.

        Raises:
            Limited: The disk is full; nothing was changed.
            Unavailable: The database cannot be reached or stays locked.
        """
        began = time.perf_counter()
        try:
            with explained(), self.engine.begin() as connection:
                yield connection
        finally:
            transactions.observe(("write",), time.perf_counter() - began)
        self._local += 1

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to read from, which sees one moment; what it changes is rolled back."""
        options = {} if self.lite else {"isolation_level": "REPEATABLE READ"}
        began = time.perf_counter()
        try:
            with (
                explained(),
                self.engine.connect().execution_options(reading=True, **options) as connection,
            ):
                yield connection
        finally:
            transactions.observe(("read",), time.perf_counter() - began)

    def token(self) -> tuple[int, str]:
        """Changes whenever somebody, in this process or another, has committed.

        SQLite counts commits of other connections (`PRAGMA data_version`, 2 µs). PostgreSQL is
        asked which transactions have ended, at most ten times a second: what is cached under
        the token is at most 0.1 s old.

        Raises:
            Unavailable: The database cannot be reached, so nobody knows what has changed.
        """
        with self._watching:
            if self.lite:
                return self._local, str(self._ask("PRAGMA data_version"))
            now = time.monotonic()
            if now - self._seen[0] > LOOK_S:
                self._seen = (now, str(self._ask("SELECT pg_current_snapshot()::text")))
            return self._local, self._seen[1]

    def close(self) -> None:
        """Let go of every connection."""
        with self._watching:
            self._let_go()
        self.engine.dispose()

    def _ask(self, question: str) -> object:
        """One value, by a connection that is in no transaction and kept for such questions."""
        with explained():
            try:
                if self._watch is None:
                    self._watch = self.engine.raw_connection()
                    if not self.lite:
                        self._watch.driver_connection.autocommit = True  # type: ignore[union-attr]
                return self._watch.driver_connection.execute(question).fetchone()[0]  # type: ignore[union-attr]
            except self.engine.dialect.loaded_dbapi.Error as error:
                self._let_go()
                raise sa.exc.OperationalError(question, None, error) from error

    def _let_go(self) -> None:
        if self._watch is not None:
            # Not back to the pool: its driver is in a mode of its own.
            self._watch.invalidate()
            self._watch.close()
            self._watch = None

    def _migrate(self) -> None:
        with self.read() as connection:
            found = revision_in(connection)
        newest = newest_migration()
        if found == newest:
            return
        if found and found not in known_revisions():
            raise Refused(
                f"This database has the schema {found}; this Studio knows up to {newest}.",
                hint="Install the version of the Studio that wrote it, or a newer one.",
            )
        from alembic import command
        from filelock import FileLock

        file = Path(str(self.engine.url.database))
        lock = FileLock(f"{file}.migrating") if self.lite else nullcontext()
        with lock, self.engine.connect() as connection:
            found = revision_in(connection)
            if self.lite:
                connection.rollback()
            if found == newest:
                return  # another process was quicker
            if self.lite and found:
                from .snapshot import BACKUPS, copy_database

                copy_database(file, self._home / BACKUPS / f"{file.stem}-{found}{file.suffix}")
            command.upgrade(alembic(connection), "head")
            connection.commit()


def newest_migration() -> str:
    """The revision the code expects: the highest numbered file of `migrations/versions`."""
    return max(known_revisions())


def known_revisions() -> set[str]:
    """The schemas this Studio has the steps for."""
    return {path.stem.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def alembic(connection: sa.Connection) -> "Config":
    """What Alembic needs to migrate the database of a connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


stores = Port[Store](
    "core.store", default="sqlite:///", doc="The relational database of records, jobs and events."
)
stores.engine("sqlite", "workbench.core.store:Store")
stores.engine("postgresql", "workbench.core.store:Store", hint="Install nexus-workbench[postgres].")
