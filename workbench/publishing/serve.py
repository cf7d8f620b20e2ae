"""The dashboards' service: Panel behind the hub's sign-in, one page per file of `dashboards/`."""

import contextvars
import importlib.util
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import uvicorn
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, Response

import workbench
from workbench.core import (
    Actor,
    Engines,
    WorkbenchError,
    load_settings,
    local_person,
    new_id,
    shipped,
    whereabouts,
)
from workbench.core.errors import MEDIA_TYPE
from workbench.core.logs import configure_logging
from workbench.core.store import stores
from workbench.projects.spaces import TOUR
from workbench.security.guard import Guard, HubGuard, LocalGuard, check_origin

from .reader import Reader

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)
looking: contextvars.ContextVar[Actor] = contextvars.ContextVar("looking")

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class Behind:
    """An ASGI application behind the guard; made on the first signed-in request.

    Panel is a second's import and 100 MB: nobody pays for it who looks at no dashboard.
    """

    def __init__(self, guard: Guard, engines: Engines, prefix: str) -> None:
        self._guard, self._engines, self._prefix = guard, engines, prefix
        self._inner: App | None = None
        self._opened = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        request = HTTPConnection(scope)
        path = scope["path"].removeprefix(self._prefix)
        try:
            check_origin(request, self._engines.settings.names)
            if path == "/oauth_callback" and isinstance(self._guard, HubGuard):
                return await (await self._guard.signed_in(request))(scope, receive, send)
            who = await self._guard.identify(request)
        except WorkbenchError as error:
            error.trace = error.trace or new_id("trc")
            if error.status != 401:
                kind = type(error).__name__
                log.info("%s at the door", kind, extra={"trace": error.trace, "outcome": kind})
            return await self._refuse(error, request)(scope, receive, send)
        if path in ("", "/"):
            return await self._index()(scope, receive, send)
        if self._inner is None:
            self._inner = app = _panel(self._engines, self._prefix)
            # Panel's own clean-up of sessions lives in its lifespan.
            await self._opened.enter_async_context(app.router.lifespan_context(app))
        if path.startswith("/static/"):
            # bokeh-fastapi serves its files at the root, whatever the prefix.
            scope = {**scope, "path": path, "raw_path": path.encode()}
        looking.set(who.actor)
        await self._inner(scope, receive, send)

    async def _lifespan(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self._opened.aclose()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    def _refuse(self, error: WorkbenchError, request: HTTPConnection) -> Response:
        page = "text/html" in request.headers.get("accept", "")
        if error.status == 401 and page and isinstance(self._guard, HubGuard):
            return self._guard.sign_in(str(request.url.path) + _query(request))
        if page:
            text = f"<h1>{escape(str(error))}</h1><p>{escape(error.hint)}</p>"
            text += f"<p>Quote <code>{error.trace}</code> when you ask about it.</p>"
            return HTMLResponse(text, status_code=error.status)
        return JSONResponse(error.as_problem(), status_code=error.status, media_type=MEDIA_TYPE)

    def _index(self) -> Response:
        links = "".join(f'<li><a href="{self._prefix}/{name}">{name}</a></li>' for name in _files())
        return HTMLResponse(
            f'<!doctype html><html lang="en"><title>Dashboards</title><h1>Dashboards</h1>'
            f"<ul>{links}</ul></html>"
        )


def _files() -> dict[str, Path]:
    return {each.stem: each for each in sorted(shipped("dashboards").glob("[a-z]*.py"))}


def _query(request: HTTPConnection) -> str:
    return f"?{request.url.query}" if request.url.query else ""


def _panel(engines: Engines, prefix: str) -> "FastAPI":
    import panel
    from fastapi import FastAPI
    from panel.io.fastapi import add_applications
    from panel.theme.fast import FastStyle

    # Its fonts would come from outside, and a team's machines may have no outside.
    FastStyle.param["font_url"].default = ""
    panel.extension("plotly", sizing_mode="stretch_width")
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_applications(
        {name: _page(file, engines) for name, file in _files().items()},
        app=app,
        title={name: f"{name.title()} · NexusAI Studio" for name in _files()},
        prefix=prefix,
        sign_sessions=True,
        secret_key=secrets.token_urlsafe(32).encode(),
        include_headers=[],
        include_cookies=[],
        # The guard has compared Origin with Host already; any port of ours may be the proxy's.
        websocket_origins=[f"{host}:*" for host in engines.settings.names],
    )
    return app


def _page(file: Path, engines: Engines) -> Callable[[], Any]:
    def made() -> Any:
        import panel

        try:
            given = panel.state.session_args.get("project", [TOUR.encode()])[0].decode()
            return _module(file).view(Reader(engines, looking.get(), given))
        except WorkbenchError as error:
            return panel.pane.Alert(  # type: ignore[no-untyped-call]
                f"{error} {error.hint}", alert_type="warning"
            )

    return made


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"dashboards.{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve() -> None:
    """Run the dashboards' service until it is told to stop."""
    workbench.load_rooms()
    settings = load_settings()
    configure_logging(settings)
    engines = Engines(settings)
    told = whereabouts()
    local = LocalGuard(settings.home, local_person(), engines.get(stores))
    guard: Guard = HubGuard(local, told.service_prefix) if told.service_url else local
    address = urlparse(told.service_url or "http://127.0.0.1:0")
    prefix = (told.service_prefix if told.service_url else "/services/dashboards/").rstrip("/")
    log.info("dashboards: %s", json.dumps(sorted(_files())))
    uvicorn.run(
        Behind(guard, engines, prefix),
        host=address.hostname or "127.0.0.1",
        port=address.port or 0,
        log_config=None,
        access_log=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    serve()
