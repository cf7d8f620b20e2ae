"""A project: what is in it, what runs in it, what happened in it, what it may use."""

import asyncio
from typing import Any

from starlette.responses import Response

from workbench.core import Invalid, WorkbenchError
from workbench.projects import Project
from workbench.projects.actions import RANGES
from workbench.security.policy import allows

from .notebooks import list_notebooks
from .rendering import job_title
from .views import MAY, lab
from .visiting import Visit

AT_ONCE = 50
SCHEDULED = {
    "pause": "It is paused.",
    "resume": "It goes on.",
    "delete": "The schedule is deleted; the jobs it began stay.",
}
"""What is done to a schedule, and what the page says then."""

LIMITS = {
    "disk_mb": ("Files", "MiB"),
    "memory_mb": ("Memory", "MiB"),
    "cpus": ("Processors", ""),
    "jobs": ("Jobs at once", ""),
}


async def here(visit: Visit) -> Project:
    """The project of the address.

    Raises:
        Forbidden: Whoever looks is not in it.
    """
    id = str(visit.request.path_params["project"])
    project: Project = await visit.ask("projects.get_project", {"id": id}, id)
    return project


def framed(visit: Visit, project: Project, tab: str) -> dict[str, Any]:
    """What stands around every page of a project."""
    return {"project": project, "tab": tab, "lab": lab(visit, project)}


def after(visit: Visit, name: str, limit: int = AT_ONCE) -> dict[str, Any]:
    """The part of a list an address asks for."""
    given = visit.asked(name)
    return {"limit": limit, "after": given} if given else {"limit": limit}


async def overview(visit: Visit) -> Response:
    """What is in a project."""
    project = await here(visit)
    id = project.id
    products, models, reports, running, queued, members, mentions, notebooks = await asyncio.gather(
        visit.tried("data.list_products", after(visit, "products"), id),
        visit.tried("models.list_models", after(visit, "models"), id),
        visit.tried("ethics.list_reports", after(visit, "reports"), id),
        visit.tried("pipelines.list_jobs", {"state": "running", "limit": AT_ONCE}, id),
        visit.tried("pipelines.list_jobs", {"state": "queued", "limit": AT_ONCE}, id),
        visit.tried("projects.list_members", {"limit": 200}, id),
        visit.tried("comments.list_mentions", {"limit": AT_ONCE}, id),
        asyncio.to_thread(list_notebooks, visit.engines.settings.home, id),
    )
    names: dict[str, str] = {}
    if not isinstance(models, WorkbenchError):
        names |= {f"{each.id}@{each.version}": each.name for each in models.items}
    if not isinstance(products, WorkbenchError):
        names |= {f"{each.id}@{each.version}": each.name for each in products.items}
    active = [
        each
        for page in (running, queued)
        if not isinstance(page, WorkbenchError)
        for each in page.items
    ]
    return visit.page(
        "project.html",
        **framed(visit, project, "overview"),
        may=MAY[project.role],
        products=products,
        models=models,
        reports=reports,
        active=active,
        members=members,
        mentions=[] if isinstance(mentions, WorkbenchError) else mentions.items,
        notebooks=notebooks[0],
        more_notebooks=notebooks[1],
        names=names,
    )


async def see_mentions(visit: Visit) -> Response:
    """Mark mentions of oneself as seen."""
    project = await here(visit)
    if visit.asked("do") != "see":
        raise unknown(visit.asked("do"))
    comments = visit.asked("comments").split()
    await visit.ask("comments.see_mentions", {"comments": comments}, project.id)
    return visit.go(f"projects/{project.id}", "They are marked as read.")


async def jobs(visit: Visit) -> Response:
    """The jobs of a project, and its schedules."""
    project = await here(visit)
    found, planned = await asyncio.gather(
        visit.ask("pipelines.list_jobs", after(visit, "after"), project.id),
        visit.ask("pipelines.list_schedules", {"limit": AT_ONCE}, project.id),
    )
    return visit.page(
        "jobs.html",
        **framed(visit, project, "jobs"),
        jobs=found,
        schedules=planned.items,
        changes=may(visit, project, "pipelines", "create_schedule"),
        again=[each for each in found.items if each.state == "done"],
    )


async def change_jobs(visit: Visit) -> Response:
    """Schedule a job again; pause, resume or delete a schedule."""
    project = await here(visit)
    what, id = visit.asked("do"), project.id
    if what == "schedule":
        job = await visit.ask("pipelines.get_job", {"id": visit.asked("job")}, id)
        asked = {
            **{"action": job.action, "request": job.request, "name": job_title(job)},
            **{"cron": visit.asked("cron"), "timezone": visit.asked("timezone") or "UTC"},
        }
        await visit.ask("pipelines.create_schedule", asked, id)
        return visit.go(f"projects/{id}/jobs", "It is scheduled.")
    if what in SCHEDULED:
        await visit.ask(f"pipelines.{what}_schedule", {"id": visit.asked("schedule")}, id)
        return visit.go(f"projects/{id}/jobs", SCHEDULED[what])
    raise unknown(what)


async def record(visit: Visit) -> Response:
    """What happened in a project."""
    project = await here(visit)
    given = visit.asked("after")
    if given and not given.isdigit():
        raise Invalid(f"There is no event {given[:40]!r}.", hint="Start at the newest ones.")
    found = await visit.ask("audit.list_events", after(visit, "after", 100), project.id)
    return visit.page("record.html", **framed(visit, project, "record"), events=found)


async def settings(visit: Visit) -> Response:
    """What a project may use, the archive, deletion."""
    project = await here(visit)
    deletion = (
        await visit.ask("projects.get_deletion", {"id": project.id}, project.id)
        if project.role == "owner"
        else None
    )
    return visit.page(
        "settings.html",
        **framed(visit, project, "settings"),
        deletion=deletion,
        limits=may(visit, project, "projects", "set_limits"),
        kinds=LIMITS,
        ranges=RANGES,
    )


async def change_settings(visit: Visit) -> Response:
    """Limits, archive, reopen or delete."""
    project = await here(visit)
    what, id = visit.asked("do"), project.id
    if what == "limits":
        asked = {name: visit.number(name, float if name == "cpus" else int) for name in LIMITS}
        await visit.ask("projects.set_limits", asked, id)
        return visit.go(f"projects/{id}/settings", "The limits are changed.")
    if what == "archive":
        await visit.ask("projects.archive_project", {"id": id}, id)
        return visit.go(f"projects/{id}/settings", "The project is archived.")
    if what == "reopen":
        await visit.ask("projects.reopen_project", {"id": id}, id)
        return visit.go(f"projects/{id}/settings", "The project is open again.")
    if what == "delete":
        asked = {"id": id, "confirm": visit.asked("confirm")}
        await visit.ask("projects.delete_project", asked, id)
        return visit.go("", f"The project {project.title} is deleted.")
    raise unknown(what)


def may(visit: Visit, project: Project, capability: str, verb: str) -> bool:
    """Whether the page offers a write; the door decides when it is asked for."""
    actor = visit.who.actor
    roles = [project.role, *(["administrator"] if actor.admin and not actor.within else [])]
    return any(allows(role, capability, "write", verb) for role in roles)


def unknown(what: str) -> Invalid:
    """The error for a form no page of ours has."""
    return Invalid(f"A page cannot do {what[:40]!r}.", hint="Load the page again.")
