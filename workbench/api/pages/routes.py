"""Which page is where; what a page answers when something is wrong."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from starlette.responses import Response

from workbench.core import Engines, NotFound, WorkbenchError
from workbench.security.guard import Asker

from ..tracing import bug, traced
from . import administration, comments, history, people, projects, things, views
from .rendering import STATIC, segment, static
from .visiting import Shown, View, Visit, page, read_form, with_token

PAGES: dict[str, tuple[Shown, Shown | None]] = {
    "/": (views.front, views.create),
    "/join": (views.join, views.accept),
    "/account": (views.account, views.end_session),
    "/people": (people.people, people.change_person),
    "/admin/projects": (administration.projects, None),
    "/admin/servers": (administration.servers, administration.stop_server),
    "/admin/jobs": (administration.jobs, administration.cancel_job),
    "/admin/health": (administration.health, administration.tidy),
    "/projects/{project}": (projects.overview, projects.see_mentions),
    "/projects/{project}/people": (people.members, people.change_members),
    "/projects/{project}/settings": (projects.settings, projects.change_settings),
    "/projects/{project}/jobs": (projects.jobs, projects.change_jobs),
    "/projects/{project}/record": (projects.record, None),
    "/projects/{project}/history": (history.commits, None),
    "/projects/{project}/history/{commit}": (history.commit, None),
    "/projects/{project}/products/{ref}": (things.product, None),
    "/projects/{project}/models/{ref}": (things.model, things.change_model),
    "/projects/{project}/reports/{ref}": (things.report, None),
    "/projects/{project}/notebooks/{path:path}": (things.notebook, comments.change),
    "/projects/{rest:path}": (views.nowhere, None),
}


def add_pages(
    app: FastAPI,
    engines: Engines,
    asker: Callable[[Request], Awaitable[Asker]],
    prefix: str,
    *,
    sign_in: Callable[[str], Response] | None = None,
    view: View | None = None,
) -> None:
    """The Studio's own pages.

    Args:
        app: The Studio's application.
        engines: What the process has opened.
        asker: Who asks; checks host, origin and, for a change, the xsrf token in the header.
        prefix: The path the application is served under, without a slash at the end.
        sign_in: Sends a browser that is not signed in to the hub, and back to the path given;
            without it a page says so, with a link.
        view: The address at which a project's origin shows a notebook (project id, path,
            commit); `<origin>/view/notebooks/<path>` if not given.
    """

    def shown_at(project: str, path: str, commit: str) -> str:
        asked = f"?commit={commit}" if commit else ""
        return f"{engines.settings.origin(project)}/view/notebooks/{segment(path)}{asked}"

    def wrong(error: WorkbenchError, request: Request, who: Asker | None = None) -> Response:
        if error.status == 401:
            if sign_in is not None and request.method == "GET":
                query = f"?{request.url.query}" if request.url.query else ""
                return sign_in(f"{request.url.path}{query}")
            return page("signed-out.html", 401, prefix=prefix, problem=error, actor=None)
        actor = who.actor if who else None
        traced(error, request)
        return page("problem.html", error.status, prefix=prefix, problem=error, actor=actor)

    async def answer(request: Request, look: Shown, change: Shown | None) -> Response:
        who: Asker | None = None
        try:
            form = await read_form(request) if request.method == "POST" else {}
            trusted = with_token(request, form.get("xsrf", "")) if form else request
            who = await asker(trusted)
            visit = Visit(request, who, engines, prefix, view or shown_at, form)
            if request.method != "POST" or change is None:
                return await look(visit)
            try:
                return await change(visit)
            except WorkbenchError as error:
                if error.status == 403 and "confirm who they are" in str(error):
                    return visit.confirm("role", "person", "days", "alias")
                # The page it came from with what was typed; if that fails too, a page of its own.
                visit.problem = traced(error, request)
                visit.form.pop("key", None)
                return await look(visit)
        except WorkbenchError as error:
            return wrong(error, request, who)
        except Exception as error:
            return wrong(bug(error, request), request, who)

    def add(path: str, look: Shown, change: Shown | None) -> None:
        async def endpoint(request: Request) -> Response:
            return await answer(request, look, change)

        methods = ["GET", "HEAD"] if change is None else ["GET", "HEAD", "POST"]
        app.add_route(path, endpoint, methods=methods, include_in_schema=False)

    async def asset(request: Request) -> Response:
        name = str(request.path_params["name"])
        if name not in STATIC:
            error = NotFound(f"There is no file {name[:80]!r}.", hint="Start from the front page.")
            return wrong(error, request)
        body, digest = static(name)
        kept = request.query_params.get("v") == digest
        return Response(
            body,
            media_type=STATIC[name],
            headers={
                "x-content-type-options": "nosniff",
                "cache-control": "public, max-age=31536000, immutable" if kept else "no-cache",
            },
        )

    app.add_route("/static/{name}", asset, methods=["GET", "HEAD"], include_in_schema=False)
    for path, (look, change) in PAGES.items():
        add(path, look, change)
