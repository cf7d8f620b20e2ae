"""The job engine: DBOS, on SQLite or PostgreSQL, keeps what is to be done, and a process runs
each attempt.

Acknowledgement: a job is accepted when its row and event are committed. Between that commit and
DBOS's own, a crash leaves a queued row that DBOS does not know: `launch` hands it over again,
under the same workflow id, so twice is once. A process that dies leaves a running row: the
workflow is recovered at the next launch and starts a new attempt with a higher fencing number.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa
from filelock import FileLock, Timeout

from workbench.core import (
    Actor,
    Context,
    Engines,
    Job,
    Limited,
    Settings,
    Unavailable,
    catalogue,
    commit,
    new_id,
)
from workbench.core.context import utc_now
from workbench.core.databases import locate
from workbench.core.measures import jobs as ended
from workbench.core.store import stores
from workbench.security import sandbox
from workbench.security.bounds import Bounds, bounds_of
from workbench.security.limits import limit_of
from workbench.security.veil import start_veiled, veiled

from . import ledger

log = logging.getLogger(__name__)

QUEUE = "jobs"
GRACE_S = 10.0
POLL_S = 0.1


class Interrupted(BaseException):
    """The engine is closing. Not an Exception: DBOS leaves such a workflow to be recovered."""


class DurableJobs:
    """Runs jobs through DBOS; one per process, one process per home.

    The process that launches it holds a lock on the home; a second one is Unavailable.
    """

    def __init__(self, url: str, home: Path) -> None:
        self._home = home
        self._url = locate(url.removeprefix("dbos+"), home, "jobs.db")
        self._lock = FileLock(home / "jobs.lock", timeout=0)
        self._launching = threading.Lock()
        self._launched = False
        self._engines: Engines | None = None
        self._running = threading.Condition()
        self._attempts = 0

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
            )
        )
        ledger.tell(tx, job.id, job.made_at, [("state", "queued", {})])

    def start(self, job: Job) -> None:
        """See `workbench.core.jobs.Jobs`."""
        assert self._engines is not None
        self.launch(self._engines)
        self._enqueue(job.id)

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

            config: DBOSConfig = {
                "name": "workbench",
                "system_database_url": self._url.render_as_string(hide_password=False),
                "application_version": "1",
                "executor_id": "studio",
                "log_level": "ERROR",
                "console_log_level": "ERROR",
                "enable_otlp": False,
                "notification_listener_polling_interval_sec": 0.2,
            }
            DBOS(config=config)
            _workflow()
            _active["jobs"] = self
            DBOS.launch()
            DBOS.register_queue(
                QUEUE,
                worker_concurrency=engines.settings.job_slots,
                polling_interval_sec=0.3,
                on_conflict="always_update",
            )
            self._launched = True
        for row in ledger.unfinished(engines.get(stores)):
            self._enqueue(row.id)

    def close(self) -> None:
        """Stop DBOS; jobs that run are ended and start again at the next launch."""
        if not self._launched:
            return
        from dbos import DBOS

        _closing.set()
        with self._running:
            self._running.wait_for(lambda: not self._attempts, timeout=GRACE_S + 2)
        DBOS.destroy()
        _closing.clear()
        self._launched = False
        _active.clear()
        self._lock.release()

    def _enqueue(self, id: str) -> None:
        from dbos import DBOS, SetWorkflowID

        with SetWorkflowID(id):
            DBOS.enqueue_workflow(QUEUE, _workflow(), id)

    def run_attempt(self, id: str) -> str:
        """Run one attempt of a job in a process of its own, until it ends or is stopped.

        Raises:
            Interrupted: The engine is closing; the job is left to its next launch.
        """
        with self._running:
            self._attempts += 1
        try:
            return self._attempt(id)
        finally:
            with self._running:
                self._attempts -= 1
                self._running.notify_all()

    def _attempt(self, id: str) -> str:
        engines = self._engines
        assert engines is not None
        store = engines.get(stores)
        with store.begin() as tx:
            attempt = ledger.begin_attempt(tx, id, utc_now())
        if attempt is None:
            row = ledger.row_of(store, id)
            if row is not None and row.state not in ("done", "failed", "cancelled"):
                self._end(id, "cancelled")
            return "nothing to do"
        logs = engines.settings.home / "logs" / "jobs"
        logs.mkdir(parents=True, exist_ok=True)
        row = ledger.row_of(store, id)
        assert row is not None
        with open(logs / f"{id}.log", "ab") as out:
            bounds = bounds_of(store, row.project)
            process = _started(engines.settings, row, bounds, out)
        assert process.stdin is not None
        order = {
            "settings": engines.settings.model_dump(mode="json"),
            "job": id,
            "attempt": attempt,
            "memory_mb": bounds.memory_mb,
        }
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        outcome = self._watch(id, process, store, engines.settings.job_limit_s)
        process.stdin.close()
        if _closing.is_set():
            raise Interrupted
        row = ledger.row_of(store, id)
        if row is not None and row.state == "running" and row.attempt == attempt:
            self._explain(id, row, process.returncode, outcome)
            row = ledger.row_of(store, id)
        if row is not None and row.finished_at and row.started_at:
            took = datetime.fromisoformat(row.finished_at) - datetime.fromisoformat(row.started_at)
            ended.observe((row.action, row.state), took.total_seconds())
        return outcome

    def _watch(
        self, id: str, process: "subprocess.Popen[bytes]", store: Any, limit_s: float
    ) -> str:
        started, stopping = time.monotonic(), 0.0
        outcome = "ended"
        token: object = None
        while process.poll() is None:
            now = time.monotonic()
            if stopping and now - stopping > GRACE_S:
                _kill(process)
            elif not stopping:
                asked = _closing.is_set()
                if (changed := store.token()) != token:
                    token = changed
                    row = ledger.row_of(store, id)
                    asked = asked or row is None or bool(row.stop)
                if now - started > limit_s:
                    asked, outcome = True, "timeout"
                if asked:
                    stopping = now
                    _tell_to_stop(process)
            time.sleep(POLL_S)
        return outcome

    def _explain(self, id: str, row: Any, code: int, outcome: str) -> None:
        if row.stop:
            return self._end(id, "cancelled")
        if outcome == "timeout":
            assert self._engines is not None
            limit = self._engines.settings.job_limit_s
            why = (
                f"{row.action} ran longer than {limit:g} s and was stopped.",
                "Ask for less, or raise `job_limit_s`.",
            )
        elif code in (-signal.SIGKILL, 128 + signal.SIGKILL):
            why = (
                f"{row.action} was killed after {row.note or 'it started'!r}, "
                "most likely because the machine ran out of memory.",
                "Use fewer rows or columns, or a machine with more memory; then retry.",
            )
        else:
            why = (
                f"{row.action} stopped without an answer (exit {code}).",
                f"An administrator finds the cause: `workbench logs {id}`.",
            )
        problem = Unavailable(why[0], hint=why[1]).as_problem() | {"trace": row.trace}
        log.warning("the job failed: %s", outcome, extra={"trace": row.trace, "job": id})
        return self._end(id, "failed", problem)

    def _end(self, id: str, state: Any, error: dict[str, Any] | None = None) -> None:
        assert self._engines is not None
        row = ledger.row_of(self._engines.get(stores), id)
        if row is None:
            return
        ctx = Context(Actor.model_validate(row.actor), row.project, self._engines)
        ctx.note(job=id)
        commit(
            ctx,
            row.action,
            row.request,
            outcome=state,
            also=lambda tx: ledger.finish(tx, id, ctx.now(), state, error=error),
        )


_active: dict[str, DurableJobs] = {}
_closing = threading.Event()
_registered: list[Any] = []


def _workflow() -> Any:
    """The DBOS workflow, registered once per process under a name that outlives versions."""
    if not _registered:
        from dbos import DBOS

        @DBOS.step(name="attempt")
        def attempt(id: str) -> str:
            return _active["jobs"].run_attempt(id)

        @DBOS.workflow(name="run_job")
        def run_job(id: str) -> str:
            return attempt(id)

        _registered.append(run_job)
    return _registered[0]


def _started(
    settings: Settings, row: Any, bounds: Bounds, out: BinaryIO
) -> "subprocess.Popen[bytes]":
    """The process of an attempt: veiled, unless its action has to reach more or nothing can be."""
    command = [sys.executable, "-m", "workbench.pipelines.attempt"]
    given: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": out, "stderr": out}
    act = catalogue.get(row.action)
    if (act is None or act.reach == "project") and not sandbox.why_not():
        return start_veiled(
            command, veiled(settings, row.project, bounds), **given, start_new_session=True
        )
    return subprocess.Popen(
        command,
        **given,
        start_new_session=True,
        env=_without_tokens(),
        preexec_fn=bounds.take if bounds else None,
    )


def _without_tokens() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("JUPYTERHUB_") and name != "WORKBENCH_TOKEN"
    }


def _tell_to_stop(process: "subprocess.Popen[bytes]") -> None:
    """Not by a signal: the sandbox would end at once, and what was begun could not be undone."""
    assert process.stdin is not None
    try:
        process.stdin.write(b"stop\n")
        process.stdin.flush()
    except BrokenPipeError:
        log.debug("the attempt had ended", extra={"pid": process.pid})


def _kill(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        log.debug("the attempt had ended", extra={"pid": process.pid})
