"""One attempt of a job, in a process of its own.

Reads its order as one JSON line on standard input, `stop` if it is to stop, and `late` with a
number of seconds if it ran longer than those. The end of standard input means the engine is gone,
and the attempt ends too: nobody works unsupervised, and the fencing number makes sure that it could
not commit anyway.

Where standard input is a socket, an attempt that was quick, went well and left nothing behind
answers a line and waits for another order, of the same project and with the same limits; the file
that one writes to comes with it. Any other ends.
"""

import contextvars
import json
import logging
import os
import queue
import resource
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import workbench
from workbench import memory
from workbench.core import (
    Actor,
    Cancelled,
    Context,
    Engines,
    Refused,
    Settings,
    Unavailable,
    WorkbenchError,
    commit,
    find_action,
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
QUICK_S, SMALL_MB = 0.5, 32.0
"""The processor seconds of an attempt, and the memory of all that its process served, below which
that is left to the next one."""
MOST_ORDERS = 200
"""How many attempts one process serves."""
LARGEST = 1 << 16
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
        _check_plain(f"The step {name!r}", answer)
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


def engines_of(settings: Settings) -> Engines:
    """What an attempt opens as it needs it."""
    workbench.load_rooms(settings.rooms)
    urls = {**settings.urls, "core.workers": "none://"}
    return Engines(settings.model_copy(update={"urls": urls}))


def run(engines: Engines, order: dict[str, Any]) -> bool:
    """Run the attempt an order describes and commit its end; whether it went well."""
    settings = engines.settings
    id, attempt = str(order["job"]), int(order["attempt"])
    row = ledger.row_of(engines.get(stores), id)
    if row is None:
        return False
    used = Used(row.spent_s)
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
        _check_plain(row.action, result, dict)
        teller.check()
        teller.close()
        ctx.note(**result, **used.so_far())
        commit(
            ctx,
            row.action,
            row.request,
            also=lambda tx: ledger.finish(
                tx, id, ctx.now(), "done", attempt=attempt, result=result
            ),
        )
        return True
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
            if ledger.again(tx, id, attempt, ctx.now(), problem, used.own()):
                return False
    ended = ctx.fresh(trace=row.trace, refs={"job": id, **used.so_far()})
    commit(
        ended,
        row.action,
        row.request,
        outcome=state,
        also=lambda tx: ledger.finish(tx, id, ctx.now(), state, attempt=attempt, error=problem),
    )
    return False


class Used:
    """What this process and those it started use, from now on.

    Args:
        spent_s: What former attempts have used, in processor seconds.
    """

    def __init__(self, spent_s: float) -> None:
        self._before, self._spent = _used()["cpu_s"], spent_s

    def own(self) -> float:
        """What this attempt has used, in processor seconds."""
        return _used()["cpu_s"] - self._before

    def so_far(self) -> dict[str, float]:
        """`cpu_s`, and `peak_mb` of the largest process, a short attempt before this one included.

        Files that are mapped are in the peak as far as they were in the machine's cache.
        """
        return {
            "cpu_s": round(self._spent + self.own(), 3),
            "peak_mb": round(_used()["peak_mb"]),
        }


def _used() -> dict[str, float]:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 1024 if sys.platform == "linux" else 1
    return {
        "cpu_s": sum(each.ru_utime + each.ru_stime for each in both),
        "peak_mb": max(each.ru_maxrss for each in both) * unit / MIB,
    }


def _check_plain(who: str, answer: Any, kind: type = object) -> None:
    """Refused if what a job or a step answered cannot be kept: it is no JSON.

    Args:
        who: What answered.
        answer: What.
        kind: Of which class it has to be.
    """
    try:
        json.dumps(answer, allow_nan=False)
        if not isinstance(answer, kind):
            raise TypeError(f"it is a {type(answer).__name__}")
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(
            f"{who} answered what cannot be kept: {error}.",
            hint="Answer numbers, texts, and lists and dictionaries of them; write the rest to a "
            "file, and answer its name.",
        ) from error


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


class Orders:
    """What is said on standard input. A thread of its own hears it, also while an attempt works."""

    def __init__(self) -> None:
        self._line: socket.socket | None = None
        if stat.S_ISSOCK(os.fstat(0).st_mode):
            self._line = socket.socket(fileno=os.dup(0))
        self._queue: queue.SimpleQueue[tuple[bytes, int | None]] = queue.SimpleQueue()
        threading.Thread(target=self._hear, name="orders", daemon=True).start()

    def next(self) -> dict[str, Any]:
        """The next order; what it prints goes where that says."""
        line, out = self._queue.get()
        if out is not None:
            for stream in (1, 2):
                os.dup2(out, stream)
            os.close(out)
        order: dict[str, Any] = json.loads(line)
        return order

    def done(self) -> bool:
        """Say that another one can be taken; False if there can be none."""
        if self._line is None:
            return False
        self._line.sendall(b"done\n")
        return True

    def _hear(self) -> None:
        rest, opened = b"", list[int]()
        while True:
            if self._line is None:
                told = os.read(0, LARGEST)
            else:
                told, descriptors, _, _ = socket.recv_fds(self._line, LARGEST, 1)
                opened += descriptors
            if not told:
                os.killpg(os.getpgid(0), signal.SIGKILL)
            *lines, rest = (rest + told).split(b"\n")
            for line in lines:
                what, _, number = line.partition(b" ")
                if what == b"late":
                    late.append(float(number))
                if what in (b"stop", b"late"):
                    stopping.set()
                else:
                    # What was said of the one before does not count any more.
                    stopping.clear()
                    late.clear()
                    self._queue.put((line, opened.pop(0) if opened else None))


class Trace:
    """What an attempt may leave behind in its process.

    Args:
        first_mb: The most that the process held before its first attempt, in MiB.
    """

    def __init__(self, first_mb: float) -> None:
        self._before, self._first_mb = self._look(), first_mb
        self._used = _used()

    def left_nothing(self) -> bool:
        """Whether the process is as it was, and was quick."""
        now = _used()
        quick = now["cpu_s"] - self._used["cpu_s"] < QUICK_S
        small = now["peak_mb"] - self._first_mb < SMALL_MB
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return quick and small and self._look() == self._before
        return False

    def _look(self) -> tuple[Any, ...]:
        return set(threading.enumerate()), dict(os.environ), os.getcwd()


def main() -> None:
    """Entry of the attempt's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    orders = Orders()
    order = orders.next()
    if memory := order.get("memory_mb"):
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory * MIB),) * 2)
        # Arrow's usual allocator takes a GiB beforehand, and the limit counts what is taken.
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    settings = Settings.model_validate(order["settings"])
    configure_logging(settings)
    engines = engines_of(settings)
    first_mb = _used()["peak_mb"]
    for left in reversed(range(MOST_ORDERS)):
        trace = Trace(first_mb)
        good = contextvars.copy_context().run(run, engines, order)
        sys.stdout.flush()
        sys.stderr.flush()
        if not left or not good or not trace.left_nothing() or not orders.done():
            break
        before, order = order["settings"], orders.next()
        if order["settings"] != before:
            # What is open is of the old ones.
            engines.close()
            engines = engines_of(Settings.model_validate(order["settings"]))
    # Libraries may leave threads that never end; everything that counts is committed.
    os._exit(0)


if __name__ == "__main__":
    main()
