"""The clusters of projects' notebooks, by the servers that have them."""

from pathlib import Path
from typing import Any

from workbench.compute import Cluster
from workbench.core import Unavailable
from workbench.core.ids import label_of

from .running import TIMEOUT_S, asked, listed, reached

START_S = 60.0
"""How long a cluster may take to start, in seconds."""
MIB = 1024 * 1024


class ProjectClusters:
    """See `workbench.compute.Notebooks`.

    What a project's server says is believed about this project alone: its people may have it say
    anything.
    """

    def __init__(self, url: str, home: Path) -> None:
        self._home = home

    def find(self, project: str) -> Cluster | None:
        try:
            found = listed(self._asked(project, "GET", "dask/clusters", TIMEOUT_S))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise _strange(error) from error
        return _cluster(project, found[0]) if found else None

    def scale(self, project: str, least: int, most: int) -> Cluster:
        # The server refuses requests of other pages by a pair like this one.
        pair = "the-studio-itself"
        try:
            told = self._asked(
                project,
                "PATCH",
                "dask/clusters/project",
                START_S,
                json={"adapt": {"minimum": least, "maximum": most}},
                headers={"X-XSRFToken": pair, "Cookie": f"_xsrf={pair}"},
            )
        except FileNotFoundError as error:
            raise Unavailable(
                "JupyterLab does not run in this project, and its cluster lies beside it.",
                hint="Open the project, then ask again. A job needs none: see compute.clusters.",
            ) from error
        except ValueError as error:
            raise _strange(error) from error
        if told is None:
            return Cluster(
                id=project,
                address="",
                dashboard="",
                workers=0,
                threads=0,
                memory_mb=0.0,
                least=0,
                most=0,
            )
        return _cluster(project, told)

    def _asked(self, project: str, method: str, path: str, wait_s: float, **given: Any) -> Any:
        import httpx

        try:
            with reached(self._home, label_of(project)) as client:
                client.timeout = httpx.Timeout(wait_s)
                return asked(client, method, path, **given)
        except httpx.ConnectError as error:
            # Nobody listens: the server was stopped.
            raise FileNotFoundError(path) from error
        except httpx.HTTPStatusError as error:
            raise Unavailable(
                f"The project's cluster could not be started (its server answered "
                f"{error.response.status_code}).",
                hint="See the project's log, or try again in a moment.",
            ) from error
        except httpx.HTTPError as error:
            raise Unavailable(
                f"The project's server does not answer: {type(error).__name__}.",
                hint="Try again in a moment.",
            ) from error


def _cluster(project: str, told: Any) -> Cluster:
    try:
        if not told["dashboard_link"].startswith(f"/user/{label_of(project)}/proxy/"):
            raise ValueError("a path of somebody else's")
        return Cluster(
            id=project,
            address=told["scheduler_address"],
            dashboard=told["dashboard_link"],
            workers=told["workers"],
            threads=told["cores"],
            memory_mb=told["memory_bytes"] / MIB,
            least=told["adapt"]["minimum"],
            most=told["adapt"]["maximum"],
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _strange(error) from error


def _strange(error: Exception) -> Unavailable:
    return Unavailable(
        f"The project's server says of its cluster what cannot be read: {type(error).__name__}.",
        hint="Stop the server, and open the project again.",
    )
