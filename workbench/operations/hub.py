"""The projects' servers, by the REST API of JupyterHub."""

import httpx

from workbench.core import Unavailable, whereabouts
from workbench.core.ids import label_of

TIMEOUT_S = 40.0


class HubServers:
    """See `Servers`. The service's own token may stop servers, and nothing else."""

    def __init__(self, url: str, home: object) -> None:
        told = whereabouts()
        self._api, self._token = told.hub_api, told.token or ""
        self._ours = bool(told.service_url)

    def stop(self, project: str) -> None:
        if not (self._ours and self._api):
            raise Unavailable("No hub runs here, so no server does.", hint="Start `workbench up`.")
        try:
            answer = httpx.delete(
                f"{self._api}/users/{label_of(project)}/server",
                headers={"Authorization": f"token {self._token}"},
                timeout=TIMEOUT_S,
                trust_env=False,
            )
        except httpx.TransportError as error:
            raise Unavailable(
                f"The hub does not answer: {type(error).__name__}.", hint="Try again in a moment."
            ) from error
        if answer.status_code not in (202, 204, 404):
            raise Unavailable(
                f"The hub did not stop the server: {answer.status_code}.",
                hint="See logs/hub.log.",
            )
