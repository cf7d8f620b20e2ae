"""What administrators see of the whole Studio: projects, servers, jobs, health."""

import asyncio
import shutil
from typing import Any

from starlette.responses import Response

from workbench.core import WorkbenchError
from workbench.core.context import utc_now

from .people import check_administrator
from .projects import after, unknown
from .visiting import Visit

AT_ONCE = 100


async def projects(visit: Visit) -> Response:
    """Every project, and, when asked for, what each holds on the disk."""
    check_administrator(visit)
    found = await visit.ask("projects.list_projects", after(visit, "after", AT_ONCE))
    measured = {}
    if visit.asked("measure"):
        told = await asyncio.gather(
            *(
                visit.tried("projects.get_deletion", {"id": each.id}, each.id)
                for each in found.items
            )
        )
        measured = {each.project: each for each in told if not isinstance(each, WorkbenchError)}
    disk = await asyncio.to_thread(shutil.disk_usage, visit.engines.settings.home)
    return visit.page(
        "admin-projects.html", tab="projects", projects=found, disk=disk, measured=measured
    )


async def servers(visit: Visit) -> Response:
    """The projects' servers that run."""
    check_administrator(visit)
    found = await visit.ask("operations.list_servers", after(visit, "after", AT_ONCE))
    idle_s = visit.engines.settings.idle_s
    return visit.page(
        "admin-servers.html", tab="servers", servers=found, idle_s=idle_s, now=utc_now()
    )


async def stop_server(visit: Visit) -> Response:
    """Stop one of them."""
    check_administrator(visit)
    done = await visit.ask("operations.stop_server", {"id": visit.asked("project")})
    return visit.go("admin/servers", f"The server of {done.title} is stopped.")


async def jobs(visit: Visit) -> Response:
    """The jobs that wait or run in any project."""
    check_administrator(visit)
    found = await visit.ask("operations.list_active_jobs", after(visit, "after", AT_ONCE))
    titles = await _titles(visit, {job.project for job in found.items})
    return visit.page("admin-jobs.html", tab="jobs", jobs=found, titles=titles)


async def cancel_job(visit: Visit) -> Response:
    """Stop one of them."""
    check_administrator(visit)
    await visit.ask("pipelines.cancel", {"id": visit.asked("id")}, visit.asked("project"))
    return visit.go("admin/jobs", "The job is being stopped.")


async def health(visit: Visit) -> Response:
    """How the Studio is; and what the logs say under an id."""
    check_administrator(visit)
    found = await visit.ask("operations.check_health")
    entries: Any = None
    if id := visit.asked("id"):
        entries = await visit.tried("operations.find_logs", {"id": id})
    settings = visit.engines.settings
    return visit.page(
        "admin-health.html",
        tab="health",
        health=found,
        entries=entries,
        id=id,
        settings=settings,
        now=utc_now(),
    )


async def tidy(visit: Visit) -> Response:
    """Throw away now what is thrown away once a day."""
    check_administrator(visit)
    if (what := visit.asked("do")) != "sweep":
        raise unknown(what)
    await visit.ask("operations.sweep")
    return visit.go("admin/health", "What was old is removed.")


async def _titles(visit: Visit, ids: set[str]) -> dict[str, str]:
    told = await asyncio.gather(
        *(visit.tried("projects.get_project", {"id": id}, id) for id in sorted(ids))
    )
    return {each.id: each.title for each in told if not isinstance(each, WorkbenchError)}
