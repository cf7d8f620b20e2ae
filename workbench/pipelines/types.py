"""The Records of jobs beyond the Job itself."""

from datetime import datetime
from typing import Any, Literal

from workbench.core import Record

TEMPORARY = (429, 503)
"""The errors that may be over the next time: Limited, Unavailable."""


class Line(Record):
    """Something a job told: a log line, its progress, the figures of a step, a new state."""

    seq: int
    at: datetime
    kind: Literal["log", "progress", "metric", "state"]
    text: str = ""
    values: dict[str, float] = {}


class Schedule(Record):
    """A job that begins by itself, again and again."""

    id: str
    project: str
    name: str
    actor: str
    """Who made it: its jobs are theirs, with the rights they have when the time comes."""
    action: str
    request: dict[str, Any]
    cron: str
    """Minute, hour, day of the month, month, day of the week."""
    timezone: str
    """On which clock; an IANA name."""
    paused: bool
    note: str
    """Why the last time came to nothing; empty if it did not."""
    made_at: datetime
    next_at: datetime | None
    """None while it is paused."""
    last_at: datetime | None = None
    last_job: str | None = None
