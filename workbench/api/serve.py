"""The Studio's service: one ASGI process behind the hub's proxy (or alone, for its owner)."""

import json
import logging
import os
import socket
from pathlib import Path
from urllib.parse import urlparse

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

import workbench
from workbench.core import Engines, blobs, load_settings, local_person, whereabouts
from workbench.core.door import workers
from workbench.core.jobs import runner
from workbench.security.guard import Guard, HubGuard, LocalGuard

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
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for chatty in ("httpx", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    engines = Engines(settings)
    told = whereabouts()
    prefix = told.service_prefix.rstrip("/")
    local = LocalGuard(settings.home, local_person())
    guard: Guard = HubGuard(local, told.service_prefix) if told.service_url else local
    address = urlparse(told.service_url or f"http://127.0.0.1:{settings.port}")
    jobs = engines.get(runner)
    launch = getattr(jobs, "launch", None)
    if launch is not None:
        launch(engines)
    engines.get(blobs).sweep(settings.keep_uploads_s)
    elsewhere = engines.get(workers)
    if elsewhere is not None:
        elsewhere.warm(settings)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address.hostname or "127.0.0.1", address.port or 0))
    port = listening.getsockname()[1]
    note = settings.home / "run" / "studio.json"
    _announce(note, f"http://127.0.0.1:{port}{prefix}/")
    app = application(engines, guard, prefix=prefix)
    config = uvicorn.Config(
        _under(app, prefix),
        log_level="warning",
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        note.unlink(missing_ok=True)


def _announce(note: Path, url: str) -> None:
    note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    note.write_text(json.dumps({"url": url, "pid": os.getpid()}))


def _under(app: FastAPI, prefix: str) -> Starlette:
    """The hub's proxy passes the whole path on: mount the application at the prefix."""
    return Starlette(routes=[Mount(prefix, app=app)], lifespan=app.router.lifespan_context)


if __name__ == "__main__":
    serve()
