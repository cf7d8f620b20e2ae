"""Rooms: documents that are open, and who is in them.

What a window sends is written to the log with whatever else came in the meantime (a group
commit), and then told to the others and acknowledged: nobody sees what a crash could take away.
Who sent it is stamped here. The room's copy of the document is only a copy: what another process
or an action wrote is read from the log.
"""

import asyncio
import contextlib
import json
import logging
import time
from typing import Any, NamedTuple, Protocol
from weakref import WeakValueDictionary

from pycrdt import Decoder, Doc, get_state

from workbench.core import (
    Actor,
    Context,
    Engines,
    NotFound,
    Port,
    Unavailable,
    WorkbenchError,
    catalogue,
)
from workbench.core.policy import policies
from workbench.core.store import stores
from workbench.graphs import Meaning

from . import log as kept
from . import wire
from .meant import Meant
from .shared import NODES, NONE, changed, graph_of, opened, root
from .types import documents

log = logging.getLogger(__name__)

LARGEST = 8 * 1024 * 1024
"""Bytes of a message."""
WAITING = 4_000
"""Messages that a window may be behind; then it is let go, and comes again."""
LOOK_S = 1.0
"""How often other processes' edits and changed rights are looked for."""
QUIET_S = 20.0
"""After such a pause what was edited is put on the record."""
MANY = 20_000
"""Edits that are put on the record without a pause."""
LARGE = 300
"""Nodes from which on a graph is read in a thread."""
MEAN_S = 0.015
"""Edits that come within this time are given their shapes together."""
UNFORESEEN = Unavailable(
    "something broke that we did not foresee.",
    hint="An administrator finds it in the Studio's log, by the time.",
)
COLOURS = ("#1f77b4", "#b3590a", "#2c7a2c", "#b02a2b", "#7d4fa8", "#7b4a3f", "#b0408f", "#4f6d7a")


class Rooms(Protocol):
    """The rooms of this process; only the Studio's service has any."""

    def notice(self, document: str) -> None:
        """Say that the log of a document has more than its room may know. From any thread."""


rooms = Port[Rooms]("documents.rooms", default="none://", doc="Where documents are open.")
rooms.engine("none", "workbench.documents.rooms:NoRooms")


class NoRooms:
    """Nobody has anything open in this process."""

    def __init__(self, url: str = "", home: object = None) -> None:
        pass

    def notice(self, document: str) -> None:
        """There is no room to tell."""


class Peer:
    """A window, kernel or assistant that is in a room, by one connection."""

    def __init__(self, ctx: Context, document: str) -> None:
        self.ctx = ctx
        self.document = document
        self.outbox: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
        self.clients: dict[int, int] = {}
        """What it is called in presence → the number of its last change."""
        self.counted = 0
        """Its edits that are on the disk."""
        self.leaving = False
        self.writes = self.may("documents.edit")

    @property
    def name(self) -> str:
        """For people."""
        return self.ctx.actor.name

    @property
    def colour(self) -> str:
        """The same for everything of one actor."""
        return COLOURS[sum(str(self.ctx.actor).encode()) % len(COLOURS)]

    def may(self, action: str) -> bool:
        """Whether policy lets it do this now."""
        try:
            self.ctx.engine(policies).check(self.ctx, catalogue[action], self.document)
        except WorkbenchError:
            return False
        return True

    def send(self, message: bytes) -> None:
        """Put a message where its connection takes it from; who is too far behind is let go."""
        if self.leaving:
            return
        try:
            self.outbox.put_nowait(message)
        except asyncio.QueueFull:
            self.let_go()

    def say(self, kind: str, text: str, hint: str = "") -> None:
        """Tell its person something."""
        self.send(wire.told(wire.NOTICE, {"kind": kind, "text": text, "hint": hint}))

    def let_go(self) -> None:
        """End its connection; it comes again and says what it has."""
        self.leaving = True
        while True:
            try:
                self.outbox.put_nowait(None)
                return
            except asyncio.QueueFull:
                self.outbox.get_nowait()


class Room:
    """One open document. Everything here runs in the event loop."""

    def __init__(self, ctx: Context, document: str, opened: "_Opened") -> None:
        self.ctx, self.document, self.seq = ctx, document, opened.seq
        self.doc = _filled(opened.state)
        """What is on the disk: windows are told of nothing else."""
        self.ahead = _filled(opened.state)
        """What has come, too; it says whether an edit says anything new."""
        self.peers: set[Peer] = set()
        self.states: dict[int, tuple[Peer, wire.Presence]] = {}
        self.meaning: Meaning = opened.meaning
        self.edited_at: float | None = None
        self.unrecorded = 0
        self.broken = False
        self._reader = opened.reader
        self._due: asyncio.TimerHandle | None = None
        self._aside: asyncio.Future[None] | None = None

    def enter(self, peer: Peer, name: str) -> None:
        """Let somebody in: they hear who they are, what is asked of them, and what it all means."""
        self.peers.add(peer)
        hello = {
            "seq": self.seq,
            "actor": str(peer.ctx.actor),
            "color": peer.colour,
            "may_write": peer.writes,
            "name": name,
        }
        peer.send(wire.told(wire.HELLO, hello))
        peer.send(wire.step1(self.doc.get_state()))
        if self.states:
            peer.send(wire.present([state for _, state in self.states.values()]))
        peer.send(wire.told(wire.MEANING, _meaning(self.seq, self.meaning, None)))

    def leave(self, peer: Peer) -> None:
        """Somebody is gone, and so is where they were."""
        self.peers.discard(peer)
        gone = [wire.Presence(client, clock + 1, None) for client, clock in peer.clients.items()]
        for each in gone:
            self.states.pop(each.client, None)
        if gone:
            self.tell(wire.present(gone))

    def tell(self, message: bytes, but: Peer | None = None) -> None:
        """Tell all, but one."""
        for peer in list(self.peers):
            if peer is not but:
                peer.send(message)

    def taken(self, update: bytes) -> bool:
        """Take an edit in, ahead of the disk; whether it said anything new.

        What waits for an edit that has not come is new: it counts when that one is there.

        Raises:
            ValueError: It is none.
        """
        said = changed(self.ahead, lambda: self.ahead.apply_update(update)) != NONE
        return said or _waits(self.ahead, update)

    def says(self, update: bytes) -> bool:
        """The same, without taking it in."""
        trial = _filled(self.ahead.get_update())
        return changed(trial, lambda: trial.apply_update(update)) != NONE or _waits(trial, update)

    def written(self, peer: Peer | None, update: bytes, seq: int) -> None:
        """An edit is on the disk: the others are told of it, and who sent it."""
        self.seq = max(self.seq, seq)
        self.doc.apply_update(update)
        self.tell(wire.update(update), but=peer)
        if peer is not None:
            self.counted(peer)
            self.edited_at = time.monotonic()
            self.unrecorded += 1
        self.mean_soon()

    def counted(self, peer: Peer) -> None:
        """One more of a window's edits needs no fear."""
        peer.counted += 1
        peer.send(wire.acknowledged(peer.counted, self.seq))

    def seen(self, peer: Peer, states: list[wire.Presence]) -> None:
        """Where a window is, in the name of who it is."""
        told = []
        for each in states:
            holder = self.states.get(each.client)
            if holder is not None and holder[0] is not peer:
                continue  # somebody else is called so
            if each.state is None:
                self.states.pop(each.client, None)
                peer.clients.pop(each.client, None)
                told.append(each)
                continue
            if len(peer.clients) > 8 or len(json.dumps(each.state)) > 64_000:
                continue
            user = {"name": peer.name, "color": peer.colour, "actor": str(peer.ctx.actor)}
            stamped = each._replace(state={**each.state, "user": user})
            self.states[each.client] = peer, stamped
            peer.clients[each.client] = each.clock
            told.append(stamped)
        if told:
            self.tell(wire.present(told), but=peer)

    def mean_soon(self) -> None:
        """Work out what the graph means, once for what comes in a moment."""
        if self._due is None and not self.broken:
            self._due = asyncio.get_running_loop().call_later(MEAN_S, self._mean)

    def _mean(self) -> None:
        if len(root(self.doc, NODES)) > LARGE:
            self._aside = asyncio.ensure_future(self._mean_aside(self.seq, self.doc.get_update()))
            return
        self._due = None
        try:
            self._tell_meaning(self._reader.read(graph_of(self.doc)))
        except WorkbenchError as error:
            self._tell_problem(error)

    async def _mean_aside(self, seq: int, state: bytes) -> None:
        """The same in a thread: the loop is for all rooms. What comes meanwhile waits for it."""
        try:
            new = await asyncio.to_thread(lambda: self._reader.read(graph_of(_filled(state))))
            self._tell_meaning(new)
        except WorkbenchError as error:
            self._tell_problem(error)
        finally:
            self._due = None
            if self.seq != seq:
                self.mean_soon()

    def _tell_meaning(self, new: Meaning) -> None:
        before, self.meaning = self.meaning, new
        if new != before and not self.broken:
            self.tell(wire.told(wire.MEANING, _meaning(self.seq, new, before)))

    def _tell_problem(self, error: WorkbenchError) -> None:
        for peer in list(self.peers):
            peer.say("problem", str(error), error.hint)

    def close(self) -> None:
        """Everybody out: they come again, to a room that reads the log."""
        self.broken = True
        if self._due is not None:
            self._due.cancel()
        for peer in list(self.peers):
            peer.let_go()


class _Opened(NamedTuple):
    """A document as it is read from the log."""

    state: bytes
    seq: int
    reader: Meant
    meaning: Meaning


class _Sent(NamedTuple):
    room: Room
    peer: Peer
    update: bytes


class _Foreign(NamedTuple):
    """What the log had that a room did not know, before its own edits."""

    rows: list[kept.Row]
    first: int
    """The number of the first of its own."""


class LiveRooms:
    """The rooms of the Studio's service.

    Args:
        engines: What the process has opened.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._rooms: dict[str, Room] = {}
        self._opening: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Held while a document is opened; gone when nobody waits for it."""
        self._sent: asyncio.Queue[_Sent] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._telling = asyncio.Lock()
        """Held while the log and what windows are told of it are brought together."""
        self._token: object = None

    # ---- windows come and go ------------------------------------------------------------------

    async def enter(self, ctx: Context, document: str) -> tuple[Peer, Room]:
        """Let somebody into a document's room; it is opened if nobody is in it.

        Raises:
            NotFound: The project has no such document.
            Forbidden: Policy does not let this actor look at it.
            Refused: A later version of the Studio wrote it.
        """
        self._begin()
        ctx.engine(policies).check(ctx, catalogue["documents.get_document"], document)
        found = await asyncio.to_thread(documents.get, ctx.store, ctx.project, document)
        lock = self._opening.setdefault(found.id, asyncio.Lock())
        async with lock:
            room = self._rooms.get(found.id)
            if room is None or room.broken:
                room = await self._open(ctx, found.id)
            peer = Peer(ctx, found.id)
            room.enter(peer, found.name)
        return peer, room

    async def _open(self, ctx: Context, document: str) -> Room:
        service = ctx.fresh(actor=Actor(kind="service", name="studio"))

        def read() -> _Opened:
            with ctx.store.read() as connection:
                doc, seq = kept.load(connection, ctx.project, document)
            reader = Meant()
            return _Opened(doc.get_update(), seq, reader, reader.read(graph_of(doc)))

        room = Room(service, document, await asyncio.to_thread(read))
        self._rooms[document] = room
        return room

    async def leave(self, peer: Peer, room: Room) -> None:
        """Somebody is gone; the last one closes the room."""
        room.leave(peer)
        if not room.peers:
            await self._settled(room)
            if not room.peers and self._rooms.get(room.document) is room:
                del self._rooms[room.document]

    async def received(self, peer: Peer, room: Room, message: bytes) -> None:
        """Take in what a window sent."""
        if len(message) > LARGEST:
            peer.say(
                "refused",
                f"A change of {len(message):,} bytes is too large.",
                f"At most {LARGEST:,}: add less at once.",
            )
            return peer.let_go()
        try:
            kind, step, body = wire.read(message)
            if kind == wire.AWARENESS:
                room.seen(peer, wire.read_presence(body))
            elif kind == wire.SYNC and step == wire.STEP1:
                peer.send(wire.step2(room.doc.get_update(body)))
            elif kind == wire.SYNC and step in (wire.STEP2, wire.UPDATE):
                self._edit(peer, room, body)
        except (ValueError, RuntimeError) as error:
            log.info("garbage in a room", extra={"document": room.document, "told": str(error)})
            peer.say(
                "refused", "The Studio could not read what this window sent.", "Load it again."
            )
            peer.let_go()

    def _edit(self, peer: Peer, room: Room, update: bytes) -> None:
        if room.broken:
            return
        may = peer.may("documents.edit")
        if update == NONE or not (room.taken(update) if may else room.says(update)):
            # Counted in its turn: an acknowledgement covers all that was sent before.
            self._sent.put_nowait(_Sent(room, peer, NONE))
        elif may:
            self._sent.put_nowait(_Sent(room, peer, update))
        else:
            peer.say(
                "refused",
                f"{peer.name} may look at this graph, and not change it.",
                "Make a fork in a project of yours, or ask an owner of this one.",
            )

    # ---- to and from the log ------------------------------------------------------------------

    def notice(self, document: str) -> None:
        """See `Rooms`."""
        if self._loop is not None and document in self._rooms:
            self._loop.call_soon_threadsafe(self._notice, document)

    def _notice(self, document: str) -> None:
        room = self._rooms.get(document)
        if room is not None and not room.broken:
            self._keep(asyncio.ensure_future(self._catch_up(room)))

    async def _catch_up(self, room: Room) -> None:
        """Read what others wrote to the log."""

        def read() -> list[kept.Row]:
            with room.ctx.store.read() as connection:
                kept.head(connection, room.ctx.project, room.document)
                return kept.read(connection, room.document, room.seq)

        async with self._telling:
            try:
                rows = await asyncio.to_thread(read)
            except NotFound:
                return self._gone(room)
            except WorkbenchError as error:
                log.warning("a log could not be read: %s", error, extra={"document": room.document})
                return
            self._foreign(room, rows)

    def _foreign(self, room: Room, rows: list[kept.Row]) -> None:
        for row in rows:
            if row.seq > room.seq and not room.broken:
                room.taken(row.body)
                room.written(None, row.body, row.seq)

    async def _write(self) -> None:
        """Write what was sent, all that has come together, and tell of it."""
        while True:
            batch = [await self._sent.get()]
            while not self._sent.empty():
                batch.append(self._sent.get_nowait())
            batch = [each for each in batch if not each.room.broken]
            by_room: dict[Room, list[_Sent]] = {}
            for each in batch:
                by_room.setdefault(each.room, []).append(each)
            if by_room:
                async with self._telling:
                    await self._write_all(by_room)

    async def _write_all(self, by_room: dict[Room, list[_Sent]]) -> None:
        try:
            found = await asyncio.to_thread(self._commit, by_room)
        except Exception as error:
            told = error if isinstance(error, WorkbenchError) else UNFORESEEN
            if not isinstance(error, WorkbenchError):
                log.exception("edits could not be written")
            for room in by_room:
                for peer in room.peers:
                    peer.say("problem", f"Changes cannot be kept now: {told}", told.hint)
                self._drop(room)
            return
        for room, sent in by_room.items():
            foreign = found[room]
            if foreign is None:
                self._gone(room)
                continue
            self._foreign(room, foreign.rows)
            seq = foreign.first
            for each in sent:
                if each.update == NONE:
                    room.counted(each.peer)
                else:
                    room.written(each.peer, each.update, seq)
                    seq += 1

    def _commit(self, by_room: dict[Room, list[_Sent]]) -> dict[Room, _Foreign | None]:
        """What the log had besides, for each room; None for a document that is gone."""
        found: dict[Room, _Foreign | None] = {}
        ctx = next(iter(by_room)).ctx
        with ctx.store.begin() as tx:
            for room, sent in by_room.items():
                entries = [
                    kept.Entry(str(each.peer.ctx.actor), kept.ROOM, each.update)
                    for each in sent
                    if each.update != NONE
                ]
                if not entries:
                    found[room] = _Foreign([], 0)
                    continue
                try:
                    before = kept.append(tx, room.ctx.project, room.document, entries, ctx.now())
                except NotFound:
                    found[room] = None
                    continue
                known = room.seq
                rows = kept.read(tx, room.document, known, before) if before > known else []
                found[room] = _Foreign(rows, before + 1)
        return found

    def _gone(self, room: Room) -> None:
        for peer in room.peers:
            peer.say(
                "closed", "This graph was deleted.", "Its forks are still there, if it had any."
            )
        self._drop(room)

    def _drop(self, room: Room) -> None:
        room.close()
        if self._rooms.get(room.document) is room:
            del self._rooms[room.document]

    # ---- now and then -------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._tasks = [
                asyncio.create_task(self._write()),
                asyncio.create_task(self._watch()),
            ]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                token = await asyncio.to_thread(self._store_token)
                if token != self._token:
                    self._token = token
                    await self._look_around()
                for room in list(self._rooms.values()):
                    quiet = room.edited_at is not None and (
                        time.monotonic() - room.edited_at > QUIET_S
                    )
                    if quiet or room.unrecorded > MANY:
                        await self._settled(room)
            except WorkbenchError as error:
                log.warning("rooms could not be looked after: %s", error)

    async def _look_around(self) -> None:
        """Somebody has committed something: rights may be others, logs longer, documents gone."""
        rooms = list(self._rooms.values())
        for room in rooms:
            self._look(room)

        def read() -> dict[str, int]:
            with self._engines.get(stores).read() as connection:
                return kept.newest(connection, [room.document for room in rooms])

        newest = await asyncio.to_thread(read) if rooms else {}
        for room in rooms:
            if newest.get(room.document) != room.seq:
                await self._catch_up(room)

    def _store_token(self) -> object:
        return self._engines.get(stores).token()

    def _look(self, room: Room) -> None:
        """Who may not look is let go; whose rights are others comes again, to hear of them."""
        for peer in list(room.peers):
            if not peer.may("documents.get_document"):
                peer.say("closed", f"{peer.name} may not look at this graph any more.")
                peer.let_go()
            elif peer.may("documents.edit") != peer.writes:
                peer.let_go()

    async def _settled(self, room: Room) -> None:
        """Put on the record what was edited, and make little of what is long in the log."""
        if room.edited_at is None:
            return
        room.edited_at, room.unrecorded = None, 0
        try:
            await asyncio.to_thread(kept.record, room.ctx, room.document)
            await asyncio.to_thread(kept.compact, room.ctx, room.document)
        except Exception as error:
            # It is done at the next pause, or when the service starts; other rooms go on.
            room.edited_at = time.monotonic()
            _not_on_record(room.document, error)

    def _keep(self, task: "asyncio.Future[None]") -> None:
        self._tasks.append(task)  # type: ignore[arg-type]
        task.add_done_callback(lambda done: self._tasks.remove(done))  # type: ignore[arg-type]

    async def end(self) -> None:
        """Write what has come, and close."""
        for room in list(self._rooms.values()):
            for peer in list(room.peers):
                peer.let_go()
        while not self._sent.empty() and not any(task.done() for task in self._tasks):
            await asyncio.sleep(0.01)
        async with self._telling:
            pass
        for task in list(self._tasks):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for room in list(self._rooms.values()):
            await self._settled(room)


def sweep(engines: Engines) -> None:
    """Put on the record what was edited before the service was killed."""
    with engines.get(stores).read() as connection:
        found = kept.unrecorded(connection)
    for project, document in found:
        ctx = Context(Actor(kind="service", name="studio"), project, engines)
        try:
            kept.record(ctx, document)
            kept.compact(ctx, document)
        except Exception as error:
            # One that cannot be read must not keep the Studio from starting.
            _not_on_record(document, error)


def _not_on_record(document: str, error: Exception) -> None:
    known = isinstance(error, WorkbenchError)
    log.warning(
        "edits are not on the record yet: %s",
        error,
        exc_info=None if known else error,
        extra={"document": document},
    )


def _filled(state: bytes) -> "Doc[Any]":
    return opened([state])


def _waits(doc: "Doc[Any]", update: bytes) -> bool:
    """Whether an update holds what a document has not, and cannot have before another comes."""
    has = _clocks(doc.get_state())
    return any(clock > has.get(client, 0) for client, clock in _clocks(get_state(update)).items())


def _clocks(state: bytes) -> dict[int, int]:
    """A state vector: a client's number → how many of its changes are there."""
    decoder = Decoder(state)
    count = decoder.read_var_uint()
    return {decoder.read_var_uint(): decoder.read_var_uint() for _ in range(count)}


def _meaning(seq: int, new: Meaning, before: Meaning | None) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for id, each in new.nodes.items():
        if before is None or before.nodes.get(id) != each:
            nodes[id] = each.model_dump(mode="json")
    if before is not None:
        nodes |= dict.fromkeys(before.nodes.keys() - new.nodes.keys())
    return {
        "seq": seq,
        "whole": before is None,
        "nodes": nodes,
        **new.model_dump(mode="json", exclude={"nodes"}),
    }
