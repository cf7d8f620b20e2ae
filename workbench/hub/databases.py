"""SQLite files of a project's server, in the project's own folder."""

import logging
import sqlite3
import time
from pathlib import Path

log = logging.getLogger(__name__)


def opened(file: Path, schema: str, *, synchronous: str) -> sqlite3.Connection:
    """A database, made if need be. One that is damaged is put aside, and a new one begun.

    Args:
        file: Where it is.
        schema: SQL that makes its tables, harmless where they are.
        synchronous: `FULL` if what is committed has to survive the power going out, else `NORMAL`.

    Raises:
        sqlite3.OperationalError: It cannot be opened or written now.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _opened(file, schema, synchronous)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        aside = file.with_name(f"{file.name}.damaged-{time.time_ns()}")
        log.error("%s is damaged (%s) and was put aside as %s", file, error, aside.name)
        file.rename(aside)
        return _opened(file, schema, synchronous)


def _opened(file: Path, schema: str, synchronous: str) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=30, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={synchronous}")
    db.executescript(schema)
    return db
