"""A document as a live peer: `g = wb.documents.open("credit")`.

What is changed here is seen in every window that has the document open, and the other way round.
A line that is cut is taken up again; nothing is lost meanwhile, and nothing doubled.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from pycrdt import Doc
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect, unix_connect

from workbench.core import (
    Forbidden,
    NotFound,
    Unavailable,
    WorkbenchError,
)
from workbench.documents import wire
from workbench.documents.operations import perform
from workbench.documents.shared import NONE, changed, graph_of
from workbench.documents.types import (
    AddNode,
    Connect,
    Disconnect,
    Move,
    Operation,
    RemoveNode,
    Rename,
    SetData,
    SetParam,
    SetTraining,
)
from workbench.graphs import STEP, Graph, GraphProblem, Meaning, NodeMeaning

FIRST_S, LONGEST_S = 0.3, 10.0
"""How long it waits before it takes up a cut line: at first, and at most."""
LARGEST = 64 * 1024 * 1024


class Line(NamedTuple):
    """Where the Studio is, and how to say who one is."""

    url: str
    token: str
    socket: str
    """The path of its Unix socket; empty where it is reached by the address alone."""
    project: str


class LiveGraph:
    """A graph that others have open, too. Thread-safe; close it, or use it in a `with`.

    A node is named by its id, or by what people call it where only one is called so.

    Args:
        line: Where the Studio is.
        id: Id of the document.
        name: What it is called.
    """

    def __init__(self, line: Line, id: str, name: str) -> None:
        self.id, self.name = id, name
        self.problem: str = ""
        """What the Studio last said that went wrong; empty if nothing."""
        self._line = line
        self._doc: Doc[Any] = Doc(allow_multithreading=True)
        self._told = threading.Condition(threading.RLock())
        self._socket: ClientConnection | None = None
        self._sent = self._counted = self.seq = 0
        self._dirty = self._ready = self._closed = False
        self._refused: WorkbenchError | None = None
        self._meaning: dict[str, Any] = {"nodes": {}, "problems": []}
        self._observers: list[Callable[[LiveGraph], None]] = []
        self._thread = threading.Thread(target=self._run, name=f"live-{id}", daemon=True)
        self._thread.start()
        with self._told:
            self._told.wait_for(lambda: self._ready or self._refused is not None, timeout=15)
        if self._refused is not None:
            raise self._refused
        if not self._ready:
            self.close()
            raise Unavailable(
                "The Studio does not let this kernel into the document's room.",
                hint="See whether it runs, then open it again.",
            )

    # ---- what it says -------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The graph now."""
        with self._told:
            return graph_of(self._doc, self.name)

    @property
    def meaning(self) -> Meaning:
        """Shapes, parameters and problems, as the Studio last said; see `settled`."""
        with self._told:
            return Meaning.model_validate(self._meaning)

    @property
    def problems(self) -> list[GraphProblem]:
        """What is wrong with it."""
        return self.meaning.problems

    def __getitem__(self, node: str) -> NodeMeaning:
        """What a node, by its id or name, means."""
        return self.meaning.nodes[self.id_of(node)]

    def id_of(self, node: str) -> str:
        """The id of a node that is called so; what is an id already stays."""
        nodes = self.graph.nodes
        named = [id for id, each in nodes.items() if each.name == node]
        return named[0] if node not in nodes and len(named) == 1 else node

    def __repr__(self) -> str:
        """What it is, and whether all of it is kept."""
        graph, unsafe = self.graph, self.unsafe
        return (
            f"<{self.name} ({self.id}@{self.seq}): {len(graph.nodes)} nodes, "
            f"{len(graph.edges)} edges, {'all safe' if not unsafe else f'{unsafe} not yet safe'}>"
        )

    @property
    def unsafe(self) -> int:
        """How many edits made here the Studio has not yet on its disk."""
        with self._told:
            return max(self._sent - self._counted, int(self._dirty))

    # ---- changing it --------------------------------------------------------------------------

    def edit(self, operations: Sequence[Operation]) -> list[str]:
        """Make edits, all or none; the ids of nodes that were added.

        Raises:
            Invalid: One makes no sense; NotFound and Conflict likewise.
            Forbidden: This project's code may not change it.
        """
        made: list[str] = []
        with self._told:
            # On a copy first: what fails in the middle must leave nothing behind.
            trial: Doc[Any] = Doc()
            trial.apply_update(self._doc.get_update())
            update = changed(trial, lambda: made.extend(perform(trial, operations)))
            if update != NONE:
                self._doc.apply_update(update)
                self._send(update)
        self._notify()
        return made

    def add(
        self,
        layer: str,
        after: str | Sequence[str] = (),
        *,
        id: str = "",
        name: str = "",
        at: tuple[float, float] | None = None,
        **params: Any,
    ) -> str:
        """Add a layer, connected with what comes before it; its id.

        Args:
            layer: Its name in the table of layers.
            after: The node it takes its input from, or several.
            id: Made from the layer's name if empty.
            name: What people call it.
            at: Where it stands; below what comes before if None.
            params: The layer's parameters.
        """
        before = [self.id_of(each) for each in ([after] if isinstance(after, str) else after)]
        graph = self.graph
        if at is None:
            places = [graph.layout[each] for each in before if each in graph.layout]
            at = (places[0][0], max(y for _, y in places) + STEP) if places else (0.0, 0.0)
        [made] = self.edit([AddNode(layer=layer, id=id, name=name, params=params, at=at)])
        if before:
            self.edit([Connect(source=each, target=made) for each in before])
        return made

    def set(self, id: str, **params: Any) -> None:
        """Set parameters of a node; None gives a parameter its default."""
        id = self.id_of(id)
        self.edit([SetParam(id=id, param=each, value=value) for each, value in params.items()])

    def connect(self, source: str, target: str, port: str = "in", output: str = "out") -> None:
        """Draw an edge."""
        source, target = self.id_of(source), self.id_of(target)
        self.edit([Connect(source=source, target=target, port=port, output=output)])

    def disconnect(self, source: str, target: str) -> None:
        """Take the edges between two nodes away."""
        self.edit([Disconnect(source=self.id_of(source), target=self.id_of(target))])

    def remove(self, *ids: str) -> None:
        """Take nodes away, with their edges."""
        self.edit([RemoveNode(id=self.id_of(each)) for each in ids])

    def rename(self, id: str, name: str) -> None:
        """Call a node something else; its id stays."""
        self.edit([Rename(id=self.id_of(id), name=name)])

    def move(self, id: str, x: float, y: float) -> None:
        """Put a node elsewhere; in CSS pixels."""
        self.edit([Move(id=self.id_of(id), at=(x, y))])

    def train_with(self, **settings: Any) -> None:
        """Set how it is trained; None takes a setting away."""
        self.edit([SetTraining(name=each, value=value) for each, value in settings.items()])

    def train_on(self, product: str, target: str) -> None:
        """Say which table it is for, and which column it is to predict."""
        self.edit(
            [
                SetData(name="product", value=product),
                SetData(name="target", value=target),
            ]
        )

    def observe(self, callback: Callable[["LiveGraph"], None]) -> None:
        """Call this whenever somebody, here or elsewhere, has changed something."""
        self._observers.append(callback)

    def settled(self, timeout_s: float = 30.0) -> "LiveGraph":
        """Wait until everything made here is on the Studio's disk.

        Raises:
            Unavailable: It is not, in that time; it stays here until the Studio answers.
            Forbidden: It was refused.
        """
        with self._told:
            done = self._told.wait_for(
                lambda: not self.unsafe or self._refused is not None, timeout=timeout_s
            )
            if self._refused is not None:
                raise self._refused
        if not done:
            raise Unavailable(
                f"{self.unsafe} edits are not on the Studio's disk after {timeout_s:g} s.",
                hint="They are kept here and sent when it answers: wait again.",
            )
        return self

    def close(self) -> None:
        """Leave the room; what is not yet safe is waited for, a moment."""
        with self._told:
            if self._socket is not None and self._refused is None:
                self._told.wait_for(lambda: not self.unsafe, timeout=5)
            self._closed = True
            self._told.notify_all()
        if self._socket is not None:
            self._socket.close()
        self._thread.join(timeout=5)

    def __enter__(self) -> "LiveGraph":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- the line -----------------------------------------------------------------------------

    def _run(self) -> None:
        wait = FIRST_S
        while not self._closed:
            try:
                with self._opened() as socket:
                    with self._told:
                        self._socket = socket
                        self._sent = self._counted = 0
                    for message in socket:
                        if isinstance(message, bytes):
                            self._received(socket, message)
                            wait = FIRST_S
                self._look_at(socket.close_code, socket.close_reason or "")
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd else None
                self._look_at(code, error.rcvd.reason if error.rcvd else "")
            except (OSError, InvalidHandshake, TimeoutError) as error:
                self.problem = f"The Studio does not answer: {error}."
            finally:
                with self._told:
                    self._socket = None
                    self._told.notify_all()
            if self._refused is not None:
                return
            with self._told:
                self._told.wait_for(lambda: self._closed, timeout=wait)
            wait = min(2 * wait, LONGEST_S)

    def _look_at(self, code: int | None, reason: str) -> None:
        if code not in (4403, 4404):
            return
        kind = NotFound if code == 4404 else Forbidden
        with self._told:
            self._refused = kind(reason or "This document cannot be opened.", hint="List them.")
            self._told.notify_all()

    def _opened(self) -> ClientConnection:
        asked = urlencode({"id": self.id, "project": self._line.project}, quote_via=quote)
        parts = urlsplit(self._line.url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        url = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/api/v1/documents/room?{asked}"
        given: dict[str, Any] = {
            "additional_headers": {"Authorization": f"Bearer {self._line.token}"},
            "max_size": LARGEST,
            "open_timeout": 5,
            "compression": None,
        }
        opened: ClientConnection = (
            unix_connect(self._line.socket, uri=url, **given)
            if self._line.socket
            else connect(url, proxy=None, **given)
        )
        return opened

    def _received(self, socket: ClientConnection, message: bytes) -> None:
        kind, body = message[0], message[1:]
        changed_here = False
        with self._told:
            if kind == wire.SYNC:
                _, step, content = wire.read(message)
                if step == wire.STEP1:
                    self._send(self._doc.get_update(content), wire.step2)
                    socket.send(wire.step1(self._doc.get_state()))
                else:
                    if content != NONE:
                        self._doc.apply_update(content)
                        changed_here = True
                    self._ready = self._ready or step == wire.STEP2
            elif kind == wire.ACKNOWLEDGED:
                self._counted, self.seq = wire.read_numbers(body)
                if self._counted >= self._sent:
                    self._dirty = False
            elif kind in (wire.MEANING, wire.NOTICE, wire.HELLO):
                self._heard(kind, json.loads(wire.read(message)[2]))
                changed_here = kind == wire.MEANING
            self._told.notify_all()
        if changed_here:
            self._notify()

    def _heard(self, kind: int, told: dict[str, Any]) -> None:
        if kind == wire.HELLO:
            self.seq = int(told["seq"])
        elif kind == wire.NOTICE:
            self.problem = str(told["text"])
            if told["kind"] in ("refused", "closed"):
                self._refused = Forbidden(self.problem, hint=str(told["hint"]))
        else:
            nodes = {} if told["whole"] else self._meaning["nodes"]
            for id, each in told["nodes"].items():
                if each is None:
                    nodes.pop(id, None)
                else:
                    nodes[id] = each
            self._meaning = {**told, "nodes": nodes}

    def _send(self, update: bytes, as_: Callable[[bytes], bytes] = wire.update) -> None:
        self._dirty = self._dirty or update != NONE
        if self._socket is None:
            return  # it goes with everything else when the line is taken up
        self._sent += 1
        with contextlib.suppress(ConnectionClosed):
            # Counted all the same: it is not safe before the next line has it.
            self._socket.send(as_(update))

    def _notify(self) -> None:
        for each in list(self._observers):
            each(self)
