"""NexusAI Studio: build AI models together, on one's own machines.

    import workbench
    wb = workbench.connect()          # the Studio this kernel or shell belongs to
    wb.data.register("customers.csv", name="customers")

A folder is a capability; `core` holds the words they share, `api`, `cli` and `hub` the faces.
"""

import sys
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api.client import Workbench

__version__ = "0.1.0"

# jsonschema looks for it, and it takes two seconds of every start to parse a grammar for a format
# (`iri`) that nobody here checks.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

ROOMS = (
    *("security", "pipelines", "comments", "projects", "environments", "history", "audit"),
    *("compute", "data", "documents", "notebooks", "models", "ethics", "operations"),
)
"""The capabilities whose actions make the catalogue."""


def load_rooms(more: Iterable[str] = ()) -> None:
    """Import every capability, so that the catalogue is complete. Imports no engine.

    Args:
        more: Modules outside this package (the setting `rooms`).
    """
    for module in (*(f"{__name__}.{room}" for room in ROOMS), *more):
        import_module(module)


def connect(url: str | None = None, *, project: str | None = None, **given: Any) -> "Workbench":
    """The Studio as Python: over HTTP where one runs, in this process otherwise.

    Args:
        url: The Studio's address; in a project's kernel it is found by itself.
        project: The project's name or id; the kernel's own, or `default`, if absent.
        given: Settings for a Studio in this process, e.g. `home="…"`.
    """
    from .api.client import connect as connected

    return connected(url, project=project, **given)


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext workbench`: see `workbench.magics`."""
    from .magics import load

    load(shell)
