"""The Context: who acts, in which project, at what time, with which engines."""

import contextvars
import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import sqlalchemy as sa

from .ids import new_id
from .ports import Port
from .records import Record
from .settings import Settings, load_settings
from .store import Store, stores

T = TypeVar("T")


class Actor(Record):
    """Who acts: `person:ada`, `service:studio`, `project:prj_…`, an assistant for a person."""

    kind: Literal["person", "project", "service", "assistant"] = "person"
    name: str
    admin: bool = False
    on_behalf_of: str | None = None
    within: str = ""
    """The only project this actor may act in: a kernel's, or a project's page's. Empty: any."""
    fresh: bool = False
    """A person who proved a moment ago who they are; what needs it, `door` refuses others."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


class Engines:
    """The opened engines of one process: each port's once, closed together. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._open: dict[str, Any] = {}
        self._lock = threading.RLock()

    def get(self, port: Port[T]) -> T:
        """The engine of a port; opened on first use."""
        found = self._open.get(port.name)
        if found is None:
            with self._lock:
                found = self._open.get(port.name)
                if found is None:
                    url = self.settings.urls.get(port.name, port.default)
                    found = port.load(url)(url, self.settings.home)
                    self._open[port.name] = found
        return port.cast(found)

    def put(self, port: Port[T], engine: T) -> None:
        """Use this engine for a port: for a host that owns one already, and for tests."""
        with self._lock:
            self._open[port.name] = engine

    def close(self) -> None:
        """Close what was opened, last first."""
        with self._lock:
            opened, self._open = list(self._open.values()), {}
        for engine in reversed(opened):
            close = getattr(engine, "close", None)
            if close:
                close()


class Reporter(Protocol):
    """What a job tells while it runs. Every call is cheap; `check` raises when cancelled."""

    id: str

    @property
    def scratch(self) -> Path | None:
        """A folder that the attempts of this job share, gone when it ends; None outside a job."""

    def progress(self, share: float, note: str = "") -> None:
        """How much is done, 0..1, and what is being done."""

    def log(self, line: str) -> None:
        """A line for the person who watches."""

    def metric(self, **values: float) -> None:
        """Figures of one step (an epoch): loss, accuracy, seconds."""

    def check(self) -> None:
        """Raise `Cancelled` if somebody asked the job to stop."""

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do a part of the job, unless a former attempt did: then this is what that one answered.

        A crash between the work and the commit of its answer has the work done again: what it
        changes elsewhere goes by a key made of the job's `id` and the step's name.

        Args:
            name: The step's name, its own within the job; at most 128 signs.
            work: Does it; what it answers can be written as JSON.
        """


class Cancelled(BaseException):
    """The person stopped the job. Not an Exception: no room may swallow it."""


class Quiet:
    """A Reporter for code that runs a job's function directly, outside any job."""

    id = ""
    scratch: Path | None = None

    def progress(self, share: float, note: str = "") -> None:
        """Heard by nobody."""

    def log(self, line: str) -> None:
        """Heard by nobody."""

    def metric(self, **values: float) -> None:
        """Heard by nobody."""

    def check(self) -> None:
        """Never cancelled."""

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Done each time."""
        return work()


def utc_now() -> datetime:
    """The clock; always aware."""
    return datetime.now(UTC)


@dataclass
class Context:
    """Who asks (and for whom), in which project, at what time, with which engines.

    One per call. Writes are staged on it and committed by the door in one transaction with
    their event:

        ctx.stage(lambda tx: products.put(tx, ctx.project, product))
    """

    actor: Actor
    project: str
    engines: Engines
    now: Callable[[], datetime] = utc_now
    trace: str = field(default_factory=lambda: new_id("trc"))
    job: Reporter = field(default_factory=Quiet)
    refs: dict[str, Any] = field(default_factory=dict)
    staged: list[Callable[[sa.Connection], None]] = field(default_factory=list)
    undos: list[Callable[[], None]] = field(default_factory=list)
    afters: list[Callable[[], None]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return self.engines.settings

    @property
    def home(self) -> Path:
        """The folder that holds everything."""
        return self.engines.settings.home

    @property
    def store(self) -> Store:
        """The relational store."""
        return self.engines.get(stores)

    @property
    def folder(self) -> Path:
        """This project's folder inside the home."""
        return self.home / "projects" / self.project

    def engine(self, port: Port[T]) -> T:
        """The engine this context uses for a port, opened once per process."""
        return self.engines.get(port)

    def fresh(self, **changes: Any) -> "Context":
        """A context for another call: same engines, nothing staged."""
        new = {
            "refs": {},
            "staged": [],
            "undos": [],
            "afters": [],
            "trace": new_id("trc"),
            **changes,
        }
        return dataclasses.replace(self, **new)

    def stage(self, write: Callable[[sa.Connection], None]) -> None:
        """Do this write when the action is committed; it may raise Conflict, undoing all."""
        self.staged.append(write)

    def on_abort(self, undo: Callable[[], None]) -> None:
        """Run this if the action is not committed: remove files nobody will ever see."""
        self.undos.append(undo)

    def after_commit(self, then: Callable[[], None]) -> None:
        """Run this once the action is committed: hand over what a restart would hand over too."""
        self.afters.append(then)

    def note(self, **refs: Any) -> None:
        """References for the event: `ctx.note(product="prd_…@0")`."""
        self.refs.update(refs)


current: contextvars.ContextVar[Context | None] = contextvars.ContextVar("context", default=None)


def open_context(
    actor: Actor, project: str = "", settings: Settings | None = None, **given: Any
) -> Context:
    """A context in this process, with engines of its own: for shells, workers and tests."""
    return Context(actor, project, Engines(settings or load_settings(**given)))
