"""A window onto a document, as an editor is one: its own copy, and what it has been told."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from pycrdt import Doc

from workbench.core import Actor, Context
from workbench.documents import LiveRooms, wire
from workbench.documents.operations import perform
from workbench.documents.rooms import Peer, Room
from workbench.documents.shared import NONE, changed, graph_of
from workbench.documents.types import Operation
from workbench.graphs import Graph


class Window:
    """One person's editor, by the room's own messages and no socket."""

    def __init__(self, live: LiveRooms, ctx: Context, document: str) -> None:
        self.live, self.ctx, self.document = live, ctx, document
        self.doc: Doc[Any] = Doc()
        self.sent = self.counted = self.seq = 0
        self.hello: dict[str, Any] = {}
        self.meaning: dict[str, Any] = {}
        self.notices: list[dict[str, Any]] = []
        self.present: dict[int, Any] = {}
        self.peer: Peer | None = None
        self.room: Room | None = None
        self._task: asyncio.Task[None] | None = None

    async def enter(self) -> "Window":
        self.sent = self.counted = 0
        self.hello, self.meaning = {}, {}
        self.peer, self.room = await self.live.enter(self.ctx, self.document)
        self._task = asyncio.create_task(self._listen(self.peer, self.room))
        await self.until(lambda: bool(self.hello and self.meaning and self.sent))
        return self

    async def leave(self) -> None:
        assert self.peer is not None and self.room is not None and self._task is not None
        self.peer.let_go()
        await self._task
        await self.live.leave(self.peer, self.room)

    async def edit(self, *operations: Operation) -> list[str]:
        made: list[str] = []
        update = changed(self.doc, lambda: made.extend(perform(self.doc, operations)))
        if update != NONE:
            await self.send(wire.update(update))
        return made

    async def send(self, message: bytes, counts: bool = True) -> None:
        assert self.peer is not None and self.room is not None
        self.sent += counts
        await self.live.received(self.peer, self.room, message)

    async def safe(self) -> "Window":
        await self.until(lambda: self.counted >= self.sent)
        return self

    async def until(self, true: Any, seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.002)

    @property
    def graph(self) -> Graph:
        return graph_of(self.doc)

    async def _listen(self, peer: Peer, room: Room) -> None:
        while (message := await peer.outbox.get()) is not None:
            kind = message[0]
            if kind == wire.SYNC:
                _, step, body = wire.read(message)
                if step == wire.STEP1:
                    await self.send(wire.step2(self.doc.get_update(body)))
                    await self.send(wire.step1(self.doc.get_state()), counts=False)
                elif body != NONE:
                    self.doc.apply_update(body)
            elif kind == wire.ACKNOWLEDGED:
                self.counted, self.seq = wire.read_numbers(message[1:])
            elif kind == wire.AWARENESS:
                for each in wire.read_presence(wire.read(message)[2]):
                    self.present[each.client] = each.state
            else:
                told = json.loads(wire.read(message)[2])
                if kind == wire.HELLO:
                    self.hello = told
                elif kind == wire.NOTICE:
                    self.notices.append(told)
                else:
                    nodes = {} if told["whole"] else self.meaning.get("nodes", {})
                    nodes |= {id: each for id, each in told["nodes"].items() if each is not None}
                    for id, each in told["nodes"].items():
                        if each is None:
                            nodes.pop(id, None)
                    self.meaning = {**told, "nodes": nodes}


def person(ctx: Context, name: str) -> Context:
    """Somebody else in that project."""
    return ctx.fresh(actor=Actor(name=name))


async def all_safe(windows: Sequence[Window]) -> None:
    """Until everything is on the disk, and everybody has it."""
    for each in windows:
        await each.safe()
    for each in windows:
        await each.until(lambda w=each: w.graph == windows[0].graph)
