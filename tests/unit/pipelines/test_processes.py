"""How attempts begin: forked behind their project's veil, each a process of its own."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import psutil
import pytest

import workbench
from tests.jobs import demo_room, ended, job_of, told
from workbench.core import Actor, Context, Engines, Job, call_here, load_settings
from workbench.core.jobs import runner
from workbench.pipelines import attempt, processes
from workbench.pipelines.processes import Forked, Processes, Spawned
from workbench.projects import resolve
from workbench.security import sandbox
from workbench.security.bounds import Bounds

pytestmark = pytest.mark.skipif(bool(sandbox.why_not()), reason="there is no sandbox here")

NOBODY = Bounds()
ours: list[Forked] = []
"""The attempts of a test."""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Processes]:
    home = tmp_path / "home"
    home.mkdir()
    made = Processes(load_settings(home=home))
    yield made
    for each in ours:
        each.close()
    ours.clear()
    made.close()


@pytest.fixture
def out(tmp_path: Path) -> Iterator[BinaryIO]:
    with open(tmp_path / "log", "ab") as opened:
        yield opened


def begun(processes: Processes, out: BinaryIO, project: str = "prj_a") -> Forked:
    """An attempt that waits for its order."""
    made = processes.start(project, "none.such", NOBODY, b" ", out)
    assert isinstance(made, Forked)
    ours.append(made)
    return made


def until(what: Callable[[], Any], wait_s: float = 20) -> Any:
    last = time.monotonic() + wait_s
    while not (found := what()):
        assert time.monotonic() < last
        time.sleep(0.02)
    return found


def test_attempts_are_processes_of_their_own(started: Processes, out: BinaryIO) -> None:
    first, second = begun(started, out), begun(started, out)
    elsewhere = begun(started, out, "prj_b")
    assert len({each.pid for each in (first, second, elsewhere)}) == 3
    parents = [psutil.Process(each.pid).ppid() for each in (first, second, elsewhere)]
    assert parents[0] == parents[1] != parents[2]
    assert os.getpgid(first.pid) == first.pid
    os.kill(first.pid, signal.SIGKILL)
    assert first.wait(10) == -signal.SIGKILL
    assert second.wait(0) is None and elsewhere.wait(0) is None
    second.kill()
    assert second.wait(10) == -signal.SIGKILL
    elsewhere.close()  # Nobody watches it any more.
    assert elsewhere.wait(10) is not None


def test_one_is_killed_in_the_moment_it_is_forked(started: Processes, out: BinaryIO) -> None:
    for _ in range(40):
        one = begun(started, out)
        one.kill()
        assert one.wait(10) == -signal.SIGKILL


def test_an_order_that_makes_no_sense_is_told_in_the_log(
    started: Processes, out: BinaryIO, tmp_path: Path
) -> None:
    one = begun(started, out)
    one.say(b"no order\n")
    assert one.wait(10) == 1
    assert "JSONDecodeError" in (tmp_path / "log").read_text()
    one.say(b"stop\n")  # Nobody listens.


def test_the_fork_server_is_killed(started: Processes, out: BinaryIO) -> None:
    one = begun(started, out)
    server = psutil.Process(one.pid).parent()
    assert server is not None
    server.kill()
    assert one.wait(10) == -signal.SIGKILL
    assert begun(started, out).wait(0) is None


def test_the_fork_server_ends_before_its_answer_is_taken_up(
    started: Processes, out: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever for an attempt that went with it."""
    begun(started, out)
    (server,) = started._servers.values()
    real = server._answers.get

    def late(**given: Any) -> Any:
        told = real(**given)
        server._process.kill()
        until(lambda: server._gone)
        return told

    monkeypatch.setattr(server._answers, "get", late)
    instead = started.start("prj_a", "none.such", NOBODY, b" ", out)
    if isinstance(instead, Spawned):
        instead.kill()
    assert instead.wait(10) == -signal.SIGKILL
    instead.close()


def test_one_that_is_about_to_be_asked_is_not_ended(started: Processes, out: BinaryIO) -> None:
    server = started._starting.submit(started._server_of, "prj_a", NOBODY).result()
    started._starting.submit(started._sweep, 0.0, 0).result()
    assert server.lives
    one = server.fork(out)
    ours.append(one)
    one.kill()
    assert one.wait(10) == -signal.SIGKILL
    started._starting.submit(started._sweep, 0.0, 0).result()
    assert not server.lives


def test_one_that_does_not_answer_is_done_without(
    started: Processes, out: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = begun(started, out)
    server = psutil.Process(one.pid).parent()
    assert server is not None
    server.suspend()
    monkeypatch.setattr(processes, "START_S", 0.5)
    instead = started.start("prj_a", "none.such", NOBODY, b" ", out)
    assert isinstance(instead, Spawned) and instead.wait(0.2) is None
    instead.kill()
    assert instead.wait(10) == -signal.SIGKILL
    instead.close()
    assert one.wait(10) == -signal.SIGKILL


def test_what_is_not_needed_ends(started: Processes, out: BinaryIO) -> None:
    attempts = [begun(started, out, f"prj_{n}") for n in "abcd"]
    servers = [psutil.Process(each.pid).parent() for each in attempts]
    started.sweep()
    assert all(each is not None and each.is_running() for each in servers)
    for each in attempts:
        each.kill()
        assert each.wait(10) is not None
    started.sweep()
    alive = [each is not None and each.is_running() for each in servers]
    assert alive == [False, False, True, True]
    started._sweep(0.0, 2)
    assert not any(each is not None and each.is_running() for each in servers)


def served(ctx: Context, **request: Any) -> tuple[Job, int]:
    """A job of the demo room, and the process that it says did it."""
    job = ended(ctx, str(call_here(ctx.fresh(), "demo.mark", request).id))
    assert job.state == "done" and job.result is not None, job.error
    return job, int(job.result["pid"])


@pytest.fixture
def ctx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    with demo_room(tmp_path, monkeypatch) as room:
        workbench.load_rooms([room])
        engines = Engines(load_settings(home=tmp_path / "home", rooms=[room]))
        ada = Actor(name="ada")
        yield Context(ada, resolve(engines, ada, None), engines)
        engines.close()


def test_one_that_was_quick_serves_the_next(ctx: Context) -> None:
    (first, pid), (second, same) = served(ctx, say="one"), served(ctx, say="two")
    assert pid == same and first.id != second.id
    for job, said in ((first, "one"), (second, "two")):
        assert told(ctx, job.id) == [said]
        printed = (ctx.home / "logs" / "jobs" / f"{job.id}.log").read_text()
        assert printed == f"printed {said}\n"


@pytest.mark.parametrize(
    "left", ["thread", "environment", "folder", "child", "memory", "time", "failure"]
)
def test_one_that_left_something_behind_serves_no_other(ctx: Context, left: str) -> None:
    job = ended(ctx, str(call_here(ctx.fresh(), "demo.mark", {"leave": left}).id))
    assert job.state == ("failed" if left == "failure" else "done")
    _, other = served(ctx)
    assert int(told(ctx, job.id)[0]) != other


def test_it_serves_so_many_and_no_job_is_lost(ctx: Context) -> None:
    count = attempt.MOST_ORDERS + 5
    ids = [str(call_here(ctx.fresh(), "demo.mark", {}).id) for _ in range(count)]
    jobs = [until(lambda id=id: (j := job_of(ctx, id)).result and j, 60) for id in ids]
    pids = Counter(int(job.result["pid"]) for job in jobs)
    assert sum(pids.values()) == count and max(pids.values()) <= attempt.MOST_ORDERS


def test_one_that_waits_is_killed_and_no_job_is_lost(ctx: Context) -> None:
    (_, inner), jobs = served(ctx), ctx.engine(runner)
    ((waits,),) = until(lambda: [*jobs._processes._free.values()])  # type: ignore[attr-defined]
    os.kill(waits.pid, signal.SIGKILL)
    _, other = served(ctx)
    assert other != inner


def test_a_stop_that_comes_late_does_not_stop_the_next(ctx: Context) -> None:
    _, pid = served(ctx)
    ((waits,),) = until(
        lambda: [*ctx.engine(runner)._processes._free.values()]  # type: ignore[attr-defined]
    )
    waits.say(b"stop\nlate 3\n")
    assert served(ctx)[1] == pid
