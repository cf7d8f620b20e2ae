"""Two people who edit one notebook at the same time lose nothing, whatever happens meanwhile.

Each test counts the edits that were made and looks for every one of them in the document as a
window sees it that is opened afterwards, and in the file.
"""

import json
import time
from collections.abc import Callable

import pytest

from tests.hostile.members import closing
from tests.together.conftest import Project, Room
from tests.together.peers import Ledger, Peer, agree, on_disk, until, written

pytestmark = pytest.mark.studio


def both(first: Peer, second: Peer, edits: int) -> None:
    """So many edits each, letter by letter in turns."""

    def look() -> None:
        first.pump()
        second.pump()

    for _ in range(edits):
        first.edit(between=look)
        second.edit(between=look)
        look()


def test_two_at_once(room: Room) -> None:
    alice, mallory = room.join("alice"), room.join("mallory")
    both(alice, mallory, 200)
    assert room.count() == (room.ledger.made, 0, 0)
    assert room.ledger.made >= 400


def test_one_sleeps(room: Room) -> None:
    alice, mallory = room.join("alice"), room.join("mallory")
    both(alice, mallory, 10)
    mallory.cut()
    both(alice, mallory, 40)
    time.sleep(3)  # The sleep itself: long enough for what was written to be saved.
    both(alice, mallory, 10)
    mallory.connect()
    both(alice, mallory, 10)
    assert room.count() == (room.ledger.made, 0, 0)


@pytest.mark.parametrize("end", [Project.stop, Project.kill], ids=["stopped", "killed"])
def test_server_restarts(room: Room, end: Callable[[Project], None]) -> None:
    """Both go on without it, and come back to the next one."""
    alice, mallory = room.join("alice"), room.join("mallory")
    both(alice, mallory, 40)
    end(room.project)
    both(alice, mallory, 20)
    room.project.enter("alice")
    alice.connect()
    both(alice, mallory, 10)
    mallory.connect()
    both(alice, mallory, 10)
    assert room.count() == (room.ledger.made, 0, 0)


@pytest.mark.parametrize("end", [Project.stop, Project.kill], ids=["stopped", "killed"])
def test_everybody_leaves_with_the_server(room: Room, end: Callable[[Project], None]) -> None:
    """What was written in its last second is there, though nobody is left who has it."""
    alice, mallory = room.join("alice"), room.join("mallory")
    both(alice, mallory, 20)
    agree([alice, mallory])
    # What the other window has, the server has; one more moment, and it is kept.
    end(room.project)
    alice.cut()
    mallory.cut()
    assert room.count() == (room.ledger.made, 0, 0)


def without_store(room: Room, alice: Peer, mallory: Peer) -> None:
    """The journal disappears while the server is down; both go on, and come back to the next."""
    room.project.stop()
    for each in room.project.store.parent.glob(f"{room.project.store.name}*"):
        each.unlink()
    both(alice, mallory, 10)
    room.project.enter("alice")
    alice.connect()
    mallory.connect()
    both(alice, mallory, 10)


def test_store_is_deleted(room: Room) -> None:
    alice, mallory = room.join("alice"), room.join("mallory")
    both(alice, mallory, 20)
    room.now()
    agree([alice, mallory])
    without_store(room, alice, mallory)
    assert room.count() == (room.ledger.made, 0, 0)


def test_store_is_deleted_while_people_type(room: Room) -> None:
    """No window heard of the last save: a deleted cell may come back, nothing is missing."""
    alice, mallory = room.join("alice"), room.join("mallory")
    both(alice, mallory, 20)
    without_store(room, alice, mallory)
    live, saved = room.now()
    back = [mark for mark in room.ledger.taken_back if mark in written(live)]
    print(f"made {room.ledger.made}, came back {len(back)}, twice {len(room.ledger.twice(live))}")
    assert (room.ledger.missing(live), room.ledger.missing(saved)) == ([], [])


WRITE = """python - <<'END'
import json, pathlib
file = pathlib.Path.home() / "{path}"
notebook = json.loads(file.read_text())
cell = {{"cell_type": "markdown", "id": "{id}", "metadata": {{}}, "source": "{mark}"}}
notebook["cells"].append(cell)
file.write_text(json.dumps(notebook))
END"""


def test_file_is_changed_from_a_terminal(room: Room) -> None:
    """By a program that reads, adds a cell and writes, while both go on."""
    alice, mallory = room.join("alice"), room.join("mallory")
    terminal = room.project.enter("alice").terminal()
    with closing(terminal):
        for turn in range(3):
            both(alice, mallory, 10)
            mark = room.ledger.mark("terminal")
            terminal.run(WRITE.format(path=room.path, id=f"terminal{turn}", mark=mark))
            room.ledger.kept.add(mark)
            both(alice, mallory, 5)
            until("the change is seen", lambda mark=mark: seen(alice, mark) and seen(mallory, mark))
    assert room.count() == (room.ledger.made, 0, 0)


def seen(peer: Peer, mark: str) -> bool:
    peer.pump()
    return mark in written(peer.read())


def test_file_is_changed_while_the_server_is_down(room: Room) -> None:
    """And edits of both that the file never had."""
    alice, mallory = room.join("alice"), room.join("mallory")
    both(alice, mallory, 10)
    room.project.kill()
    both(alice, mallory, 5)
    file = room.project.files / room.path
    notebook = json.loads(file.read_text())
    mark = room.ledger.mark("outside")
    notebook["cells"].append(
        {"cell_type": "markdown", "id": "outside", "metadata": {}, "source": mark}
    )
    file.write_text(json.dumps(notebook))
    room.ledger.kept.add(mark)
    room.project.enter("alice")
    alice.connect()
    mallory.connect()
    assert room.count() == (room.ledger.made, 0, 0)


def test_two_windows_of_one_person(room: Room) -> None:
    one, two = room.join("alice", "one"), room.join("alice", "two")
    both(one, two, 30)
    one.cut()
    both(one, two, 10)
    one.connect()
    assert room.count() == (room.ledger.made, 0, 0)


def test_typing_without_a_pause_is_saved(room: Room) -> None:
    """Somebody who never stops typing for a second has a file that is seconds old."""
    alice = room.join("alice")
    inside = room.project.enter("alice")
    began = time.monotonic()
    first = alice.insert()

    def in_file() -> bool:
        alice.type()
        alice.pump()
        return first in written(on_disk(inside, room.path))

    until("the first edit is in the file", in_file, 20)
    print(f"in the file after {time.monotonic() - began:.1f} s of typing")
    assert room.count() == (room.ledger.made, 0, 0)


class Window:
    """A notebook that is open without collaboration: JupyterLab reads and writes the file."""

    def __init__(self, room: Room, person: str) -> None:
        self.inside, self.path = room.project.enter(person), room.path
        self.load()

    def load(self) -> None:
        asked = self.inside.ask("GET", f"api/contents/{self.path}?content=1&hash=1")
        self.model = asked.raise_for_status().json()

    def save(self, mark: str) -> bool:
        """Add a cell and save; False if JupyterLab would ask whose version to keep."""
        asked = self.inside.ask("GET", f"api/contents/{self.path}?content=0&hash=1")
        found = asked.raise_for_status().json()
        if any(found[key] != self.model[key] for key in ("last_modified", "hash")):
            return False
        cell = {"cell_type": "markdown", "id": mark[1:-1].replace(".", "-"), "metadata": {}}
        content = self.model["content"]
        content["cells"].append({**cell, "source": mark})
        asked = {"type": "notebook", "format": "json", "content": content}
        answer = self.inside.ask("PUT", f"api/contents/{self.path}", json=asked)
        answer.raise_for_status()
        self.load()
        return True


def test_without_collaboration(room: Room) -> None:
    """Who would overwrite the other's edits is told first."""
    ledger: Ledger = room.ledger
    alice, mallory = Window(room, "alice"), Window(room, "mallory")
    conflicts = 0
    for turn in range(20):
        window, name = ((alice, "alice"), (mallory, "mallory"))[turn % 2]
        mark = ledger.mark(name)
        if not window.save(mark):
            conflicts += 1
            window.load()
            assert window.save(mark)
        ledger.kept.add(mark)
    saved = on_disk(room.project.enter("alice"), room.path)
    print(f"made {ledger.made} lost {len(ledger.lost(saved))}, told of {conflicts} conflicts")
    assert (ledger.made, ledger.lost(saved), conflicts) == (20, [], 19)
