"""How attempts begin: forked behind their project's veil, each a process of its own."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import psutil
import pytest

from workbench.core import load_settings
from workbench.pipelines import processes
from workbench.pipelines.processes import Forked, Processes, Spawned
from workbench.security import sandbox
from workbench.security.bounds import Bounds

pytestmark = pytest.mark.skipif(bool(sandbox.why_not()), reason="there is no sandbox here")

NOBODY = Bounds()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Processes]:
    home = tmp_path / "home"
    home.mkdir()
    made = Processes(load_settings(home=home))
    yield made
    made.close()


@pytest.fixture
def out(tmp_path: Path) -> Iterator[BinaryIO]:
    with open(tmp_path / "log", "ab") as opened:
        yield opened


def begun(processes: Processes, out: BinaryIO, project: str = "prj_a") -> Forked:
    """An attempt that waits for its order."""
    made = processes.start(project, "none.such", NOBODY, out)
    assert isinstance(made, Forked)
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
        attempt = begun(started, out)
        attempt.kill()
        assert attempt.wait(10) == -signal.SIGKILL


def test_an_order_that_makes_no_sense_is_told_in_the_log(
    started: Processes, out: BinaryIO, tmp_path: Path
) -> None:
    attempt = begun(started, out)
    attempt.say(b"no order\n")
    assert attempt.wait(10) == 1
    assert "JSONDecodeError" in (tmp_path / "log").read_text()
    attempt.say(b"stop\n")  # Nobody listens.


def test_the_fork_server_is_killed(started: Processes, out: BinaryIO) -> None:
    attempt = begun(started, out)
    server = psutil.Process(attempt.pid).parent()
    assert server is not None
    server.kill()
    assert attempt.wait(10) == -signal.SIGKILL
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
    assert begun(started, out).wait(10) == -signal.SIGKILL


def test_one_that_is_about_to_be_asked_is_not_ended(started: Processes, out: BinaryIO) -> None:
    server = started._starting.submit(started._server_of, "prj_a", NOBODY).result()
    started._starting.submit(started._sweep, 0.0, 0).result()
    assert server.lives
    attempt = server.fork(out)
    attempt.kill()
    assert attempt.wait(10) == -signal.SIGKILL
    started._starting.submit(started._sweep, 0.0, 0).result()
    assert not server.lives


def test_one_that_does_not_answer_is_done_without(
    started: Processes, out: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = begun(started, out)
    server = psutil.Process(attempt.pid).parent()
    assert server is not None
    server.suspend()
    monkeypatch.setattr(processes, "START_S", 0.5)
    instead = started.start("prj_a", "none.such", NOBODY, out)
    assert isinstance(instead, Spawned) and instead.wait(0.2) is None
    instead.kill()
    assert instead.wait(10) == -signal.SIGKILL
    instead.close()
    assert attempt.wait(10) == -signal.SIGKILL


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
