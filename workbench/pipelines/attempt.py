"""One attempt of a job, in a process of its own.

Reads its order as one JSON line on standard input, `stop` if it is to stop, and `late` with a
number of seconds if it ran longer than those. The end of standard input means the engine is gone,
and the attempt ends too: nobody works unsupervised, and the fencing number makes sure that it could
not commit anyway.
"""

import json
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from workbench import memory
from workbench.core import (
    Actor,
    Cancelled,
    Context,
    Engines,
    Settings,
    Unavailable,
    WorkbenchError,
    commit,
)
from workbench.core.context import utc_now
from workbench.core.door import acting, undo
from workbench.core.logs import configure_logging
from workbench.core.store import stores

from . import ledger
from .scratch import scratch_of
from .types import TEMPORARY

T = TypeVar("T")

log = logging.getLogger(__name__)
FLUSH_S = 0.15
MIB = 1024 * 1024
stopping = threading.Event()
"""Somebody asked this attempt to stop."""
late: list[float] = []
"""How long it may run, in seconds, if it is to stop because it ran on."""


class Teller:
    """A Reporter that writes what the job tells to the ledger, a few times a second."""

    def __init__(self, engines: Engines, id: str, attempt: int, scratch: Path) -> None:
        self.id, self.attempt, self.scratch = id, attempt, scratch
        self.stopped = stopping
        self._store = engines.get(stores)
        self._told: list[tuple[str, str, dict[str, float]]] = []
        self._progress: float | None = None
        self.note = ""
        """What it was last said to do."""
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._flush_often, daemon=True)
        self._thread.start()

    def progress(self, share: float, note: str = "") -> None:
        """See `workbench.core.Reporter`."""
        with self._lock:
            self._progress, self.note = min(max(float(share), 0.0), 1.0), note
            self._told.append(("progress", note, {"share": self._progress}))
        self.check()

    def log(self, line: str) -> None:
        """See `workbench.core.Reporter`."""
        with self._lock:
            self._told.append(("log", line[:4000], {}))

    def metric(self, **values: float) -> None:
        """See `workbench.core.Reporter`."""
        with self._lock:
            self._told.append(("metric", "", {k: float(v) for k, v in values.items()}))
        self.check()

    def check(self) -> None:
        """See `workbench.core.Reporter`."""
        if self.stopped.is_set():
            raise Cancelled

    def step(self, name: str, work: Callable[[], T]) -> T:
        """See `workbench.core.Reporter`."""
        self.check()
        done = ledger.step_of(self._store, self.id, name)
        if done is not None:
            answer: T = done.answer
            return answer
        answer = work()
        self.flush()
        with self._store.begin() as tx:
            if not ledger.keep_step(tx, self.id, self.attempt, name, utc_now(), answer):
                self.stopped.set()
        self.check()
        return answer

    def flush(self) -> None:
        """Write what was told so far."""
        with self._lock:
            told, self._told = self._told, []
            progress, self._progress = self._progress, None
        with self._store.begin() as tx:
            if not ledger.report(tx, self.id, self.attempt, utc_now(), told, progress, self.note):
                self.stopped.set()

    def close(self) -> None:
        """Write the rest and stop."""
        self._end.set()
        self._thread.join()
        self.flush()

    def _flush_often(self) -> None:
        while not self._end.wait(FLUSH_S):
            if self._told or self._progress is not None:
                try:
                    self.flush()
                except WorkbenchError:
                    log.exception("what the job told could not be written yet")


def run(order: dict[str, Any]) -> None:
    """Run the attempt an order describes and commit its end."""
    import workbench
    from workbench.core import find_action

    settings = Settings.model_validate(order["settings"])
    workbench.load_rooms(settings.rooms)
    urls = {**settings.urls, "core.workers": "none://"}
    engines = Engines(settings.model_copy(update={"urls": urls}))
    id, attempt = str(order["job"]), int(order["attempt"])
    row = ledger.row_of(engines.get(stores), id)
    if row is None:
        return
    scratch = scratch_of(settings, row.project, id)
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    teller = Teller(engines, id, attempt, scratch)
    actor = Actor.model_validate(row.actor)
    ctx = Context(actor, row.project, engines, trace=row.trace, job=teller)
    ctx.note(job=id)
    known = {"trace": row.trace, "actor": str(actor), "project": row.project, "job": id}
    state: Any
    passing = False
    try:
        with acting(ctx):
            act = find_action(row.action)
            result = act.run(ctx, **act.check(row.request))
        teller.check()
        teller.close()
        ctx.note(**result, **usage())
        commit(
            ctx,
            row.action,
            row.request,
            also=lambda tx: ledger.finish(
                tx, id, ctx.now(), "done", attempt=attempt, result=result
            ),
        )
        return
    except Cancelled:
        state, problem = "cancelled", None
        if late:
            state, problem, passing = "failed", too_long(row.action, late[0]).as_problem(), True
    except WorkbenchError as error:
        # The sentence stands in the job; it may be personal, and the log is not.
        log.info("the job failed: %s", type(error).__name__, extra=known)
        state, problem = "failed", error.as_problem()
        passing = error.status in TEMPORARY
    except MemoryError as error:
        state, problem = "failed", _out_of_memory(row.action, teller.note, error)
        log.exception("out of memory", extra=known)
    except Exception:
        log.exception("the job failed", extra=known)
        state, passing = "failed", True
        problem = WorkbenchError(
            f"{row.action} failed in a way we did not foresee (id {row.trace}).",
            hint=f"Give an administrator that id; `workbench logs {row.trace}` finds the cause.",
        ).as_problem()
    if problem is not None:
        problem["trace"] = row.trace
    undo(ctx)
    teller.close()
    if passing and problem is not None:
        with ctx.store.begin() as tx:
            if ledger.again(tx, id, attempt, ctx.now(), problem):
                return
    ended = ctx.fresh(trace=row.trace, refs={"job": id, **usage()})
    commit(
        ended,
        row.action,
        row.request,
        outcome=state,
        also=lambda tx: ledger.finish(tx, id, ctx.now(), state, attempt=attempt, error=problem),
    )


def usage() -> dict[str, float]:
    """What this process and those it started have used: `cpu_s`, and `peak_mb` of the largest.

    Files that are mapped are in the peak as far as they were in the machine's cache.
    """
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 1024 if sys.platform == "linux" else 1
    return {
        "cpu_s": round(sum(each.ru_utime + each.ru_stime for each in both), 2),
        "peak_mb": round(max(each.ru_maxrss for each in both) * unit / MIB),
    }


def too_long(action: str, limit_s: float) -> Unavailable:
    """The error of a job whose attempt may run for so long, in seconds, and ran on."""
    return Unavailable(
        f"{action} ran longer than {limit_s:g} s and was stopped.",
        hint="Ask for less, or for more time: `timeout_s` of the job, at most the Studio's "
        "`job_limit_s`.",
    )


def _out_of_memory(action: str, note: str, error: MemoryError) -> dict[str, Any]:
    """The problem: after which step, how much of what limit, in what, and what to change."""
    names: dict[str, Any] = {}
    trace = error.__traceback__
    while trace is not None:
        names |= trace.tb_frame.f_locals
        trace = trace.tb_next
    used, limit = memory.used_and_limit()
    held = f"{used / MIB:,.0f} MiB" + (f" of at most {limit / MIB:,.0f}" if limit else "")
    found = [f"{name} ({size / MIB:,.0f} MiB)" for name, _, size in memory.largest(names)]
    largest = f"The largest things it held: {', '.join(found)}. " if found else ""
    return WorkbenchError(
        f"{action} ran out of memory after {note or 'it started'!r}: it held {held}.",
        hint=f"{largest}Use fewer rows or columns, or ask an administrator for more memory; then "
        "retry.",
    ).as_problem()


def main() -> None:
    """Entry of the attempt's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    order = json.loads(sys.stdin.readline())
    if memory := order.get("memory_mb"):
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory * MIB),) * 2)
        # Arrow's usual allocator takes a GiB beforehand, and the limit counts what is taken.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    threading.Thread(target=_heed, daemon=True).start()
    configure_logging(Settings.model_validate(order["settings"]))
    run(order)
    sys.stdout.flush()
    # Libraries may leave threads that never end; everything that counts is committed.
    os._exit(0)


def _heed() -> None:
    for line in sys.stdin:
        what, _, number = line.strip().partition(" ")
        if what == "late":
            late.append(float(number))
        if what in ("stop", "late"):
            stopping.set()
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    main()
