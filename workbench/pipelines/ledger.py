"""Where jobs and what they tell are kept. Every change of state goes through here.

    queued <─> running ──> done | failed | cancelled
       └───────────────────────────────> cancelled

A job that failed for a reason that may pass, and is to be tried again, waits once more, for a time.
An attempt carries a fencing number: what an older attempt writes is refused. What a step of a job
answered is kept under (job, step) until the job ends.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from workbench.core import FINISHED, Actor, Conflict, Job, NotFound, Page, Store
from workbench.core.jobs import Priority, State
from workbench.core.store import metadata

from .types import Line

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("actor", sa.JSON, nullable=False),
    sa.Column("action", sa.String(80), nullable=False),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("progress", sa.Float, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("result", sa.JSON),
    sa.Column("error", sa.JSON),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("stop", sa.Boolean, nullable=False),
    sa.Column("trace", sa.String(40), nullable=False),
    sa.Column("made_at", sa.String(40), nullable=False),
    sa.Column("started_at", sa.String(40)),
    sa.Column("finished_at", sa.String(40)),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("timeout_s", sa.Float),
    sa.Column("retries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("begin_after", sa.String(40)),
    sa.Column("spent_s", sa.Float, nullable=False, server_default="0"),
    sa.Index("ix_jobs_project_id", "project", "id"),
)

lines = sa.Table(
    "job_lines",
    metadata,
    sa.Column("job", sa.String(40), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("values", sa.JSON, nullable=False),
)

steps = sa.Table(
    "job_steps",
    metadata,
    sa.Column("job", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("answer", sa.JSON, nullable=False),
)


PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")
"""Written as -1, 0, 1."""
FIRST_S, LONGEST_S = 1.0, 300.0
"""How long a job that failed waits the first time, and at most: twice as long each time."""


def record(row: sa.Row[Any]) -> Job:
    """A row as a Job."""
    body = dict(row._mapping)
    actor = str(Actor.model_validate(body["actor"]))
    return Job.model_validate(body | {"actor": actor, "priority": PRIORITIES[row.priority + 1]})


def terms_of(job: Job) -> dict[str, Any]:
    """The columns that say how a job is to run."""
    return {
        "priority": PRIORITIES.index(job.priority) - 1,
        "timeout_s": job.timeout_s,
        "retries": job.retries,
    }


def get(store: Store, project: str, id: str) -> Job:
    """The job of that id; NotFound if the project has none."""
    with store.read() as connection:
        row = connection.execute(
            sa.select(jobs).where(jobs.c.id == id, jobs.c.project == project)
        ).first()
    if row is None:
        raise NotFound(f"This project has no job {id!r}.", hint="List the jobs.")
    return record(row)


def page(
    store: Store, project: str, *, state: State | None, limit: int, after: str | None
) -> Page[Job]:
    """A project's jobs, newest first."""
    query = sa.select(jobs).where(jobs.c.project == project)
    query = query.order_by(jobs.c.id.desc()).limit(limit + 1)
    if state:
        query = query.where(jobs.c.state == state)
    if after:
        query = query.where(jobs.c.id < after)
    with store.read() as connection:
        found = [record(row) for row in connection.execute(query)]
    return Page(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)


def unfinished(store: Store) -> Sequence[sa.Row[Any]]:
    """The rows of every job that is queued or running, oldest first."""
    with store.read() as connection:
        return connection.execute(
            sa.select(jobs).where(jobs.c.state.not_in(FINISHED)).order_by(jobs.c.id)
        ).all()


def next_jobs(store: Store, count: int, taken: Collection[str], now: datetime) -> list[str]:
    """Which of the jobs that wait are to begin now: of each project its first, then its oldest.

    The project with fewest at work comes first; of several such, the one whose turn is longest ago.

    Args:
        store: Where they are.
        count: At most how many.
        taken: Those that have begun, or are about to.
        now: Those that are to wait longer are left out.
    """
    order = (jobs.c.priority.desc(), jobs.c.id)
    place = sa.func.row_number().over(partition_by=jobs.c.project, order_by=order)
    waiting = sa.select(jobs.c.id, jobs.c.project, place.label("place")).where(
        jobs.c.state == "queued",
        jobs.c.id.not_in(list(taken)),
        sa.or_(jobs.c.begin_after.is_(None), ~jobs.c.begin_after.between(*_later(now))),
    )
    ranked = waiting.subquery()
    first = sa.select(ranked.c.id, ranked.c.project, ranked.c.place).where(ranked.c.place <= count)
    works = sa.select(jobs.c.project).where(jobs.c.id.in_(list(taken)))
    projects = sa.select(ranked.c.project).distinct()
    turns = (
        sa.select(jobs.c.project, sa.func.max(jobs.c.started_at))
        .where(jobs.c.project.in_(projects))
        .group_by(jobs.c.project)
    )
    with store.read() as connection:
        queued = list(connection.execute(first.order_by(ranked.c.id)))
        at_work = Counter(connection.execute(works).scalars())
        turn = {project: last or "" for project, last in connection.execute(turns)}
    chosen: list[str] = []
    while queued and len(chosen) < count:
        row = min(
            queued,
            key=lambda each: (at_work[each.project], turn[each.project], each.place, each.id),
        )
        at_work[row.project] += 1
        chosen.append(row.id)
        queued.remove(row)
    return chosen


def _later(now: datetime) -> tuple[str, str]:
    """The times that a job may wait for: one beyond them was set before the clock was."""
    soonest, latest = timedelta(microseconds=1), timedelta(seconds=LONGEST_S)
    return (now + soonest).isoformat(), (now + latest).isoformat()


def next_due(store: Store, now: datetime) -> float | None:
    """In how many seconds the first of the jobs that wait for a time may begin; None: none does."""
    query = sa.select(sa.func.min(jobs.c.begin_after)).where(jobs.c.state == "queued")
    with store.read() as connection:
        first = connection.execute(query.where(jobs.c.begin_after.between(*_later(now)))).scalar()
    return None if first is None else (datetime.fromisoformat(first) - now).total_seconds()


def active(store: Store, project: str) -> int:
    """How many jobs of a project wait or run."""
    query = (
        sa.select(sa.func.count())
        .select_from(jobs)
        .where(jobs.c.project == project, jobs.c.state.not_in(FINISHED))
    )
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def row_of(store: Store, id: str) -> sa.Row[Any] | None:
    """The row of a job, whatever its project."""
    with store.read() as connection:
        return connection.execute(sa.select(jobs).where(jobs.c.id == id)).first()


def begin_attempt(tx: sa.Connection, id: str, now: datetime, after: str) -> int | None:
    """The fencing number of a new attempt; None if the job needs none any more, or not yet.

    Args:
        tx: The transaction.
        id: The job's.
        now: When it begins.
        after: What is told if another attempt was at it; nothing if empty.
    """
    row = tx.execute(sa.select(jobs).where(jobs.c.id == id)).first()
    if row is None or row.state in FINISHED or row.stop:
        return None
    soonest, latest = _later(now)
    if row.state == "queued" and row.begin_after and soonest <= row.begin_after <= latest:
        return None
    attempt = int(row.attempt) + 1
    tx.execute(
        sa.update(jobs)
        .where(jobs.c.id == id)
        .values(
            state="running",
            attempt=attempt,
            progress=0.0,
            note="",
            begin_after=None,
            started_at=row.started_at or now.isoformat(),
        )
    )
    told = [("log", after, dict[str, float]())] if after and row.state == "running" else []
    tell(tx, id, now, [*told, ("state", "running", {"attempt": float(attempt)})])
    return attempt


def finish(
    tx: sa.Connection,
    id: str,
    now: datetime,
    state: State,
    *,
    attempt: int | None = None,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> None:
    """End a job, once.

    Raises:
        Conflict: It has ended already, or a newer attempt owns it.
    """
    where = [jobs.c.id == id, jobs.c.state.not_in(FINISHED)]
    if attempt is not None:
        where.append(jobs.c.attempt == attempt)
    values: dict[str, Any] = {"state": state, "finished_at": now.isoformat(), "error": error}
    if state == "done":
        values |= {"progress": 1.0, "result": result}
    if tx.execute(sa.update(jobs).where(*where).values(values)).rowcount != 1:
        raise Conflict(
            f"The job {id} has ended already, or another attempt runs it.",
            hint="Look at the job.",
        )
    tx.execute(steps.delete().where(steps.c.job == id))
    tell(tx, id, now, [("state", state, {})])


def spend(tx: sa.Connection, id: str, cpu_s: float) -> None:
    """Remember what an attempt has used that another one follows, in processor seconds."""
    tx.execute(sa.update(jobs).where(jobs.c.id == id).values(spent_s=jobs.c.spent_s + cpu_s))


def again(
    tx: sa.Connection, id: str, attempt: int, now: datetime, problem: dict[str, Any], cpu_s: float
) -> bool:
    """Have a job that failed wait for another attempt, if it is to be tried again.

    Args:
        tx: The transaction.
        id: The job's.
        attempt: Which one failed; a newer one goes on.
        now: When.
        problem: Why, as a problem object.
        cpu_s: What that attempt has used, in processor seconds.
    """
    query = sa.select(jobs).where(jobs.c.id == id, jobs.c.attempt == attempt)
    row = tx.execute(query.with_for_update()).first()
    if row is None or row.state != "running" or row.stop or row.failures >= row.retries:
        return False
    wait_s = min(FIRST_S * 2**row.failures, LONGEST_S)
    text = f"it failed, and is tried again in {wait_s:g} s: {problem['detail']}"
    tx.execute(
        sa.update(jobs)
        .where(jobs.c.id == id)
        .values(
            state="queued",
            failures=row.failures + 1,
            begin_after=(now + timedelta(seconds=wait_s)).isoformat(),
            note=text,
        )
    )
    spend(tx, id, cpu_s)
    tell(tx, id, now, [("log", text, {}), ("state", "queued", {})])
    return True


def change_terms(tx: sa.Connection, job: Job) -> None:
    """Write how a job is to run.

    Raises:
        Conflict: It has ended meanwhile.
    """
    query = sa.update(jobs).where(jobs.c.id == job.id, jobs.c.state.not_in(FINISHED))
    if tx.execute(query.values(terms_of(job))).rowcount != 1:
        raise Conflict(f"The job {job.id} has ended.", hint="Run it again, then change that.")


def step_of(store: Store, id: str, name: str) -> sa.Row[Any] | None:
    """The row of a step that was done; None if it was not."""
    with store.read() as connection:
        return connection.execute(
            sa.select(steps).where(steps.c.job == id, steps.c.name == name)
        ).first()


def keep_step(
    tx: sa.Connection, id: str, attempt: int, name: str, now: datetime, answer: Any
) -> bool:
    """Keep what a step answered; False if the attempt is fenced off."""
    owner = sa.select(jobs.c.attempt).where(jobs.c.id == id, jobs.c.state == "running")
    if tx.execute(owner.with_for_update()).scalar() != attempt:
        return False
    tx.execute(
        steps.insert().values(job=id, name=name, attempt=attempt, at=now.isoformat(), answer=answer)
    )
    return True


def ask_to_stop(tx: sa.Connection, id: str) -> None:
    """Mark a job to be stopped; whoever runs it sees the mark."""
    tx.execute(sa.update(jobs).where(jobs.c.id == id).values(stop=True))


def report(
    tx: sa.Connection,
    id: str,
    attempt: int,
    now: datetime,
    told: Sequence[tuple[str, str, dict[str, float]]],
    progress: float | None,
    note: str,
) -> bool:
    """Write what an attempt told; False if it is fenced off or asked to stop."""
    row = tx.execute(sa.select(jobs.c.attempt, jobs.c.stop).where(jobs.c.id == id)).first()
    if row is None or row.attempt != attempt:
        return False
    if progress is not None:
        tx.execute(sa.update(jobs).where(jobs.c.id == id).values(progress=progress, note=note))
    tell(tx, id, now, told)
    return not row.stop


def tell(
    tx: sa.Connection, id: str, now: datetime, told: Sequence[tuple[str, str, dict[str, float]]]
) -> None:
    """Append lines to a job's log."""
    if not told:
        return
    last = tx.execute(sa.select(sa.func.max(lines.c.seq)).where(lines.c.job == id)).scalar() or 0
    tx.execute(
        lines.insert(),
        [
            {
                "job": id,
                "seq": last + offset,
                "at": now.isoformat(),
                "kind": kind,
                "text": text,
                "values": values,
            }
            for offset, (kind, text, values) in enumerate(told, start=1)
        ],
    )


def lines_after(store: Store, id: str, after: int, limit: int = 1000) -> list[Line]:
    """A job's lines after a sequence number, oldest first."""
    query = (
        sa.select(lines.c.seq, lines.c.at, lines.c.kind, lines.c.text, lines.c["values"])
        .where(lines.c.job == id, lines.c.seq > after)
        .order_by(lines.c.seq)
        .limit(limit)
    )
    with store.read() as connection:
        return [
            Line(
                seq=row[0],
                at=datetime.fromisoformat(row[1]),
                kind=row[2],
                text=row[3],
                values=row[4],
            )
            for row in connection.execute(query)
        ]
