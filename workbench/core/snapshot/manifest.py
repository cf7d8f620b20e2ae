"""What a backup says about itself: the format, and the first member of the archive.

Who restores reads this before anything else, maybe with a newer Studio: a field that is added
has a default, and whatever an older Studio would misread raises `FORMAT`.
"""

from datetime import datetime
from typing import Literal

from ..records import Record

FORMAT = 1
MANIFEST = "workbench-backup.json"


class LeftOut(Record):
    """Something below the home that is not in the backup, or not as it was."""

    path: str
    why: str


class Entry(Record):
    """One thing in a backup."""

    path: str
    """Below the home, as `spelled`; `/` between its parts."""
    kind: Literal["dir", "file", "database", "link"]
    size: int = 0
    """bytes"""
    sha256: str = ""
    """`sha256:…` of a file or database."""
    target: str = ""
    """Where a link points."""


class Manifest(Record):
    """What a backup holds; the first member of the archive."""

    format: int
    studio: str
    """The version of the Studio that made it."""
    revision: str
    """The schema of `studio.db`; empty if there was none."""
    made_at: datetime
    home: str
    main: str
    """The Studio's own database, below the home."""
    entries: list[Entry]
    left_out: list[LeftOut] = []
    left_out_count: int = 0


def spelled(path: str) -> str:
    r"""A path as text: bytes that are no UTF-8 as `\xff`, a backslash doubled.

    Example:
        >>> spelled("caf\udce9\\x")
        'caf\\xe9\\\\x'
    """
    doubled = path.replace("\\", "\\\\")
    return doubled.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
