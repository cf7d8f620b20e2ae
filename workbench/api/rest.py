"""REST: a route per action, and the few routes that are not actions (session, blobs, health)."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, create_model
from sse_starlette import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

import workbench
from workbench.core import (
    Action,
    Actor,
    Blob,
    Context,
    Engines,
    Invalid,
    Limited,
    NotFound,
    Signer,
    WorkbenchError,
    blobs,
    call,
    catalogue,
)
from workbench.core.errors import MEDIA_TYPE
from workbench.core.policy import policies
from workbench.core.store import stores
from workbench.projects import Project, resolve
from workbench.projects.spaces import home, visible
from workbench.security.guard import Asker, Guard, HubGuard, check_origin, check_xsrf, xsrf_for

from .entering import add_entrances, add_views
from .metrics import add_metrics
from .pages import add_pages
from .rooms import add_rooms
from .tracing import Tracing, bug, trace_of, traced

PROJECT_HEADER = "x-workbench-project"
KEY_HEADER = "idempotency-key"
CHUNK_LIMIT = 64 * 1024 * 1024


class Problem(BaseModel):
    """The one error shape (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    hint: str
    trace: str = ""
    """The id that finds the line in the log."""


class Session(BaseModel):
    """Who is signed in, where they are, and what a page needs to call the rest."""

    actor: Actor
    project: Project
    projects: list[Project]
    xsrf: str
    pages: str
    """The Studio's own pages, with a slash at the end: sharing, releases, the account."""
    version: str


class Health(BaseModel):
    """That the service answers."""

    ok: bool
    version: str


def application(engines: Engines, guard: Guard, *, prefix: str = "") -> FastAPI:
    """The Studio's ASGI application.

    Args:
        engines: What the process has opened; closed when the application ends.
        guard: Turns a request into an actor.
        prefix: The path the application is served under, without a trailing slash.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await live.end()
        await asyncio.to_thread(engines.close)

    app = FastAPI(
        title="NexusAI Studio",
        version=workbench.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        responses={
            "default": {"model": Problem, "description": "What went wrong, and what to do."}
        },
    )
    projects = _Projects(engines)

    async def asker(request: Request) -> Asker:
        check_origin(request, engines.settings.names)
        who = await guard.identify(request)
        check_xsrf(request.method, request.headers, who)
        return who

    async def context(request: Request, who: Annotated[Asker, Depends(asker)]) -> Context:
        wanted = request.headers.get(PROJECT_HEADER) or request.query_params.get("project")
        project = await projects.resolve(who.actor, wanted)
        return Context(who.actor, project, engines, trace=trace_of(request))

    for act in catalogue.values():
        _add_action(app, act, context, prefix)
    _add_blobs(app, engines, context)
    live = add_rooms(app, engines, guard, projects.resolve)
    _add_errors(app)
    add_metrics(app, engines, guard)
    # Around everything, the last resort for bugs included.
    app.add_middleware(Tracing)

    @app.get("/api/v1/health", tags=["studio"], operation_id="health")
    async def health() -> Health:
        """That the service answers; needs no sign-in."""
        return Health(ok=True, version=workbench.__version__)

    @app.get("/api/v1/session", tags=["studio"], operation_id="session")
    async def session(
        request: Request,
        who: Annotated[Asker, Depends(asker)],
        ctx: Annotated[Context, Depends(context)],
    ) -> Session:
        """Who is signed in, in which project, and the xsrf token for changes.

        A page that names no project gets the one that its JupyterLab opens in.
        """
        if not request.headers.get(PROJECT_HEADER):
            ctx.project = await asyncio.to_thread(home, engines, who.actor)
        mine = await asyncio.to_thread(visible, ctx.store, ctx.actor)
        return Session(
            actor=who.actor,
            project=next(each for each in mine if each.id == ctx.project),
            projects=mine,
            xsrf=xsrf_for(who.cookie) if who.cookie else "",
            pages=f"{engines.settings.address.rstrip('/')}{prefix}/",
            version=workbench.__version__,
        )

    if isinstance(guard, HubGuard):
        _add_sign_in(app, guard, prefix)
        add_entrances(app, engines, guard, asker, prefix)
    hub = guard if isinstance(guard, HubGuard) else None
    add_pages(
        app,
        engines,
        asker,
        prefix,
        sign_in=hub.sign_in if hub else None,
        view=add_views(app, engines),
    )
    return app


class _Projects:
    """Names to project ids, remembered until somebody commits something."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._token: object = None
        self._known: dict[tuple[str, bool, str], str] = {}

    async def resolve(self, actor: Actor, wanted: str | None) -> str:
        token = self._engines.get(stores).token()
        if token != self._token:
            self._known, self._token = {}, token
        key = (str(actor), actor.admin, wanted or "")
        if key not in self._known:
            self._known[key] = await asyncio.to_thread(resolve, self._engines, actor, wanted)
        return self._known[key]


def _add_action(
    app: FastAPI, act: Action, context: Callable[..., Awaitable[Context]], prefix: str
) -> None:
    method, path = act.route
    in_path = "{id}" in path
    in_query = method in ("GET", "DELETE")
    fields: dict[str, Any] = {
        name: (info.annotation, info)
        for name, info in act.takes.model_fields.items()
        if not (in_path and name == "id")
    }
    if in_query:
        # `project` may be given in the query too: an EventSource cannot set headers.
        fields["project"] = (str | None, None)
    takes: type[BaseModel] = (
        create_model(f"{act.takes.__name__}Rest", __config__=act.takes.model_config, **fields)
        if in_path or in_query
        else act.takes
    )
    source: Any = Query() if in_query else Body()

    async def endpoint(
        request: Request, ctx: Annotated[Context, Depends(context)], **given: Any
    ) -> Response:
        body = given.get("body")
        asked = (
            {name: getattr(body, name) for name in body.model_fields_set if name != "project"}
            if body is not None
            else {}
        )
        if in_path:
            asked["id"] = given["id"]
        if act.effect == "stream":
            last = request.headers.get("last-event-id")
            if last is not None and last.lstrip("-").isdigit():
                asked["after"] = int(last)
            items = await call(ctx, act.name, asked)
            return EventSourceResponse(_server_sent(items, request), ping=15)
        answer = await call(ctx, act.name, asked, key=request.headers.get(KEY_HEADER, ""))
        return Response(answer.model_dump_json(), media_type="application/json")

    parameters = [
        inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request),
        inspect.Parameter(
            "ctx", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[Context, Depends(context)]
        ),
    ]
    if in_path:
        parameters.append(inspect.Parameter("id", inspect.Parameter.KEYWORD_ONLY, annotation=str))
    if fields:
        parameters.append(
            inspect.Parameter(
                "body",
                inspect.Parameter.KEYWORD_ONLY,
                annotation=Annotated[takes, source],
            )
        )
    endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app.add_api_route(
        path,
        endpoint,
        methods=[method],
        name=act.name,
        operation_id=act.name,
        tags=[act.capability],
        summary=act.summary,
        description=act.doc,
        response_model=act.gives if act.effect != "stream" else None,
        openapi_extra={"x-effect": act.effect, "x-undo": act.undo, "x-scope": act.scope},
    )


async def _server_sent(
    items: AsyncIterator[Any], request: Request
) -> AsyncIterator[dict[str, str]]:
    try:
        async for item in items:
            yield {"id": str(item.seq), "data": item.model_dump_json()}
        yield {"event": "end", "data": "{}"}
    except WorkbenchError as error:
        yield {"event": "problem", "data": _json(traced(error, request).as_problem())}
    except Exception as error:
        yield {"event": "problem", "data": _json(bug(error, request).as_problem())}


def _json(value: dict[str, Any]) -> str:
    return bytes(JSONResponse(value).body).decode()


def _add_blobs(app: FastAPI, engines: Engines, context: Callable[..., Awaitable[Context]]) -> None:
    signer = Signer(engines.settings.home)
    keeper = engines.get(blobs)

    @app.put("/api/v1/blobs/{project}/{id}", tags=["studio"], operation_id="append")
    async def append(
        project: str,
        id: str,
        request: Request,
        ctx: Annotated[Context, Depends(context)],
        offset: int = 0,
    ) -> Blob:
        """Add bytes to an upload at an offset; answers where it is now."""
        if project != ctx.project:
            raise NotFound(f"There is no upload {id!r} in this project.")
        ctx.engine(policies).check(ctx, catalogue["data.upload"], id)
        length = int(request.headers.get("content-length", 0))
        if length > CHUNK_LIMIT:
            raise Limited(
                f"{length:,} bytes at once are too many.", hint=f"At most {CHUNK_LIMIT:,}."
            )
        data = await request.body()
        return await asyncio.to_thread(keeper.append, project, id, offset, data)

    @app.get("/api/v1/blobs/{project}/{id}/state", tags=["studio"], operation_id="upload_state")
    async def state(project: str, id: str, ctx: Annotated[Context, Depends(context)]) -> Blob:
        """Where an upload is: go on from `received`."""
        if project != ctx.project:
            raise NotFound(f"There is no upload {id!r} in this project.")
        ctx.engine(policies).check(ctx, catalogue["data.upload"], id)
        return await asyncio.to_thread(keeper.get, project, id)

    @app.get("/api/v1/blobs/{project}/{id}", tags=["studio"], operation_id="download")
    async def download(project: str, id: str, expires: int, signature: str) -> Response:
        """The bytes behind a signed reference; ranges are honoured (RFC 9110, section 14)."""
        signer.check(project, id, expires, signature)
        blob = await asyncio.to_thread(keeper.get, project, id)
        path = await asyncio.to_thread(keeper.path, project, id)
        return FileResponse(
            path,
            filename=blob.name,
            media_type=blob.media_type,
            headers={
                "content-security-policy": "sandbox",
                "x-content-type-options": "nosniff",
                "cache-control": "private",
            },
        )


def _add_sign_in(app: FastAPI, guard: HubGuard, prefix: str) -> None:
    @app.get("/signin", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        """Where a panel goes once, so that the browser has the service's cookie."""
        try:
            who = await guard.identify(request)
        except WorkbenchError:
            return guard.sign_in(f"{prefix}/signin")
        return JSONResponse({"actor": str(who.actor)})

    @app.get("/oauth_callback", include_in_schema=False)
    async def signed_in(request: Request) -> Response:
        """The hub's answer."""
        return await guard.signed_in(request)


def _add_errors(app: FastAPI) -> None:
    def answer(error: WorkbenchError, request: Request) -> Response:
        problem = traced(error, request).as_problem()
        return JSONResponse(problem, status_code=error.status, media_type=MEDIA_TYPE)

    @app.exception_handler(WorkbenchError)
    async def known(request: Request, error: WorkbenchError) -> Response:
        return answer(error, request)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        # FastAPI validates to document; the sentence is the door's, the same as on every face.
        act = catalogue.get(getattr(request.scope.get("route"), "name", ""))
        body = error.body if isinstance(error.body, dict) else dict(request.query_params)
        if act is not None:
            try:
                act.check(
                    {k: v for k, v in body.items() if k != "project"} | dict(request.path_params)
                )
            except Invalid as invalid:
                return answer(invalid, request)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return answer(
            Invalid(
                f"The request cannot be read at {where}: {first['msg']}.",
                hint="Send a JSON object.",
            ),
            request,
        )

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return answer(
                NotFound(
                    f"There is nothing at {request.url.path}.",
                    hint="See api/v1/openapi.json for what there is.",
                ),
                request,
            )
        problem = WorkbenchError(str(error.detail)).as_problem() | {
            "title": "Invalid",
            "type": "urn:workbench:error:invalid",
            "status": error.status_code,
            "trace": trace_of(request),
        }
        return JSONResponse(problem, status_code=error.status_code, media_type=MEDIA_TYPE)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return answer(bug(error, request), request)
