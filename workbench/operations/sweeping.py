"""What is thrown away when its time is over, and when.

Events are not among it: each carries the hash of the one before, so that a record which lost its
beginning could not be verified. They stay for ever, some 500 bytes each.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from workbench.core import (
    FINISHED,
    Actor,
    Context,
    Engines,
    Settings,
    WorkbenchError,
    blobs,
    commit,
)
from workbench.core.context import utc_now
from workbench.core.door import acting, answers
from workbench.core.logfiles import former_logs, turn_over_large, turn_over_old
from workbench.core.snapshot import BACKUPS
from workbench.pipelines import ledger
from workbench.security.sessions import sessions

from .types import Sweep

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)
LOOK_S = 2.0
"""How often it is looked whether a log is too large, in seconds."""
JOBS_AT_ONCE = 500
ROWS_AT_ONCE = 20_000
"""So that nobody waits long for the database's lock."""


def swept(ctx: Context) -> Sweep:
    """Stage on the context what removes everything whose time is over; see `operations.sweep`."""
    settings, now = ctx.settings, ctx.now()
    folder = ctx.home / "logs"
    turn_over_old(folder, now)
    jobs = _old_jobs(ctx, now)
    rows = {
        table.name: _old_rows(ctx, table, column, edge)
        for table, column, edge in _tables(now, settings)
    }
    logs = _old_logs(folder, now, settings.keep_logs_days)
    backups = _old_backups(ctx.home / BACKUPS, settings.keep_backups)
    files = [*(folder / "jobs" / f"{id}.log" for id in jobs), *logs, *backups]
    uploads = ctx.engine(blobs).sweep(settings.keep_uploads_s)
    done = Sweep(
        at=now,
        job_logs=len(jobs),
        answers=rows["answers"],
        sessions=rows["sessions"],
        uploads=uploads,
        log_files=len(logs),
        backups=len(backups),
        more=len(jobs) == JOBS_AT_ONCE or ROWS_AT_ONCE in rows.values(),
    )

    def remove(tx: sa.Connection) -> None:
        if jobs:
            tx.execute(ledger.lines.delete().where(ledger.lines.c.job.in_(jobs)))
        for table, column, edge in _tables(now, settings):
            old = table.c[column] < edge.isoformat()
            keys = list(table.primary_key)
            some = sa.select(*keys).where(old).limit(ROWS_AT_ONCE)
            tx.execute(table.delete().where(sa.tuple_(*keys).in_(some)))

    ctx.stage(remove)
    # What is left of files when the power goes out here is removed by the next sweep.
    ctx.after_commit(lambda: _unlink(files))
    ctx.note(**{name: n for name, n in done.model_dump(exclude={"at", "more"}).items() if n})
    return done


class Sweeper(threading.Thread):
    """Sweeps at the start of the service and once a day, and turns over large logs meanwhile.

    Args:
        engines: The service's.
        now: The clock.
        look_s: How often logs are looked at, in seconds.
    """

    def __init__(
        self, engines: Engines, *, now: Callable[[], datetime] = utc_now, look_s: float = LOOK_S
    ) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._engines, self._now, self._look_s = engines, now, look_s
        self._end = threading.Event()
        self._due = now()

    def run(self) -> None:
        """Go on until told to stop."""
        while not self._end.wait(self._look_s):
            self.step()

    def step(self) -> None:
        """One look: what is due now."""
        now = self._now()
        try:
            turn_over_large(self._engines.settings.home / "logs", now)
            if now >= self._due:
                self._due = now + EVERY
                while self._sweep().more and not self._end.is_set():
                    self._end.wait(0.1)
        except (OSError, WorkbenchError):
            log.exception("what is old could not be removed; it is tried again tomorrow")

    def stop(self) -> None:
        """Stop looking."""
        self._end.set()
        if self.is_alive():
            self.join(10)

    def _sweep(self) -> Sweep:
        studio = Actor(kind="service", name="studio")
        ctx = Context(studio, "", self._engines, now=self._now)
        with acting(ctx):
            done = swept(ctx)
            commit(ctx, "operations.sweep", {})
            for then in ctx.afters:
                then()
            log.info("swept", extra=done.model_dump(exclude={"at"}))
        return done


def _tables(now: datetime, settings: Settings) -> list[tuple[sa.Table, str, datetime]]:
    """Tables whose rows end by their time, the column with it, and the time before which."""
    return [
        (answers, "at", now - timedelta(days=settings.keep_answers_days)),
        (sessions, "until", now),
    ]


def _old_rows(ctx: Context, table: sa.Table, column: str, edge: datetime) -> int:
    query = sa.select(sa.func.count()).where(table.c[column] < edge.isoformat())
    with ctx.store.read() as connection:
        return min(int(connection.execute(query).scalar_one()), ROWS_AT_ONCE)


def _old_jobs(ctx: Context, now: datetime) -> list[str]:
    """Finished jobs whose time is over and of which something is kept."""
    days = ctx.settings.keep_jobs_days
    if not days:
        return []
    edge = (now - timedelta(days=days)).isoformat()
    table, lines = ledger.jobs, ledger.lines
    old = sa.select(table.c.id).where(
        table.c.state.in_(FINISHED),
        table.c.finished_at < edge,
        sa.exists().where(lines.c.job == table.c.id),
    )
    with ctx.store.read() as connection:
        return list(connection.execute(old.order_by(table.c.id).limit(JOBS_AT_ONCE)).scalars())


def _old_logs(folder: Path, now: datetime, days: float) -> list[Path]:
    edge = now - timedelta(days=days)
    return [file for at, file in former_logs(folder) if days and at < edge]


def _old_backups(folder: Path, kept: int) -> list[Path]:
    """All but the newest; their names begin with the time they were made at."""
    return sorted(folder.glob("workbench-backup-*.tar.gz"))[:-kept] if kept else []


def _unlink(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
