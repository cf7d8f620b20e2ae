"""Worker processes for heavy actions: DuckDB, torch and MLflow never enter the event loop."""

import asyncio
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from .context import Actor, Context, Engines
from .errors import Unavailable
from .logs import configure_logging
from .settings import Settings


class ProcessWorkers:
    """A few long-lived worker processes; one that dies costs only the calls it was running."""

    def __init__(self, url: str, home: Path) -> None:
        self._count = int(url.partition("://")[2] or 2)
        self._pool: ProcessPoolExecutor | None = None

    def warm(self, settings: Settings) -> None:
        """Start one worker now, so that the first person who looks at a table does not wait."""
        self._opened(settings).submit(_imported)

    async def run(self, ctx: Context, name: str, request: dict[str, Any], key: str) -> BaseModel:
        """`call`, in a worker.

        Raises:
            Unavailable: The worker died (usually out of memory); the call had no effect unless
                it was acknowledged.
        """
        pool = self._opened(ctx.settings)
        who = ctx.actor.model_dump()
        plain = {
            k: v.model_dump(mode="json") if isinstance(v, BaseModel) else v
            for k, v in request.items()
        }
        try:
            return await asyncio.wrap_future(
                pool.submit(_work, who, ctx.project, ctx.trace, name, plain, key)
            )
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None
                pool.shutdown(wait=False, cancel_futures=True)
            raise Unavailable(
                f"The process that ran {name} was stopped, probably for its memory.",
                hint="Ask for less at once (fewer rows or columns), or repeat it.",
            ) from error

    def _opened(self, settings: Settings) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._count,
                mp_context=get_context("spawn"),
                initializer=_start,
                initargs=(settings.model_dump(mode="json"),),
                max_tasks_per_child=500,
            )
        return self._pool

    def close(self) -> None:
        """Stop the workers."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


_engines: Engines | None = None


def _start(settings: dict[str, Any]) -> None:
    global _engines
    import workbench

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    workbench.load_rooms(settings["rooms"])
    own = Settings.model_validate(
        settings | {"urls": settings["urls"] | {"core.workers": "none://"}}
    )
    configure_logging(own)
    _engines = Engines(own)


def _end_with_parent() -> None:
    # A killed service would leave its workers waiting for calls for ever.
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _imported() -> None:
    """What most heavy actions import; slow, so done once, ahead."""
    for name in ("workbench.data.readers", "workbench.data.query", "deltalake"):
        import_module(name)


def _work(
    who: dict[str, Any], project: str, trace: str, name: str, request: dict[str, Any], key: str
) -> Any:
    from .door import call_here

    assert _engines is not None
    ctx = Context(Actor.model_validate(who), project, _engines, trace=trace)
    return call_here(ctx, name, request, key=key)
