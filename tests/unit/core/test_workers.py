"""Heavy actions in worker processes: the same answers and errors, and what a dead worker costs."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import workbench
from workbench.core import Actor, Context, Engines, NotFound, Unavailable, call, load_settings
from workbench.projects import resolve


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    """Ada in a process that has workers, as the Studio's service is one."""
    workbench.load_rooms()
    engines = Engines(load_settings(home=tmp_path / "home", urls={"core.workers": "processes://1"}))
    ada = Actor(name="ada")
    yield Context(ada, resolve(engines, ada, None), engines)
    engines.close()


def workers_of_this_process() -> list[psutil.Process]:
    return [
        each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())
    ]


def test_answers_and_errors_cross_the_border(ctx: Context) -> None:
    async def ask() -> None:
        made = await call(
            ctx.fresh(), "data.register", {"source": "sql:SELECT 7 AS x", "name": "t"}, key="k"
        )
        again = await call(
            ctx.fresh(), "data.register", {"source": "sql:SELECT 7 AS x", "name": "t"}, key="k"
        )
        assert made == again and made.rows == 1
        with pytest.raises(NotFound) as caught:
            await call(ctx.fresh(), "data.preview", {"product": "nope"})
        assert caught.value.hint

    asyncio.run(ask())


SERVICE = """
import asyncio, sys, time
from pathlib import Path
import workbench
from workbench.core import Actor, Context, Engines, call, load_settings
from workbench.projects import resolve
workbench.load_rooms()
engines = Engines(load_settings(home=Path(sys.argv[1]), urls={"core.workers": "processes://1"}))
ctx = Context(Actor(name="ada"), resolve(engines, Actor(name="ada"), None), engines)
asyncio.run(call(ctx, "data.query", {"sql": "SELECT 1"}))
print("ready", flush=True)
time.sleep(600)
"""


def test_workers_end_with_their_service(tmp_path: Path) -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(tmp_path / "home")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None and service.stdout.readline() == "ready\n"
    workers = psutil.Process(service.pid).children()
    service.kill()
    service.wait()
    service.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=15)
    assert len(workers) >= 1 and alive == []


def test_a_killed_worker_costs_only_its_call(ctx: Context) -> None:
    async def ask() -> None:
        await call(ctx.fresh(), "data.query", {"sql": "SELECT 1"})
        sql = "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range*b.range = 7"
        long = asyncio.create_task(call(ctx.fresh(), "data.query", {"sql": sql}))
        await asyncio.sleep(1)
        for worker in workers_of_this_process():
            os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match=r"The process that ran data\.query was stopped"):
            await long
        started = time.monotonic()
        assert (await call(ctx.fresh(), "data.query", {"sql": "SELECT 2"})).rows == [[2]]
        assert time.monotonic() - started < 30

    asyncio.run(ask())
