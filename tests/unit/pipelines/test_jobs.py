"""Jobs through the real engine: a process per attempt, DBOS for what is to be done."""

import json
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

import workbench
from tests.jobs import demo_room, ended, job_of, outcomes, start, told, until
from tests.running import attempts
from workbench.core import (
    Actor,
    Context,
    Engines,
    Unavailable,
    call_here,
    load_settings,
)
from workbench.core.jobs import runner
from workbench.pipelines import ledger
from workbench.pipelines.engine import Uses
from workbench.projects import resolve
from workbench.security import sandbox


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with demo_room(tmp_path, monkeypatch) as module:
        yield module


@pytest.fixture
def ctx(tmp_path: Path, room: str) -> Iterator[Context]:
    workbench.load_rooms([room])
    engines = Engines(load_settings(home=tmp_path / "home", rooms=[room]))
    ada = Actor(name="ada")
    yield Context(ada, resolve(engines, ada, None), engines)
    engines.close()


def test_what_ended_jobs_left_is_swept(ctx: Context) -> None:
    left = ctx.folder / "scratch" / "job_gone"
    left.mkdir(parents=True)
    id = start(ctx, steps=1)
    until(lambda: not left.exists())
    ended(ctx, id)


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


def test_a_second_process_on_the_home_is_told(ctx: Context) -> None:
    start(ctx, steps=1)
    other = Engines(ctx.settings)
    with pytest.raises(Unavailable, match="Another process runs the jobs of"):
        other.get(runner).launch(other)  # type: ignore[attr-defined]
    other.close()


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


def test_what_forked_a_job_is_killed_and_the_job_is_tried_again(ctx: Context) -> None:
    if sandbox.why_not():
        pytest.skip("there is no sandbox here")
    id = str(call_here(ctx.fresh(), "demo.stay", {}).id)
    until(lambda: job_of(ctx, id).note == "at it")
    (attempt,) = attempts()
    server = attempt.parent()
    assert server is not None and "workbench.pipelines.forking" in server.cmdline()
    server.kill()
    until(lambda: job_of(ctx, id).attempt == 2 and job_of(ctx, id).note == "at it")
    assert told(ctx, id) == ["the process was killed; it is tried again in 1 s"]
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"


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
