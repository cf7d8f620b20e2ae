"""One id for everything that a request does: its calls, its events, its lines, its answer.

A problem quotes it (`trace`), every answer carries it (`X-Trace-Id`), and `workbench logs` finds
what was written under it. A page of a browser may read the header; a page of another site not.
"""

import logging
from collections.abc import MutableMapping
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.core import WorkbenchError, new_id

log = logging.getLogger(__name__)

TRACE_HEADER = "x-trace-id"


def trace_of(request: HTTPConnection) -> str:
    """The id of a request; the same for as long as it lasts."""
    return _trace(request.scope)


def traced(error: WorkbenchError, request: HTTPConnection) -> WorkbenchError:
    """The error with an id that finds its line; one no door has seen is written down here."""
    if not error.trace:
        error.trace = trace_of(request)
        if error.status != 401:  # whoever is not signed in may not fill the log
            route = getattr(request.scope.get("route"), "path", "a page")
            kind = type(error).__name__
            log.info("%s at %s", kind, route, extra={"trace": error.trace, "outcome": kind})
    return error


def bug(error: Exception, request: HTTPConnection) -> WorkbenchError:
    """What a person is told of something we did not foresee; the rest stands in the log."""
    trace = trace_of(request)
    log.error("bug at %s", request.url.path, exc_info=error, extra={"trace": trace})
    told = WorkbenchError(
        f"Something broke here that we did not foresee (id {trace}).",
        hint="Give an administrator that id; it finds the line in the log.",
    )
    told.trace = trace
    return told


class Tracing:
    """Puts the id of each request on its answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        trace = _trace(scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), (TRACE_HEADER.encode(), trace.encode())]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, answer)


def _trace(scope: MutableMapping[str, Any]) -> str:
    state: dict[str, Any] = scope.setdefault("state", {})
    found: str = state.setdefault("trace", new_id("trc"))
    return found
