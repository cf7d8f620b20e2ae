"""A project's JupyterLab: one process tree in the project's sandbox, shared by its editors."""

import asyncio
import os
import socket
import sys
from contextlib import closing
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from jupyterhub.spawner import SimpleLocalProcessSpawner
from traitlets import Any as AnyTrait
from traitlets import Float, Integer, Unicode

from workbench import environments
from workbench.core import Actor, Engines, Settings, Store, load_settings
from workbench.core.ids import project_of
from workbench.core.store import stores
from workbench.operations import running
from workbench.projects import closed, prepare_folder
from workbench.projects.spaces import find
from workbench.security import sandbox, sessions
from workbench.security.bounds import bounds_of

from . import gitconfig, given
from .processes import is_same, short_path, stop_tree
from .servers import socket_of

GRACE_S = 8.0
MIB = 1024 * 1024
CALLS = "/run/studio"
"""Where the folder of the Studio's socket is seen inside."""
CONFIG = "/etc/jupyter_config.py"
"""Where the configuration file is seen inside."""


class StudioSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]
    """Starts JupyterLab in a project's sandbox, with what its code needs and no more."""

    pid: int
    settings: Settings = AnyTrait(  # type: ignore[assignment]
        help="The Studio's settings."
    ).tag(config=True)
    config_file = Unicode(help="The configuration file of hub and notebook server.").tag(
        config=True
    )
    gateway_port = Integer(0, help="Where the gateway answers the hub.").tag(config=True)
    created = Float(0.0, help="When the process was started, in seconds since the epoch.")

    async def start(self) -> tuple[str, int]:
        """Start the server of the project that this account stands for.

        Raises:
            ValueError: The account is a person's: people work in projects. Or the project was
                archived or deleted.
        """
        label = str(self.user.name)
        if not label.startswith("prj-"):
            raise ValueError(f"{label} is a person, and has no server: open a project instead.")
        project = project_of(label)
        folder, user, key = await asyncio.to_thread(prepare, self.settings, project)
        # Not on another thread: the sandbox ends with the thread that started it.
        self._launch(label, folder, user, key)
        return "127.0.0.1", self.gateway_port

    def _launch(self, label: str, folder: Path, user: int | None, key: str) -> None:
        home, problem = self.settings.home, sandbox.why_not()
        usual = self.settings.server_memory_mb
        bounds = bounds_of(store_of(home), project_of(label))
        memory = bounds.memory_mb or usual
        log = home / "logs" / f"{label}.log"
        calls = home / "run" / "inside"
        calls.mkdir(parents=True, exist_ok=True)
        with (
            closing(_listen(socket_of(home, label))) as listening,
            open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out,
        ):
            config = self.config_file if problem else CONFIG
            packages = environments.prepare_folder(self.settings, project_of(label))
            environment = {
                "JUPYTER_PATH": f"{environments.seen(packages)}/jupyter",
                given.SOCKET: str(listening.fileno()),
                given.BASE: f"/user/{label}/",
                given.HOST: urlsplit(self.settings.address).hostname or "localhost",
                given.LIMITS: f"data={memory * MIB:.0f},processes=1024",
                "WORKBENCH_TOKEN": key,
                "WORKBENCH_PROJECT": project_of(label),
                "WORKBENCH_STUDIO_URL": f"http+unix://{calls if problem else CALLS}/studio.sock",
                "TERM": "xterm-256color",
                "PIP_USER": "1",
            }
            command = [sys.executable, "-m", "workbench.hub.inside", f"--config={config}"]
            passed: dict[str, Any] = {
                "stdout": out,
                "stderr": out,
                "pass_fds": (listening.fileno(),),
            }
            if problem:
                self.log.warning("%s runs without a sandbox: %s", label, problem)
                command += ["--allow-root"] if os.geteuid() == 0 else []
                own = home / "run" / "git" / label
                gitconfig.write(own, git_files(self.settings, label, str(own)))
                environment |= gitconfig.environment(str(own))
                self.proc = sandbox.start_bare(command, folder, environment, bounds, **passed)
            else:
                confined = sandbox.Confined(
                    folder,
                    read_only={
                        calls: CALLS,
                        Path(self.config_file): CONFIG,
                        packages: environments.SEEN,
                    },
                    etc=git_files(self.settings, label),
                    environment=environment
                    | gitconfig.environment()
                    | {"JUPYTER_RUNTIME_DIR": "/run/jupyter"},
                    user=user,
                    bounds=bounds,
                )
                self.proc = sandbox.start(command, confined, **passed)
        self.pid = self.proc.pid
        running.note(home, label, self.pid)
        self.created = psutil.Process(self.pid).create_time()

    async def stop(self, now: bool = False) -> None:
        """End the server and its kernels; whatever does not end in 8 s is killed."""
        if await self.poll() is None:
            # The sandbox ends at once when it is asked to, so what runs in it is asked first.
            await stop_tree(_within(self.pid), 2.0 if now else GRACE_S)
        if await self.poll() is None:
            await stop_tree(self.pid, 1.0)
        if await self.poll() is None:
            self.log.warning("The server of %s did not end", self.user.name)
        socket_of(self.settings.home, str(self.user.name)).unlink(missing_ok=True)
        running.forget(self.settings.home, str(self.user.name))

    def get_state(self) -> dict[str, Any]:
        """What tells the process from a later one with the same number."""
        return {**super().get_state(), "created": self.created}

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the server after a restart of the hub, unless its number is another's now."""
        super().load_state(state)
        self.created = float(state.get("created", 0.0))
        if self.pid and not is_same(self.pid, self.created):
            self.pid = 0


def prepare(settings: Settings, project: str) -> tuple[Path, int | None, str]:
    """The project's folder, its numeric user, and a new key that earlier ones give way to.

    Raises:
        ValueError: The project was archived or deleted.
    """
    store = store_of(settings.home)
    if closed(store, [project]):
        raise ValueError(f"The project {project} is archived or gone: nothing runs in it.")
    folder = prepare_folder(settings, project)
    user = None if sandbox.why_not() else sandbox.user_of(project)
    if user is not None:
        sandbox.give(folder, user)
    with store.begin() as tx:
        sessions.end(tx, project=project, kind="project")
    now = datetime.now(UTC)
    return folder, user, sessions.issue(store, "project", project=project, now=now)


def git_files(settings: Settings, label: str, folder: str = gitconfig.SEEN) -> dict[str, str]:
    """What git knows in a project."""
    id = project_of(label)
    found = find(store_of(settings.home), Actor(kind="project", name=id), id)
    host = urlsplit(settings.address).hostname or "localhost"
    return gitconfig.files(found.name if found else label, label, host, folder)


@lru_cache(maxsize=1)
def store_of(settings_home: Path) -> Store:
    """The Studio's store, opened once by the hub."""
    return Engines(load_settings(home=settings_home)).get(stores)


def _listen(path: Path) -> socket.socket:
    """A socket bound outside the sandbox, so that nobody inside can put another in its place."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    with short_path(path) as short:
        listening.bind(short)
    listening.listen(128)
    return listening


def _within(pid: int) -> int:
    """The first process of a tree that is not the sandbox itself."""
    process = psutil.Process(pid)
    while process.name() == "bwrap" and (children := process.children()):
        process = children[0]
    return int(process.pid)
