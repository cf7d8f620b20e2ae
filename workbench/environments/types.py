"""The Records of environments."""

from datetime import datetime
from typing import Literal

from workbench.core import Record


class Locked(Record):
    """A package as it is installed: this version, from a file with one of these hashes."""

    name: str
    version: str
    hashes: list[str] = []
    """`sha256:…`; lists leave them out."""


class Environment(Record):
    """The Python packages that a project installed for itself, as they were at one time."""

    id: str = ""
    """Empty while a project never installed anything."""
    name: str = "current"
    version: int = 0
    state: Literal["studio", "ready", "missing"] = "studio"
    """`studio`: nothing of its own; `missing`: not on this disk, install again."""
    packages: list[str] = []
    """What was asked for."""
    python: str = ""
    """The version of Python, such as 3.11.7."""
    locked: list[Locked] = []
    """Everything that is installed."""
    digest: str = ""
    """`sha256:…` over the lock and the version of Python."""
    folder: str = ""
    """Its name below the project's environments."""
    bytes: int = 0
    """On disk, at most: files that other environments have too are kept once."""
    made_at: datetime | None = None
    made_by: str = ""
