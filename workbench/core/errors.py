"""Everything that can go wrong, in eight kinds.

    WorkbenchError
    ├── Invalid         400  the request makes no sense
    ├── Unauthenticated 401  we do not know who asks
    ├── Forbidden       403  we know, and policy says no
    ├── NotFound        404  nothing with that id
    ├── Conflict        409  true a moment ago, not any more
    ├── Refused         412  a rule says no: a gate, a newer schema
    ├── Limited         429  too much, too large, too often
    └── Unavailable     503  an engine is missing or down; try again later

Whatever is not one of these is a bug, and answers 500. Each carries the trace of the call that
raised it, which finds the line in the log: `workbench logs trc_…`.
"""

from typing import Any

MEDIA_TYPE = "application/problem+json"


class WorkbenchError(Exception):
    """One sentence with the offending value in it, and a hint that says what to do."""

    status = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.trace = ""
        """The call's, once a door has seen it."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process borders (workers); Exception's own pickling drops the hint.
        return _rebuild, (type(self), str(self), self.hint, self.trace)

    def as_problem(self) -> dict[str, Any]:
        """The one error shape of every face (RFC 9457, `application/problem+json`)."""
        title = type(self).__name__ if type(self) is not WorkbenchError else "Bug"
        return {
            "type": f"urn:workbench:error:{title.lower()}",
            "title": title,
            "status": self.status,
            "detail": str(self),
            "hint": self.hint,
            **({"trace": self.trace} if self.trace else {}),
        }

    @staticmethod
    def from_problem(problem: dict[str, Any]) -> "WorkbenchError":
        """The error a problem object describes: what a client raises for what a server sent."""
        kind = KINDS.get(str(problem.get("title")), WorkbenchError)
        detail, hint = str(problem.get("detail", "")), str(problem.get("hint", ""))
        return _rebuild(kind, detail, hint, str(problem.get("trace", "")))


def _rebuild(kind: type[WorkbenchError], message: str, hint: str, trace: str) -> WorkbenchError:
    error = kind(message, hint=hint)
    error.trace = trace
    if trace:
        error.add_note(f"(id {trace})")  # stands below the traceback of a cell
    return error


class Invalid(WorkbenchError):
    """The request makes no sense: a field is missing, malformed or out of range."""

    status = 400


class Unauthenticated(WorkbenchError):
    """We do not know who asks."""

    status = 401


class Forbidden(WorkbenchError):
    """We know who asks, and policy says no."""

    status = 403


class NotFound(WorkbenchError):
    """Nothing with that id, in this project."""

    status = 404


class Conflict(WorkbenchError):
    """True a moment ago, not any more: read again, then repeat."""

    status = 409


class Refused(WorkbenchError):
    """A rule says no: a gate, a newer schema, a missing sign-off."""

    status = 412


class Limited(WorkbenchError):
    """Too much, too large, too often."""

    status = 429


class Unavailable(WorkbenchError):
    """An engine is missing or down."""

    status = 503


KINDS: dict[str, type[WorkbenchError]] = {
    kind.__name__: kind
    for kind in (
        Invalid,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        Refused,
        Limited,
        Unavailable,
    )
}
