"""Jobs as every floor sees them: the Record, and the port that runs them."""

from datetime import datetime
from typing import Any, Literal, Protocol

import sqlalchemy as sa

from .context import Context
from .ports import Port
from .records import Record

State = Literal["queued", "running", "done", "failed", "cancelled"]
Priority = Literal["low", "normal", "high"]
FINISHED: frozenset[State] = frozenset({"done", "failed", "cancelled"})


class Job(Record):
    """One run of a job action. `result` holds references; `error` is a problem object."""

    id: str
    action: str
    state: State
    progress: float
    """0..1"""
    note: str = ""
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    request: dict[str, Any] = {}
    project: str = ""
    actor: str = ""
    attempt: int = 0
    """The fencing number: only the newest attempt may commit."""
    priority: Priority = "normal"
    """Its place among the project's own jobs that wait."""
    timeout_s: float | None = None
    """The longest an attempt may run, in seconds; None: as long as the Studio allows."""
    retries: int = 0
    """How often it is tried again when it failed for a reason that may pass."""
    failures: int = 0
    """How often that was."""
    made_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Jobs(Protocol):
    """Runs jobs and remembers them."""

    def plan(self, ctx: Context, action: str, request: dict[str, Any]) -> Job:
        """A new queued Job, not stored yet."""

    def put(self, tx: sa.Connection, job: Job) -> None:
        """Store a planned Job inside the transaction of its event."""

    def start(self, job: Job) -> None:
        """Called after that transaction: run it when there is room. Safe to repeat."""


runner = Port[Jobs]("pipelines.jobs", default="dbos+sqlite://", doc="Runs durable jobs.")
runner.engine("dbos+sqlite", "workbench.pipelines.engine:DurableJobs")
runner.engine(
    "dbos+postgresql",
    "workbench.pipelines.engine:DurableJobs",
    hint="Install nexus-workbench[postgres].",
)
