"""What a cell prints reaches its notebook, whoever goes away meanwhile."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.together.cells import Window, notebook, state_of, text_of
from tests.together.conftest import Project, Room
from tests.together.peers import Ledger, Peer, on_disk, until

pytestmark = pytest.mark.studio

TICKS = "import time\nfor i in range({n}):\n    print('tick', i, flush=True)\n    time.sleep({s})\n'end'"


@pytest.fixture
def cells(project: Project) -> Iterator[Callable[..., Room]]:
    made: list[Room] = []

    def make(*sources: str) -> Room:
        path = f"cells-{time.monotonic_ns()}.ipynb"
        asked = {"type": "notebook", "format": "json", "content": notebook(*sources)}
        project.enter().ask("PUT", f"api/contents/{path}", json=asked).raise_for_status()
        made.append(Room(project, path))
        return made[-1]

    yield make
    for room in made:
        for peer in room.peers:
            peer.close()


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


ENDS = pytest.mark.parametrize("end", [Project.stop, Project.kill], ids=["stopped", "killed"])


@ENDS
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
