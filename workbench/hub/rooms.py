"""The documents that people of a project edit at the same time, kept so that no edit is lost.

jupyter-collaboration keeps a document in memory, its file a second behind, and lets the file win
whenever both differ. Here three things hold instead:

- A change is in the journal, on the disk, before anybody else sees it.
- A file that something else wrote is carried into the document (`merging`), and never replaces it.
- A window that comes back with another history (the journal was deleted meanwhile) is taken in by
  what it says.

What is saved is saved within three seconds, also while somebody types without a pause.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakSet

from anyio import WouldBlock
from jupyter_core.paths import jupyter_data_dir
from jupyter_server.utils import ensure_async
from jupyter_server_ydoc import app, handlers
from jupyter_server_ydoc.rooms import DocumentRoom
from jupyter_server_ydoc.utils import LogLevel, OutOfBandChanges
from jupyter_ydoc import ydocs
from pycrdt import (
    Decoder,
    Doc,
    Map,
    YMessageType,
    YSyncMessageType,
    create_sync_message,
    create_update_message,
    handle_sync_message,
    read_message,
    write_message,
)

from . import merging
from .journal import History, Journal, Version

log = logging.getLogger(__name__)

AT_MOST_S = 3.0
"""The longest that something stays unsaved while somebody goes on typing, in seconds."""
STALE_S = 10.0
"""A program that writes a file has read it no longer ago than this, in seconds."""
QUIET_S = 0.25
"""A file that did not change for so long is written to its end, in seconds."""
AGAIN_S = 5.0
"""When saving is tried again after it failed, in seconds."""


class Room(DocumentRoom):  # type: ignore[misc]
    """A document, who has it open, its journal and its file."""

    def __init__(
        self,
        room_id: str,
        format: str,
        type: str,
        file: Any,
        told: Any,
        _: Any,
        log: Any,
        **more: Any,
    ) -> None:
        # Not the store that the handlers hand in: the journal takes its place.
        super().__init__(room_id, format, type, file, told, None, log, **more)
        self._journal: Journal | None = None
        self._known: Any = None
        self._founder = 0
        self._upto = 0
        self._unkept: list[bytes] = []
        self._unsaved: float | None = None
        self._last = 0.0
        self._due = asyncio.Event()
        self._working = asyncio.Lock()
        self._telling = asyncio.Lock()
        self._saver: asyncio.Task[None] | None = None
        self._met: WeakSet[Any] = WeakSet()
        """Windows that are told of changes: not before it is known which history they have."""
        self._strangers: WeakKeyDictionary[Any, bytes] = WeakKeyDictionary()
        """Windows whose document has another history, and what they said they have of it."""

    # ---- from the disk ------------------------------------------------------------------------

    async def initialize(self) -> None:
        """Make the document from the journal and the file: neither loses to the other."""
        if not self.ready_event.is_set():
            # As a task that ends: threads that the request itself used end with its socket, and
            # the server would wait for them when it stops.
            await asyncio.create_task(self._prepare())

    async def _prepare(self) -> None:
        content, hash = await self._read_file()
        file = Path(jupyter_data_dir()) / "rooms.db"
        journal = self._journal = await asyncio.to_thread(Journal, file, self.room_id)
        history = await asyncio.to_thread(journal.read)
        if history is None:
            await self._begin(journal, content, hash)
        else:
            self._founder = history.founder
            for version in reversed(history.versions):
                self.ydoc.apply_update(version.state)
            for change in history.changes:
                self.ydoc.apply_update(change)
            if not self._agrees(history, content, hash):
                await self._carry(journal, history, content)
            if merging.distance(content, self._document.get()):
                self._touch()
            else:
                self._unsaved = None
        self._rest()
        self.ready = True
        await self.ydoc_observed.wait()
        self._saver = asyncio.create_task(self._save_when_due())
        self._emit(LogLevel.INFO, "initialize", "Room initialized")

    def _rest(self) -> None:
        """No cell runs for somebody who was here before; `kernels.writer` says which do."""
        for cell in self._document.ycells if self.file_type == "notebook" else ():
            if cell.get("execution_state") == "running":
                cell["execution_state"] = "idle"

    async def _begin(self, journal: Journal, content: Any, hash: str) -> None:
        document = self._new(Doc())
        await document.aset(content)
        # One change at least is the founder's, so that whoever has this history knows it.
        document.ystate["document_id"] = uuid4().hex
        self._say_saved(document, document.get(), hash)
        self._founder = document.ydoc.client_id
        self.ydoc.apply_update(document.ydoc.get_update())
        number = await asyncio.to_thread(journal.begin, self._founder, self.ydoc.get_update())
        await asyncio.to_thread(journal.written, number, hash)
        self._unsaved = None

    def _agrees(self, history: History, content: Any, hash: str) -> bool:
        """Whether the file is as this room last wrote it, or was writing it."""
        for version in history.versions:
            if version.hash:
                return version.hash == hash
            if not merging.distance(self._at(version.state).get(), content):
                return True
        return False

    async def _carry(self, journal: Journal, history: History, content: Any) -> None:
        """Carry into the document what something else wrote into its file."""
        agreed = self._agreed(history, content)
        merging.carry(self._document, agreed, content)
        # Both the file's and the document's are versions that a later change may start from.
        await asyncio.to_thread(journal.keep, agreed.ydoc.get_update(), 0)
        await asyncio.to_thread(journal.keep, self.ydoc.get_update(), self._upto)

    def _agreed(self, history: History, content: Any) -> Any:
        """The document as it was when the file's writer read it.

        That is how it was last written; or, of those written in the last seconds, the one that the
        file differs least from: a program may have read it before we wrote.
        """
        last = next((i for i, v in enumerate(history.versions) if v.hash), 0)
        until = time.time()
        chosen: list[Any] = []
        for version in history.versions[last:]:
            if chosen and until < time.time() - STALE_S:
                break
            chosen.append(self._at(version.state))
            until = version.at
        away = [merging.distance(each.get(), content) for each in chosen]
        # Exactly an earlier one: somebody went back to it.
        return chosen[0 if 0 in away[1:] else away.index(min(away))]

    async def _read_file(self) -> tuple[Any, str]:
        while True:
            model = await self._file.load_content(self.file_format, self.file_type)
            asked = self._contents.get(self._file.path, content=False, require_hash=True)
            again = await ensure_async(asked)
            if again["last_modified"] == model["last_modified"]:
                self._known = model["last_modified"]
                return model["content"], str(again["hash"] or "")

    @property
    def _contents(self) -> Any:
        return self._file._contents_manager

    async def _on_outofband_change(self) -> None:
        """Called when something else wrote the file."""
        try:
            async with self._working:
                await self._take_file()
        except Exception as error:
            self._complain(f"{self._file.path} was changed and cannot be read: {error}")

    async def _take_file(self) -> None:
        journal = self._journal
        assert journal is not None
        await self._written_to_its_end()
        content, hash = await self._read_file()
        history = await asyncio.to_thread(journal.read)
        if history is None:
            return
        if not self._agrees(history, content, hash):
            await self._carry(journal, history, content)
            self._emit(LogLevel.INFO, "overwrite", "What else was written is in the document.")
        if merging.distance(content, self._document.get()):
            self._touch()

    async def _written_to_its_end(self) -> None:
        seen = None
        while True:
            model = await ensure_async(self._contents.get(self._file.path, content=False))
            now = (model["last_modified"], model["size"])
            if now == seen:
                return
            seen = now
            # Whoever empties a file is about to fill it.
            await asyncio.sleep(QUIET_S if model["size"] else 4 * QUIET_S)

    # ---- to the disk --------------------------------------------------------------------------

    async def _broadcast_updates(self) -> None:
        """Write what changed into the journal, then tell everybody; many changes at once."""
        with contextlib.suppress(asyncio.CancelledError):
            async with self._update_receive_stream as stream:
                async for change in stream:
                    changes = [change]
                    with contextlib.suppress(WouldBlock):
                        while True:
                            changes.append(stream.receive_nowait())
                    async with self._telling:
                        await self._keep(changes)
                        for each in changes:
                            message = create_update_message(each)
                            for client in [c for c in self.clients if c in self._met]:
                                await client.send(message)

    async def _keep(self, changes: list[bytes]) -> None:
        self._unkept += changes
        assert self._journal is not None
        try:
            self._upto = await asyncio.to_thread(self._journal.append, self._unkept)
            self._unkept = []
        except sqlite3.Error as error:
            # People go on; it is tried again with the next change.
            self._complain(f"The journal of {self._file.path} cannot be written: {error}")

    def _on_document_change(self, target: str, event: Any) -> None:
        """Called for every change: the document is saved soon, unless all turned that off."""
        states = [each for each in self.awareness.states.values() if each]
        wanted = not states or any(each.get("autosave", True) for each in states)
        if target != "state" and wanted and self._save_delay is not None:
            self._touch()

    def _touch(self) -> None:
        self._last = time.monotonic()
        if self._unsaved is None:
            self._unsaved = self._last
        self._due.set()

    async def _save_when_due(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            while self._unsaved is not None:
                pause = self._last + (self._save_delay or 0)
                due = min(pause, self._unsaved + AT_MOST_S) - time.monotonic()
                if due > 0:
                    await asyncio.sleep(due)
                    continue
                try:
                    await self._save()
                except Exception as error:
                    self._complain(f"{self._file.path} cannot be saved: {error}")
                    if getattr(error, "status_code", 0) == HTTPStatus.NOT_FOUND:
                        # Somebody deleted it. What people write is in the journal all the same.
                        self._unsaved = None
                    await asyncio.sleep(AGAIN_S)

    def _save_to_disc(self) -> asyncio.Task[None]:
        """Called when somebody saves."""
        return asyncio.create_task(self._save())

    async def _save(self) -> None:
        """Write the file.

        A version is kept before: whoever finds the file after a crash in between knows it.
        """
        journal = self._journal
        assert journal is not None
        async with self._working:
            began, self._unsaved = self._unsaved, None
            state, upto = self.ydoc.get_update(), self._upto
            copy = self._at(state)
            content = await copy.aget()
            # Two cells with one id got two, which everybody is told.
            self.ydoc.apply_update(copy.ydoc.get_update(self.ydoc.get_state()))
            try:
                number = await asyncio.to_thread(journal.keep, state, upto)
                hash = await asyncio.shield(asyncio.create_task(self._write_file(content)))
            except OutOfBandChanges:
                self._unsaved = began
                await self._take_file()
                return
            except BaseException:
                self._unsaved = began or time.monotonic()
                raise
            if not hash:
                return
            await asyncio.to_thread(journal.written, number, hash)
            self._say_saved(self._document, content, hash)
            if self._unsaved is None:
                self._document.dirty = False
            self._emit(LogLevel.INFO, "save", "Content saved.")

    async def _write_file(self, content: Any) -> str:
        """Write the file, unless something else did since it was read; its hash.

        Empty if nobody may write it. Not the loader's own way: it takes a change that it noticed
        for one that was read.
        """
        file = self._file
        kind = self.file_type if self.file_type == "notebook" else "file"
        model = {"format": self.file_format, "type": kind, "content": content}
        async with file._lock:
            found = await ensure_async(self._contents.get(file.path, content=False))
            if not found["writable"]:
                return ""
            if found["last_modified"] != self._known:
                raise OutOfBandChanges
            saved = await file._save_content_at_path(model, file.path)
            self._known = saved["last_modified"]
        others = [told for id, told in file._subscriptions.items() if id != self.room_id]
        for told in others:
            self.create_task(told())
        return str(saved["hash"])

    async def settle(self) -> None:
        """Save what is not saved, and nothing from then on."""
        if self._saver is not None:
            # Awaited: threads that a task uses end with it, and the process waits for them.
            self._saver.cancel()
            await asyncio.wait([self._saver])
        if self._unsaved is not None and self._journal is not None:
            try:
                await self._save()
            except Exception as error:
                self._complain(f"{self._file.path} cannot be saved: {error}")
        # Windows that stay open hear which file they last agreed with.
        waiting = self._update_receive_stream.statistics
        while self.ready and (self._telling.locked() or waiting().current_buffer_used):
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Save, and say goodbye to every window: it has heard all, and we have all it sent."""
        await self.settle()
        for client in list(self.clients):
            client.close(1001)
        last = time.monotonic() + 2
        while self.clients and time.monotonic() < last:
            await asyncio.sleep(0.01)
        await self.settle()

    async def stop(self) -> None:
        """Save, and let go of the document."""
        await self.settle()
        await super().stop()
        if self._journal is not None:
            await asyncio.to_thread(self._journal.close)

    # ---- windows with another history ---------------------------------------------------------

    async def receive(self, channel: Any, message: bytes) -> bool:
        """Look at a message before the room does; True if it is dealt with."""
        if len(message) < 2 or message[0] != YMessageType.SYNC:
            return False
        kind, body = message[1], read_message(message[2:])
        if kind == YSyncMessageType.SYNC_STEP1:
            known = _clocks(body)
            if not known or self._founder in known:
                self._met.add(channel)
                return False
            self._strangers[channel] = body
            await channel.send(create_sync_message(Doc()))
            return True
        if (state := self._strangers.get(channel)) is None:
            return False
        if kind == YSyncMessageType.SYNC_STEP2:
            # One of two answers: what we lack, or all it has. The first may be the second.
            whole = self._new(Doc())
            whole.ydoc.apply_update(body)
            has = _clocks(whole.ydoc.get_state())
            if any(has.get(client, 0) < clock for client, clock in _clocks(state).items()):
                return True
            try:
                await self._welcome(whole)
            except Exception as error:
                self._complain(f"A window's {self._file.path} cannot be taken in: {error}")
                channel.close()  # It comes back, with all it has.
                return True
            del self._strangers[channel]
            asked = bytes([YSyncMessageType.SYNC_STEP1]) + write_message(state)
            self._met.add(channel)
            await channel.send(handle_sync_message(asked, self.ydoc))
        return True

    async def _welcome(self, stranger: Any) -> None:
        """Take in what a window with another history has: no copy twice, nothing lost."""
        journal = self._journal
        assert journal is not None
        history = await asyncio.to_thread(journal.read)
        log.info("%s: a window came back with another history", self._file.path)
        said, hash = stranger.get(), stranger.hash
        common: list[Version] = [v for v in history.versions if v.hash == hash] if history else []
        if hash and common:
            agreed = self._at(common[0].state)
        else:
            agreed = self._at(self.ydoc.get_update())
            said = merging.united(self._document.get(), said, _saved(stranger).to_py() or {})
        merging.carry(self._document, agreed, said)
        merging.unite(self._document, stranger, self._document.get())

    # ---- documents ----------------------------------------------------------------------------

    def _new(self, ydoc: Doc[Any]) -> Any:
        return ydocs.get(self.file_type, ydocs["file"])(ydoc)

    def _at(self, state: bytes) -> Any:
        document = self._new(Doc())
        document.ydoc.apply_update(state)
        return document

    def _say_saved(self, document: Any, content: Any, hash: str) -> None:
        """Tell every window what the file holds: it may come back after the journal is gone."""
        document.hash = hash
        saved, now = _saved(document), merging.marks(content)
        before = saved.to_py() or {}
        with document.ydoc.transaction():
            for id in before.keys() - now.keys():
                del saved[id]
            for id, mark in now.items():
                if before.get(id) != mark:
                    saved[id] = mark

    def _complain(self, sentence: str) -> None:
        log.exception(sentence)
        self._emit(LogLevel.ERROR, None, sentence)


def _saved(document: Any) -> Any:
    return document.ydoc.get("saved", type=Map)


def _clocks(state: bytes) -> dict[int, int]:
    """Who wrote how much of a document, by its state vector."""
    decoder = Decoder(state)
    read = decoder.read_var_uint
    return {client: clock for client, clock in ((read(), read()) for _ in range(read()))}


def keep_documents() -> None:
    """Have the server of this process keep shared documents so.

    Its handlers make rooms of the class that their module names, so no option reaches it.
    """
    handlers.DocumentRoom = app.DocumentRoom = Room
    compatible: Callable[..., tuple[bool, str]] = handlers.check_session_compatibility

    def check(*given: Any, **named: Any) -> tuple[bool, str]:
        # Whether a window of an earlier server may come back is the room's to say.
        refused, reason = compatible(*given, **named)
        return refused and reason != "unknown_session", reason

    handlers.check_session_compatibility = check
    received = handlers.YDocWebSocketHandler.on_message
    stopped = app.YDocExtension.stop_extension

    async def on_message(handler: Any, message: Any) -> None:
        known = isinstance(handler.room, Room) and isinstance(message, bytes)
        if not (known and await handler.room.receive(handler, message)):
            await received(handler, message)

    async def stop_extension(extension: Any) -> None:
        rooms = [r for r in extension.ywebsocket_server.rooms.values() if isinstance(r, Room)]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(room.end() for room in rooms)), 5)
        await stopped(extension)

    handlers.YDocWebSocketHandler.on_message = on_message
    app.YDocExtension.stop_extension = stop_extension
