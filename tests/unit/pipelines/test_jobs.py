"""Jobs through the real engine: a process per attempt, DBOS for what is to be done."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

import workbench
from workbench.core import (
    Actor,
    Conflict,
    Context,
    Engines,
    Job,
    Unavailable,
    call_here,
    catalogue,
    load_settings,
)
from workbench.core.events import tail
from workbench.core.jobs import runner
from workbench.pipelines import ledger
from workbench.pipelines.engine import Uses
from workbench.projects import resolve

ROOM = '''
import os, time
from workbench.core import Context, Invalid, Job, action

@action(effect="job", undo="irreversible")
def look(ctx: Context, outside: str) -> Job:
    """Tell what can be reached from inside a job.

    Args:
        outside: A port of this machine that somebody listens on.
    """
    import json, socket, sys
    from pathlib import Path
    home, seen = ctx.home, {}
    def tried(name, what):
        try:
            seen[name] = str(what())
        except OSError as error:
            seen[name] = type(error).__name__
    (ctx.folder / "made.txt").write_text("made")
    (ctx.folder / "files").mkdir(exist_ok=True)
    tried("keys", lambda: sorted(os.listdir(home / "keys")))
    tried("logs", lambda: sorted(os.listdir(home / "logs")))
    tried("projects", lambda: sorted(os.listdir(home / "projects")))
    tried("blobs", lambda: sorted(os.listdir(home / "blobs")))
    tried("mlflow", lambda: sorted(os.listdir(home / "mlflow")))
    tried("hub", lambda: (home / "hub.sqlite").read_text())
    tried("hub_write", lambda: (home / "hub.sqlite").write_text("x"))
    tried("code", lambda: (Path(sys.prefix) / "x").write_text("x"))
    tried("sysctl", lambda: open("/proc/sys/kernel/core_pattern", "a").close())
    tried("passwd", lambda: Path("/etc/shadow").read_text())
    tried("processes", lambda: sum(each.isdigit() for each in os.listdir("/proc")))
    tried("network", lambda: socket.create_connection(("127.0.0.1", int(outside)), 2))
    seen["tokens"] = sorted(n for n in os.environ if "TOKEN" in n or "SECRET" in n)
    ctx.job.log(json.dumps(seen))
    return {"looked": "yes"}

@action(effect="job", undo="irreversible")
def stay(ctx: Context, die: bool = False, fill_mb: int = 0) -> Job:
    """Work until somebody stops it.

    Args:
        die: End as the kernel ends what takes too much memory.
        fill_mb: Take so much memory, and end.
    """
    if fill_mb:
        kept = bytearray(60 << 20)
        ctx.job.progress(0.5, "filling")
        ctx.job.log(f"{len(bytearray(fill_mb << 20)) >> 20} MiB, {len(os.sched_getaffinity(0))}")
        return {}
    ctx.on_abort(lambda: (ctx.folder / "undone.txt").write_text("undone"))
    ctx.job.progress(0.1, "at it")
    while not die:
        ctx.job.check()
        time.sleep(0.05)
    os.kill(os.getpid(), 9)
    return {}

@action(effect="job", undo="irreversible")
def climb(ctx: Context, steps: int = 5, die_in: list[int] = [], after: bool = False) -> Job:
    """Do steps, each with an effect, and be killed in some.

    Args:
        steps: How many.
        die_in: Which of them kills its process, the first time.
        after: It is killed when its effect is there, not before.
    """
    kept = ctx.job.scratch / "kept.txt"
    effects = ctx.folder / "effects.txt"
    ctx.job.log(kept.read_text() if kept.exists() else "nothing kept")
    answers = []
    for step in range(steps):
        def effect(step=step):
            first = not (ctx.job.scratch / f"{step}").exists()
            (ctx.job.scratch / f"{step}").touch()
            if first and step in die_in and not after:
                os.kill(os.getpid(), 9)
            with open(effects, "a") as out:
                out.write(f"{ctx.job.id}/{step}\\n")
            if first and step in die_in and after:
                os.kill(os.getpid(), 9)
            return {"step": step, "attempt": ctx.job.attempt}
        answers.append(ctx.job.step(f"step {step}", effect))
        kept.write_text(f"kept after {step}")
    return {"attempts": [each["attempt"] for each in answers]}

@action(effect="job", undo="irreversible", reach="machine")
def work(
    ctx: Context, steps: int = 3, pause_s: float = 0.05, then: str = "", file: str = ""
) -> Job:
    """Work.

    Args:
        steps: How many.
        pause_s: Seconds each.
        then: What to do at the end.
        file: Append the attempt's process to this file.
    """
    if file:
        with open(file, "a") as out:
            out.write(f"{os.getpid()}\\\\n")
    for step in range(steps):
        ctx.job.progress((step + 1) / steps, f"step {step + 1} of {steps}")
        ctx.job.metric(step=step, loss=1 / (step + 1))
        time.sleep(pause_s)
    if then == "invalid":
        raise Invalid("The steps 7 make no sense.", hint="Fewer.")
    if then == "bug":
        raise ZeroDivisionError("a bug")
    if then == "die" or (then == "die once" and ctx.job.attempt == 1):
        os.kill(os.getpid(), 9)
    if then == "hang":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    ctx.note(made="thing")
    return {"thing": "thg_1"}
'''


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    package = tmp_path / "outside"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "demo.py").write_text(ROOM.replace("\\\\n", "\\n"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    workbench.load_rooms()
    before = dict(catalogue)
    yield "outside.demo"
    catalogue.clear()
    catalogue.update(before)
    for name in [each for each in sys.modules if each.startswith("outside")]:
        del sys.modules[name]


@pytest.fixture
def ctx(tmp_path: Path, room: str) -> Iterator[Context]:
    workbench.load_rooms([room])
    engines = Engines(load_settings(home=tmp_path / "home", rooms=[room]))
    ada = Actor(name="ada")
    yield Context(ada, resolve(engines, ada, None), engines)
    engines.close()


def until(found: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `found` answers once it is true; fails after that many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def told(ctx: Context, id: str) -> list[str]:
    return [each.text for each in ledger.lines_after(ctx.store, id, 0) if each.kind == "log"]


def job_of(ctx: Context, id: str) -> Job:
    return ledger.get(ctx.store, ctx.project, id)


def ended(ctx: Context, id: str) -> Job:
    return until(lambda: (j := job_of(ctx, id)).state in ("done", "failed", "cancelled") and j)


def start(ctx: Context, **request: Any) -> str:
    return str(call_here(ctx.fresh(), "demo.work", request).id)


def outcomes(ctx: Context, id: str) -> list[str]:
    return [e.outcome for e in tail(ctx.store, project=ctx.project) if e.refs.get("job") == id]


def climb(ctx: Context, **request: Any) -> tuple[Job, list[str]]:
    id = str(call_here(ctx.fresh(), "demo.climb", request).id)
    job = ended(ctx, id)
    lines = (ctx.folder / "effects.txt").read_text().split()
    return job, [each.removeprefix(f"{id}/") for each in lines]


def test_what_a_step_answered_is_kept_for_the_next_attempt(ctx: Context) -> None:
    job, effects = climb(ctx, die_in=[1, 3])
    assert job.state == "done", job.error
    assert job.result == {"attempts": [1, 2, 2, 3, 3]} and effects == list("01234")
    assert told(ctx, job.id)[:1] == ["nothing kept"]
    assert [x for x in told(ctx, job.id) if x.startswith("kept")] == [
        "kept after 0",
        "kept after 2",
    ]
    until(lambda: not (ctx.folder / "scratch" / job.id).exists())
    with ctx.store.read() as connection:
        assert not connection.execute(sa.select(ledger.steps)).all()


def test_a_step_whose_answer_was_not_yet_kept_is_done_again_by_the_same_key(ctx: Context) -> None:
    job, effects = climb(ctx, die_in=[2], after=True)
    assert job.state == "done" and sorted(set(effects)) == list("01234")
    assert effects == ["0", "1", "2", "2", "3", "4"]


def test_a_fenced_off_attempt_keeps_no_step(ctx: Context) -> None:
    id = start(ctx, steps=200)
    until(lambda: job_of(ctx, id).state == "running")
    now = ctx.now()
    with ctx.store.begin() as tx:
        assert not ledger.keep_step(tx, id, 0, "old", now, {})
        assert ledger.keep_step(tx, id, 1, "new", now, None)
    assert ledger.step_of(ctx.store, id, "old") is None
    row = ledger.step_of(ctx.store, id, "new")
    assert row is not None and row.answer is None
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"
    assert ledger.step_of(ctx.store, id, "new") is None


def test_what_ended_jobs_left_is_swept(ctx: Context) -> None:
    left = ctx.folder / "scratch" / "job_gone"
    left.mkdir(parents=True)
    id = start(ctx, steps=1)
    until(lambda: not left.exists())
    ended(ctx, id)


def test_a_job_runs_tells_and_ends(ctx: Context) -> None:
    id = start(ctx, steps=4)
    assert job_of(ctx, id).state in ("queued", "running")
    done = ended(ctx, id)
    assert (done.state, done.progress, done.result) == ("done", 1.0, {"thing": "thg_1"})
    told = ledger.lines_after(ctx.store, id, 0)
    assert [each.seq for each in told] == list(range(1, len(told) + 1))
    assert [x.values["loss"] for x in told if x.kind == "metric"] == [1, 1 / 2, 1 / 3, 1 / 4]
    assert [x.text for x in told if x.kind == "state"] == ["queued", "running", "done"]
    assert outcomes(ctx, id) == ["queued", "done"]


@pytest.mark.parametrize(
    ("then", "title", "sentence"),
    [
        ("invalid", "Invalid", "The steps 7 make no sense."),
        ("bug", "Bug", "demo.work failed in a way we did not foresee"),
        ("die", "Unavailable", "demo.work was killed after 'step 3 of 3'"),
    ],
)
def test_a_job_that_fails_says_why(ctx: Context, then: str, title: str, sentence: str) -> None:
    id = start(ctx, then=then, pause_s=0.3)
    failed = ended(ctx, id)
    assert failed.state == "failed" and failed.error is not None
    assert failed.error["title"] == title and sentence in failed.error["detail"]
    assert failed.error["hint"]
    assert outcomes(ctx, id) == ["queued", "failed"]


def test_a_job_whose_process_is_killed_is_tried_again(ctx: Context) -> None:
    """By another attempt, and what comes of it comes once."""
    id = start(ctx, then="die once")
    done = ended(ctx, id)
    assert (done.state, done.attempt, done.result) == ("done", 2, {"thing": "thg_1"})
    assert told(ctx, id) == ["the process was killed; it is tried again in 1 s"]
    states = [x.text for x in ledger.lines_after(ctx.store, id, 0) if x.kind == "state"]
    assert states == ["queued", "running", "running", "done"]
    assert outcomes(ctx, id) == ["queued", "done"]


def test_a_job_that_is_killed_each_time_fails_at_last(ctx: Context) -> None:
    id = start(ctx, then="die", steps=1)
    failed = ended(ctx, id)
    assert failed.state == "failed" and failed.error is not None and failed.attempt == 3
    assert "3 times" in failed.error["detail"] and "MiB" in failed.error["detail"]


def test_a_store_that_fails_for_a_moment_loses_no_job_and_holds_up_no_other(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = ledger.begin_attempt, iter([True, True])

    def begin_attempt(*given: Any) -> int | None:
        if next(failures, False):
            raise sa.exc.OperationalError("", {}, Exception("database is locked"))
        return real(*given)

    monkeypatch.setattr(ledger, "begin_attempt", begin_attempt)
    ids = [start(ctx, steps=1) for _ in range(2)]
    assert [ended(ctx, id).state for id in ids] == ["done", "done"]


def test_what_a_job_used_is_on_the_record(ctx: Context) -> None:
    id = start(ctx, steps=2)
    ended(ctx, id)
    (event,) = [
        e
        for e in tail(ctx.store, project=ctx.project)
        if e.refs.get("job") == id and e.outcome == "done"
    ]
    assert 0 < event.refs["cpu_s"] < 60
    assert 10 < event.refs["peak_mb"] < 4000


def test_one_job_does_not_wait_for_the_many_of_another_project(ctx: Context) -> None:
    many = [start(ctx, steps=2) for _ in range(6)]
    bob = Actor(name="bob")
    other = Context(bob, resolve(ctx.engines, bob, None), ctx.engines)
    one = call_here(other, "demo.work", {"steps": 1}).id
    done = until(
        lambda: (j := ledger.get(ctx.store, other.project, one)).state == "done" and j.finished_at,
        60,
    )
    until(lambda: all(job_of(ctx, id).state == "done" for id in many), 120)
    later = [id for id in many if job_of(ctx, id).finished_at > done]
    assert len(later) >= len(many) - 2


def test_the_oldest_of_the_project_with_fewest_at_work_is_next(ctx: Context) -> None:
    def waiting(project: str, count: int) -> list[str]:
        ids = []
        for _ in range(count):
            job = ctx.engine(runner).plan(ctx, "demo.work", {})
            ids.append(job.id)
            with ctx.store.begin() as tx:
                ctx.engine(runner).put(tx, job.model_copy(update={"project": project}))
        return ids

    a, b, c = waiting("a", 1000), waiting("b", 2), waiting("c", 1)
    assert ledger.next_jobs(ctx.store, 1, []) == a[:1]
    assert ledger.next_jobs(ctx.store, 1, a[:1]) == b[:1]
    assert ledger.next_jobs(ctx.store, 5, []) == [a[0], b[0], c[0], a[1], b[1]]
    assert ledger.next_jobs(ctx.store, 2, [*a[:2], b[0]]) == [c[0], b[1]]
    assert ledger.next_jobs(ctx.store, 3, [*a, *b, *c]) == []
    # With room for one at a time, turns go round.
    for expected in (a[0], b[0], c[0], a[1], b[1], a[2], a[3]):
        (id,) = ledger.next_jobs(ctx.store, 1, [])
        assert id == expected
        with ctx.store.begin() as tx:
            ledger.begin_attempt(tx, id, ctx.now(), "")


def test_cancelling_ends_the_process(ctx: Context, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    id = start(ctx, steps=1000, pause_s=0.05, file=str(file))
    pid = int(until(lambda: file.exists() and file.read_text()).split()[0])
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"
    until(lambda: not psutil.pid_exists(pid), 15)
    with pytest.raises(Conflict, match="is cancelled already"):
        call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    again = call_here(ctx.fresh(), "pipelines.retry", {"id": id})
    call_here(ctx.fresh(), "pipelines.cancel", {"id": again.id})
    assert ended(ctx, again.id).state == "cancelled"


def test_a_job_that_ignores_the_request_to_stop_is_killed(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.pipelines.engine.GRACE_S", 0.5)
    id = start(ctx, then="hang")
    until(lambda: job_of(ctx, id).progress == 1.0)
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"


def test_a_second_process_on_the_home_is_told(ctx: Context) -> None:
    start(ctx, steps=1)
    other = Engines(ctx.settings)
    with pytest.raises(Unavailable, match="Another process runs the jobs of"):
        other.get(runner).launch(other)  # type: ignore[attr-defined]
    other.close()


def test_an_older_attempt_cannot_commit(ctx: Context) -> None:
    id = start(ctx, steps=40)
    until(lambda: job_of(ctx, id).attempt == 1)
    with ctx.store.begin() as tx:
        tx.execute(sa.update(ledger.jobs).where(ledger.jobs.c.id == id).values(attempt=2))
    with pytest.raises(Conflict), ctx.store.begin() as tx:
        ledger.finish(tx, id, ctx.now(), "done", attempt=1, result={})
    with ctx.store.begin() as tx:
        ledger.ask_to_stop(tx, id)


SERVICE = """
import sys, time, workbench
from pathlib import Path
from workbench.core import Actor, Context, Engines, call_here, load_settings
from workbench.core.jobs import runner
from workbench.projects import resolve
home, file, kill_after = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
workbench.load_rooms(["outside.demo"])
engines = Engines(load_settings(home=home, rooms=["outside.demo"]))
ada = Actor(name="ada")
ctx = Context(ada, resolve(engines, ada, None), engines)
if kill_after == "commit":
    # The crash point between our commit and DBOS's.
    type(engines.get(runner)).start = lambda self, job: __import__("os").kill(0, 9)
    import os; os.setpgrp()
print(call_here(ctx.fresh(), "demo.work", {"steps": 30, "file": file}).id, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("kill_after", ["start", "commit"])
def test_a_killed_studio_loses_no_job(ctx: Context, tmp_path: Path, kill_after: str) -> None:
    script = tmp_path / "service.py"
    script.write_text(textwrap.dedent(SERVICE))
    file = tmp_path / "pids"
    studio = subprocess.Popen(
        [sys.executable, str(script), str(ctx.home), str(file), kill_after],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert studio.stdout is not None
    if kill_after == "start":
        id = studio.stdout.readline().strip()
        pid = int(until(lambda: file.exists() and file.read_text()).split()[0])
        studio.send_signal(signal.SIGKILL)
        studio.wait()
        until(lambda: not psutil.pid_exists(pid), 15)
    else:
        studio.wait()
        id = until(lambda: ledger.unfinished(ctx.store))[0].id
    studio.stdout.close()
    assert job_of(ctx, id).state in ("queued", "running")
    ctx.engine(runner).launch(ctx.engines)  # type: ignore[attr-defined]
    done = ended(ctx, id)
    assert done.state == "done"
    assert done.attempt == (2 if kill_after == "start" else 1)
    assert outcomes(ctx, id) == ["queued", "done"]


def test_a_job_reaches_its_project_and_nothing_else(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # As somebody does who needs room.
    (ctx.home / "mlflow").symlink_to(tmp_path_factory.mktemp("disk"))
    for name in ("keys", "projects/prj_other/files", "blobs/prj_other", "mlflow/prj_other", "logs"):
        (ctx.home / name).mkdir(parents=True, exist_ok=True)
    (ctx.home / "keys" / "local").write_text("a key")
    (ctx.home / "logs" / "hub.log").write_text("a log")
    (ctx.home / "hub.sqlite").write_text("accounts")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "a token")
    monkeypatch.setenv("WORKBENCH_OIDC_SECRET", "a secret")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        job = ended(ctx, str(call_here(ctx.fresh(), "demo.look", {"outside": port}).id))
    assert job.state == "done", job.error
    seen = json.loads(told(ctx, job.id)[-1])
    assert seen["keys"] == seen["logs"] == "[]"
    assert seen["projects"] == seen["blobs"] == seen["mlflow"] == str([ctx.project])
    assert seen["hub"] == "" and (ctx.home / "hub.sqlite").read_text() == "accounts"
    for name in ("hub_write", "code", "sysctl"):
        assert seen[name] in ("OSError", "PermissionError"), (name, seen)
    assert seen["passwd"] == "FileNotFoundError"
    assert int(seen["processes"]) <= 3
    assert seen["network"] == "ConnectionRefusedError"
    assert seen["tokens"] == []
    assert (ctx.folder / "made.txt").read_text() == "made"


def test_a_veiled_job_is_stopped_and_takes_back_what_it_began(ctx: Context) -> None:
    id = str(call_here(ctx.fresh(), "demo.stay", {}).id)
    until(lambda: job_of(ctx, id).note == "at it")
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"
    assert (ctx.folder / "undone.txt").read_text() == "undone"


def test_a_veiled_job_that_is_killed_says_so(ctx: Context) -> None:
    job = ended(ctx, str(call_here(ctx.fresh(), "demo.stay", {"die": True}).id))
    assert job.state == "failed" and job.error is not None
    assert "killed" in job.error["detail"] and "3 times" in job.error["detail"]


def test_a_job_has_the_memory_and_the_processors_of_its_project(ctx: Context) -> None:
    root = Actor(name="root1", admin=True, fresh=True)
    call_here(ctx.fresh(actor=root), "projects.set_limits", {"memory_mb": 700, "cpus": 1})
    fits = ended(ctx, str(call_here(ctx.fresh(), "demo.stay", {"fill_mb": 100}).id))
    assert fits.state == "done", fits.error
    assert told(ctx, fits.id) == ["100 MiB, 1"]
    job = ended(ctx, str(call_here(ctx.fresh(), "demo.stay", {"fill_mb": 1500}).id))
    assert job.state == "failed" and job.error is not None
    assert "ran out of memory after 'filling'" in job.error["detail"]
    assert "of at most 700" in job.error["detail"]
    assert "kept (60 MiB)" in job.error["hint"]


def test_mapped_files_do_not_count_as_memory_that_is_used_up(tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(200 * 1024**2))
    look = "f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0); s = sum(m[::4096])"
    source = f"import mmap, sys; {look}; print(s, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", source, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n"
        assert psutil.Process(process.pid).memory_info().rss > 200 * 1024**2
        uses = Uses(process.pid, 128)
        uses.look(time.monotonic())
        process.kill()
    assert 0 < uses.peak < 100 * 1024**2
