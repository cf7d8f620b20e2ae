"""The Records of ethics."""

from datetime import datetime
from typing import Literal

from workbench.core import Record, Share, Shelf

Verdict = Literal["pass", "fail", "too few to tell"]


class Group(Record):
    """One group's figures on the rows assessed."""

    name: str
    rows: int
    selection_rate: float
    accuracy: float
    true_positive_rate: float | None
    false_positive_rate: float | None
    low: float
    high: float
    """95 % Wilson interval of the selection rate."""


class Attribute(Record):
    """How one sensitive attribute divides the decisions."""

    name: str
    groups: list[Group]
    gap: float
    """Highest minus lowest selection rate (demographic parity difference)."""
    low: float
    high: float
    """95 % interval of the gap."""
    ratio: float
    """Lowest over highest selection rate."""
    equalized_odds: float | None
    verdict: Verdict
    sentence: str


class Report(Record):
    """What was measured, on which rows, against which limit."""

    id: str
    name: str
    model: str
    product: str
    rows: int
    on: str
    """`test split` or `all rows`, in words."""
    limit: Share
    attributes: list[Attribute]
    verdict: Verdict
    summary: str
    method: str
    seed: int
    made_at: datetime
    made_by: str


reports: Shelf[Report] = Shelf("rpt", "report", Report, named=False)


class Gate(Record):
    """Whether a model may get an alias, and why."""

    model: str
    alias: str
    allowed: bool
    rule: str
    reasons: list[str]
    report: str | None
