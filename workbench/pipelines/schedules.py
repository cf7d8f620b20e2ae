"""Jobs that begin by themselves, at times that a cron line says, on some place's clock.

Acknowledgement: a schedule is accepted when its row and event are committed. A time that has come
is two commits: the job, under the key `<schedule>@<time>`, then the next time. A crash in between
asks for the same job again under the same key, so a time has one job. Of times that passed while
nothing ran, the last one counts.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from croniter import croniter

from workbench.core import (
    Actor,
    Context,
    Engines,
    Invalid,
    NotFound,
    Page,
    Store,
    WorkbenchError,
    call_here,
    commit,
)
from workbench.core.context import utc_now
from workbench.core.store import metadata, stores

from .types import TEMPORARY, Schedule

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How exactly a time is kept, in seconds."""

schedules = sa.Table(
    "job_schedules",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("actor", sa.JSON, nullable=False),
    sa.Column("action", sa.String(80), nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("cron", sa.String(128), nullable=False),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("made_at", sa.String(40), nullable=False),
    sa.Column("next_at", sa.String(40)),
    sa.Column("last_at", sa.String(40)),
    sa.Column("last_job", sa.String(40)),
    sa.Index("ix_job_schedules_project", "project", "id"),
)


def record(row: sa.Row[Any]) -> Schedule:
    """A row as a Schedule."""
    body = dict(row._mapping)
    return Schedule.model_validate(body | {"actor": str(Actor.model_validate(body["actor"]))})


def get(store: Store, project: str, id: str) -> Schedule:
    """The schedule of that id; NotFound if the project has none."""
    with store.read() as connection:
        row = connection.execute(
            sa.select(schedules).where(schedules.c.id == id, schedules.c.project == project)
        ).first()
    if row is None:
        raise NotFound(f"This project has no schedule {id!r}.", hint="List the schedules.")
    return record(row)


def page(store: Store, project: str, limit: int, after: str | None) -> Page[Schedule]:
    """A project's schedules, oldest first."""
    query = sa.select(schedules).where(schedules.c.project == project).order_by(schedules.c.id)
    if after:
        query = query.where(schedules.c.id > after)
    with store.read() as connection:
        found = [record(row) for row in connection.execute(query.limit(limit + 1))]
    return Page(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)


def put(tx: sa.Connection, made: Schedule) -> None:
    """Store a new schedule."""
    kind, _, name = made.actor.partition(":")
    actor = Actor.model_validate({"kind": kind, "name": name})
    body = made.model_dump(mode="json") | {
        "actor": actor.model_dump(),
        "made_at": made.made_at.isoformat(),
        "next_at": made.next_at.isoformat() if made.next_at else None,
    }
    tx.execute(schedules.insert().values(**body))


def change(tx: sa.Connection, changed: Schedule) -> None:
    """Store whether a schedule is paused, and what follows from it."""
    following = changed.next_at.isoformat() if changed.next_at else None
    tx.execute(
        sa.update(schedules)
        .where(schedules.c.id == changed.id)
        .values(paused=changed.paused, next_at=following, note=changed.note)
    )


def remove(tx: sa.Connection, id: str) -> None:
    """Delete a schedule."""
    tx.execute(schedules.delete().where(schedules.c.id == id))


def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name.

    Raises:
        Invalid: There is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Invalid(
            f"{name[:64]!r} is no time zone.", hint="For example Europe/Berlin, or UTC."
        ) from error


def check_cron(cron: str) -> str:
    """A cron line of five fields, in one spelling.

    Raises:
        Invalid: It is none, or names a time that never comes.
    """
    line = " ".join(cron.split())
    if len(line.split(" ")) != 5 or not croniter.is_valid(line):
        raise Invalid(
            f"{cron[:100]!r} is no cron line.",
            hint="Minute, hour, day, month, weekday: '30 6 * * 1-5' is 6:30 on workdays.",
        )
    try:
        croniter(line, datetime(2024, 1, 1)).get_next(datetime)
    except ValueError as error:
        raise Invalid(f"{line!r} never comes.", hint="Look at the day and the month.") from error
    return line


def next_time(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after `after` that the line means, in UTC.

    The line is read on the wall clock of the zone. A time that the clock leaves out in spring comes
    as much later as the clock was put forward; one that it shows twice in autumn comes once, or
    both times if the line says every hour.

    Args:
        cron: A checked line.
        timezone: A checked zone.
        after: When, aware.
    """
    place = zone(timezone)
    every_hour = cron.split(" ")[1].startswith("*")
    # Two hours earlier on the wall clock: it may have been put back since.
    local = after.astimezone(place).replace(tzinfo=None) - timedelta(hours=2)
    found: datetime | None = None
    lines = croniter(cron, local)
    while True:
        wall = lines.get_next(datetime)
        shown = [wall.replace(tzinfo=place, fold=fold) for fold in ((0, 1) if every_hour else (0,))]
        later = [each for one in shown if (each := one.astimezone(UTC)) > after]
        if found is not None and (not later or min(later) >= found):
            return found
        if later:
            found = min(later)


class Scheduler(threading.Thread):
    """Begins jobs when their time has come, until it is stopped."""

    def __init__(self, engines: Engines) -> None:
        super().__init__(name="schedules", daemon=True)
        self._engines, self._stop_asked = engines, threading.Event()

    def run(self) -> None:
        """See the class."""
        store = self._engines.get(stores)
        token: object = None
        due: str | None = None
        while not self._stop_asked.wait(LOOK_S):
            try:
                now = utc_now()
                if (changed := store.token()) != token:
                    token, due = changed, first_due(store)
                if due is not None and due <= now.isoformat():
                    begin_due(self._engines, now)
                    token = None
            except Exception:
                # The times are in the store: they are looked at when it can be read again.
                log.exception("schedules could not be looked at")

    def stop(self) -> None:
        """End it."""
        self._stop_asked.set()
        self.join()


def first_due(store: Store) -> str | None:
    """When the next of all schedules is due; None if none is."""
    query = sa.select(sa.func.min(schedules.c.next_at)).where(schedules.c.paused.is_(False))
    with store.read() as connection:
        return connection.execute(query).scalar()


def begin_due(engines: Engines, now: datetime) -> list[str]:
    """Ask for the job of every schedule whose time has come; the ids of the jobs."""
    store = engines.get(stores)
    query = sa.select(schedules).where(
        schedules.c.paused.is_(False), schedules.c.next_at <= now.isoformat()
    )
    with store.read() as connection:
        rows = connection.execute(query.order_by(schedules.c.next_at)).all()
    return [job for row in rows if (job := _begin(engines, row, now))]


def _begin(engines: Engines, row: sa.Row[Any], now: datetime) -> str:
    """One job, as whoever made the schedule, with the rights they have today."""
    due = datetime.fromisoformat(row.next_at)
    actor = Actor.model_validate(row.actor)
    ctx = Context(actor, row.project, engines)
    follows = next_time(row.cron, row.timezone, max(due, now)).isoformat()
    changed: dict[str, Any] = {"next_at": follows, "last_at": now.isoformat(), "note": ""}
    job = ""
    try:
        job = str(call_here(ctx, row.action, row.request, key=f"{row.id}@{row.next_at}").id)
        changed["last_job"] = job
    except WorkbenchError as error:
        changed["note"] = str(error)
        if error.status not in TEMPORARY:
            # Every time would be refused until somebody does something about it.
            changed |= {"paused": True, "next_at": None}
    told = Context(actor, row.project, engines, trace=ctx.trace)
    told.note(schedule=row.id, **({"job": job} if job else {}))

    def go_on(tx: sa.Connection) -> None:
        this = sa.and_(schedules.c.id == row.id, schedules.c.next_at == row.next_at)
        tx.execute(sa.update(schedules).where(this).values(**changed))

    outcome = "done" if job else "paused" if "paused" in changed else "left out"
    commit(
        told,
        "pipelines.keep_schedule",
        {"id": row.id, "at": row.next_at},
        outcome=outcome,
        also=go_on,
    )
    return job
