"""Puts what cells printed into their notebooks, where no window of a browser does it.

A window that runs a cell writes its outputs itself. Two seconds after it is gone the writer goes on
in its place: in the document that people share, where others see it tick; or in the file, once the
cell has ended or somebody opens it. It compares with what is there, so doing it again is harmless.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import ensure_async
from pycrdt import Map, Text
from tornado.web import HTTPError

from ..merging import source_of
from .outputs import Output, Outputs
from .runs import Run, Runs

log = logging.getLogger(__name__)

GONE_S = 2.0
"""How long a window may be gone until the writer writes, in seconds."""
RETURNS_S = 10.0
"""The same where documents are not shared: who returns would be asked which file to keep."""
SURE_S = 3.0
"""How long something has to stand in a shared document to be in its journal, in seconds."""
AGAIN_S = 30.0
"""When something that cannot be written is tried again, in seconds."""
SWEEP_S = 600.0

_reading: ContextVar[bool] = ContextVar("reading", default=False)


@dataclass
class _Written:
    """What is known of a run without a window."""

    since: float
    made: Outputs = field(default_factory=Outputs)
    last: int = 0
    news: bool = False
    """Whether anything came since the last look."""
    document: Any = None
    """The shared document that has what came before."""
    put: list[Output] = field(default_factory=list)
    stands: float | None = None
    """Since when all of it stands in a shared document."""
    not_before: float = 0.0


class OutputWriter:
    """See the module.

    Args:
        server: The notebook server.
        runs: What cells printed.
        windows: Which windows are there now.
    """

    def __init__(self, server: ServerApp, runs: Runs, windows: Callable[[], set[str]]) -> None:
        self._runs, self._windows = runs, windows
        self._sessions = server.session_manager
        self._contents = server.contents_manager
        found = server.extension_manager.extension_apps.get("jupyter_server_ydoc", set())
        self._shared = next(iter(found), None)
        self._known: dict[str, _Written] = {}
        self._writing = asyncio.Lock()
        if hasattr(self._contents, "before_reading"):
            self._contents.before_reading = self.complete

    @property
    def _together(self) -> bool:
        return self._shared is not None and not self._shared.disable_rtc

    async def work(self, also: Callable[[], None], every_s: float) -> None:
        """Write what is to be written, again and again; and do something else each time."""
        swept = time.monotonic()
        while True:
            await asyncio.sleep(every_s)
            try:
                also()
                # As a task that ends: the process waits for threads whose task goes on.
                await asyncio.create_task(self._write())
                if time.monotonic() > swept + SWEEP_S:
                    swept = time.monotonic()
                    self._runs.sweep()
            except Exception:
                # One notebook's trouble is not the others'.
                log.exception("what cells print could not be written")
                await asyncio.sleep(AGAIN_S / 10)

    async def complete(self, path: str) -> None:
        """Write into a notebook's file what is there, before somebody reads it.

        Where people share documents the document has it: nothing is done.
        """
        if self._together or _reading.get() or not path.endswith(".ipynb"):
            return
        windows = self._windows()
        try:
            runs = self._runs.unwritten()
        except sqlite3.Error as error:
            log.error("%s is read as it is: %s", path, error)
            return
        for run in runs:
            if run.window not in windows and path in self._paths(run):
                known = self._known.setdefault(run.id, _Written(time.monotonic()))
                await self._try(run, known, self._into_file)

    def cares(self, run: str) -> bool:
        """Whether it wrote some of a run into a document, and will see that all of it is right.

        A window that came back writes, too, and both can have been taken in.
        """
        known = self._known.get(run)
        return self._together and known is not None and bool(known.put)

    def running(self, path: str) -> list[Run]:
        """The cells of a notebook that run, or wait to."""
        path = path.removeprefix("RTC:")
        return [
            run for run in self._runs.unwritten() if run.ended is None and path in self._paths(run)
        ]

    async def _write(self) -> None:
        windows, now = self._windows(), time.monotonic()
        runs = self._runs.unwritten()
        for gone in self._known.keys() - {run.id for run in runs}:
            del self._known[gone]
        for run in runs:
            if run.window in windows and not (self.cares(run.id) and _is_over(run)):
                # The window writes. What was written before it came back is compared in the end.
                if not self.cares(run.id):
                    self._known.pop(run.id, None)
                continue
            known = self._known.setdefault(run.id, _Written(now))
            if now < max(known.since + GONE_S, known.not_before):
                continue
            if self._together and (document := await self._document(run)) is not None:
                await self._try(run, known, self._into_document, document)
            elif run.ended and (self._together or now > known.since + RETURNS_S):
                await self._try(run, known, self._into_file)

    async def _try(
        self, run: Run, known: _Written, write: Callable[..., Awaitable[None]], *more: Any
    ) -> None:
        async with self._writing:
            try:
                rows = self._runs.rows(run.id, known.last)
                known.news = bool(rows)
                for row in rows:
                    known.last = row.number
                    known.made.take(row.kind, row.content)
                await write(run, known, *more)
            except HTTPError as error:
                if error.status_code != 404:
                    log.warning("%s: %s", run.path, error)
                known.not_before = time.monotonic() + AGAIN_S
            except Exception:
                known.not_before = time.monotonic() + AGAIN_S
                log.exception("the outputs of a cell of %s could not be written", run.path)

    # ---- a document that people share -----------------------------------------------------------

    async def _document(self, run: Run) -> Any:
        """The shared notebook of the run's cell; None if nobody has it open."""
        assert self._shared is not None
        for path in self._paths(run):
            try:
                document = await self._shared.get_document(
                    path=path, content_type="notebook", file_format="json", copy=False
                )
            except (FileNotFoundError, HTTPError):
                continue
            if document is None:
                continue
            if _place(list(document.ycells), run, _minor(document)) is not None:
                return document
        return None

    async def _into_document(self, run: Run, known: _Written, document: Any) -> None:
        if known.document is document and not known.news and not run.ended:
            return
        cells = document.ycells
        place = _place(list(cells), run, _minor(document))
        if place is None:
            return
        cell = cells[place]
        there = _plain(cell.get("outputs"))
        if known.put and not there and there != known.made.list:
            # Somebody cleared it: only what comes from now on is shown.
            known.made.forget()
        outputs = known.made.list
        state = "idle" if run.ended else "running"
        changed = (
            there != _plain(outputs)
            or cell.get("execution_state") != state
            or bool(
                run.ended and run.count is not None and cell.get("execution_count") != run.count
            )
        )
        if changed:
            known.stands = None
            with document.ydoc.transaction():
                update(document, cell, outputs)
                cell["execution_state"] = state
                if run.ended and run.count is not None:
                    cell["execution_count"] = run.count
            known.put = _plain(outputs)
        known.document = document
        if run.ended and not changed:
            known.stands = known.stands or time.monotonic()
            if time.monotonic() > known.stands + SURE_S:
                self._runs.written(run.id)

    # ---- a file ---------------------------------------------------------------------------------

    async def _into_file(self, run: Run, known: _Written) -> None:
        token = _reading.set(True)
        try:
            for path in self._paths(run):
                try:
                    model = await ensure_async(self._contents.get(path, type="notebook"))
                except HTTPError as error:
                    if error.status_code == 404:
                        continue
                    raise
                if await self._into_model(run, known, path, model):
                    return
        finally:
            _reading.reset(token)
        known.not_before = time.monotonic() + AGAIN_S

    async def _into_model(
        self, run: Run, known: _Written, path: str, model: dict[str, Any]
    ) -> bool:
        notebook = model["content"]
        place = _place(notebook["cells"], run, int(notebook.get("nbformat_minor", 5)))
        if place is None:
            return False
        cell = notebook["cells"][place]
        outputs = known.made.list
        if _plain(cell["outputs"]) != outputs or (
            run.ended and cell["execution_count"] != run.count
        ):
            cell["outputs"] = outputs
            cell["metadata"]["trusted"] = True
            if run.ended:
                cell["execution_count"] = run.count
            now = await ensure_async(self._contents.get(path, content=False))
            if now["last_modified"] != model["last_modified"]:
                return True  # Somebody writes it right now: the next time, then.
            asked = {"type": "notebook", "format": "json", "content": notebook}
            await ensure_async(self._contents.save(asked, path))
        if run.ended:
            self._runs.written(run.id)
        return True

    def _paths(self, run: Run) -> list[str]:
        """Where its notebook may be: where the kernel's is now, or where it was."""
        rows = self._sessions.cursor.execute(
            "SELECT path FROM session WHERE kernel_id = ? AND type = 'notebook'", (run.kernel,)
        ).fetchall()
        found = [str(row["path"]) for row in rows] + [run.path]
        return list(dict.fromkeys(each.removeprefix("RTC:") for each in found if each))


def update(document: Any, cell: Any, outputs: list[Output]) -> None:
    """Make a shared cell show outputs; what stays is left alone, text that grows is added to.

    Args:
        document: The `YNotebook`.
        cell: The shared cell.
        outputs: What it is to show.
    """
    shown, there = cell["outputs"], _plain(cell["outputs"])
    same = 0
    while same < min(len(there), len(outputs)) and there[same] == outputs[same]:
        same += 1
    if same < min(len(there), len(outputs)):
        was, now = there[same], outputs[same]
        text = shown[same].get("text")
        if (
            isinstance(text, Text)
            and now["output_type"] == "stream"
            and was.get("name") == now["name"]
            and now["text"].startswith(was["text"])
        ):
            text += now["text"][len(was["text"]) :]
            same += 1
    if len(there) > same:
        del shown[same:]
    if len(outputs) > same:
        shown.extend(document._create_youtputs(outputs[same:]))


def _is_over(run: Run) -> bool:
    """Whether a run ended so long ago that its window has written all of it."""
    return run.ended is not None and time.time() > run.ended + SURE_S


def _minor(document: Any) -> int:
    return int(document.ydoc.get("meta", type=Map).get("nbformat_minor", 5))


def _place(cells: list[Any], run: Run, minor: int) -> int | None:
    """Which cell was run: the one with its id.

    In a notebook whose cells have none (nbformat 4.4 and before), the only one that says the same.
    """
    alike = []
    for place, cell in enumerate(cells):
        if cell.get("cell_type") != "code":
            continue
        if cell.get("id") == run.cell:
            return place
        source = cell["source"]
        if (str(source) if isinstance(source, Text) else source_of(cell)) == run.code:
            alike.append(place)
    return alike[0] if minor < 5 and len(alike) == 1 else None


def _plain(outputs: Any) -> list[Output]:
    """Outputs as nbformat writes them, from wherever they come."""
    found = outputs.to_py() if hasattr(outputs, "to_py") else outputs
    plain = []
    for each in found or []:
        output = dict(each)
        if isinstance(output.get("text"), list):
            output["text"] = "".join(output["text"])
        elif "text" in output:
            output["text"] = str(output["text"])
        if isinstance(output.get("execution_count"), float):
            output["execution_count"] = int(output["execution_count"])
        for name, value in list((output.get("data") or {}).items()):
            if isinstance(value, list) and all(isinstance(line, str) for line in value):
                output["data"] = {**output["data"], name: "".join(value)}
        plain.append(output)
    return plain
