"""A room whose jobs do what a test wants of them, and how to look at them."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import workbench
from workbench.core import Context, Job, call_here, catalogue
from workbench.core.events import tail
from workbench.pipelines import ledger

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
def mark(ctx: Context, say: str = "", leave: str = "") -> Job:
    """Tell which process does it.

    Args:
        say: Say so, and print it.
        leave: What to leave behind there.
    """
    import subprocess, threading
    if say:
        ctx.job.log(say)
        print("printed", say)
    if leave == "thread":
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    if leave == "environment":
        os.environ["LEFT"] = "something"
    if leave == "folder":
        os.chdir("/usr")
    if leave == "child":
        subprocess.Popen(["sleep", "60"])
    if leave == "memory":
        bytearray(40 << 20)
    if leave == "time":
        while time.process_time() < 60 and time.thread_time() < 0.6:
            pass
    if leave == "time then death":
        while time.thread_time() < 2:
            pass
        os.kill(os.getpid(), 9)
    if leave:
        ctx.job.log(str(os.getpid()))
    if leave == "failure":
        raise Invalid("It fails.")
    return {"pid": os.getpid()}

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
    if then == "bug" or (then == "bug once" and ctx.job.attempt == 1):
        raise ZeroDivisionError("a bug")
    if then == "die" or (then == "die once" and ctx.job.attempt == 1):
        os.kill(os.getpid(), 9)
    if then == "answer itself":
        return {"thing": ctx}
    if then == "answer nan":
        return {"thing": float("nan")}
    if then == "answer nothing":
        return None
    if then == "keep itself":
        ctx.job.step("all of it", lambda: ctx)
    if then == "hang":
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    ctx.note(made="thing")
    return {"thing": "thg_1"}
'''


@contextmanager
def demo_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The room as a package outside the Studio's, while it is wanted; its module."""
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
    """Of the job itself; not of what was changed about it."""
    found = (e for e in tail(ctx.store, project=ctx.project) if e.refs.get("job") == id)
    return [e.outcome for e in found if not e.action.startswith("pipelines.")]


def climb(ctx: Context, **request: Any) -> tuple[Job, list[str]]:
    id = str(call_here(ctx.fresh(), "demo.climb", request).id)
    job = ended(ctx, id)
    lines = (ctx.folder / "effects.txt").read_text().split()
    return job, [each.removeprefix(f"{id}/") for each in lines]
