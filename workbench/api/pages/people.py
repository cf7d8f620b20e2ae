"""Who is in a project and who may come in; for administrators, everybody."""

from typing import Any

from starlette.responses import Response

from workbench.core import Forbidden, WorkbenchError

from .projects import framed, here, unknown
from .views import MAY
from .visiting import Visit

AT_ONCE = 200


async def members(visit: Visit) -> Response:
    """The members of a project; for its owners, what changes them."""
    project = await here(visit)
    found = await visit.ask("projects.list_members", _after(visit), project.id)
    invitations = None
    if project.role == "owner":
        invitations = await visit.tried("projects.list_invitations", {"limit": AT_ONCE}, project.id)
    shown = None
    if invitations is not None and not isinstance(invitations, WorkbenchError):
        wanted = visit.asked("invitation")
        shown = next((each for each in invitations.items if each.id == wanted and each.link), None)
    return visit.page(
        "members.html",
        **framed(visit, project, "people"),
        members=found,
        invitations=invitations,
        shown=shown,
        may=MAY,
    )


async def change_members(visit: Visit) -> Response:
    """Roles, removals, invitations, transfer."""
    project = await here(visit)
    what, id, person = visit.asked("do"), project.id, visit.asked("person")
    place = f"projects/{id}/people"
    if what == "set_role":
        role = visit.asked("role")
        await visit.ask("projects.set_role", {"person": person, "role": role}, id)
        return visit.go(place, f"{person} is {role} now.")
    if what == "remove":
        await visit.ask("projects.remove_member", {"person": person}, id)
        if person == visit.who.actor.name and not visit.who.actor.admin:
            return visit.go("", f"You are not in {project.title} any more.")
        return visit.go(place, f"{person} is not in this project any more.")
    if what == "invite":
        asked: dict[str, Any] = {"role": visit.asked("role"), "person": person}
        if (days := visit.number("days", float)) is not None:
            asked["days"] = days
        made = await visit.ask("projects.invite", asked, id)
        return visit.go(f"{place}?invitation={made.id}#invited", "The invitation is made.")
    if what == "revoke":
        await visit.ask("projects.revoke_invitation", {"id": visit.asked("id")}, id)
        return visit.go(place, "The invitation is taken back: its link lets nobody in.")
    if what == "transfer":
        await visit.ask("projects.transfer_project", {"person": person}, id)
        return visit.go(place, f"The project is {person}'s now.")
    raise unknown(what)


async def people(visit: Visit, welcome: Any = None) -> Response:
    """Everybody.

    Args:
        visit: Who looks.
        welcome: A link that was made a moment ago, to be shown this once.
    """
    check_administrator(visit)
    everybody = await visit.ask("security.list_people", _after(visit))
    return visit.page("people.html", tab="people", people=everybody, welcome=welcome)


async def change_person(visit: Visit) -> Response:
    """Let somebody in, or shut them out."""
    check_administrator(visit)
    what, name = visit.asked("do"), visit.asked("person")
    if what == "welcome":
        flags = {each: bool(visit.asked(each)) for each in ("admin", "drop_second_factor")}
        made = await visit.ask("security.welcome_person", {"name": name, **flags})
        # Not a redirect: the link is kept nowhere.
        return await people(visit, made)
    if what not in ("activate", "deactivate"):
        raise unknown(what)
    await visit.ask(f"security.{what}_person", {"name": name})
    told = "may come in again" if what == "activate" else "is shut out"
    return visit.go("people", f"{name} {told}.")


def check_administrator(visit: Visit) -> None:
    """Raise Forbidden for everybody else; the door asks again."""
    actor = visit.who.actor
    if not actor.admin or actor.within:
        raise Forbidden(
            f"{actor.name} is no administrator of this Studio.",
            hint="Administrators see this page: ask one of them.",
        )


def _after(visit: Visit) -> dict[str, Any]:
    return {"limit": AT_ONCE} | _from(visit, "after")


def _from(visit: Visit, name: str) -> dict[str, str]:
    given = visit.asked(name)
    return {"after": given} if given else {}
