"""What the one door costs: `call` around nothing, and REST over bare FastAPI, in one run.

Prints one JSON line. Bounds: a coroutine read with policy <= 50 µs, a plain function <= 300 µs,
REST adds <= 1 ms to a read and <= 8 ms to a durable write, twelve slow reads delay a quick one
by <= 20 ms. In-memory ASGI transport on both sides, so only our own work is compared.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from fastapi import Body, FastAPI

import workbench
from workbench.api.rest import application
from workbench.core import Actor, Context, Done, Engines, Record, Shelf, action, call, load_settings
from workbench.projects import resolve
from workbench.security.guard import Asker

ROUNDS = 2000


class Note(Record):
    id: str
    name: str


shelf = Shelf("note", "note", Note)


async def look(ctx: Context, n: int = 0) -> Done:
    """A coroutine that does nothing."""
    return Done()


def plain(ctx: Context, n: int = 0) -> Done:
    """A function that does nothing."""
    return Done()


def slow(ctx: Context) -> Done:
    """A function that takes half a second."""
    time.sleep(0.5)
    return Done()


def put(ctx: Context, name: str) -> Note:
    """A durable write: a record, its event, one commit."""
    note = Note(id=f"note_{name}", name=name)
    ctx.stage(lambda tx: shelf.put(tx, ctx.project, note))
    return note


class Everybody:
    """A guard that lets Ada in: the hub's answer is cached, so sign-in is not what is measured."""

    async def identify(self, request: Any) -> Asker:
        return Asker(Actor(name="ada"), "")


async def timed(run: Callable[[int], Awaitable[Any]], rounds: int) -> float:
    """The median seconds of one run, after a warm-up."""
    for index in range(rounds // 10):
        await run(-1 - index)
    taken = []
    for index in range(rounds):
        started = time.perf_counter()
        await run(index)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


async def main() -> dict[str, float]:
    workbench.load_rooms()
    for run in (look, plain, slow, put):
        run.__module__ = "workbench.bench.actions"
    action(effect="read")(look)
    action(effect="read")(plain)
    action(effect="read", heavy=True)(slow)
    action(effect="write", undo="irreversible")(put)
    with tempfile.TemporaryDirectory() as home:
        engines = Engines(load_settings(home=Path(home)))
        ada = Actor(name="ada")
        project = await asyncio.to_thread(resolve, engines, ada, None)
        ctx = Context(ada, project, engines)
        found = {
            "coroutine_us": 1e6 * await timed(lambda n: call(ctx, "bench.look", {"n": n}), ROUNDS),
            "function_us": 1e6 * await timed(lambda n: call(ctx, "bench.plain", {"n": n}), ROUNDS),
        }
        bare = FastAPI()

        @bare.post("/read")
        async def read(n: int = Body(embed=True)) -> Done:
            return Done()

        @bare.post("/write")
        async def write(name: str = Body(embed=True)) -> Note:
            return Note(id=name, name=name)

        ours = httpx.AsyncClient(
            transport=httpx.ASGITransport(application(engines, Everybody())),
            base_url="http://localhost",
        )
        theirs = httpx.AsyncClient(transport=httpx.ASGITransport(bare), base_url="http://localhost")
        async with ours, theirs:
            our_read = await timed(
                lambda n: ours.post("/api/v1/bench:look", json={"n": n}), ROUNDS // 4
            )
            bare_read = await timed(lambda n: theirs.post("/read", json={"n": n}), ROUNDS // 4)
            our_write = await timed(
                lambda n: ours.post("/api/v1/bench:put", json={"name": f"n{n}"}), ROUNDS // 4
            )
            bare_write = await timed(
                lambda n: theirs.post("/write", json={"name": f"n{n}"}), ROUNDS // 4
            )
            naps = [
                asyncio.create_task(ours.post("/api/v1/bench:slow", json={})) for _ in range(12)
            ]
            await asyncio.sleep(0.05)
            delayed = await timed(lambda n: ours.post("/api/v1/bench:look", json={"n": n}), 20)
            await asyncio.gather(*naps)
        engines.close()
    return found | {
        "rest_read_adds_ms": 1e3 * (our_read - bare_read),
        "rest_read_ratio": our_read / bare_read,
        "rest_write_adds_ms": 1e3 * (our_write - bare_write),
        "rest_write_ratio": our_write / bare_write,
        "delay_by_slow_ms": 1e3 * (delayed - our_read),
    }


if __name__ == "__main__":
    print(json.dumps({name: round(value, 2) for name, value in asyncio.run(main()).items()}))
