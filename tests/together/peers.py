"""People who edit one notebook at the same time, without a browser, and what they wrote.

A `Peer` speaks the wire of JupyterLab's shared documents: it holds the notebook, sends each change,
takes in those of the others whenever it looks (`pump`), may sleep with its connection cut, go on
editing, and come back. It runs on no thread of its own, so the order of what happens is the test's.
"""

import contextlib
import json
import random
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import httpx
from jupyter_ydoc import YNotebook
from pycrdt import (
    Assoc,
    Decoder,
    Doc,
    Text,
    YMessageType,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection

from tests.hostile.members import Inside

WAIT_S = 60.0
SHARED = "shared"
"""The id of the cell in which everybody types."""


def until(
    what: str, found: Callable[[], Any], wait_s: float = WAIT_S, every_s: float = 0.05
) -> Any:
    """What `found` answers as soon as it is true."""
    last = time.monotonic() + wait_s
    while not (answer := found()):
        assert time.monotonic() < last, f"not within {wait_s:.0f} s: {what}"
        time.sleep(every_s)
    return answer


class Ledger:
    """What was written, each edit a mark that occurs nowhere else, and what is left of it."""

    def __init__(self) -> None:
        self.kept: set[str] = set()
        self.taken_back: set[str] = set()
        self._count = 0

    def mark(self, name: str) -> str:
        self._count += 1
        return f"<{name}.{self._count:04d}>"

    @property
    def made(self) -> int:
        return len(self.kept) + len(self.taken_back)

    def missing(self, notebook: dict[str, Any]) -> list[str]:
        """The marks that are not there any more."""
        text = written(notebook)
        return sorted(m for m in self.kept if m not in text)

    def lost(self, notebook: dict[str, Any]) -> list[str]:
        """The marks that are missing, and those that came back after they were deleted."""
        text = written(notebook)
        return sorted([*self.missing(notebook), *(m for m in self.taken_back if m in text)])

    def twice(self, notebook: dict[str, Any]) -> list[str]:
        """The marks that occur more than once."""
        text = written(notebook)
        return sorted(m for m in self.kept if text.count(m) > 1)


def written(notebook: dict[str, Any]) -> str:
    """Every cell's source."""
    return "\n".join(sources(notebook))


def sources(notebook: dict[str, Any]) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"]]


class Refused(Exception):
    """The room does not take this copy of the notebook back: JupyterLab asks for a reload."""


class Peer:
    """One window with the notebook open.

    Args:
        inside: Somebody in the project's Lab.
        path: The notebook.
        ledger: Where what is written is counted.
        name: What its marks begin with.
    """

    def __init__(self, inside: Inside, path: str, ledger: Ledger, name: str = "") -> None:
        self.inside, self.path, self.ledger = inside, path, ledger
        self.name = name or inside.member.name
        self.doc: Doc[Any] = Doc()
        self.notebook = YNotebook(self.doc)
        self.socket: ClientConnection | None = None
        self.said: list[dict[str, Any]] = []
        """What the server said besides the document."""
        self._synced = False
        self._own: list[tuple[str, str]] = []
        self._random = random.Random(self.name)
        asked = {"format": "json", "type": "notebook"}
        answer = inside.ask("PUT", f"api/collaboration/session/{path}", json=asked)
        session = answer.raise_for_status().json()
        self.room = f"json:notebook:{session['fileId']}?sessionId={session['sessionId']}"

    def connect(self, wait_s: float = WAIT_S) -> "Peer":
        """Join the room, as often as it takes, and wait until both have what the other had."""
        last = time.monotonic() + wait_s
        while True:
            try:
                self._join(last)
                return self
            except (ConnectionClosed, InvalidHandshake, OSError, TimeoutError) as error:
                if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code == 1003:
                    raise Refused(error.rcvd.reason) from error
                assert time.monotonic() < last, f"{self.name} cannot join: {error!r}"
                self.cut()
                time.sleep(0.2)

    def _join(self, last: float) -> None:
        self._synced = False
        self.socket = self.inside.socket(f"api/collaboration/room/{self.room}", open_timeout=30)
        self.socket.send(create_sync_message(self.doc))
        while not self._synced:
            self._take(self.socket.recv(timeout=max(0.1, min(10.0, last - time.monotonic()))))

    def cut(self) -> None:
        """Lose the connection, as a closed lid does: nobody says goodbye."""
        if self.socket is None:
            return
        with contextlib.suppress(OSError):
            reset = struct.pack("ii", 1, 0)
            self.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.socket = None

    def close(self) -> None:
        """Leave."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def pump(self) -> None:
        """Take in whatever has come."""
        while self.socket is not None:
            try:
                self._take(self.socket.recv(timeout=0))
            except TimeoutError:
                return
            except ConnectionClosed:
                self.cut()

    def _take(self, message: Any) -> None:
        if not isinstance(message, bytes) or not message:
            return
        if message[0] == YMessageType.SYNC:
            reply = handle_sync_message(message[1:], self.doc)
            if reply is not None and self.socket is not None:
                self.socket.send(reply)
            # The server asks for what it lacks; the second step answers what was asked of it.
            self._synced = self._synced or message[1] == 1
        elif message[0] == 2:
            decoder = Decoder(message[1:])
            self.said.append(json.loads(decoder.read_var_string()))

    def _change(self, change: Callable[[], None]) -> None:
        before = self.doc.get_state()
        with self.doc.transaction():
            change()
        if self.socket is not None:
            with contextlib.suppress(ConnectionClosed):
                self.socket.send(create_update_message(self.doc.get_update(before)))

    # What people do.

    def insert(self) -> str:
        """A new cell somewhere."""
        mark = self.ledger.mark(self.name)
        cell = {
            **{"cell_type": "code", "id": uuid4().hex[:8], "source": f"x = 1  # {mark}"},
            **{"metadata": {}, "outputs": [], "execution_count": None},
        }
        at = self._random.randint(0, self.notebook.cell_number)
        ycell = self.notebook.create_ycell(cell)
        self._change(lambda: self.notebook.ycells.insert(at, ycell))
        self._own.append((str(cell["id"]), mark))
        self.ledger.kept.add(mark)
        return mark

    def type(self, between: Callable[[], Any] = lambda: None) -> str:
        """A line in the cell that all share, letter by letter; `between` is called after each."""
        mark = self.ledger.mark(self.name)
        cell = next(cell for cell in self.notebook.ycells if cell["id"] == SHARED)
        source: Text = cell["source"]
        ends = [i for i, c in enumerate(str(source)) if c == "\n"]
        at = self._random.choice(ends) + 1 if ends else 0
        place = None
        for letter in f"{mark}\n":
            here = place.get_index() if place is not None else at
            self._change(lambda here=here, letter=letter: source.insert(here, letter))  # type: ignore[misc]
            place = source.sticky_index(here + 1, Assoc.BEFORE)
            between()
        self.ledger.kept.add(mark)
        return mark

    def take_back(self) -> None:
        """Delete a cell of one's own."""
        there = {cell["id"]: i for i, cell in enumerate(self.notebook.ycells)}
        own = [(i, mark) for i, mark in self._own if i in there]
        if not own:
            return
        chosen, mark = own[0]
        self._own.remove((chosen, mark))
        self._change(lambda: self.notebook.ycells.__delitem__(there[chosen]))
        self.ledger.kept.discard(mark)
        self.ledger.taken_back.add(mark)

    def edit(self, between: Callable[[], Any] = lambda: None) -> None:
        """One of these, by chance."""
        kind = self._random.random()
        if kind < 0.45:
            self.insert()
        elif kind < 0.85:
            self.type(between=between)
        else:
            self.insert()
            self.take_back()

    def read(self) -> dict[str, Any]:
        """The notebook as this window has it."""
        return dict(self.notebook.get())


def agree(peers: Iterable[Peer], wait_s: float = WAIT_S) -> None:
    """Wait until all of them have the same."""
    everybody = list(peers)

    def same() -> bool:
        for peer in everybody:
            peer.pump()
        have = [sources(peer.read()) for peer in everybody]
        return all(each == have[0] for each in have)

    until("everybody has the same notebook", same, wait_s)


def on_disk(inside: Inside, path: str) -> dict[str, Any]:
    """The file."""
    answer: httpx.Response = inside.ask("GET", f"api/contents/{path}?content=1&type=notebook")
    return dict(answer.raise_for_status().json()["content"])
