"""What the hub writes of requests: who asked for what, how it ended; no address, no address line.

And the id that its error pages show, which finds the line that is written when one is shown.
"""

import logging
import sys
from typing import Any

from jupyterhub.log import _scrub_uri
from jupyterhub.metrics import prometheus_log_method
from tornado.web import HTTPError

from workbench.core import new_id

log = logging.getLogger(__name__)


def log_request(handler: Any) -> None:
    """A line for a request that changed or failed; what was only looked at is for debugging."""
    status, request = handler.get_status(), handler.request
    level = logging.DEBUG if status < 400 else logging.INFO if status < 500 else logging.ERROR
    if log.isEnabledFor(level):
        path = _scrub_uri(request.uri).partition("?")[0]
        took = {"status": status, "took_ms": round(1000 * request.request_time())}
        trace = request.headers.get("X-Trace-Id")
        log.log(
            level,
            "%s %s %s",
            status,
            request.method,
            path,
            extra={**took, "actor": _who(handler), "trace": trace},
        )
    prometheus_log_method(handler)


class ErrorId:
    """An id that is made, and written down with what went wrong, when a page shows it."""

    def __init__(self, user: Any) -> None:
        self._actor = f"person:{user.name}" if user is not None else ""
        self._id = ""

    def __bool__(self) -> bool:
        # The proxy asks for pages too, while nobody has seen an error of ours.
        return sys.exc_info()[0] is not None

    def __str__(self) -> str:
        if not self._id:
            self._id = new_id("trc")
            kind, error, _ = sys.exc_info()
            known = isinstance(error, HTTPError) and error.status_code < 500
            told = {"trace": self._id, "actor": self._actor}
            name = kind.__name__ if kind else "no exception"
            level = logging.INFO if known else logging.ERROR
            log.log(level, "an error page: %s", name, exc_info=not known and error, extra=told)
        return self._id


def _who(handler: Any) -> str:
    try:
        user = handler.current_user
    except (HTTPError, RuntimeError):
        return ""
    name = user if isinstance(user, str) else getattr(user, "name", "") if user else ""
    return f"person:{name}" if name else ""
