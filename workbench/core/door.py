"""The one door: every face runs every action through `call`.

find the action → check the request → ask policy about this actor, this action, this
resource → run → record. What a write changes, its event and the answer kept for its
idempotency key commit in one transaction: that commit is the acknowledgement.
"""

import asyncio
import contextvars
import functools
import inspect
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel, TypeAdapter

from .actions import Action, find_action
from .context import Context, current
from .errors import Conflict, Forbidden, Invalid, Refused, WorkbenchError
from .events import append
from .jobs import runner
from .measures import calls, decisions
from .policy import policies
from .ports import Port
from .records import digest
from .settings import Settings
from .store import metadata

log = logging.getLogger(__name__)
T = TypeVar("T")

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("project", sa.String(64), primary_key=True),
    sa.Column("actor", sa.String(128), primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("action", sa.String(80), nullable=False),
    sa.Column("request", sa.String(80), nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
)


class Workers(Protocol):
    """Runs heavy actions in processes of their own. Only the Studio's service has one."""

    def warm(self, settings: Settings) -> None:
        """Make ready for the first call, in the background."""

    async def run(self, ctx: Context, name: str, request: dict[str, Any], key: str) -> BaseModel:
        """What `call` answers or raises, done elsewhere."""


workers = Port[Workers | None]("core.workers", default="none://", doc="Where heavy actions run.")
workers.engine("none", "workbench.core.door:no_workers")
workers.engine("processes", "workbench.core.workers:ProcessWorkers")


def no_workers(url: str, home: object) -> None:
    """Heavy actions run in place."""


async def call(ctx: Context, name: str, request: dict[str, Any], *, key: str = "") -> Any:
    """Run an action for a face.

    Args:
        ctx: Who asks, where; a fresh one per call.
        name: `<capability>.<verb>`.
        request: The arguments, as JSON-like values or Records.
        key: The caller's idempotency key, at most 128 characters. Repeating a write or job
            with the same key and request answers what it answered the first time.

    Returns:
        The answer Record; for a stream, an async iterator of Records.

    Raises:
        NotFound: No action has that name.
        Invalid: The request does not fit the action.
        Forbidden: Policy does not let this actor do it, or it needs a fresh session.
        Conflict: The key was used for another request.
        WorkbenchError: What the action itself raises.
    """
    began = time.perf_counter()
    act = find_action(name)
    outcome = "done"
    token = current.set(ctx)
    try:
        asked = act.check(request)
        if act.fresh and not ctx.actor.fresh:
            raise Forbidden(
                f"{act.name} needs {ctx.actor.name or 'a person'} to confirm who they are.",
                hint="Do it from the Studio's own pages (not a notebook), and sign in again there.",
            )
        asking = time.perf_counter()
        ctx.engine(policies).check(ctx, act, str(asked.get(act.on, "")) if act.on else "")
        decisions.observe((), time.perf_counter() - asking)
        if act.effect == "stream":
            answer: Any = _followed(ctx, act, asked)
        elif act.heavy and (elsewhere := ctx.engine(workers)) is not None:
            answer = await elsewhere.run(ctx, name, request, key)
        elif act.effect in ("read", "blob") and inspect.iscoroutinefunction(act.run):
            answer = await act.run(ctx, **asked)
        elif inspect.iscoroutinefunction(act.run):
            raise TypeError(f"{name} changes something, so it must be a plain function")
        else:
            answer = await _on_thread(ctx, act, _perform, ctx, act, asked, key)
    except WorkbenchError as error:
        outcome = type(error).__name__
        if not error.trace:
            # What was asked and why not is personal: the line says which kind of error it was.
            error.trace = ctx.trace
            log.info("%s: %s", name, outcome, extra={"action": name, "outcome": outcome})
        raise
    except BaseException as error:
        outcome = "Bug" if isinstance(error, Exception) else "cancelled"
        raise
    finally:
        current.reset(token)
        calls.observe((name, outcome), time.perf_counter() - began)
    return answer


def call_here(ctx: Context, name: str, request: dict[str, Any], *, key: str = "") -> Any:
    """`call` for code that awaits nothing: the shell, workers, job attempts, notebooks."""

    def run() -> Any:
        return asyncio.run(call(ctx, name, request, key=key))

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    # A notebook's cell has a loop that runs already: use one of our own beside it.
    with ThreadPoolExecutor(1) as beside:
        return beside.submit(run).result()


@contextmanager
def acting(ctx: Context) -> Any:
    """Make `ctx` the current one (for logs) while something runs."""
    token = current.set(ctx)
    try:
        yield ctx
    finally:
        current.reset(token)


def commit(
    ctx: Context,
    action: str,
    asked: dict[str, Any],
    *,
    outcome: str = "done",
    also: Callable[[sa.Connection], None] | None = None,
) -> None:
    """Everything staged on the context and its event, in one transaction; undo it all if not."""
    try:
        with ctx.store.begin() as tx:
            for write in ctx.staged:
                write(tx)
            if also is not None:
                also(tx)
            append(
                tx,
                at=ctx.now(),
                trace=ctx.trace,
                project=ctx.project,
                actor=str(ctx.actor),
                action=action,
                outcome=outcome,
                request=digest(_plain(asked)),
                refs=dict(ctx.refs),
            )
    except BaseException:
        undo(ctx)
        raise


def undo(ctx: Context) -> None:
    """Run what the context wants undone, last first; a failing undo is logged, not raised."""
    while ctx.undos:
        try:
            ctx.undos.pop()()
        except Exception:
            log.exception("an undo failed", extra={"trace": ctx.trace})


def _perform(ctx: Context, act: Action, asked: dict[str, Any], key: str) -> Any:
    with acting(ctx):
        if act.effect == "read":
            return act.run(ctx, **asked)
        if len(key) > 128:
            raise Invalid(
                f"An idempotency key of {len(key)} characters is too long.", hint="At most 128."
            )
        with _one_at_a_time(f"{ctx.project}/{ctx.actor}/{key}" if key else ""):
            return _write(ctx, act, asked, key)


def _write(ctx: Context, act: Action, asked: dict[str, Any], key: str) -> Any:
    asked_digest = digest(_plain(asked))
    if key and (kept := _remembered(ctx, act, asked_digest, key)) is not None:
        return kept
    if act.effect == "job":
        jobs = ctx.engine(runner)
        answer: Any = jobs.plan(ctx, act.name, _plain(asked))
        ctx.note(job=answer.id)
        ctx.stage(lambda tx: jobs.put(tx, answer))
        ctx.after_commit(lambda: jobs.start(answer))
    else:
        try:
            answer = act.run(ctx, **asked)
        except Conflict:
            undo(ctx)
            if key and (kept := _remembered(ctx, act, asked_digest, key)) is not None:
                return kept
            raise
        except Refused as error:
            # A rule that said no is part of the record; what was staged is not.
            undo(ctx)
            refused = ctx.fresh(trace=ctx.trace, refs={**ctx.refs, "rule": str(error)[:300]})
            commit(refused, act.name, asked, outcome="Refused")
            raise
        except BaseException:
            undo(ctx)
            raise
    if act.effect == "blob" and not ctx.staged:
        return answer

    def remember(tx: sa.Connection) -> None:
        if key:
            tx.execute(
                answers.insert().values(
                    project=ctx.project,
                    actor=str(ctx.actor),
                    key=key,
                    action=act.name,
                    request=asked_digest,
                    answer=answer.model_dump_json(),
                    at=ctx.now().isoformat(),
                )
            )

    try:
        commit(
            ctx,
            act.name,
            asked,
            outcome="queued" if act.effect == "job" else "done",
            also=remember,
        )
    except (Conflict, sa.exc.IntegrityError):
        # Another process answered the same key first: its answer is the answer.
        if key and (kept := _remembered(ctx, act, asked_digest, key)) is not None:
            return kept
        raise
    for then in ctx.afters:
        then()
    return answer


def _remembered(ctx: Context, act: Action, asked_digest: str, key: str) -> Any:
    with ctx.store.read() as connection:
        row = connection.execute(
            sa.select(answers).where(
                answers.c.project == ctx.project,
                answers.c.actor == str(ctx.actor),
                answers.c.key == key,
            )
        ).first()
    if row is None:
        return None
    if (row.action, row.request) != (act.name, asked_digest):
        raise Conflict(
            f"The idempotency key {key!r} was used for another request ({row.action}).",
            hint="Use a new key for a new request.",
        )
    return TypeAdapter(act.gives).validate_json(row.answer)


async def _followed(ctx: Context, act: Action, asked: dict[str, Any]) -> AsyncIterator[Any]:
    try:
        async for item in act.run(ctx, **asked):
            yield item
    except WorkbenchError as error:
        error.trace = error.trace or ctx.trace
        raise


_pools: dict[str, ThreadPoolExecutor] = {}
_keys: dict[str, list[Any]] = {}
_lock = threading.Lock()


async def _on_thread(ctx: Context, act: Action, run: Callable[..., T], *args: Any) -> T:
    """Bounded threads per capability; slow kinds apart, so they never hold up a quick one."""
    lane = f"{act.capability}:{'slow' if act.heavy else act.effect}"
    pool = _pools.get(lane)
    if pool is None:
        with _lock:
            pool = _pools.setdefault(
                lane, ThreadPoolExecutor(ctx.settings.threads, thread_name_prefix=lane)
            )
    carried = functools.partial(contextvars.copy_context().run, run, *args)
    return await asyncio.get_running_loop().run_in_executor(pool, carried)


@contextmanager
def _one_at_a_time(key: str) -> Any:
    """Two calls with the same key in one process run one after the other."""
    if not key:
        yield
        return
    with _lock:
        entry = _keys.setdefault(key, [threading.Lock(), 0])
        entry[1] += 1
    try:
        with entry[0]:
            yield
    finally:
        with _lock:
            entry[1] -= 1
            if not entry[1]:
                _keys.pop(key, None)


def _plain(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for name, value in asked.items()
    }
