"""The hub's services: started and stopped at once, and a dead one noticed within a second.

JupyterHub starts them one after the other, each when the one before answers, stops them one after
the other, and looks every thirty seconds whether they live. It makes a service's spawner without
its configuration, so that no option reaches it.
"""

import asyncio
from typing import Any

from jupyterhub.app import JupyterHub
from jupyterhub.services import service
from traitlets import default

POLL_S = 1

_start_service = JupyterHub.start_service
_stop_service = service.Service.stop


class WatchedService(service._ServiceSpawner):  # type: ignore[misc]
    """As the hub's own, looked at more often."""

    @default("poll_interval")
    def _poll_interval(self) -> int:
        return POLL_S


async def start_service(hub: Any, name: str, each: Any, *given: Any) -> bool:
    """As the hub's own; the first one begins all of them."""
    if "_begun" not in hub.__dict__:
        hub._begun = {
            name: asyncio.ensure_future(_start_service(hub, name, each, *given))
            for name, each in hub._service_map.items()
        }
    begun = hub._begun.pop(name, None)
    return bool(await (begun or _start_service(hub, name, each, *given)))


async def stop_service(each: Any) -> None:
    """As the hub's own, which stops a service when it ends itself; the first one begins all."""
    hub = JupyterHub.instance()
    if "_ending" not in hub.__dict__:
        managed = [one for one in hub._service_map.values() if one.managed]
        hub._ending = {one.name: asyncio.ensure_future(_stop_service(one)) for one in managed}
    await hub._ending[each.name]


def watch_services() -> None:
    """Have the hub of this process start, stop and watch its services so."""
    service.Service.stop = stop_service
    service._ServiceSpawner = WatchedService
    JupyterHub.start_service = start_service
