"""From the Studio's own host, which knows who somebody is, to a project's origin."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import Depends, FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from workbench.core import Engines, Forbidden, Invalid, Signer, WorkbenchError
from workbench.core.context import utc_now
from workbench.core.ids import label_of, project_of
from workbench.core.store import stores
from workbench.history import notebook_at
from workbench.projects.spaces import find, home
from workbench.security import sessions
from workbench.security.guard import Asker, HubGuard

from .pages.notebooks import not_shown, read_notebook, rendered, view_headers


def add_entrances(
    app: FastAPI,
    engines: Engines,
    guard: HubGuard,
    asker: Callable[..., Awaitable[Asker]],
    prefix: str,
) -> None:
    """The ways from here to a project's origin, for browsers.

    Args:
        app: The Studio's application.
        engines: What the process has opened.
        guard: Sends a browser that is not signed in to the hub, and back.
        asker: Who asks; the dependency every route has.
        prefix: The path the application is served under.
    """

    async def person(request: Request) -> Asker | Response:
        try:
            return await asker(request)
        except WorkbenchError as error:
            if error.status != 401:
                raise
            query = f"?{request.url.query}" if request.url.query else ""
            return guard.sign_in(f"{request.url.path}{query}")

    @app.get("/open", include_in_schema=False)
    async def open_home(who: Annotated[Asker | Response, Depends(person)]) -> Response:
        """The JupyterLab of the project that a person starts in."""
        if isinstance(who, Response):
            return who
        project = await asyncio.to_thread(home, engines, who.actor)
        found = await asyncio.to_thread(find, engines.get(stores), who.actor, project)
        if found is None or found.role == "viewer":
            return RedirectResponse(f"{prefix}/projects/{project}", 303)
        return RedirectResponse(engines.settings.lab(project), 303)

    @app.get("/enter", include_in_schema=False)
    async def enter(
        project: str,
        nonce: str,
        next: str,
        who: Annotated[Asker | Response, Depends(person)],
    ) -> Response:
        """A ticket for the project's origin, for the browser that asks with this nonce."""
        if isinstance(who, Response):
            return who
        if not re.fullmatch(r"[A-Za-z0-9_-]{20,40}", nonce):
            raise Invalid("This way into a project is malformed.", hint="Open the project again.")
        store = engines.get(stores)
        found = await asyncio.to_thread(find, store, who.actor, project)
        if found is None or found.id != project:
            raise Forbidden(
                f"{who.actor.name} is in no project {project[:80]!r}.",
                hint="Ask an owner of it to invite you.",
            )
        ticket = await asyncio.to_thread(_ticket, engines, who.actor.name, project, nonce)
        label = label_of(project)
        asked = urlencode({"ticket": ticket, "next": next})
        answer = RedirectResponse(f"{engines.settings.origin(project)}/enter/{label}/?{asked}", 303)
        answer.headers["referrer-policy"] = "no-referrer"
        return answer


def add_views(app: FastAPI, engines: Engines) -> Callable[[str, str, str], str]:
    """What a project's origin shows to whoever has a signed address: its notebooks, read-only.

    Returns:
        The address of a notebook (project, path, commit; empty: as it was saved), which is good
        for some minutes.
    """
    signer, settings = Signer(engines.settings.home), engines.settings

    @app.get("/view/{label}/{path:path}", include_in_schema=False)
    async def view(
        label: str, path: str, expires: int, signature: str, commit: str = ""
    ) -> Response:
        """A notebook with its outputs: what somebody wrote, so it may touch nothing of ours."""
        project = project_of(label)
        try:
            signer.check(project, _what(path, commit), expires, signature)
            if commit:
                body = await asyncio.to_thread(notebook_at, settings.home, project, commit, path)
            else:
                body = await asyncio.to_thread(read_notebook, settings.home, project, path)
            shown, status = await rendered(body, path), 200
        except WorkbenchError as error:
            shown, status = not_shown(error), error.status
        return HTMLResponse(shown, status, headers=view_headers(settings))

    def address(project: str, path: str, commit: str) -> str:
        label = label_of(project)
        at = f"{settings.origin(project)}/view/{label}/{quote(path)}"
        asked = f"{urlencode({'commit': commit})}&" if commit else ""
        return f"{at}?{asked}{signer.query(project, _what(path, commit))}"

    return address


def _what(path: str, commit: str) -> str:
    """What an address is signed for."""
    return f"view@{commit}:{path}" if commit else f"view:{path}"


def _ticket(engines: Engines, person: str, project: str, nonce: str) -> str:
    """The half of a ticket that stands in an address; the other is a cookie at the origin."""
    half = sessions.new_key()
    sessions.issue(
        engines.get(stores),
        "ticket",
        person=person,
        project=project,
        now=utc_now(),
        key=f"{half}.{nonce}",
    )
    return half
