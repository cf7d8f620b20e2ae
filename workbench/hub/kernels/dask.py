"""What the Dask panel of JupyterLab (dask-labextension) asks its server for.

Its own server part would hold the cluster, which would end with the server, and loads Dask into it.
"""

import json
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from workbench.wire import MOST_WORKERS

from .cluster import State
from .provisioner import Keeper

ONE = "project"
"""The name of the one cluster there is."""
MIB = 1024 * 1024


class ClustersHandler(APIHandler):
    """`dask/clusters`: GET lists them, PUT starts the project's."""

    auth_resource = "kernels"

    def initialize(self, keeper: Keeper, proxy: str) -> None:
        """See `routes`."""
        self._keeper, self._proxy = keeper, proxy

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer: a list with the cluster, or an empty one."""
        state = await self._keeper.cluster()
        self.finish(json.dumps([self.shown(state)] if state else []))

    @web.authenticated
    @authorized
    async def put(self) -> None:
        """Start it, unless it runs."""
        state = await self._keeper.cluster() or await self._scaled()
        assert state is not None
        self.finish(json.dumps(self.shown(state)))

    async def _scaled(self, least: int = 0, most: int | None = None) -> State | None:
        try:
            return await self._keeper.scale(least, most)
        except (OSError, TimeoutError) as error:
            raise web.HTTPError(503, f"The cluster could not be started: {error}.") from error

    def shown(self, state: State) -> dict[str, Any]:
        """The cluster as the panel wants it."""
        return {
            "id": ONE,
            "name": "This project's cluster",
            "scheduler_address": state["address"],
            "dashboard_link": f"{self._proxy}/{state['dashboard_port']}/status",
            "workers": state["workers"],
            "cores": state["threads"],
            "memory": f"{state['memory_bytes'] / MIB:,.0f} MiB",
            "memory_bytes": state["memory_bytes"],
            "adapt": {"minimum": state["least"], "maximum": state["most"]},
        }


class ClusterHandler(ClustersHandler):
    """`dask/clusters/project`: GET shows it, PATCH scales it, DELETE ends it."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer: the cluster."""
        state = await self._keeper.cluster()
        if state is None:
            raise web.HTTPError(404, "This project has no cluster now.")
        self.finish(json.dumps(self.shown(state)))

    @web.authenticated
    @authorized
    async def patch(self) -> None:
        """Have it use so many workers: `workers`, or `adapt` with `minimum` and `maximum`."""
        least, most = _asked(self.get_json_body() or {})
        state = await self._scaled(least, most)
        self.finish(json.dumps(self.shown(state) if state else None))

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """End it."""
        await self._scaled(0, 0)
        self.set_status(204)
        self.finish()


class CheckHandler(APIHandler):
    """`dask/dashboard-check/<url>`: only pages below JupyterLab's address are shown in it."""

    auth_resource = "kernels"

    @web.authenticated
    @authorized
    def get(self, url: str) -> None:
        """Answer that none is there."""
        self.finish(json.dumps({"url": url, "isActive": False, "plots": {}}))


def _asked(body: dict[str, Any]) -> tuple[int, int]:
    try:
        told = body.get("adapt")
        least, most = (
            (int(told["minimum"]), int(told["maximum"]))
            if told
            else (int(body["workers"]), int(body["workers"]))
        )
    except (KeyError, TypeError, ValueError) as error:
        raise web.HTTPError(400, "Say how many workers: workers, or adapt.") from error
    if not 0 <= least <= most <= MOST_WORKERS:
        raise web.HTTPError(400, f"{least} to {most} workers make no sense: 0 to {MOST_WORKERS}.")
    return least, most


def routes(base_url: str, keeper: Keeper) -> list[Any]:
    """The handlers, and where they are.

    Args:
        base_url: JupyterLab's path.
        keeper: What holds the cluster.
    """
    place = url_path_join(base_url, "dask")
    given = {"keeper": keeper, "proxy": url_path_join(base_url, "proxy")}
    return [
        (f"{place}/clusters/?", ClustersHandler, given),
        (f"{place}/clusters/{ONE}", ClusterHandler, given),
        (f"{place}/dashboard-check/(.+)", CheckHandler),
    ]
