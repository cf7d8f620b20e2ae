"""The Studio's service killed again and again while three peers edit one graph.

After every kill: each edit that was acknowledged is in the stored document, and what is there is a
beginning of what each peer did, nothing left out. After every start: what was edited before the
kill is on the record. At the end everybody has the same graph, and the record counts each edit.

Each peer has a node that carries the number of its last edit, and nodes that come and go by
that number, so that the number says what must be there; all move one node that they share.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import workbench
from tests.running import free_port
from tests.soak.test_kills import killed, started
from workbench.api import live
from workbench.api.client import Workbench
from workbench.api.live import LiveGraph
from workbench.core import Engines, load_settings
from workbench.core.events import events
from workbench.core.store import Store, stores
from workbench.documents import log
from workbench.documents.files import written
from workbench.documents.shared import graph_of
from workbench.documents.types import AddNode, Move, Operation, RemoveNode, Rename
from workbench.graphs import Graph, Node

PEERS, EVERY, AGE = 3, 5, 13
"""Every fifth edit adds a node, which is removed thirteen edits later."""


class Writer:
    """A peer, and how far it has come: `made` edits, of which `acknowledged` are on the disk."""

    def __init__(self, wb: Workbench, document: str, name: int) -> None:
        self.graph: LiveGraph = wb.documents.open(document)
        self.name, self.made, self.acknowledged = name, 0, 0

    def edit(self, rng: random.Random) -> None:
        """One more."""
        number = self.made + 1
        operations: list[Operation] = [Rename(id=f"peer{self.name}", name=str(number))]
        if number % EVERY == 0:
            operations.append(AddNode(layer="relu", id=f"p{self.name}_{number}"))
        old = number - AGE
        if old > 0 and old % EVERY == 0:
            operations.append(RemoveNode(id=f"p{self.name}_{old}"))
        operations.append(Move(id="shared", at=(rng.randint(0, 999), rng.randint(0, 999))))
        self.graph.edit(operations)
        self.made = number
        self.look()

    def look(self) -> None:
        """Whether everything that it made is on the disk by now."""
        with self.graph._told:
            if not self.graph.unsafe:
                self.acknowledged = self.made


def wanted(name: int, number: int) -> set[str]:
    """The nodes that are there after a peer's edit of that number."""
    ages = range(max(EVERY, (number - AGE) // EVERY * EVERY + EVERY), number + 1, EVERY)
    return {f"p{name}_{made}" for made in ages}


def number_of(graph: Graph, name: int) -> int:
    """The number of the last edit of a peer that is in a graph; it has all before, and no later."""
    number = int(graph.nodes[f"peer{name}"].name or 0)
    there = {id for id in graph.nodes if id.startswith(f"p{name}_")}
    assert there == wanted(name, number), f"peer {name} at {number}"
    return number


@contextmanager
def stored(home: Path) -> Iterator[Store]:
    """The store of a home whose service does not run."""
    workbench.load_rooms()
    engines = Engines(load_settings(home=home))
    try:
        yield engines.get(stores)
    finally:
        engines.close()


def kept(store: Store, document: str) -> tuple[Graph, Any]:
    """A stored document, and the head of its log, which has each number once."""
    with store.read() as connection:
        head = connection.execute(sa.select(log.heads).where(log.heads.c.document == document))
        at = head.one()
        doc, seq = log.load(connection, at.project, document)
        rows = log.read(connection, document, 0)
    assert seq == at.seq
    assert [row.first for row in rows] == [1, *(row.seq + 1 for row in rows[:-1])][: len(rows)]
    return graph_of(doc, "credit"), at


def recorded(store: Store, document: str) -> int:
    """How many edits of the document in rooms the record counts."""
    with store.read() as connection:
        refs = connection.execute(
            sa.select(events.c.refs).where(events.c.action == "documents.edit")
        )
        told = [row.refs for row in refs]
    return sum(each["edits"] for each in told if each["document"] == document)


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.soak)])
def test_kills_amid_edits_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    monkeypatch.setattr(live, "LONGEST_S", 1.0)
    rng = random.Random(20_261_202)
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    service = started(home, port)
    writers: list[Writer] = []
    lost_in_flight = 0
    try:
        wb = workbench.connect(f"http://127.0.0.1:{port}/services/studio/", token=key(home))
        ids = ["shared", *(f"peer{name}" for name in range(PEERS))]
        nodes = {id: Node(layer="relu") for id in ids}
        document = wb.documents.create_document("credit", graph=Graph(nodes=nodes, edges={})).id
        writers += [Writer(wb, document, name) for name in range(PEERS)]
        for turn in range(kills):
            cut = threading.Timer(rng.uniform(0.2, 1.5), killed, [service])
            cut.start()
            while cut.is_alive():
                for each in writers:
                    each.edit(rng)
                time.sleep(rng.uniform(0, 0.03))
                for each in writers:
                    each.look()
            cut.join()
            service.wait()
            with stored(home) as store:
                graph, before = kept(store, document)
            for each in writers:
                there = number_of(graph, each.name)
                assert each.acknowledged <= there <= each.made, f"kill {turn}, peer {each.name}"
                lost_in_flight += each.made - there
            for each in writers:  # nobody answers: it is kept by the peer
                each.edit(rng)
            service = started(home, port)
            with stored(home) as store:
                _, after = kept(store, document)
                assert after.recorded >= before.seq, "on the record before anybody comes in"
            for each in writers:
                each.graph.settled(60)
                each.look()
                assert each.acknowledged == each.made
            assert wb.audit.verify().ok
        graphs = agreed(writers)
        for each in writers:
            each.graph.close()
        told = wb.documents.get_document(document)
        assert {written(graph, document, told.seq) for graph in graphs} == {
            written(told.graph, document, told.seq)
        }
        wb.close()
        killed(service)
        service.wait()
        service = started(home, port)
        with stored(home) as store:
            graph, at = kept(store, document)
            assert written(graph, document, at.seq) == written(told.graph, document, told.seq)
            assert [number_of(graph, each.name) for each in writers] == [w.made for w in writers]
            assert at.recorded == at.seq == recorded(store, document)
    finally:
        for each in writers:
            each.graph._closed = True
            each.graph.close()
        killed(service)
        service.wait()
    assert sum(each.made for each in writers) > PEERS * kills
    print(f"{kills} kills, {sum(w.made for w in writers)} edits, {lost_in_flight} sent again")


def key(home: Path) -> str:
    """The key of a home."""
    return (home / "keys" / "local").read_text()


def agreed(writers: list[Writer]) -> list[Graph]:
    """The graph of each, once they are the same."""
    end = time.monotonic() + 20
    while True:
        graphs = [each.graph.graph for each in writers]
        if all(each == graphs[0] for each in graphs) or time.monotonic() > end:
            return graphs
        time.sleep(0.05)


def test_what_a_number_says_is_there() -> None:
    there: set[str] = set()
    for number in range(1, 60):
        if number % EVERY == 0:
            there.add(f"p0_{number}")
        if number > AGE and (number - AGE) % EVERY == 0:
            there.remove(f"p0_{number - AGE}")
        assert wanted(0, number) == there, number
    assert wanted(0, 0) == set()
