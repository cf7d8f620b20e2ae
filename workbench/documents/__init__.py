"""Graphs that people, notebooks and assistants of a project edit at the same time.

A document is a CRDT (`shared`) whose every edit is numbered in a durable log (`log`); windows meet
in a room of the Studio's service (`rooms`, over the messages of `wire`). Edits by word
(`operations`), forks, comparing, merging and restoring (`difference`) are actions like all others.
"""

from .actions import (
    compare,
    create_document,
    delete_document,
    edit,
    export,
    fork,
    get_code,
    get_document,
    history,
    import_document,
    list_documents,
    list_templates,
    merge,
    restore,
    undo,
    update_document,
)
from .finding import graph_at
from .rooms import LiveRooms, rooms, sweep
from .types import Change, Difference, Document, Edited, Merged, Moment, OpenDocument, documents
from .weights import begun
from .weights import find as find_weights

__all__ = [
    "Change",
    "Difference",
    "Document",
    "Edited",
    "LiveRooms",
    "Merged",
    "Moment",
    "OpenDocument",
    "begun",
    "compare",
    "create_document",
    "delete_document",
    "documents",
    "edit",
    "export",
    "find_weights",
    "fork",
    "get_code",
    "get_document",
    "graph_at",
    "history",
    "import_document",
    "list_documents",
    "list_templates",
    "merge",
    "restore",
    "rooms",
    "sweep",
    "undo",
    "update_document",
]
