"""Look at jobs, follow them, stop them, run them again."""

import asyncio
from collections.abc import AsyncIterator

import sqlalchemy as sa

from workbench.core import FINISHED, Conflict, Context, Job, Page, action
from workbench.core.jobs import State, runner

from . import ledger
from .types import Line

FOLLOW_S = 0.15


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


@action(effect="write", undo="compensate:pipelines.cancel", on="id")
def retry(ctx: Context, id: str) -> Job:
    """Run a failed or cancelled job again, as a new job with the same request.

    Args:
        id: The job's id.
    """
    old = ledger.get(ctx.store, ctx.project, id)
    if old.state not in ("failed", "cancelled"):
        raise Conflict(
            f"The job {id} is {old.state}.", hint="Only a failed or cancelled job is run again."
        )
    jobs = ctx.engine(runner)
    new = jobs.plan(ctx, old.action, old.request)
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
