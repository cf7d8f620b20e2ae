"""The history of a project: what was committed, by whom, and what it changed."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from starlette.responses import Response

from workbench.core import WorkbenchError
from workbench.core.ids import label_of
from workbench.history import Hunk

from .projects import after, framed, here
from .visiting import Visit

AT_ONCE = 25
NAMED = 5
"""Files of a commit that are named in a list."""


class Line(NamedTuple):
    """A line of a difference, as a page shows it."""

    kind: str
    """`added`, `removed`, `same` or `remark`."""
    before: int | None
    after: int | None
    text: str


async def commits(visit: Visit) -> Response:
    """What was committed, newest first."""
    project = await here(visit)
    path, branch = visit.asked("path"), visit.asked("branch")
    asked = after(visit, "after", AT_ONCE) | {"path": path, "branch": branch}
    found, named = await asyncio.gather(
        visit.tried("history.list_commits", asked, project.id),
        visit.tried("history.list_branches", {}, project.id),
    )
    branches = [] if isinstance(named, WorkbenchError) else named.items
    current = next((each.name for each in branches if each.current), "")
    return visit.page(
        "history.html",
        found.status if isinstance(found, WorkbenchError) else 200,
        **framed(visit, project, "history"),
        commits=found,
        branches=branches,
        shown=branch or current,
        only=path,
        named=NAMED,
        own=label_of(project.id),
    )


async def commit(visit: Visit) -> Response:
    """One commit, with what it changed."""
    project = await here(visit)
    asked = {"id": str(visit.request.path_params["commit"]), "path": visit.asked("path")}
    found = await visit.ask("history.get_commit", asked, project.id)
    return visit.page(
        "commit.html",
        **framed(visit, project, "history"),
        commit=found,
        only=asked["path"],
        own=label_of(project.id),
        lines=lines,
    )


def lines(hunk: Hunk) -> Iterator[Line]:
    """The lines of a hunk with their numbers."""
    before, now = hunk.before, hunk.after
    for line in hunk.lines:
        mark, text = line[:1], line[1:]
        if mark == "+":
            yield Line("added", None, now, text)
            now += 1
        elif mark == "-":
            yield Line("removed", before, None, text)
            before += 1
        elif mark == "\\":
            yield Line("remark", None, None, text.strip())
        else:
            yield Line("same", before, now, text)
            before, now = before + 1, now + 1
