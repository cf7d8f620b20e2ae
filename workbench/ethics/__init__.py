"""Ethics: how a model treats groups of people, with honest intervals, and a gate."""

from .actions import assess, gate, get_report, list_reports
from .types import Attribute, Gate, Group, Report, Verdict

__all__ = [
    "Attribute",
    "Gate",
    "Group",
    "Report",
    "Verdict",
    "assess",
    "gate",
    "get_report",
    "list_reports",
]
