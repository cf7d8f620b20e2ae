"""What cells print, kept until their notebook has it.

Two processes use the file. JupyterLab's server notes which cell a request is for, before the kernel
gets it; the keeper notes what the kernel sends, at most a quarter of a second later. It lies beside
the project's files and is the project's own.
"""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir

from ..databases import opened
from ..given import RUNS
from .outputs import Outputs, size_of, trimmed

log = logging.getLogger(__name__)

MOST = 8 * 1024**2
"""How much of one run is kept, in characters; of more, the beginning and the end."""
KEPT_S = 24 * 3600.0
"""How long an ended run is kept for a window that may come back to it, in seconds."""


@dataclass(frozen=True)
class Run:
    """One cell, run once.

    Attributes:
        id: The message id of the request.
        kernel: The kernel's id.
        cell: The cell's id.
        code: What was run.
        path: The notebook, when it was asked for.
        window: The kernel connection of the browser's window that asked.
        header: The request's header.
        asked: When, in seconds since the epoch.
        count: Its number in the prompt; None until it begins.
        how: `ok`, `error`, `aborted` (it never began), `died` (the kernel did) or `stopped` (it was
            told to); empty while it waits or runs.
        ended: When it ended; None while it waits or runs.
        written: When its notebook had all of it; None until then.
    """

    id: str
    kernel: str
    cell: str
    code: str
    path: str
    window: str
    header: dict[str, Any]
    asked: float
    count: int | None = None
    how: str = ""
    ended: float | None = None
    written: float | None = None


@dataclass(frozen=True)
class Row:
    """A message of a run.

    Attributes:
        number: Later ones are larger.
        run: The run's id.
        kind: The message's type; `outputs`: all there was before, in its place; `explained`: an
            error that no kernel sent.
        content: The message's content; what `Outputs.state` says.
    """

    number: int
    run: str
    kind: str
    content: Any


class Runs:
    """See the module. Each call is one transaction; use it from one thread.

    Args:
        file: The database.
    """

    def __init__(self, file: Path) -> None:
        # A machine whose power goes out takes the kernels with it: no need to wait for the disk.
        self._db = opened(file, _SCHEMA, synchronous="NORMAL")
        self._db.row_factory = sqlite3.Row

    # ---- asked for and read by JupyterLab's server ----------------------------------------------

    def ask(self, run: Run) -> None:
        """Note a run before the kernel has it. What the same cell printed before is forgotten."""
        with self._db as db:
            _delete(db, "cell = ? AND kernel = ?", (run.cell, run.kernel))
            # Another kernel ran it before: the notebook was given this one.
            ended = "cell = ? AND path = ? AND ended IS NOT NULL"
            _delete(db, ended, (run.cell, run.path))
            db.execute(
                "INSERT OR IGNORE INTO runs (id, kernel, cell, code, path, window, header, asked) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(run.id, run.kernel, run.cell, run.code, run.path, run.window),
                    *(json.dumps(run.header), run.asked),
                ),
            )

    def find(self, id: str) -> Run | None:
        """The run; None if it is forgotten."""
        return next(iter(self._runs("id = ?", (id,))), None)

    def hand_over(self, id: str, window: str, header: dict[str, Any]) -> Run | None:
        """Have another window get a run, as the answer to that request; None if it is forgotten."""
        with self._db as db:
            db.execute(
                "UPDATE runs SET window = ?, header = ?, written = NULL WHERE id = ?",
                (window, json.dumps(header), id),
            )
        return self.find(id)

    def unwritten(self) -> list[Run]:
        """Those whose notebook may lack something, in the order they were asked for."""
        return self._runs("written IS NULL", ())

    def of_window(self, window: str) -> list[Run]:
        """Those that a window asked for and may lack something of."""
        return self._runs("window = ?", (window,))

    def rows(self, run: str, after: int = 0) -> list[Row]:
        """What a run printed since."""
        found = self._db.execute(
            "SELECT number, kind, content FROM rows WHERE run = ? AND number > ? ORDER BY number",
            (run, after),
        )
        return [Row(each[0], run, each[1], json.loads(each[2])) for each in found]

    def last(self, run: str) -> int:
        """The number of the last row of a run; 0 if it has none."""
        found = self._db.execute("SELECT max(number) FROM rows WHERE run = ?", (run,)).fetchone()
        return int(found[0] or 0)

    def written(self, run: str) -> None:
        """Note that its notebook has all of a run."""
        with self._db as db:
            db.execute("UPDATE runs SET written = ? WHERE id = ?", (time.time(), run))

    def forget(self, run: str) -> None:
        """Forget a run: whoever asked for it has all of it."""
        with self._db as db:
            _delete(db, "id = ?", (run,))

    def sweep(self) -> None:
        """Forget what nobody will come back to."""
        with self._db as db:
            _delete(db, "ended < ?", (time.time() - KEPT_S,))
            db.execute("DELETE FROM rows WHERE run NOT IN (SELECT id FROM runs)")

    # ---- written by the keeper ------------------------------------------------------------------

    def knows(self, run: str) -> bool:
        """Whether it is a cell's."""
        found = self._db.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone()
        return found is not None

    def add(
        self,
        rows: Sequence[tuple[str, str, Any]],
        *,
        begun: Mapping[str, int] | None = None,
        ended: Mapping[str, str] | None = None,
    ) -> None:
        """Note what runs printed, which began and how some ended, all or nothing.

        Args:
            rows: A run's id, the message's type, its content. Those of a run that was forgotten
                are left out.
            begun: The number in the prompt, by the run's id.
            ended: How, by the run's id; only the first end counts.

        Raises:
            sqlite3.Error: It cannot be kept now.
        """
        now = time.time()
        with self._db as db:
            # What was asked of a kernel that had just died is done by the one in its place.
            db.executemany(
                "UPDATE runs SET count = ?, how = '', ended = NULL WHERE id = ?",
                [(count, run) for run, count in (begun or {}).items()],
            )
            db.executemany(
                "INSERT INTO rows (run, kind, content) SELECT ?1, ?2, ?3 "
                "WHERE EXISTS (SELECT 1 FROM runs WHERE id = ?1)",
                [(run, kind, _json(content)) for run, kind, content in rows],
            )
            db.executemany(
                "UPDATE runs SET how = ?, ended = ? WHERE id = ? AND ended IS NULL",
                [(how, now, run) for run, how in (ended or {}).items()],
            )

    def compact(self, run: str) -> int:
        """Keep of a run what its cell shows, and half of what may be; its characters then."""
        made, rows = Outputs(), self.rows(run)
        for row in rows:
            made.take(row.kind, row.content)
        state = made.state()
        kept = trimmed(state["outputs"], MOST // 2)
        with self._db as db:
            db.execute(
                "DELETE FROM rows WHERE run = ? AND number <= ?",
                (run, rows[-1].number if rows else 0),
            )
            db.execute(
                "INSERT INTO rows (run, kind, content) VALUES (?, 'outputs', ?)",
                (run, _json({**state, "outputs": kept})),
            )
        return size_of(kept)

    def unended(self, kernel: str | None = None) -> list[Run]:
        """Those that wait or run, in one kernel or in any, in the order they were asked for."""
        if kernel is None:
            return self._runs("ended IS NULL", ())
        return self._runs("ended IS NULL AND kernel = ?", (kernel,))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _runs(self, where: str, given: tuple[Any, ...]) -> list[Run]:
        found = self._db.execute(f"SELECT * FROM runs WHERE {where} ORDER BY asked, rowid", given)
        return [Run(**{**dict(each), "header": json.loads(each["header"])}) for each in found]


def own_runs() -> Runs:
    """The project's: in its folder, or, where nothing can be written there, beside its sockets.

    Whichever it is stands in the environment, for the processes started from here.
    """
    if place := os.environ.get(RUNS):
        return Runs(Path(place))
    last: Exception | None = None
    for folder in (jupyter_data_dir(), jupyter_runtime_dir()):
        file = Path(folder) / "runs.db"
        try:
            found = Runs(file)
        except (sqlite3.Error, OSError) as error:
            log.error("what cells print cannot be kept in %s: %s", file, error)
            last = error
            continue
        os.environ[RUNS] = str(file)
        return found
    raise OSError(f"what cells print can be kept nowhere: {last}")


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)


def _delete(db: sqlite3.Connection, where: str, given: tuple[Any, ...]) -> None:
    db.execute(f"DELETE FROM rows WHERE run IN (SELECT id FROM runs WHERE {where})", given)
    db.execute(f"DELETE FROM runs WHERE {where}", given)


_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, kernel TEXT NOT NULL, cell TEXT NOT NULL, code TEXT NOT NULL,
    path TEXT NOT NULL, window TEXT NOT NULL, header TEXT NOT NULL, asked REAL NOT NULL,
    count INTEGER, how TEXT NOT NULL DEFAULT '', ended REAL, written REAL
);
CREATE INDEX IF NOT EXISTS runs_window ON runs (window);
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, kind TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS rows_run ON rows (run, number);
"""
