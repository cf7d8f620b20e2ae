"""Comments: what people say to each other about a part of a document, kept beside it.

They live in the store and not in the document's file: who said something is stamped by the
server, and somebody who may only look can still ask.
"""

from .actions import (
    create_comment,
    delete_comment,
    list_comments,
    list_mentions,
    move,
    reopen,
    resolve,
    see_mentions,
    update_comment,
)
from .mentions import Piece, mentioned, pieces
from .threads import comments, mentions, threads
from .types import Anchor, Comment, Mention, Moved, Seen, Thread, ThreadState, Written

__all__ = [
    "Anchor",
    "Comment",
    "Mention",
    "Moved",
    "Piece",
    "Seen",
    "Thread",
    "ThreadState",
    "Written",
    "comments",
    "create_comment",
    "delete_comment",
    "list_comments",
    "list_mentions",
    "mentioned",
    "mentions",
    "move",
    "pieces",
    "reopen",
    "resolve",
    "see_mentions",
    "threads",
    "update_comment",
]
