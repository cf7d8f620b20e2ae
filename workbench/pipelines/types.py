"""The Records of jobs beyond the Job itself."""

from datetime import datetime
from typing import Literal

from workbench.core import Record


class Line(Record):
    """Something a job told: a log line, its progress, the figures of a step, a new state."""

    seq: int
    at: datetime
    kind: Literal["log", "progress", "metric", "state"]
    text: str = ""
    values: dict[str, float] = {}
