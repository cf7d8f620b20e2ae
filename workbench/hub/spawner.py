"""A project's JupyterLab in the project's sandbox, shared by its editors.

The sandbox outlives the server for as long as a kernel works: a server that is started again finds
it there.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
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

from workbench.core import Actor, Engines, Settings, Store, load_settings
from workbench.core.ids import project_of
from workbench.core.store import stores
from workbench.notebooks.sandboxed import environment_of, limits_of, shown_to
from workbench.operations import running
from workbench.projects import closed, prepare_folder
from workbench.projects.spaces import find
from workbench.security import sandbox, sessions
from workbench.security.bounds import bounds_of

from . import gitconfig, given
from .keeping import Kept
from .processes import is_same, short_path, stop_tree
from .servers import socket_of

GRACE_S = 8.0
KEEP_S = 3600.0
"""How long kernels that do nothing are kept without a server, where no setting says so."""
CONFIG = "/etc/jupyter_config.py"
"""Where the configuration file is seen inside."""

_kept: dict[str, Kept] = {}
"""The sandboxes of this hub, by the labels of their projects: a spawner ends with its server."""


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
        project, kept = project_of(label), _kept.get(label)
        if kept is None or not kept.lives:
            folder, user, key = await asyncio.to_thread(prepare, self.settings, project)
            # Not on another thread: the sandbox ends with the thread that started it.
            kept = self._launch(label, folder, user, key)
        else:
            await asyncio.to_thread(check_open, store_of(self.settings.home), project)
        self.proc, self.pid = kept.process, kept.process.pid
        with closing(_listen(socket_of(self.settings.home, label))) as listening:
            kept.serve(listening)
        return "127.0.0.1", self.gateway_port

    def _launch(self, label: str, folder: Path, user: int | None, key: str) -> Kept:
        home, problem = self.settings.home, sandbox.why_not()
        usual = self.settings.server_memory_mb
        bounds = bounds_of(store_of(home), project_of(label))
        memory = bounds.memory_mb or usual
        log = home / "logs" / f"{label}.log"
        config = self.config_file if problem else CONFIG
        environment = {
            **environment_of(self.settings, project_of(label), key),
            given.BASE: f"/user/{label}/",
            given.HOST: urlsplit(self.settings.address).hostname or "localhost",
            given.LIMITS: limits_of(memory),
            given.KEEP: str(self.settings.idle_s or KEEP_S),
            "TERM": "xterm-256color",
        }
        command = [sys.executable, "-m", "workbench.hub.kernels.keeper", f"--config={config}"]
        if problem:
            self.log.warning("%s runs without a sandbox: %s", label, problem)
            command += ["--allow-root"] if os.geteuid() == 0 else []
            own = home / "run" / "git" / label
            gitconfig.write(own, git_files(self.settings, label, str(own)))
            environment |= gitconfig.environment(str(own))
        else:
            environment |= gitconfig.environment() | {"JUPYTER_RUNTIME_DIR": "/run/jupyter"}

        def start(control: int) -> "subprocess.Popen[bytes]":
            inner = environment | {given.CONTROL: str(control)}
            passed: dict[str, Any] = {"stdout": out, "stderr": out, "pass_fds": (control,)}
            if problem:
                return sandbox.start_bare(command, folder, inner, bounds, **passed)
            confined = sandbox.Confined(
                folder,
                read_only={
                    **shown_to(self.settings, project_of(label)),
                    Path(self.config_file): CONFIG,
                },
                etc=git_files(self.settings, label),
                environment=inner,
                user=user,
                bounds=bounds,
            )
            return sandbox.start(command, confined, **passed)

        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as out:
            kept = Kept(start)
        if former := _kept.pop(label, None):
            former.close()
        _kept[label] = kept
        running.note(home, label, kept.process.pid)
        self.created = psutil.Process(kept.process.pid).create_time()
        return kept

    async def poll(self) -> int | None:
        """None while the server runs; the sandbox may go on without it."""
        kept = _kept.get(str(self.user.name))
        if kept is None:
            return int(code) if (code := await super().poll()) is not None else None
        return None if kept.serves else kept.process.returncode or 0

    async def stop(self, now: bool = False) -> None:
        """End the server and the kernels that do nothing; kernels that work go on without it.

        Everything ends where the project was archived or deleted, and with the hub. What does not
        end in 8 s is killed.
        """
        label = str(self.user.name)
        kept = _kept.get(label)
        # First: a server that has none was stopped, and is not started again by pages of it.
        socket_of(self.settings.home, label).unlink(missing_ok=True)
        if kept is not None and kept.lives:
            gone = await asyncio.to_thread(
                closed, store_of(self.settings.home), [project_of(label)]
            )
            if not now and not gone:
                kept.leave()
                await self._until(lambda: not kept.serves, GRACE_S)
                # Without kernels the sandbox ends, too.
                await self._until(lambda: not kept.lives or kept.kernels > 0, 2.0)
            if now or gone or kept.serves:
                # It ends at once when it is asked to, so what runs in it is asked first.
                await stop_tree(_within(kept.process.pid), 2.0 if now else GRACE_S)
                if kept.lives:
                    await stop_tree(kept.process.pid, 1.0)
        if kept is None or not kept.lives:
            running.forget(self.settings.home, label)
            if kept is not None:
                del _kept[label]
                kept.close()

    async def _until(self, done: Callable[[], bool], wait_s: float) -> None:
        last = time.monotonic() + wait_s
        while not done() and time.monotonic() < last:
            await asyncio.sleep(0.02)

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
    check_open(store, project)
    folder = prepare_folder(settings, project)
    user = None if sandbox.why_not() else sandbox.user_of(project)
    if user is not None:
        sandbox.give(folder, user)
    with store.begin() as tx:
        sessions.end(tx, project=project, kind="project")
    now = datetime.now(UTC)
    return folder, user, sessions.issue(store, "project", project=project, now=now)


def check_open(store: Store, project: str) -> None:
    """Raise ValueError if a project was archived or deleted."""
    if closed(store, [project]):
        raise ValueError(f"The project {project} is archived or gone: nothing runs in it.")


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
