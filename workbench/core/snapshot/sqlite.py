"""Copies of SQLite databases that are in use, each of one moment.

Made by SQLite's online backup in one read transaction, while people write. Only the Studio's own
databases are opened here: rolling back a journal that somebody made up may delete files anywhere,
so a database from people's folders is copied as files (`taking`).
"""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from .disk import disk_explained, sync_folder


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of a SQLite database that may be in use, whole or not at all.

    Args:
        source: The database.
        target: The copy, readable by its owner alone; what was there is replaced.

    Raises:
        Limited: The disk is full.
        Unavailable: The database cannot be read.
    """
    with disk_explained(target, "copy"):
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with connected(source) as live, closing(_blank(name)) as copy:
                live.backup(copy)
            os.fsync(handle)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
        finally:
            os.close(handle)
        sync_folder(target.parent)


def revision_of(database: Path) -> str:
    """The schema of a Studio's database; empty if it has none or there is no such file.

    Raises:
        Unavailable: It cannot be read.
    """
    if not database.is_file():
        return ""
    with disk_explained(database, "database"), connected(database) as live:
        return _revision(live)


class Deleted(Exception):
    """A row that names files went away while the files were copied."""


class Database:
    """A consistent copy of one of the Studio's databases, in a file that has no name any more."""

    def __init__(self, source: Path, folder: Path, own: bool = False) -> None:
        self.source, self.own = source, own
        self._rows: dict[str, set[tuple[object, ...]]] = {}
        self.revision = ""
        handle, name = tempfile.mkstemp(prefix=".workbench-", dir=folder)
        self._file = os.fdopen(handle, "rb")
        try:
            with closing(_blank(name)) as copy:
                copy.execute("PRAGMA user_version").fetchone()  # opens it
                os.unlink(name)
                with connected(source) as live:
                    live.execute("BEGIN")  # the rows and the copy are of one moment
                    if own:
                        self._rows, self.revision = _rows_with_files(live), _revision(live)
                    live.backup(copy)
        except BaseException:
            self._file.close()
            with suppress(FileNotFoundError):
                os.unlink(name)
            raise

    def reader(self) -> IO[bytes]:
        """The copy; its position is the caller's."""
        return self._file

    def check_nothing_deleted(self) -> None:
        """Raise Deleted if the database in use lacks rows that name files."""
        with connected(self.source) as live:
            live.execute("BEGIN")
            now = _rows_with_files(live)
        for table, rows in self._rows.items():
            if rows - now.get(table, set()):
                raise Deleted(f"Something of {table} was deleted")

    def close(self) -> None:
        """Let the copy go: nothing is left of it."""
        self._file.close()


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A database in use."""
    uri = f"file:{quote(str(path))}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)) as opened:
        yield opened


def _blank(name: str) -> sqlite3.Connection:
    """A new database that keeps no journal."""
    opened = sqlite3.connect(name, isolation_level=None)
    opened.execute("PRAGMA journal_mode=OFF").fetchone()
    opened.execute("PRAGMA synchronous=OFF")
    return opened


def has_table(database: sqlite3.Connection, table: str) -> bool:
    """Whether a database has this table."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return database.execute(query, (table,)).fetchone() is not None


def _revision(database: sqlite3.Connection) -> str:
    if not has_table(database, "alembic_version"):
        return ""
    row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else ""


def _rows_with_files(database: sqlite3.Connection) -> dict[str, set[tuple[object, ...]]]:
    keys = {"projects": "id", "records": "kind, project, id, version"}
    return {
        table: set(database.execute(f"SELECT {key} FROM {table}"))
        for table, key in keys.items()
        if has_table(database, table)
    }


def turn_of(path: Path, main: Path) -> tuple[int, str]:
    """When a database is copied, for sorting: DBOS's, then the Studio's own, then the rest."""
    if path == main:
        return 1, str(path)
    with connected(path) as live:
        return (0 if has_table(live, "workflow_status") else 2), str(path)
