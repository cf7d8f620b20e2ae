"""A person's JupyterLab: a process of their own in the folder of their project.

There is no sandbox between people yet: all servers run as the user who runs the Studio.
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import psutil
from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import Any as AnyTrait
from traitlets import Float, Unicode

from workbench.core import Settings
from workbench.projects import home_project

from .processes import is_same, stop_tree

GRACE_S = 8.0


class StudioSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]
    """Starts `jupyterhub-singleuser` with what a kernel needs to find the Studio, and no more."""

    pid: int
    settings: Settings = AnyTrait(  # type: ignore[assignment]
        help="The Studio's settings."
    ).tag(config=True)
    studio_url = Unicode(help="Where kernels reach the Studio's service.").tag(config=True)
    created = Float(0.0, help="When the process was started, in seconds since the epoch.")

    async def start(self) -> tuple[str, int]:
        """Start the server in the person's first project, preferring the tour's."""
        name = self.user.name
        project, folder = await asyncio.to_thread(
            home_project, self.settings, name, bool(self.user.admin)
        )
        home = self.settings.home
        plain = re.sub(r"[^a-z0-9._-]", "_", name)
        self.home_dir = str(home / "people" / plain)
        Path(self.home_dir).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.notebook_dir = str(folder)
        self.project = project
        log = home / "logs" / f"server-{plain}.log"
        self.cmd = [
            *(sys.executable, "-m", "workbench.hub.logged", str(log)),
            *(sys.executable, "-m", "jupyterhub.singleuser"),
        ]
        address: tuple[str, int] = await super().start()
        self.created = psutil.Process(self.pid).create_time()
        return address

    def get_env(self) -> dict[str, str]:
        """The server's environment. Kernels and terminals inherit it: no secret but their own."""
        env: dict[str, str] = super().get_env()
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", "")])
        env["WORKBENCH_STUDIO_URL"] = self.studio_url
        env["WORKBENCH_PROJECT"] = self.project
        return env

    async def stop(self, now: bool = False) -> None:
        """End the server and its kernels; whatever does not end in 8 s is killed."""
        if await self.poll() is None:
            await stop_tree(self.pid, 2.0 if now else GRACE_S)
        if await self.poll() is None:
            self.log.warning("The server of %s did not end", self.user.name)

    def get_state(self) -> dict[str, Any]:
        """What tells the process from a later one with the same number."""
        return {**super().get_state(), "created": self.created}

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the server after a restart of the hub, unless its number is another's now."""
        super().load_state(state)
        self.created = float(state.get("created", 0.0))
        if self.pid and not is_same(self.pid, self.created):
            self.pid = 0
