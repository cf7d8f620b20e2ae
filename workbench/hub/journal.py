"""The journal of a project's shared documents: every change, on the disk before others see it.

For each document: who began its history, some versions of it that its file had or was about to
have, and the changes since the newest. It lies beside the project's files and is the project's own.
"""

import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .databases import opened

VERSIONS, BYTES = 8, 32 * 1024**2
"""How many versions of a document are kept, and up to which size together."""


@dataclass(frozen=True)
class Version:
    """A document as its file had it, or was about to have it.

    Attributes:
        number: Which one; later ones are larger.
        at: When, in seconds since the epoch.
        state: The whole document, as an update.
        hash: Of the file that was written with it; empty until it was.
    """

    number: int
    at: float
    state: bytes
    hash: str


@dataclass(frozen=True)
class History:
    """What the journal has of a document.

    Attributes:
        founder: The client that began this history: whoever shares it knows that client.
        versions: Newest first; at least one.
        changes: What came after the newest version, some of it maybe already in it.
    """

    founder: int
    versions: list[Version]
    changes: list[bytes]


class Journal:
    """One document's part of it. Each call is one transaction; use it from one thread at a time.

    Args:
        file: The database. One that is damaged is put aside, and a new one begun.
        document: The name of the document in it.
    """

    def __init__(self, file: Path, document: str) -> None:
        self._document = document
        self._lock = threading.Lock()
        # An acknowledged change survives the power going out.
        self._db = opened(file, _SCHEMA, synchronous="FULL")

    def read(self) -> History | None:
        """What there is of the document; None if nothing."""
        with self._lock, self._db as db:
            founder = db.execute(
                "SELECT founder FROM documents WHERE name = ?", (self._document,)
            ).fetchone()
            versions = [
                Version(*row)
                for row in db.execute(
                    "SELECT number, at, state, hash FROM versions WHERE document = ? "
                    "ORDER BY number DESC",
                    (self._document,),
                )
            ]
            changes = [
                row[0]
                for row in db.execute(
                    "SELECT change FROM changes WHERE document = ? ORDER BY number",
                    (self._document,),
                )
            ]
        return History(int(founder[0]), versions, changes) if founder and versions else None

    def begin(self, founder: int, state: bytes) -> int:
        """Begin the document's history anew; the number of its first version."""
        with self._lock, self._db as db:
            for table in ("changes", "versions"):
                db.execute(f"DELETE FROM {table} WHERE document = ?", (self._document,))
            db.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?)", (self._document, str(founder))
            )
            return self._put(db, state)

    def append(self, changes: list[bytes]) -> int:
        """Keep changes, in their order; the number of the last. Returning means on the disk."""
        with self._lock, self._db as db:
            for change in changes:
                last = db.execute(
                    "INSERT INTO changes (document, change) VALUES (?, ?)",
                    (self._document, change),
                ).lastrowid
        return int(last or 0)

    def keep(self, state: bytes, upto: int) -> int:
        """Keep a version, which holds every change up to that number; the version's number."""
        with self._lock, self._db as db:
            number = self._put(db, state)
            db.execute(
                "DELETE FROM changes WHERE document = ? AND number <= ?", (self._document, upto)
            )
            room, many = BYTES - len(state), 1
            for each, size in db.execute(
                "SELECT number, length(state) FROM versions WHERE document = ? AND number < ? "
                "ORDER BY number DESC",
                (self._document, number),
            ).fetchall():
                room, many = room - size, many + 1
                if room < 0 or many > VERSIONS:
                    db.execute("DELETE FROM versions WHERE number = ?", (each,))
        return number

    def written(self, number: int, hash: str) -> None:
        """Note that the file was written with this version."""
        with self._lock, self._db as db:
            db.execute("UPDATE versions SET hash = ? WHERE number = ?", (hash, number))

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            self._db.close()

    def _put(self, db: sqlite3.Connection, state: bytes) -> int:
        asked = "INSERT INTO versions (document, at, state, hash) VALUES (?, ?, ?, '')"
        return int(db.execute(asked, (self._document, time.time(), state)).lastrowid or 0)


_SCHEMA = """
DROP TABLE IF EXISTS yupdates;
DROP TABLE IF EXISTS ycheckpoints;
CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, founder TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS versions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL,
    at REAL NOT NULL, state BLOB NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS versions_document ON versions (document);
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL, change BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS changes_document ON changes (document);
"""
