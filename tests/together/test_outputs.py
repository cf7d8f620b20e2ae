"""What a cell prints reaches its notebook, whoever goes away meanwhile."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.together.cells import Window, notebook, state_of, text_of
from tests.together.conftest import Project, Room
from tests.together.peers import Ledger, Peer, on_disk, until

pytestmark = pytest.mark.studio

TICKS = """\
import time
for i in range({n}):
    print('tick', i, flush=True)
    time.sleep({s})
'end'"""


@pytest.fixture
def cells(project: Project) -> Iterator[Callable[..., Room]]:
    made: list[Room] = []

    def make(*sources: str) -> Room:
        path = f"cells-{time.monotonic_ns()}.ipynb"
        asked = {"type": "notebook", "format": "json", "content": notebook(*sources)}
        answer = project.enter().ask("PUT", f"api/contents/{path}", json=asked)
        assert answer.status_code < 300, answer.text
        made.append(Room(project, path))
        return made[-1]

    yield make
    for room in made:
        for peer in room.peers:
            peer.close()


def left_running(room: Room) -> None:
    """Begin a cell that runs for long, and close the window."""
    window = Window(room.project.enter(), room.path)
    window.until(window.run("a", LONG), "tick 3")
    window.close()


LONG = TICKS.format(n=400, s=0.2)


def outputs(room: Room, cell: int = 0, *, live: bool = False) -> list[dict[str, Any]]:
    """What a cell shows: in the file, or to who opens it now."""
    inside = room.project.enter()
    if not live:
        return list(on_disk(inside, room.path)["cells"][cell]["outputs"])
    fresh = Peer(inside, room.path, Ledger(), "fresh").connect()
    shown = fresh.read()["cells"][cell]["outputs"]
    fresh.close()
    return list(shown)


def complete(room: Room, what: str, wait_s: float = 60, cell: int = 0) -> None:
    until(
        f"{what!r} is in the file",
        lambda: what in text_of(outputs(room, cell)),
        wait_s,
        every_s=0.3,
    )


LATER = pytest.mark.soak
"""What differs little from another: not at every run."""


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(Project.stop, id="stopped", marks=LATER),
        pytest.param(Project.kill, id="killed"),
    ],
)
def test_nobody_is_left(
    cells: Callable[..., Room], project: Project, end: Callable[[Project], None]
) -> None:
    """The window is closed, the server ends; the cell goes on, and is complete afterwards."""
    code = TICKS.format(n=20, s=0.4)
    room = cells(code)
    window = Window(project.enter(), room.path)
    run = window.run("a", code)
    window.until(run, "tick 2")
    window.close()
    end(project)
    time.sleep(2)  # Away, while the cell goes on.
    inside = project.enter()
    assert state_of(inside, window.kernel) == "busy"
    complete(room, "'end'")
    assert text_of(outputs(room)) == "".join(f"tick {i}\n" for i in range(20)) + "'end'"
    assert text_of(outputs(room, live=True)) == text_of(outputs(room))
    assert on_disk(inside, room.path)["cells"][0]["execution_count"] == 1
    assert state_of(inside, window.kernel) == "idle"


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(Project.stop, id="stopped", marks=LATER),
        pytest.param(Project.kill, id="killed"),
    ],
)
def test_who_returns_sees_it_tick(
    cells: Callable[..., Room], project: Project, end: Callable[[Project], None]
) -> None:
    """Back before the cell has ended: what is new comes into the shared document by itself."""
    room = cells(TICKS.format(n=30, s=0.4))
    window = Window(project.enter(), room.path)
    run = window.run("a", TICKS.format(n=30, s=0.4))
    window.until(run, "tick 2")
    window.close()
    end(project)
    project.enter()
    bob = room.join("mallory")

    def shown() -> str:
        bob.pump()
        return text_of(bob.read()["cells"][0]["outputs"])

    until("something is shown", lambda: "tick 4" in shown() and "end" not in shown(), 20)
    first = shown()
    assert bob.notebook.ycells[0]["execution_state"] == "running"
    until("more is shown", lambda: len(shown()) > len(first) and "end" not in shown(), 5)
    until("all is shown", lambda: "'end'" in shown(), 30)
    until("it has ended", lambda: bob.pump() or bob.notebook.ycells[0]["execution_state"] == "idle")
    complete(room, "'end'")
    assert text_of(outputs(room)) == "".join(f"tick {i}\n" for i in range(30)) + "'end'"


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(Project.stop, id="stopped", marks=LATER),
        pytest.param(Project.kill, id="killed", marks=LATER),
        pytest.param(None, id="cut"),
    ],
)
def test_the_same_window_comes_back(
    cells: Callable[..., Room], project: Project, end: Callable[[Project], None] | None
) -> None:
    """It is told everything once, in order, and that the cell has ended."""
    code = TICKS.format(n=25, s=0.3)
    room = cells(code)
    window = Window(project.enter(), room.path)
    run = window.run("a", code)
    window.until(run, "tick 3")
    window.close()
    if end is not None:
        end(project)
    time.sleep(1.5)
    window.inside = project.enter()
    window.connect()
    window.until_idle(run)
    assert window.printed(run) == "".join(f"tick {i}\n" for i in range(25)) + "'end'"
    reply = window.of(run, "execute_reply")[-1]["content"]
    assert (reply["status"], reply["execution_count"]) == ("ok", 1)
    again = window.run("b", "print('still', i)")
    window.until_idle(again)
    assert window.printed(again) == "still 24\n"
    window.close()


def test_all_that_was_asked_for_is_done(cells: Callable[..., Room], project: Project) -> None:
    """Run all, close the window, stop the server: cells that had to wait are run too."""
    sources = ["import time; time.sleep(4); print('one')", "print('two')", "1 / 0", "print('four')"]
    room = cells(*sources)
    window = Window(project.enter(), room.path)
    for name, source in zip("abcd", sources, strict=True):
        window.run(name, source)
    window.pump(1)
    window.close()
    project.stop()
    time.sleep(5)
    project.enter()
    complete(room, "one", cell=0)
    complete(room, "two", cell=1)
    complete(room, "ZeroDivisionError", cell=2)
    cells_now = on_disk(project.enter(), room.path)["cells"]
    assert [each["execution_count"] for each in cells_now] == [1, 2, 3, None]
    assert cells_now[3]["outputs"] == []


def test_a_stopped_server_leaves_no_idle_kernel(
    cells: Callable[..., Room], project: Project
) -> None:
    room = cells("x = 1")
    window = Window(project.enter(), room.path)
    window.until_idle(window.run("a", "x = 1"))
    window.close()
    project.stop()
    until("the sandbox has ended", lambda: project.keeper() is None, 20)
    assert state_of(project.enter(), window.kernel) == "gone"


def test_a_killed_server_leaves_every_kernel(cells: Callable[..., Room], project: Project) -> None:
    room = cells("x = 1")
    window = Window(project.enter(), room.path)
    window.until_idle(window.run("a", "x = 41"))
    window.close()
    project.kill()
    window.inside = project.enter()
    assert state_of(window.inside, window.kernel) == "idle"
    window.connect()
    run = window.run("a", "print(x + 1)")
    window.until_idle(run)
    assert window.printed(run) == "42\n"
    # It is theirs as before: interrupted, restarted, ended.
    run = window.run("a", "print('go', flush=True)\nimport time; time.sleep(60)")
    window.until(run, "go")
    window.inside.ask("POST", f"api/kernels/{window.kernel}/interrupt").raise_for_status()
    window.until_idle(run, 10)
    assert "KeyboardInterrupt" in window.printed(run)
    window.inside.ask("POST", f"api/kernels/{window.kernel}/restart").raise_for_status()
    run = window.run("a", "'x' in globals()")
    window.until_idle(run)
    assert window.printed(run) == "False"
    window.inside.ask("DELETE", f"api/kernels/{window.kernel}").raise_for_status()
    assert state_of(window.inside, window.kernel) == "gone"
    window.close()
    project.kill()
    assert state_of(project.enter(), window.kernel) == "gone"


@pytest.mark.parametrize("stays", [True, False], ids=["window stays", "window closed"])
@pytest.mark.parametrize(
    ("code", "told"),
    [
        pytest.param("os.kill(os.getpid(), 9)", "KernelKilled", id="killed"),
        pytest.param("ctypes.string_at(0)", "SIGSEGV", id="crashed", marks=LATER),
        pytest.param("os._exit(3)", "exit code 3", id="left", marks=LATER),
    ],
)
def test_why_a_kernel_died(
    cells: Callable[..., Room], project: Project, code: str, told: str, stays: bool
) -> None:
    code = f"import ctypes, os, time; print('now', flush=True); time.sleep(1); {code}"
    room = cells(code)
    window = Window(project.enter(), room.path)
    run = window.run("a", code)
    window.until(run, "now")
    if stays:
        window.until_idle(run, 30)
        assert told in window.printed(run)
        assert "MiB" in window.printed(run) or "exit" in window.printed(run)
        again = window.run("a", "1 + 1")
        window.until_idle(again)
        assert window.printed(again) == "2"
    window.close()
    if not stays:
        complete(room, told)
        assert text_of(outputs(room)).startswith("now\n")


def test_the_whole_sandbox_ends(cells: Callable[..., Room], project: Project) -> None:
    room = cells(LONG)
    left_running(room)
    time.sleep(0.2)  # Within it everything is kept.
    keeper = project.keeper()
    assert keeper is not None
    keeper.kill()
    project.ended()
    project.enter()
    complete(room, "KernelStopped")
    assert text_of(outputs(room)).startswith("tick 0\ntick 1\ntick 2\ntick 3\n")


def test_cells_that_go_on_can_be_ended(cells: Callable[..., Room], project: Project) -> None:
    """An administrator stops the server, sees what goes on, and ends it."""
    room = cells(LONG)
    left_running(room)
    project.stop()
    ada, id = project.team.ada, project.id

    def listed() -> dict[str, Any]:
        items = ada.call("GET", "operations/servers").raise_for_status().json()["items"]
        return next((each for each in items if each["project"] == id), {})

    assert listed()["serves"] is False
    assert project.keeper() is not None
    ada.call("POST", "operations:stop_server", json={"id": id}).raise_for_status()
    until("nothing of it is left", lambda: project.keeper() is None, 20)
    assert listed() == {}
    project.enter()
    complete(room, "KernelStopped")
    assert text_of(outputs(room)).startswith("tick 0\ntick 1\n")


def test_an_archived_project_keeps_no_cell(cells: Callable[..., Room], project: Project) -> None:
    room = cells(LONG)
    left_running(room)
    project.stop()
    assert project.keeper() is not None
    alice = project.team.alice
    headers = {"x-workbench-project": project.id}
    alice.call(
        "POST", "projects:archive_project", headers=headers, json={"id": project.id}
    ).raise_for_status()
    try:
        until("nothing of it is left", lambda: project.keeper() is None, 20)
    finally:
        alice.call(
            "POST", "projects:reopen_project", headers=headers, json={"id": project.id}
        ).raise_for_status()
    project.enter()
    complete(room, "KernelStopped")
