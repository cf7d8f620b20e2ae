"""What the operation of a Studio needs from outside."""

from typing import Protocol

from workbench.core import Port


class Servers(Protocol):
    """Who starts and stops the projects' servers."""

    def stop(self, project: str) -> None:
        """End a project's server, and what does nothing in it; nothing if none runs.

        Raises:
            Unavailable: Whoever starts them does not answer, or there is nobody.
        """


servers = Port[Servers]("operations.servers", default="hub://", doc="Stops projects' servers.")
servers.engine("hub", "workbench.operations.hub:HubServers")
