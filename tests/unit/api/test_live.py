"""What a kernel that edits a document says of what is safe."""

import threading
from typing import Any

from pycrdt import Doc
from websockets.exceptions import ConnectionClosedError

from workbench.api.live import LiveGraph
from workbench.documents import wire
from workbench.documents.types import AddNode


class Cut:
    """A line that was cut."""

    def send(self, message: bytes) -> None:
        raise ConnectionClosedError(None, None)


def test_what_could_not_be_sent_is_not_safe() -> None:
    graph: Any = object.__new__(LiveGraph)
    graph._doc, graph._told = Doc(), threading.Condition(threading.RLock())
    graph._observers, graph._socket, graph.seq = [], Cut(), 0
    graph._sent, graph._counted, graph._dirty = 1, 0, True
    graph._closed, graph._refused, graph._ready = False, None, True
    graph.edit([AddNode(layer="relu", id="b")])  # the line is cut meanwhile
    graph._received(Cut(), wire.acknowledged(1, 1))  # the answer to the one before comes still
    assert graph.unsafe == 1
