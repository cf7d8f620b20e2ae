"""What people say about a notebook, on the page that shows it; for viewers the only place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from workbench.comments import Comment, Thread
from workbench.core import WorkbenchError
from workbench.projects import Project

from .projects import here, may, unknown
from .rendering import segment
from .visiting import Visit

AT_ONCE = 100


@dataclass(frozen=True)
class Part:
    """Threads about one cell, or about what is not there any more."""

    name: str
    label: str
    threads: list[Thread]


async def about(
    visit: Visit, project: Project, path: str, cells: Sequence[dict[str, str]]
) -> dict[str, Any]:
    """What the page of a notebook shows of its comments."""
    asked: dict[str, Any] = {"document": path, "limit": AT_ONCE}
    if visit.asked("threads"):
        asked["after"] = visit.asked("threads")
    found = await visit.tried("comments.list_comments", asked, project.id)
    threads = [] if isinstance(found, WorkbenchError) else found.items
    return {
        "place": f"{visit.prefix}/projects/{project.id}/notebooks/{segment(path)}",
        "parts_of": arrange([each for each in threads if each.resolved_at is None], cells),
        "resolved": [each for each in threads if each.resolved_at is not None],
        "cells": cells,
        "more": None if isinstance(found, WorkbenchError) else found.next,
        "wrong": found if isinstance(found, WorkbenchError) else None,
        "may_comment": project.archived_at is None
        and may(visit, project, "comments", "create_comment"),
    }


def arrange(threads: Sequence[Thread], cells: Sequence[dict[str, str]]) -> list[Part]:
    """Threads in the order of the cells; last those whose cell is gone."""
    by_part: dict[str, list[Thread]] = {}
    for thread in threads:
        by_part.setdefault(thread.anchor.part, []).append(thread)
    parts = [Part("The whole notebook", "", by_part.pop("", []))]
    parts += [
        Part(f"Cell {at}", cell["label"], by_part.pop(cell["id"], []))
        for at, cell in enumerate(cells, 1)
    ]
    parts.append(Part("Cell no longer there", "", [t for part in by_part.values() for t in part]))
    return [part for part in parts if part.threads]


async def change(visit: Visit) -> Response:
    """Write, reply, change, delete, resolve, reopen."""
    project = await here(visit)
    path = str(visit.request.path_params["path"])
    what, id = visit.asked("do"), visit.asked("id")
    place = f"projects/{project.id}/notebooks/{segment(path)}"
    if what == "comment":
        part, _, quote = visit.form.get("part", "").partition(" ")
        anchor = {"kind": "notebook", "document": path, "part": part}
        asked: dict[str, Any] = {"text": _text(visit), "anchor": anchor, "quote": quote}
        made = await visit.ask("comments.create_comment", asked, project.id)
        return visit.go(f"{place}#{made.id}", "Your comment is written.")
    if what == "reply":
        asked = {"text": _text(visit), "reply_to": id}
        made = await visit.ask("comments.create_comment", asked, project.id)
        return visit.go(f"{place}#{made.id}", "Your comment is written.")
    if what == "change":
        asked = {"id": id, "text": _text(visit)}
        await visit.ask("comments.update_comment", asked, project.id)
        return visit.go(f"{place}#{id}", "Your comment is changed.")
    if what == "delete":
        await visit.ask("comments.delete_comment", {"id": id}, project.id)
        return visit.go(f"{place}#comments", "The comment is deleted.")
    if what in ("resolve", "reopen"):
        await visit.ask(f"comments.{what}", {"id": id}, project.id)
        told = "resolved" if what == "resolve" else "open again"
        return visit.go(f"{place}#comments", f"The thread is {told}.")
    raise unknown(what)


def may_resolve(thread: Thread, role: str, actor: str) -> bool:
    """Whether the page offers it; the door decides when it is asked for."""
    return role != "viewer" or thread.comments[0].made_by == actor


def may_delete(comment: Comment, role: str, actor: str) -> bool:
    """Whether the page offers it; the door decides when it is asked for."""
    return role == "owner" or comment.made_by == actor


def _text(visit: Visit) -> str:
    # Browsers send a form's lines with CR LF.
    return visit.form.get("text", "").replace("\r\n", "\n")
