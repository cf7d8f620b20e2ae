"""Look at jobs, follow them, stop them, run them again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import sqlalchemy as sa

from workbench.core import (
    FINISHED,
    Conflict,
    Context,
    Invalid,
    Job,
    Page,
    action,
    find_action,
    new_id,
)
from workbench.core.jobs import Priority, State, runner
from workbench.core.policy import policies

from . import ledger
from . import schedules as kept
from .types import Line, Schedule

FOLLOW_S = 0.15
MOST_RETRIES = 20


@action(effect="read")
def list_jobs(
    ctx: Context, state: State | None = None, limit: int = 50, after: str | None = None
) -> Page[Job]:
    """This project's jobs, newest first.

    Args:
        state: Only those that are queued, running, done, failed or cancelled.
        limit: At most how many.
        after: The `next` of the page before.
    """
    return ledger.page(ctx.store, ctx.project, state=state, limit=limit, after=after)


@action(effect="read", on="id")
def get_job(ctx: Context, id: str) -> Job:
    """One job: its state, progress, and what came of it.

    Args:
        id: The job's id.
    """
    return ledger.get(ctx.store, ctx.project, id)


@action(effect="write", undo="compensate:pipelines.retry", on="id")
def cancel(ctx: Context, id: str) -> Job:
    """Stop a job; its process is ended within ten seconds and nothing of it is kept.

    Args:
        id: The job's id.
    """
    job = ledger.get(ctx.store, ctx.project, id)
    if job.state in FINISHED:
        raise Conflict(f"The job {id} is {job.state} already.", hint="There is nothing to stop.")
    ctx.note(job=id)

    def stop(tx: sa.Connection) -> None:
        ledger.ask_to_stop(tx, id)
        row = tx.execute(sa.select(ledger.jobs.c.state).where(ledger.jobs.c.id == id)).first()
        if row is not None and row.state == "queued":
            ledger.finish(tx, id, ctx.now(), "cancelled")

    ctx.stage(stop)
    return job.model_copy(update={"note": "stopping"})


@action(effect="write", undo="inverse:pipelines.update_job", on="id")
def update_job(
    ctx: Context,
    id: str,
    priority: Priority | None = None,
    timeout_s: float | None = None,
    retries: int | None = None,
) -> Job:
    """Say how a job that waits or runs is to run. What is left out stays as it is.

    A job that failed is tried again if the reason may pass: something did not answer, it ran too
    long, a bug; not where its request makes no sense, or it had no memory. It waits a second
    before that, twice as long each time, at most five minutes.

    Args:
        id: The job's id.
        priority: Its place among this project's jobs that wait: low, normal or high.
        timeout_s: The longest an attempt may run, in seconds, from 1 to what the Studio allows.
        retries: How often it is tried again, 0 to 20.
    """
    job = ledger.get(ctx.store, ctx.project, id)
    limit = ctx.settings.job_limit_s
    if timeout_s is not None and not 1 <= timeout_s <= limit:
        raise Invalid(
            f"An attempt that may run for {timeout_s:g} s makes no sense.",
            hint=f"From 1 to {limit:g}, the Studio's `job_limit_s`.",
        )
    if retries is not None and not 0 <= retries <= MOST_RETRIES:
        raise Invalid(f"{retries} retries make no sense.", hint=f"0 to {MOST_RETRIES}.")
    asked = {"priority": priority, "timeout_s": timeout_s, "retries": retries}
    changed = job.model_copy(update={k: v for k, v in asked.items() if v is not None})
    ctx.note(job=id, **ledger.terms_of(changed))
    ctx.stage(lambda tx: ledger.change_terms(tx, changed))
    return changed


@action(effect="write", undo="compensate:pipelines.cancel", on="id")
def retry(ctx: Context, id: str) -> Job:
    """Run a failed or cancelled job again, as a new job with the same request and terms.

    Args:
        id: The job's id.
    """
    old = ledger.get(ctx.store, ctx.project, id)
    if old.state not in ("failed", "cancelled"):
        raise Conflict(
            f"The job {id} is {old.state}.", hint="Only a failed or cancelled job is run again."
        )
    jobs = ctx.engine(runner)
    terms = {name: getattr(old, name) for name in ("priority", "timeout_s", "retries")}
    new = jobs.plan(ctx, old.action, old.request).model_copy(update=terms)
    ctx.note(job=new.id, again=id)
    ctx.stage(lambda tx: jobs.put(tx, new))
    ctx.after_commit(lambda: jobs.start(new))
    return new


@action(effect="stream", on="id")
async def log(ctx: Context, id: str, after: int = 0) -> AsyncIterator[Line]:
    """What a job tells, line by line, from the start or after a line; ends when the job does.

    Args:
        id: The job's id.
        after: The sequence number of the last line you have.
    """
    token: object = None
    while True:
        changed = ctx.store.token()
        if changed != token:
            token = changed
            job = await asyncio.to_thread(ledger.get, ctx.store, ctx.project, id)
            while told := await asyncio.to_thread(ledger.lines_after, ctx.store, id, after):
                for line in told:
                    after = line.seq
                    yield line
            if job.state in FINISHED:
                return
        await asyncio.sleep(FOLLOW_S)


@action(effect="write", undo="inverse:pipelines.delete_schedule")
def create_schedule(
    ctx: Context,
    action: str,
    cron: str,
    request: dict[str, Any] | None = None,
    timezone: str = "UTC",
    name: str = "",
) -> Schedule:
    """Have a job begin by itself, again and again, at the times a cron line says.

    Its jobs are yours, with the rights you have when the time comes. Times that pass while the
    Studio does not run are made up for by one job.

    Args:
        action: What to run: an action that is a job, such as `models.train`.
        cron: Minute, hour, day of the month, month, day of the week: `30 6 * * 1-5`.
        request: The action's parameters.
        timezone: On which clock, by its IANA name; UTC if left out.
        name: What to call it; the action if left out.
    """
    act = find_action(action)
    if act.effect != "job":
        raise Invalid(
            f"{action} is no job.", hint="Only jobs are scheduled: see the reference, effect `job`."
        )
    asked = act.check(request or {})
    ctx.engine(policies).check(ctx, act, str(asked.get(act.on, "")) if act.on else "")
    line, place = kept.check_cron(cron), kept.zone(timezone)
    made = Schedule(
        id=new_id("sch"),
        project=ctx.project,
        name=name.strip()[:128] or action,
        actor=str(ctx.actor),
        action=action,
        request=request or {},
        cron=line,
        timezone=place.key,
        paused=False,
        note="",
        made_at=ctx.now(),
        next_at=kept.next_time(line, place.key, ctx.now()),
    )
    ctx.note(schedule=made.id)
    ctx.stage(lambda tx: kept.put(tx, made))
    return made


@action(effect="read")
def list_schedules(ctx: Context, limit: int = 50, after: str | None = None) -> Page[Schedule]:
    """This project's schedules, oldest first.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    return kept.page(ctx.store, ctx.project, limit, after)


@action(effect="read", on="id")
def get_schedule(ctx: Context, id: str) -> Schedule:
    """One schedule: when its next job begins, and which was the last.

    Args:
        id: The schedule's id.
    """
    return kept.get(ctx.store, ctx.project, id)


@action(effect="write", undo="inverse:pipelines.resume_schedule", on="id")
def pause_schedule(ctx: Context, id: str) -> Schedule:
    """Begin no more jobs of a schedule, until it is resumed.

    Args:
        id: The schedule's id.
    """
    return _change(ctx, id, paused=True)


@action(effect="write", undo="inverse:pipelines.pause_schedule", on="id")
def resume_schedule(ctx: Context, id: str) -> Schedule:
    """Let a paused schedule go on, with its next time from now.

    Args:
        id: The schedule's id.
    """
    return _change(ctx, id, paused=False)


@action(effect="write", undo="irreversible", on="id")
def delete_schedule(ctx: Context, id: str) -> Schedule:
    """Delete a schedule; the jobs it began stay.

    Args:
        id: The schedule's id.
    """
    found = kept.get(ctx.store, ctx.project, id)
    ctx.note(schedule=id)
    ctx.stage(lambda tx: kept.remove(tx, id))
    return found


def _change(ctx: Context, id: str, *, paused: bool) -> Schedule:
    found = kept.get(ctx.store, ctx.project, id)
    following = None if paused else kept.next_time(found.cron, found.timezone, ctx.now())
    changed = found.model_copy(update={"paused": paused, "next_at": following, "note": ""})
    ctx.note(schedule=id)
    ctx.stage(lambda tx: kept.change(tx, changed))
    return changed
