"""The Records of comments."""

from datetime import datetime
from typing import Literal

from workbench.core import Record

Kind = Literal["notebook"]


class Anchor(Record):
    """What a thread is about: a part of a document, whatever kind of document that is."""

    kind: Kind = "notebook"
    document: str
    """Its path in the project's files."""
    part: str = ""
    """The id of a cell; empty: the document as a whole."""


class Comment(Record):
    """What somebody wrote. It is plain text: who shows it escapes it."""

    id: str
    thread: str
    made_by: str
    text: str
    """Empty once it is deleted, which leaves its place while others have replied."""
    mentions: list[str]
    """The members named in it by `@name` when it was written."""
    made_at: datetime
    edited_at: datetime | None = None
    deleted_at: datetime | None = None


class Thread(Record):
    """A comment with its replies, about one part of a document."""

    id: str
    anchor: Anchor
    quote: str
    """The beginning of that part when the thread began: it may be gone since."""
    comments: list[Comment]
    """The oldest first."""
    resolved_at: datetime | None = None
    resolved_by: str | None = None


class Written(Record):
    """What a comment came to. Its text is kept in one place only, so that deleting deletes it."""

    id: str
    thread: str
    mentions: list[str]


class ThreadState(Record):
    """Whether a thread is settled, since when and by whom."""

    id: str
    resolved_at: datetime | None = None
    resolved_by: str | None = None


class Moved(Record):
    """Threads that followed their document."""

    threads: int


class Mention(Record):
    """A comment that names the person who asks."""

    comment: Comment
    anchor: Anchor
    seen_at: datetime | None = None


class Seen(Record):
    """Mentions that were new until now."""

    mentions: int
