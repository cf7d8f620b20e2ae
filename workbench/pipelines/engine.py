"""The job engine: DBOS, on SQLite or PostgreSQL, keeps what is to be done, and a process runs
each attempt.

Acknowledgement: a job is accepted when its row and event are committed. It waits in the ledger,
and DBOS gets as many as there is room for: always one of the project that has fewest at work.
Between a job's commit and DBOS's own, a crash leaves a queued row that DBOS does not know: it waits
on, and is begun at the next launch. A Studio that dies leaves a running row: the workflow is
recovered at the next launch and starts a new attempt with a higher fencing number, so that what is
begun twice commits once. What the steps of a job answered is kept, and its attempts share a folder:
a new one goes on where the last one was killed. An attempt whose process is killed is followed by
another one, a few times; not where it had used up its memory.
"""

import json
import logging
import math
import signal
import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from filelock import FileLock, Timeout

from workbench.core import (
    FINISHED,
    Actor,
    Context,
    Engines,
    Job,
    Limited,
    Unavailable,
    commit,
    new_id,
)
from workbench.core.context import utc_now
from workbench.core.databases import locate
from workbench.core.measures import jobs as ended
from workbench.core.store import stores
from workbench.security import sandbox
from workbench.security.bounds import bounds_of
from workbench.security.limits import limit_of

from . import ledger
from .attempt import too_long
from .processes import Process, Processes
from .scratch import drop_scratch, sweep_scratch

log = logging.getLogger(__name__)

GRACE_S = 10.0
WRITE_S = 2.0
"""How long DBOS may take to write what has ended before it is closed, in seconds."""
POLL_S = 0.1
SWEEP_S = 20.0
"""How often at least processes that are not needed any more are ended, in seconds."""
LOOK_S = 0.5
"""How often it is looked what an attempt uses, in seconds."""
AGAIN = 2
"""How often an attempt whose process was killed is followed by another."""
AGAIN_S = 1.0
"""How long it waits before that, in seconds: twice as long each time."""
FULL = 0.85
"""From which share of its memory on an attempt that is killed was killed for that."""
SCARCE = 0.03
"""The share of the machine's memory below which anything that is killed was killed for that."""
MIB = 1024 * 1024


class Interrupted(BaseException):
    """The engine is closing. Not an Exception: DBOS leaves such a workflow to be recovered."""


class DurableJobs:
    """Runs jobs through DBOS; one per process, one process per home.

    The process that launches it holds a lock on the home; a second one is Unavailable.
    """

    def __init__(self, url: str, home: Path) -> None:
        self._home = home
        self._url = locate(url.removeprefix("dbos+"), home, "jobs.db")
        self._lock = FileLock(home / "jobs.lock", timeout=0, thread_local=False)
        self._launching = threading.Lock()
        self._launched = False
        self._engines: Engines | None = None
        self._running = threading.Condition()
        self._at_work: set[str] = set()
        self._interrupted = 0
        """How many attempts were left to the next launch."""
        self._taken: set[str] = set()
        """The jobs that DBOS has and that have not ended."""
        self._wanted = threading.Event()
        """Set when there may be a job to begin, or room for one."""
        self._dispatcher: threading.Thread | None = None

    def plan(self, ctx: Context, action: str, request: dict[str, Any]) -> Job:
        """See `workbench.core.jobs.Jobs`."""
        self._engines = ctx.engines
        sandbox.check_apart(ctx.settings)
        limit = limit_of(ctx.store, ctx.project, "jobs", ctx.settings.project_jobs or None)
        if limit is not None and ledger.active(ctx.store, ctx.project) >= limit:
            raise Limited(
                f"This project has {limit:.0f} jobs waiting or running, and may have no more.",
                hint="Wait for one to end, or cancel one.",
            )
        return Job(
            id=new_id("job"),
            action=action,
            state="queued",
            progress=0.0,
            request=request,
            project=ctx.project,
            actor=str(ctx.actor),
            made_at=ctx.now(),
        )

    def put(self, tx: sa.Connection, job: Job) -> None:
        """See `workbench.core.jobs.Jobs`."""
        kind, _, name = job.actor.partition(":")
        actor = Actor.model_validate({"kind": kind, "name": name})
        tx.execute(
            ledger.jobs.insert().values(
                id=job.id,
                project=job.project,
                actor=actor.model_dump(),
                action=job.action,
                request=job.request,
                state=job.state,
                progress=0.0,
                note="",
                attempt=0,
                stop=False,
                trace=new_id("trc"),
                made_at=job.made_at.isoformat(),
                **ledger.terms_of(job),
            )
        )
        ledger.tell(tx, job.id, job.made_at, [("state", "queued", {})])

    def start(self, job: Job) -> None:
        """See `workbench.core.jobs.Jobs`."""
        assert self._engines is not None
        self.launch(self._engines)
        self._wanted.set()

    def launch(self, engines: Engines) -> None:
        """Start DBOS and hand it every job that it should know. Safe to repeat.

        Raises:
            Unavailable: Another process runs the jobs of this home.
        """
        with self._launching:
            if self._launched:
                return
            self._engines = engines
            try:
                self._lock.acquire()
            except Timeout as error:
                raise Unavailable(
                    f"Another process runs the jobs of {self._home}.",
                    hint="Use the Studio that runs on it (`workbench` finds it), or stop it.",
                ) from error
            from dbos import DBOS, DBOSConfig

            self._processes = Processes(engines.settings)
            config: DBOSConfig = {
                "name": "workbench",
                "system_database_url": self._url.render_as_string(hide_password=False),
                "application_version": "1",
                "executor_id": "studio",
                "log_level": "ERROR",
                "console_log_level": "ERROR",
                "enable_otlp": False,
                # Nothing is sent between workflows, but closing waits for one such look.
                "notification_listener_polling_interval_sec": 0.5,
            }
            DBOS(config=config)
            _workflow()
            _active["jobs"] = self
            store = engines.get(stores)
            sweep_scratch(engines.settings, store)
            # What was at work goes on; the rest waits for its turn.
            self._taken |= {row.id for row in ledger.unfinished(store) if row.state == "running"}
            DBOS.launch()
            found = DBOS.list_workflows(status=["PENDING", "ENQUEUED"], load_output=False)
            recovered = {_job_of(each.workflow_id) for each in found}
            self._launched = True
            for row in ledger.unfinished(store):
                if row.state == "running" and row.id not in recovered:
                    # Its workflow failed: the ledger could not be read, say.
                    self._begin(row.id)
            self._wanted.set()
            # A thread of its own: DBOS begins no workflow from within another one's step.
            self._dispatcher = threading.Thread(target=self._dispatch, name="jobs", daemon=True)
            self._dispatcher.start()

    def close(self) -> None:
        """Stop DBOS; jobs that run are ended and start again at the next launch."""
        if not self._launched:
            return
        from dbos import DBOS

        _closing.set()
        self._wanted.set()
        if self._dispatcher is not None:
            self._dispatcher.join()
        with self._running:
            self._running.wait_for(lambda: not self._at_work, timeout=GRACE_S + 2)
        until = time.monotonic() + WRITE_S
        while not self._written() and time.monotonic() < until:
            time.sleep(POLL_S / 10)
        DBOS.destroy()
        self._processes.close()
        _closing.clear()
        self._launched = False
        self._interrupted = 0
        self._taken.clear()
        _active.clear()
        self._lock.release()

    def _written(self) -> bool:
        """Whether DBOS knows of all attempts that are over that they are."""
        from dbos import DBOS
        from dbos import error as failures

        try:
            found = DBOS.list_workflows(status=["PENDING"], load_input=False, load_output=False)
        except (sa.exc.SQLAlchemyError, failures.DBOSException) as error:
            # They are run again at the next launch, and find nothing to do.
            log.warning("DBOS may not have written what has ended: %s", error)
            return True
        return len([each for each in found if _job_of(each.workflow_id)]) <= self._interrupted

    def _dispatch(self) -> None:
        """Begin as many of the jobs that wait as there is room for, whenever there may be some."""
        assert self._engines is not None
        store, slots = self._engines.get(stores), self._engines.settings.job_slots
        wait_s = 0.0
        while not _closing.is_set():
            self._wanted.wait(wait_s)
            if _closing.is_set():
                break
            self._wanted.clear()
            try:
                self._processes.sweep()
                free, now, wait_s = slots - len(self._taken), utc_now(), SWEEP_S
                chosen = ledger.next_jobs(store, free, list(self._taken), now) if free > 0 else []
                for id in chosen:
                    self._begin(id)
                if len(chosen) < free:
                    # Else it is looked again when one of them ends.
                    wait_s = min(SWEEP_S, ledger.next_due(store, now) or SWEEP_S)
            except Exception:
                # The jobs wait in the ledger: they are begun when it can be read again.
                log.exception("jobs that wait could not be begun")
                _closing.wait(AGAIN_S)
                self._wanted.set()

    def _begin(self, id: str) -> None:
        from dbos import DBOS, SetWorkflowID

        self._taken.add(id)
        try:
            # Another one each time: DBOS runs none again that ended, however it did.
            with SetWorkflowID(f"{RUN}{id}:{new_id('run')}"):
                DBOS.start_workflow(_workflow(), id)
        except BaseException:
            self._taken.discard(id)
            raise

    def run_attempt(self, id: str) -> str:
        """Run one attempt of a job in a process of its own, until it ends or is stopped.

        Raises:
            Interrupted: The engine is closing; the job is left to its next launch.
        """
        with self._running:
            if id in self._at_work:
                # Begun twice: recovered, and found waiting.
                return "at work"
            self._at_work.add(id)
        self._taken.add(id)
        try:
            for left in reversed(range(AGAIN + 1)):
                outcome = self._attempt(id, left)
                if outcome != "again":
                    break
                if _closing.wait(AGAIN_S * 2 ** (AGAIN - left)):
                    raise Interrupted
            return outcome
        except Interrupted:
            with self._running:
                self._interrupted += 1
            raise
        except Exception:
            # The store cannot be written now, say: a job that waits is not begun again at once.
            _closing.wait(AGAIN_S)
            raise
        finally:
            with self._running:
                self._at_work.discard(id)
                self._running.notify_all()
            self._taken.discard(id)
            self._wanted.set()

    def _attempt(self, id: str, left: int) -> str:
        engines = self._engines
        assert engines is not None
        store = engines.get(stores)
        with store.begin() as tx:
            cut = "it was cut off while it ran, and is begun again"
            attempt = ledger.begin_attempt(tx, id, utc_now(), cut if left == AGAIN else "")
        if attempt is None:
            row = ledger.row_of(store, id)
            if row is not None and row.stop and row.state not in FINISHED:
                self._end(id, "cancelled")
            return "nothing to do"
        logs = engines.settings.home / "logs" / "jobs"
        logs.mkdir(parents=True, exist_ok=True)
        row = ledger.row_of(store, id)
        assert row is not None
        bounds = bounds_of(store, row.project)
        order = {
            "settings": engines.settings.model_dump(mode="json"),
            "job": id,
            "attempt": attempt,
            "memory_mb": bounds.memory_mb,
        }
        with open(logs / f"{id}.log", "ab") as out:
            process = self._processes.start(
                row.project, row.action, bounds, json.dumps(order).encode() + b"\n", out
            )
        try:
            uses = Uses(process.pid, bounds.memory_mb)
            outcome = self._watch(id, process, store, uses)
        finally:
            self._processes.leave(row.project, bounds, process)
        if _closing.is_set():
            raise Interrupted
        row = ledger.row_of(store, id)
        if row is not None and row.state == "running" and row.attempt == attempt:
            killed = process.code in KILLED and outcome == "ended" and not row.stop
            if killed and left and not uses.full:
                wait_s = AGAIN_S * 2 ** (AGAIN - left)
                text = f"the process was killed; it is tried again in {wait_s:g} s"
                with store.begin() as tx:
                    ledger.spend(tx, id, uses.cpu_s)
                    ledger.tell(tx, id, utc_now(), [("log", text, {})])
                return "again"
            self._explain(id, row, process.code, outcome, uses)
            row = ledger.row_of(store, id)
        if row is not None and row.finished_at and row.started_at:
            drop_scratch(engines.settings, row.project, id)
            took = datetime.fromisoformat(row.finished_at) - datetime.fromisoformat(row.started_at)
            ended.observe((row.action, row.state), took.total_seconds())
        return outcome

    def _watch(
        self,
        id: str,
        process: Process,
        store: Any,
        uses: "Uses",
    ) -> str:
        started, stopping, limit_s = time.monotonic(), 0.0, math.inf
        outcome = "ended"
        token: object = None
        while process.wait(POLL_S) is None:
            now = time.monotonic()
            uses.look(now)
            if stopping and now - stopping > GRACE_S:
                process.kill()
            elif not stopping:
                asked = _closing.is_set()
                if (changed := store.token()) != token:
                    token = changed
                    row = ledger.row_of(store, id)
                    asked = asked or row is None or bool(row.stop)
                    limit_s = self._limit_of(row)
                if asked or now - started > limit_s:
                    stopping, outcome = now, "ended" if asked else "timeout"
                    # Not by a signal: what was begun could not be undone.
                    process.say(b"stop\n" if asked else f"late {limit_s:g}\n".encode())
        return outcome

    def _limit_of(self, row: Any) -> float:
        """How long an attempt may run, in seconds."""
        assert self._engines is not None
        limit = self._engines.settings.job_limit_s
        return limit if row is None or row.timeout_s is None else min(limit, float(row.timeout_s))

    def _explain(self, id: str, row: Any, code: int | None, outcome: str, uses: "Uses") -> None:
        if row.stop:
            return self._end(id, "cancelled", uses=uses)
        if outcome == "timeout":
            error = too_long(row.action, self._limit_of(row))
        elif code in KILLED:
            cause = (
                "for lack of memory" if uses.full else f"{AGAIN + 1} times, by something outside"
            )
            error = Unavailable(
                f"{row.action} was killed after {row.note or 'it started'!r}, {cause}: "
                f"it was seen to hold {uses.told()}.",
                hint="Use fewer rows or columns, or a machine with more memory; then retry.",
            )
        else:
            error = Unavailable(
                f"{row.action} stopped without an answer (exit {code}).",
                hint=f"An administrator finds the cause: `workbench logs {id}`.",
            )
        problem = error.as_problem() | {"trace": row.trace}
        if not (code in KILLED and uses.full):
            assert self._engines is not None
            with self._engines.get(stores).begin() as tx:
                if ledger.again(tx, id, row.attempt, utc_now(), problem, uses.cpu_s):
                    return None
        log.warning("the job failed: %s", outcome, extra={"trace": row.trace, "job": id})
        return self._end(id, "failed", problem, uses)

    def _end(
        self,
        id: str,
        state: Any,
        error: dict[str, Any] | None = None,
        uses: "Uses | None" = None,
    ) -> None:
        assert self._engines is not None
        row = ledger.row_of(self._engines.get(stores), id)
        if row is None:
            return
        ctx = Context(Actor.model_validate(row.actor), row.project, self._engines)
        ctx.note(job=id)
        if uses is not None:
            peak_mb = round(uses.peak / MIB)
            ctx.note(cpu_s=round(row.spent_s + uses.cpu_s, 2), peak_mb=peak_mb)
        commit(
            ctx,
            row.action,
            row.request,
            outcome=state,
            also=lambda tx: ledger.finish(tx, id, ctx.now(), state, error=error),
        )


class Uses:
    """What the process of an attempt, and all it started, was seen to use.

    Args:
        pid: The process.
        limit_mb: How much memory each process may have, in MiB; None: as much as there is.
    """

    def __init__(self, pid: int, limit_mb: float | None) -> None:
        self._pid, self._limit = pid, limit_mb and limit_mb * MIB
        self._looked_at = self._before = 0.0
        # Nothing is below it yet, and to look for that costs more than a small job.
        with suppress(psutil.Error):
            self._before = _cpu_s(psutil.Process(pid))
        self.cpu_s = 0.0
        """What they used of the processor, in seconds."""
        self.peak = 0
        """The most bytes that one process held."""
        self.full = False
        """Whether it came near its limit, or the machine near its end."""

    def look(self, now: float) -> None:
        """Look, if it is time to."""
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        used = 0.0
        with suppress(psutil.Error):
            first = psutil.Process(self._pid)
            for each in (first, *first.children(recursive=True)):
                with suppress(psutil.Error):
                    used += _cpu_s(each)
                    told = each.memory_info()
                    # Mapped files do not count: the machine drops them when it needs the room.
                    self.peak = max(self.peak, told.rss - getattr(told, "shared", 0))
        self.cpu_s = max(self.cpu_s, used - self._before)
        machine = psutil.virtual_memory()
        near = self._limit is not None and self.peak > FULL * self._limit
        self.full = near or machine.available < SCARCE * machine.total

    def told(self) -> str:
        """In words: so much, of so much."""
        held = f"{self.peak / MIB:,.0f} MiB"
        return f"{held} of at most {self._limit / MIB:,.0f}" if self._limit else held


def _cpu_s(process: psutil.Process) -> float:
    """What a process used of the processor, and those that it waited for, in seconds."""
    return float(sum(process.cpu_times()[:4]))


RUN = "run:"
"""What begins the id of a job's workflow; the job's id follows."""
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
_active: dict[str, DurableJobs] = {}
_closing = threading.Event()
_registered: list[Any] = []


def _job_of(workflow: str) -> str:
    """The job that a workflow runs, by its id; empty if it is one of an earlier version.

    Those waited in a queue that nobody looks at any more.
    """
    return workflow[len(RUN) :].partition(":")[0] if workflow.startswith(RUN) else ""


def _workflow() -> Any:
    """The DBOS workflow, registered once per process under a name that outlives versions.

    It has no step: what an attempt came to is in the ledger, and one that is run again after that
    finds nothing to do.
    """
    if not _registered:
        from dbos import DBOS

        @DBOS.workflow(name="run_job")
        def run_job(id: str) -> str:
            return _active["jobs"].run_attempt(id)

        _registered.append(run_job)
    return _registered[0]
