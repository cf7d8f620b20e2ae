"""The JupyterLab of a project, inside its sandbox: `python -m workbench.hub.inside`.

It serves one socket, which was bound outside and handed in: nobody inside can put another in its
place. In a pod it serves a port instead, and answers those alone who show the secret that the
spawner gave it. Whoever comes through was let in by the gateway, which says who it is. Nothing here
is a defence: the project's people may change this process as they like, and reach what they have.
"""

import contextvars
import hmac
import os
import signal
import socket
import sys
from pathlib import Path

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.serverapp import ServerApp
from jupyterlab.labapp import LabApp

from workbench.wire import KEY, PERSON

from .given import BASE, HOST, PORT, SECRET, SOCKET
from .processes import die_with_parent
from .rooms import keep_documents

COLOURS = ("#1f77b4", "#b3590a", "#2c7a2c", "#b02a2b", "#7d4fa8", "#7b4a3f", "#b0408f", "#4f6d7a")

asking: contextvars.ContextVar[str] = contextvars.ContextVar("asking", default="")
"""The person whose request is answered; each request has a context of its own."""


class StudioIdentity(IdentityProvider):
    """Somebody is who the gateway says they are."""

    # Who has no header is nobody: there is no token, and no password, to come in by.
    token = ""
    auth_enabled = True
    secret = ""
    """What a request has to show in a pod; nothing on a socket, which only the gateway reaches."""

    def get_user(self, handler: JupyterHandler) -> User | None:  # type: ignore[override]
        """The person of the request; None if it came by another way."""
        name = handler.request.headers.get(PERSON)
        shown = handler.request.headers.get(KEY, "")
        if not name or not hmac.compare_digest(shown.encode(), self.secret.encode()):
            return None
        asking.set(name)
        colour = COLOURS[sum(name.encode()) % len(COLOURS)]
        return User(username=name, initials=name[:2].upper(), color=colour)


class StudioServer(ServerApp):
    """A notebook server on a socket it was given, or, in a pod, on a port."""

    def _find_http_port(self) -> None:
        """The port is not looked for."""

    def _bind_http_server(self) -> None:
        if port := os.environ.pop(PORT, ""):
            from workbench.core.listening import everywhere

            given = everywhere(int(port))
        else:
            given = socket.socket(fileno=int(os.environ.pop(SOCKET)))
        given.setblocking(False)
        given.set_inheritable(False)
        self.http_server.add_socket(given)

    def load_server_extensions(self) -> None:
        """Load them, have git commit in the name of whoever asks, and take up the kernels."""
        from .committing import take_over
        from .kernels.manager import take_up

        super().load_server_extensions()
        take_over(self.web_app.settings, self.config, os.environ.pop(HOST, "localhost"))
        take_up(self)


class StudioLab(LabApp):  # type: ignore[misc]
    """JupyterLab on such a server."""

    serverapp_class = StudioServer

    @classmethod
    def get_extension_package(cls) -> str:
        """Where its other parts are found."""
        return "jupyterlab"


def main() -> None:
    """Serve until told to stop."""
    die_with_parent()
    StudioIdentity.secret = os.environ.pop(SECRET, "")
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    keep_documents()
    home = Path.home()
    from .committing import begin

    begin(home)
    StudioLab.launch_instance(
        [
            f"--ServerApp.base_url={os.environ.pop(BASE)}",
            f"--ServerApp.root_dir={home}",
            "--ServerApp.identity_provider_class=workbench.hub.inside.StudioIdentity",
            "--ServerApp.open_browser=False",
            "--ServerApp.allow_remote_access=True",
            "--ServerApp.shutdown_no_activity_timeout=0",
            "--LabApp.collaborative=True",
            *sys.argv[1:],
        ]
    )


if __name__ == "__main__":
    # By its name: the identity provider is looked up in the module of that name.
    from workbench.hub.inside import main as named

    named()
