"""The Studio's service: one ASGI process behind the hub's proxy (or alone, for its owner)."""

import json
import logging
import os
import socket
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

import workbench
from workbench import documents, environments, projects
from workbench.core import Engines, load_settings, local_person, whereabouts
from workbench.core.door import workers
from workbench.core.jobs import runner
from workbench.core.listening import everywhere
from workbench.core.logs import configure_logging
from workbench.core.store import stores
from workbench.documents.rooms import LARGEST
from workbench.operations.running import project_within
from workbench.operations.sweeping import Sweeper
from workbench.pipelines.schedules import Scheduler
from workbench.security import sandbox
from workbench.security.guard import Guard, HubGuard, LocalGuard
from workbench.security.inside import forget_all, project_beside

from .peers import PeerProtocol, PeerSocket
from .rest import application

log = logging.getLogger(__name__)


def serve() -> None:
    """Run the service until it is told to stop."""
    settings = load_settings()
    workbench.load_rooms(settings.rooms)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = settings.model_copy(
        update={"urls": {"core.workers": "processes://", **settings.urls}}
    )
    configure_logging(settings)
    engines = Engines(settings)
    told = whereabouts()
    prefix = told.service_prefix.rstrip("/")
    within = None if sandbox.why_not() else partial(_project_of, settings.home)
    pods_port = settings.pods_port if settings.servers == "kubernetes" else 0
    local = LocalGuard(settings.home, local_person(), engines.get(stores), within, pods_port)
    guard: Guard = HubGuard(local, told.service_prefix) if told.service_url else local
    address = urlparse(told.service_url or f"http://127.0.0.1:{settings.port}")
    forget_all(settings.home)
    jobs = engines.get(runner)
    launch = getattr(jobs, "launch", None)
    if launch is not None:
        launch(engines)
    for sweep in (projects.sweep, environments.sweep):
        sweep(settings.home, engines.get(stores))
    elsewhere = engines.get(workers)
    if elsewhere is not None:
        elsewhere.warm(settings)
    # Its protocol is named, so that asyncio does not let small messages wait for each other.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address.hostname or "127.0.0.1", address.port or 0))
    port = listening.getsockname()[1]
    note = settings.home / "run" / "studio.json"
    _announce(note, f"http://127.0.0.1:{port}{prefix}/")
    app = application(engines, guard, prefix=prefix)
    listeners = [listening, _socket(settings.home)]
    if pods_port:
        listeners.append(everywhere(pods_port))
    config = uvicorn.Config(
        _under(app, prefix),
        http=PeerProtocol,
        ws=PeerSocket,
        ws_max_size=LARGEST,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    documents.sweep(engines)
    sweeper, scheduler = Sweeper(engines), Scheduler(engines)
    sweeper.start()
    scheduler.start()
    try:
        uvicorn.Server(config).run(sockets=listeners)
    finally:
        scheduler.stop()
        sweeper.stop()
        note.unlink(missing_ok=True)


def _project_of(home: Path, pid: int) -> str:
    """The project in one of whose sandboxes a process runs; empty if in none."""
    return project_within(home, pid) or project_beside(home, pid)


def _socket(home: Path) -> socket.socket:
    """Where the code of projects calls: the folder alone is shown to their sandboxes."""
    folder = home / "run" / "inside"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    path = folder / "studio.sock"
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # By its short name: an address of this kind has at most 108 bytes.
    before = os.open(".", os.O_PATH)
    try:
        os.chdir(folder)
        listening.bind(path.name)
    finally:
        os.fchdir(before)
        os.close(before)
    path.chmod(0o666)
    return listening


def _announce(note: Path, url: str) -> None:
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    note.write_text(json.dumps({"url": url, "pid": os.getpid()}))


def _under(app: FastAPI, prefix: str) -> Starlette:
    """The hub's proxy passes the whole path on: mount the application at the prefix."""
    return Starlette(routes=[Mount(prefix, app=app)], lifespan=app.router.lifespan_context)


if __name__ == "__main__":
    serve()
