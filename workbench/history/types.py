"""The Records of history. Their text is what somebody committed: shown, never believed."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from workbench.core import Record

ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
    "|[\ud800-\udfff]"
)
"""What changes how other characters look, or is none: escapes, marks of direction, halves."""


def plain(text: str) -> str:
    r"""Text whose every character can be seen; the others are written out.

    Example:
        >>> plain("a\x1b[31m\u202eb")
        'a␛[31m\\u202eb'
    """

    def shown(found: re.Match[str]) -> str:
        code = ord(found[0])
        return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"

    return ODD.sub(shown, text)


def moment(seconds: object) -> object:
    """A time in seconds since 1970, held within what a calendar has."""
    if isinstance(seconds, int):
        return datetime.fromtimestamp(min(max(seconds, 0), 253_402_300_799), UTC)
    return seconds


Text = Annotated[str, AfterValidator(plain)]
Moment = Annotated[datetime, BeforeValidator(moment)]
Id = Annotated[str, Field(pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")]


class Hunk(Record):
    """Lines that changed, with some that did not around them."""

    before: int
    """The number of its first line in the file as it was; 0 if there was none."""
    after: int
    lines: list[Text]
    """Each begins with ` ` (as it was), `-` (removed), `+` (added) or `\\` (a remark)."""


class CellChange(Record):
    """A cell of a notebook that is not as it was."""

    change: Literal["added", "removed", "changed"]
    number: int
    """Its place in the notebook, from 1; of one that was removed, in the notebook as it was."""
    kind: Text
    """`code`, `markdown` or `raw`."""
    hunks: list[Hunk] = []
    """What changed in its source."""
    outputs: bool = False
    """Whether its outputs changed. They are not compared further."""
    metadata: bool = False


class FileChange(Record):
    """A file that a commit changed."""

    path: Text
    was: Text = ""
    """Its path before, if that was another."""
    change: Literal["added", "removed", "changed", "renamed", "copied"]
    kind: Literal["text", "notebook", "binary", "large", "link", "repository", ""] = ""
    """What was compared: `large` files are not; empty in lists."""
    size_before: int = 0
    """In bytes."""
    size_after: int = 0
    hunks: list[Hunk] = []
    """What changed in a text; lists leave it out."""
    cells: list[CellChange] = []
    """What changed in a notebook; lists leave it out."""
    cut: bool = False
    """Whether more changed than is told here."""
    metadata: bool = False
    """Whether a notebook's own metadata changed: its kernel, for example."""


class Commit(Record):
    """A state of the project's files that somebody kept, and what it changed."""

    id: Id
    parents: list[Id]
    author: Text
    """Who made it, as it says itself: whoever can work in the project can write any name."""
    email: Text
    at: Moment
    """When it was made, as it says itself."""
    committer: Text
    committed_at: Moment
    title: Text
    """The first line of its message."""
    message: Text
    """The rest of it."""
    files: list[FileChange]
    """Compared with its first parent."""
    more: int = 0
    """How many more files it changed."""


class Branch(Record):
    """A line of commits that has a name."""

    name: Text
    commit: Id
    at: Moment
    current: bool
    """Whether the files in the project are of this branch."""
