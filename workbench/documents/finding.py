"""A document by its name, as it is or as it was."""

import re
from typing import Any

from pycrdt import Doc

from workbench.core import Context, Invalid
from workbench.graphs import Graph

from . import log as kept
from .shared import graph_of
from .types import Document, documents


def find_at(ctx: Context, ref: str, *, now: bool = False) -> tuple[Document, "Doc[Any]", int]:
    """A document, its content at a moment, and the moment's number.

    Args:
        ctx: The project.
        ref: Id or name; `id@57` for how it was after its edit 57.
        now: Whether only the present will do.

    Raises:
        NotFound: The project has no such document, or it was never at that number.
        Invalid: A moment of the past is named where only the present will do.
    """
    named, _, at = ref.partition("@")
    if at and now:
        raise Invalid(
            f"{ref!r} is a moment of the past, which cannot be changed.",
            hint=f"Restore it, or fork it; {named} is how it is now.",
        )
    document = documents.get(ctx.store, ctx.project, named)
    with ctx.store.read() as connection:
        doc, seq = kept.load(connection, ctx.project, document.id, number_of(at) if at else None)
    return document, doc, seq


def graph_at(ctx: Context, ref: str) -> tuple[str, Graph]:
    """`doc_…@57` and the graph it was then; see `find_at`."""
    document, doc, seq = find_at(ctx, ref)
    return f"{document.id}@{seq}", graph_of(doc, document.name)


def number_of(text: str) -> int:
    """The number of an edit.

    Raises:
        Invalid: It is none.
    """
    if not re.fullmatch(r"\d{1,12}", text):
        raise Invalid(f"{text[:40]!r} is no number of an edit.", hint="Such as 57: see `history`.")
    return int(text)
