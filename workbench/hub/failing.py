"""A hub whose database takes no writes: who is in stays in, and what needs one says why.

JupyterHub notes when somebody was last seen before it knows who asks, takes a note that cannot be
written for a stranger (401), and answers 500 where a sign-in cannot be kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyterhub.handlers import BaseHandler
from sqlalchemy.exc import OperationalError
from tornado.web import HTTPError

from workbench.core import WorkbenchError
from workbench.core.databases import explained

_get_current_user = BaseHandler.get_current_user
_handle_request_exception = BaseHandler._handle_request_exception


class Failed(HTTPError):
    """An error of the Studio's; the page says its sentence and its hint."""

    def __init__(self, error: WorkbenchError) -> None:
        super().__init__(error.status, str(error))
        self.error = error


def explain_failures() -> None:
    """Have the hub of this process answer so."""
    BaseHandler.get_current_user = get_current_user
    BaseHandler._handle_request_exception = handle_request_exception


async def get_current_user(handler: Any) -> Any:
    """As the hub's own; where it cannot note that somebody was seen, it does not."""
    try:
        return await _get_current_user(handler)
    except OperationalError as error:
        handler.log.warning("Nobody is noted as seen: %s", error.orig)
        handler.db.rollback()
        handler._record_activity = lambda *_: False
        del handler._jupyterhub_user
        return await _get_current_user(handler)


def handle_request_exception(handler: Any, error: BaseException) -> None:
    """As the hub's own, with a database's errors in the Studio's words."""
    try:
        with _in_words(handler):
            raise error
    except BaseException as told:  # what is answered and logged is the one that is being handled
        _handle_request_exception(handler, told)


@contextmanager
def _in_words(handler: Any) -> Iterator[None]:
    try:
        with explained():
            yield
    except WorkbenchError as error:
        handler.db.rollback()
        raise Failed(error) from error
