"""Graphs edited together: how soon others see an edit, what a late one waits, what the log keeps.

Prints one JSON line. No bound is set here; the targets are 40 ms (p95, two peers), 150 ms (50
peers), 200 ms (a late peer, 5,000 nodes), 3 (bytes of the log over the file), 250 and 20 ms
(shapes of 500 nodes, whole and after an edit).

Seen: from before an edit's bytes go into the sender's socket until they come out of another
peer's, over every pair of the two; all peers are in one process, which has one event loop, and
only look for the edit's number in the bytes. Each edit sets a layer's units (so its shapes are
worked out and told, too) and its name. `stock` is pycrdt-websocket, in memory and without
shapes, in a process of its own on the same ASGI server: the same edits, alternating rounds; the
ratio is what the disk, the rights and the shapes cost.
"""

import asyncio
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
import sqlalchemy as sa  # noqa: E402
from pycrdt import Doc  # noqa: E402
from websockets.asyncio.client import ClientConnection, connect  # noqa: E402

import workbench  # noqa: E402
from tests.running import environment_for, free_port  # noqa: E402
from workbench.core import Actor, Context, Engines, load_settings  # noqa: E402
from workbench.documents import log, wire  # noqa: E402
from workbench.documents.files import written  # noqa: E402
from workbench.documents.operations import perform  # noqa: E402
from workbench.documents.rooms import MANY  # noqa: E402
from workbench.documents.shared import (  # noqa: E402
    NONE,
    changed,
    edge_id,
    fill,
    graph_of,
    opened,
)
from workbench.documents.types import (  # noqa: E402
    AddNode,
    Connect,
    Move,
    Operation,
    RemoveNode,
    Rename,
    SetParam,
)
from workbench.graphs import Edge, Graph, Node, Reader  # noqa: E402
from workbench.projects import resolve  # noqa: E402

ROUNDS, SECONDS, PAUSE_S = 2, 12.0, 0.2
NODES, LARGE, KEPT_NODES = 200, 5_000, 300
EDITS, TOGETHER = 100_000, 20_000
MARK = re.compile(rb"mark(\d{6})")
STOCK = """
import asyncio, sys
import uvicorn
from pycrdt.websocket import ASGIServer, WebsocketServer

async def main():
    async with WebsocketServer(auto_clean_rooms=False) as rooms:
        config = uvicorn.Config(
            ASGIServer(rooms), port=int(sys.argv[1]), log_level="error", ws="websockets-sansio"
        )
        await uvicorn.Server(config).serve()

asyncio.run(main())
"""


def chain(size: int) -> Graph:
    """A network for tables that is that many nodes deep."""
    nodes = {"table": Node(layer="input")}
    nodes |= {
        f"n{i}": Node(layer="dense" if i % 2 else "relu", params={"units": 64} if i % 2 else {})
        for i in range(1, size - 1)
    }
    nodes["target"] = Node(layer="output")
    ids = list(nodes)
    edges = {
        edge_id(one, "out", other, "in"): Edge(source=one, target=other)
        for one, other in pairwise(ids)
    }
    return Graph(
        nodes=nodes, edges=edges, layout={id: (220.0 * i, 0.0) for i, id in enumerate(ids)}
    )


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median and the 95th percentile, in ms, of seconds."""
    every = sorted(values)
    return {
        "p50_ms": round(statistics.median(every) * 1000, 2),
        "p95_ms": round(every[min(len(every) - 1, int(len(every) * 0.95))] * 1000, 2),
    }


# ---- the servers --------------------------------------------------------------------------------


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The Studio's service, as a process of its own; its address."""
    port = free_port()
    service = subprocess.Popen(
        [sys.executable, "-m", "workbench.api.serve"],
        env=environment_for(home, port),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        answered(f"http://127.0.0.1:{port}/")
        yield str(json.loads((home / "run" / "studio.json").read_text())["url"])
    finally:
        service.send_signal(signal.SIGTERM)
        try:
            service.wait(30)
        finally:
            if service.poll() is None:
                os.killpg(service.pid, signal.SIGKILL)
                service.wait()


@contextmanager
def stock() -> Iterator[str]:
    """pycrdt-websocket, as it is installed."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", STOCK, str(port)], stderr=subprocess.DEVNULL)
    try:
        answered(f"http://127.0.0.1:{port}/")
        yield f"ws://127.0.0.1:{port}/"
    finally:
        server.kill()
        server.wait()


def answered(url: str) -> None:
    """Wait until somebody answers there, whatever it is."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            if httpx.get(url, timeout=1).status_code != 503:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise TimeoutError(url)


# ---- the peers: a process of their own ----------------------------------------------------------


class Watcher:
    """A peer that says when it has seen what."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url, self.headers = url, headers
        self.seen: dict[int, float] = {}
        self.twice = 0
        self.doc: Doc[Any] = Doc()
        self.synced, self.meant = asyncio.Event(), asyncio.Event()
        self.sent: list[float] = []
        self.kept: list[float] = []
        self.socket: ClientConnection
        self._task: asyncio.Task[None]

    async def enter(self) -> "Watcher":
        """Come in, and have everything."""
        self.socket = await connect(
            self.url,
            additional_headers=self.headers,
            max_size=None,
            compression=None,
            ping_interval=None,
            proxy=None,
        )
        self._task = asyncio.create_task(self._listen())
        await self.socket.send(wire.step1(self.doc.get_state()))
        await self.synced.wait()
        return self

    async def leave(self) -> None:
        """Go."""
        await self.socket.close()
        await self._task

    def change(self, *operations: Operation) -> bytes:
        """Change the own copy; what came of it."""
        return changed(self.doc, lambda: perform(self.doc, operations))

    async def _listen(self) -> None:
        async for message in self.socket:
            now = time.perf_counter()
            assert isinstance(message, bytes)
            if message[0] == wire.ACKNOWLEDGED:
                count = wire.read_numbers(message[1:])[0]
                while len(self.kept) < min(count, len(self.sent)):
                    self.kept.append(now - self.sent[len(self.kept)])
            elif message[0] == wire.MEANING:
                self.meant.set()
            elif message[0] == wire.SYNC and message[1] == wire.STEP2:
                self.doc.apply_update(wire.read(message)[2])
                self.synced.set()
            elif message[0] == wire.SYNC and message[1] == wire.UPDATE:
                for found in MARK.findall(message):
                    self.twice += int(found) in self.seen
                    self.seen.setdefault(int(found), now)


async def edited(asked: dict[str, Any]) -> dict[str, Any]:
    """Several edit, all look on; who sends an edit is not counted among those who see it."""
    began: dict[int, tuple[Watcher, float]] = {}
    peers = [Watcher(asked["url"], asked["headers"]) for _ in range(asked["peers"])]
    for each in peers:
        await each.enter()
    if "n1" not in graph_of(peers[0].doc).nodes:  # stock: nobody has made the document yet
        fill(peers[0].doc, chain(NODES))
        await peers[0].socket.send(wire.update(peers[0].doc.get_update()))
        for each in peers[1:]:
            each.doc.apply_update(peers[0].doc.get_update())
        await asyncio.sleep(1)
    numbers = iter(range(1, 1_000_000))

    async def work(editor: Watcher, node: str, start_s: float) -> None:
        await asyncio.sleep(start_s)
        end = time.perf_counter() + asked["seconds"]
        while time.perf_counter() < end:
            number = next(numbers)
            update = editor.change(
                SetParam(id=node, param="units", value=1 + number % 500),
                Rename(id=node, name=f"mark{number:06}"),
            )
            now = time.perf_counter()
            began[number] = editor, now
            editor.sent.append(now)
            await editor.socket.send(wire.update(update))
            await asyncio.sleep(PAUSE_S)

    editors = peers[: asked["editors"]]
    await asyncio.gather(
        *(work(each, f"n{2 * i + 1}", PAUSE_S * i / len(editors)) for i, each in enumerate(editors))
    )
    await asyncio.sleep(1.5)
    took = [
        each.seen[number] - at
        for number, (editor, at) in began.items()
        for each in peers
        if each is not editor  # stock sends an edit back to who made it, as well
    ]
    for each in peers:
        await each.leave()
    kept = [seconds for each in editors for seconds in each.kept]
    return {"took": took, "kept": kept, "twice": sum(each.twice for each in peers)}


async def came_late(asked: dict[str, Any]) -> dict[str, Any]:
    """How long each of several waits for the whole document, and for what it means."""
    whole, meant = [], []
    first = Watcher(asked["url"], asked["headers"])
    began = time.perf_counter()
    await first.enter()
    cold = time.perf_counter() - began
    for _ in range(asked["times"]):
        late = Watcher(asked["url"], asked["headers"])
        began = time.perf_counter()
        await late.enter()
        whole.append(time.perf_counter() - began)
        await late.meant.wait()
        meant.append(time.perf_counter() - began)
        assert len(graph_of(late.doc).nodes) == LARGE
        await late.leave()
    await first.leave()
    return {"cold": cold, "whole": whole, "meant": meant}


def peers(what: str, **asked: Any) -> dict[str, Any]:
    """What the process of the peers measured."""
    done = subprocess.run(
        [sys.executable, __file__, what, json.dumps(asked)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# ---- what is measured ---------------------------------------------------------------------------


def together() -> dict[str, Any]:
    """Edits seen by others, and a late peer, through the sockets of real processes."""
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as url, stock() as theirs:
        token = (Path(folder) / "keys" / "local").read_text()
        headers = {"Authorization": f"Bearer {token}"}
        wb = workbench.connect(url, token=token)
        room = f"{url.replace('http', 'ws', 1)}api/v1/documents/room?id="
        for count, editors in ((2, 2), (50, 5)):
            found: dict[str, list[float]] = {"studio": [], "stock": [], "kept": []}
            twice = 0
            for turn in range(ROUNDS):
                made = wb.documents.create_document(f"{count}-{turn}", graph=chain(NODES))
                given = {"peers": count, "editors": editors, "seconds": SECONDS}
                ours = peers("edit", url=room + made.id, headers=headers, **given)
                found["studio"] += ours["took"]
                found["kept"] += ours["kept"]
                twice += ours["twice"]
                name = f"{theirs}{made.id}"
                found["stock"] += peers("edit", url=name, headers={}, **given)["took"]
            one = {kind: spread(values) for kind, values in found.items()}
            told[f"{count}_peers"] = {
                "editors": editors,
                "edits": len(found["studio"]) // (count - 1),
                "seen": one["studio"],
                "told_twice": twice,
                "acknowledged": one["kept"],
                "stock": one["stock"],
                "ratio": {k: round(one["studio"][k] / v, 2) for k, v in one["stock"].items()},
            }
        made = wb.documents.create_document("large", graph=chain(LARGE))
        late = peers("late", url=room + made.id, headers=headers, times=10)
        told["late_5000_nodes"] = {
            "first_of_all_ms": round(late["cold"] * 1000, 1),
            "has_the_document": spread(late["whole"]),
            "has_its_meaning_too": spread(late["meant"]),
        }
        wb.close()
    return told


def worked(doc: "Doc[Any]", count: int) -> Iterator[bytes]:
    """What people do to a graph of some hundred nodes: drags, sliders, layers more and less."""
    rng = random.Random(20_261_201)
    layers = {id: node.layer for id, node in graph_of(doc).nodes.items()}
    nodes = [id for id in layers if id not in ("table", "target")]
    made, done = 0, 0
    while done < count:
        kind, id = rng.random(), rng.choice(nodes)
        edits: list[list[Operation]] = []
        if kind < 0.45:  # dragged: 5 places a second, 1 to 4 s
            x, y = rng.uniform(0, 9000), rng.uniform(0, 3000)
            for step in range(rng.randint(5, 20)):
                edits.append([Move(id=id, at=(round(x + 9 * step), round(y + 4 * step)))])
        elif kind < 0.8:
            if layers[id] == "dense":
                for _ in range(rng.randint(1, 8)):
                    edits.append([SetParam(id=id, param="units", value=rng.randint(1, 512))])
        elif kind < 0.9 or len(nodes) < KEPT_NODES:
            made += 1
            new = f"dense{made}"
            nodes.append(new)
            layers[new] = "dense"
            place = (round(rng.uniform(0, 9000)), round(rng.uniform(0, 3000)))
            edits.append([AddNode(layer="dense", id=new, params={"units": 32}, at=place)])
            edits.append([Connect(source=id, target=new)])
        else:
            nodes.remove(id)
            edits.append([RemoveNode(id=id)])
        for operations in edits[: count - done]:
            update = changed(doc, lambda o=operations: perform(doc, o))  # type: ignore[misc]
            if update != NONE:
                done += 1
                yield update


def kept(ctx: Context, actors: int, count: int) -> dict[str, Any]:
    """Bytes of a log over those of the file, compacted as the rooms do it, with that many actors.

    Edits of several actors come by turns, as those of people who work at the same time do.
    """
    document, doc = f"doc_{actors}", opened()
    fill(doc, chain(KEPT_NODES))
    with ctx.store.begin() as tx:
        log.begin(tx, ctx.project, document, doc.get_update())
    batch: list[log.Entry] = []
    sent = recorded = 0
    compacted: list[float] = []

    def compact() -> None:
        began = time.perf_counter()
        log.record(ctx, document)
        log.compact(ctx, document)
        compacted.append(time.perf_counter() - began)

    def write() -> None:
        with ctx.store.begin() as tx:
            log.append(tx, ctx.project, document, batch, ctx.now())
        batch.clear()

    raw = 0
    for sent, update in enumerate(worked(doc, count), 1):
        raw += len(update)
        batch.append(log.Entry(f"person:{sent % actors}", log.ROOM, update))
        if len(batch) == 250:
            write()
            if sent - recorded >= MANY:
                compact()
                recorded = sent
    if batch:
        write()
    compact()
    with ctx.store.read() as connection:
        sizes = [
            int(
                connection.execute(
                    sa.select(sa.func.sum(sa.func.length(column))).where(
                        table.c.document == document
                    )
                ).scalar_one()
            )
            for table, column in (
                (log.updates, log.updates.c.body),
                (log.snapshots, log.snapshots.c.state),
            )
        ]
        rows = connection.execute(
            sa.select(sa.func.count()).where(log.updates.c.document == document)
        ).scalar_one()
        again, seq = log.load(connection, ctx.project, document)
    assert graph_of(again) == graph_of(doc) and seq == sent
    file = len(written(graph_of(doc), document, seq).encode())
    return {
        "edits": sent,
        "nodes": len(graph_of(doc).nodes),
        "written_bytes": raw,
        "updates_bytes": sizes[0],
        "snapshots_bytes": sizes[1],
        "rows": rows,
        "file_bytes": file,
        "ratio": round(sum(sizes) / file, 2),
        "longest_compact_s": round(max(compacted), 2),
    }


def logged() -> dict[str, Any]:
    """What the log keeps of many edits, against the graph as a file."""
    workbench.load_rooms()
    with tempfile.TemporaryDirectory() as folder:
        engines = Engines(load_settings(home=Path(folder)))
        ada = Actor(name="ada")
        ctx = Context(ada, resolve(engines, ada, None), engines)
        found = {"one_actor": kept(ctx, 1, EDITS), "three_by_turns": kept(ctx, 3, TOGETHER)}
        engines.close()
    return found


def taken(call: Callable[[int], object], times: int = 60) -> dict[str, float]:
    """Milliseconds of a call."""
    values = []
    for number in range(times):
        began = time.perf_counter()
        call(number)
        values.append(time.perf_counter() - began)
    return spread(values[3:])


def read_from(size: int) -> dict[str, float]:
    """A graph of that size, read from its document."""
    doc = opened()
    fill(doc, chain(size))
    return taken(lambda _: graph_of(doc))


def shapes() -> dict[str, Any]:
    """Shapes of 500 nodes, and a graph read from its document (in the event loop, each edit)."""
    whole = chain(500)
    reader = Reader()
    reader.read(whole)

    def edit(number: int) -> Graph:
        node = Node(layer="dense", params={"units": number + 1})
        return whole.model_copy(update={"nodes": whole.nodes | {"n249": node}})

    edits = [edit(number) for number in range(60)]
    told: dict[str, Any] = {
        "whole_500": taken(lambda _: Reader().read(whole)),
        "after_an_edit_500": taken(lambda number: reader.read(edits[number])),
    }
    for size in (500, 1_000):
        told[f"graph_of_{size}"] = read_from(size)
    return told


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "together": together,
    "log": logged,
    "shapes": shapes,
}


def main() -> None:
    """All, or the parts that are named."""
    asked = sys.argv[1:]
    if asked[:1] == ["edit"]:
        print(json.dumps(asyncio.run(edited(json.loads(asked[1])))))
    elif asked[:1] == ["late"]:
        print(json.dumps(asyncio.run(came_late(json.loads(asked[1])))))
    else:
        print(json.dumps({name: PARTS[name]() for name in asked or PARTS}))


if __name__ == "__main__":
    main()
