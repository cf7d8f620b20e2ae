"""The front door, an invitation, one's own account."""

import asyncio
from typing import Any

from starlette.responses import Response

from workbench.core import Actor, Context, Forbidden, NotFound, WorkbenchError, call
from workbench.core.context import utc_now
from workbench.core.store import stores
from workbench.projects import Project, look_invitation
from workbench.projects.links import check

from .rendering import many
from .visiting import Visit

AT_ONCE = 24
"""Projects on a page of the front door."""
COUNTED = 20
"""Things of a kind that are counted; more are `20+`."""

MAY = {
    "viewer": "You can look at everything in it.",
    "editor": "You can work in it with the others.",
    "owner": "You can work in it, and decide who else can.",
}
"""What a role may do, in a sentence."""


def lab(visit: Visit, project: Project) -> str:
    """The address of a project's JupyterLab, for who may work in it; empty for others."""
    if project.role == "viewer" or project.archived_at is not None:
        return ""
    return visit.engines.settings.lab(project.id)


async def front(visit: Visit) -> Response:
    """The projects of the person who looks."""
    # An administrator may see every project: here are those they are in.
    me = visit.who.actor.model_copy(update={"admin": False})
    asked: dict[str, Any] = {"limit": AT_ONCE}
    if visit.asked("after"):
        asked["after"] = visit.asked("after")
    found = await call(Context(me, "", visit.engines), "projects.list_projects", asked)
    held = await asyncio.gather(*(_held(visit, me, project) for project in found.items))
    here = found.items
    if visit.who.actor.admin:  # who is an owner everywhere, whatever they were invited as
        here = [project.model_copy(update={"role": "owner"}) for project in here]
    cards = [
        {"project": project, "holds": holds, "lab": lab(visit, project)}
        for project, holds in zip(here, held, strict=True)
    ]
    return visit.page("front.html", cards=cards, next=found.next, first=not visit.asked("after"))


async def _held(visit: Visit, me: Actor, project: Project) -> str:
    """What is in a project, in words."""
    kinds = {
        "data.list_products": "product",
        "models.list_models": "model",
        "ethics.list_reports": "report",
    }
    try:
        pages = [
            await call(Context(me, project.id, visit.engines), name, {"limit": COUNTED})
            for name in kinds
        ]
    except WorkbenchError as error:
        return str(error)
    told = [
        many(each, noun) for each, noun in zip(pages, kinds.values(), strict=True) if each.items
    ]
    return " · ".join(told) or "Nothing in it yet."


async def create(visit: Visit) -> Response:
    """Make a project."""
    asked = {name: visit.asked(name) for name in ("name", "title", "description")}
    made = await visit.ask("projects.create_project", asked)
    return visit.go(f"projects/{made.id}", f"The project {made.title} is made.")


async def join(visit: Visit) -> Response:
    """An invitation: to what, from whom, as what."""
    actor = visit.who.actor
    found = await asyncio.to_thread(
        look_invitation,
        visit.engines.get(stores),
        visit.engines.settings.home,
        visit.asked("token"),
        utc_now(),
    )
    used = found.state == "used" and found.used_by == actor.name
    closed: WorkbenchError | None = None
    try:
        if not used:
            check(found, actor.name)
    except Forbidden as error:
        closed = error
    return visit.page(
        "join.html",
        closed.status if closed else 200,
        invitation=found,
        token=visit.asked("token"),
        closed=closed if visit.problem is None else None,
        open=closed is None,
        used=used,
        may=MAY[found.role],
    )


async def accept(visit: Visit) -> Response:
    """Become a member."""
    project = await visit.ask("projects.join", {"token": visit.asked("token")})
    return visit.go(f"projects/{project.id}", f"You are in {project.title} now.")


async def account(visit: Visit) -> Response:
    """Who you are, and where you are signed in."""
    identity = await visit.ask("security.whoami")
    sessions = await visit.tried("security.list_sessions", {"limit": 100})
    mine = await visit.ask("projects.list_projects", {"limit": 1000})
    titles = {project.id: project.title for project in mine.items}
    return visit.page("account.html", identity=identity, sessions=sessions, titles=titles)


async def end_session(visit: Visit) -> Response:
    """Sign a browser of one's own out of a project."""
    await visit.ask("security.end_session", {"id": visit.asked("id")})
    return visit.go("account", "That browser is signed out.")


async def nowhere(visit: Visit) -> Response:
    """No page is here."""
    raise NotFound(
        f"There is no page at {visit.request.url.path[:200]}.",
        hint="Start from your projects.",
    )
