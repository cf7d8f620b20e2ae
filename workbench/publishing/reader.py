"""What a dashboard gets: the catalogue's reads, as the person who looks at it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from workbench.core import Actor, Context, Engines, Forbidden, call_here, find_action
from workbench.projects import resolve


class Reader:
    """Calls read actions for one viewer, in one project.

    Args:
        engines: What the dashboards' process has opened.
        actor: The viewer.
        project: Name or id; must be one the viewer is in.
    """

    def __init__(self, engines: Engines, actor: Actor, project: str) -> None:
        # A thread of its own: the dashboard's page is made inside an event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self.project = self._thread.submit(resolve, engines, actor, project).result()
        self._ctx = Context(actor, self.project, engines)

    def call(self, name: str, request: dict[str, Any] | None = None, *, key: str = "") -> Any:
        """The answer of a read action.

        Raises:
            Forbidden: The action would change something.
        """
        if find_action(name).effect != "read":
            raise Forbidden(
                f"A dashboard may not {name}.", hint="Dashboards read; change things in the Lab."
            )
        return self._thread.submit(call_here, self._ctx.fresh(), name, request or {}).result()
