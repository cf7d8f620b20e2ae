"""Documents over their real socket: windows of the service's own, and kernels as live peers."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_socket

import workbench
from workbench.api.client import Workbench, connect
from workbench.api.live import LiveGraph
from workbench.api.rest import application
from workbench.core import Actor, Conflict, Engines, Invalid, NotFound, load_settings, local_person
from workbench.core.store import stores
from workbench.documents import wire
from workbench.projects import resolve
from workbench.security.guard import LocalGuard, local_key


class Service:
    """A Studio's service that is stopped and started again on one port."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, 0
        self.start()

    def start(self) -> None:
        workbench.load_rooms()
        engines = Engines(load_settings(home=self.home))
        me = Actor(name=local_person(), admin=True, fresh=True)
        resolve(engines, me, None)
        guard = LocalGuard(self.home, me.name, engines.get(stores))
        config = uvicorn.Config(
            application(engines, guard),
            port=self.port,
            log_level="error",
            timeout_graceful_shutdown=2,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive()
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(tmp_path / "home")
    yield running
    running.stop()


@pytest.fixture
def wb(service: Service) -> Iterator[Workbench]:
    opened = connect(service.url, token=local_key(service.home), project="default")
    yield opened
    opened.close()


def until(graph: LiveGraph, true: Any) -> None:
    with graph._told:
        assert graph._told.wait_for(true, timeout=10)


def test_two_kernels_build_one_network(wb: Workbench) -> None:
    made = wb.documents.create_document("credit")
    seen: list[str] = []
    with wb.documents.open("credit") as g, wb.documents.open(made.id) as h:
        h.observe(lambda graph: seen.append(repr(graph)))
        table = next(id for id, node in g.graph.nodes.items() if node.layer == "input")
        wide = g.add("dense", after=table, units=64, name="hidden")
        g.settled()
        until(h, lambda: wide in h.graph.nodes)
        h.set(wide, units=8)
        bend = h.add("relu", after=wide)
        h.settled()
        until(g, lambda: bend in g.meaning.nodes and g[bend].outputs.get("out") == ["B", 8])
        assert g.graph == h.graph
        assert "all safe" in repr(g) and seen
        with pytest.raises(Invalid, match="cannot have units 0"):
            g.set(wide, units=0)
        with pytest.raises(Conflict):
            g.add("relu", id=bend)
        assert g.graph.nodes[wide].params == {"units": 8}
    assert wb.documents.get_document("credit").graph.nodes[wide].name == "hidden"


def test_a_torch_module_becomes_a_document(wb: Workbench) -> None:
    from torch import nn, ones, rand_like

    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    made = wb.documents.from_module(net, ones(2, 4), name="mine")
    found = wb.documents.get_document(made.id)
    assert found.meaning.problems == []
    assert found.meaning.parameters == sum(each.numel() for each in net.parameters())
    ends = {name: found.graph.data[name] for name in ("features", "outputs")}
    assert ends == {"features": 4, "outputs": 2}
    assert found.graph.data["weights"].startswith("sha256:")

    class Noise(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + rand_like(x)

    with pytest.raises(Invalid, match="No layer computes rand_like"):
        wb.documents.from_module(Noise(), ones(2, 4, 3, 3))
    assert [each.name for each in wb.documents.list_documents().items] == ["mine"]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_an_exported_program_becomes_a_document(wb: Workbench, tmp_path: Path) -> None:
    import torch
    from torch import nn

    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    rows = {0: torch.export.Dim("rows")}
    program = torch.export.export(net, (torch.ones(2, 4),), dynamic_shapes=(rows,))
    torch.export.save(program, tmp_path / "net.pt2")
    made = wb.documents.from_module(torch.export.load(tmp_path / "net.pt2"), name="kept")
    ends = [{"op": "set_data", "name": n, "value": v} for n, v in (("features", 4), ("outputs", 2))]
    wb.documents.edit(id=made.id, operations=ends)
    blob = wb.documents.export(id=made.id, format="onnx")
    again = wb.documents.import_document(source=wb.save(blob, tmp_path / "net.onnx"), name="again")
    assert again.forked_from.startswith(made.id)
    nodes = wb.documents.get_document(made.id).graph.nodes
    assert wb.documents.get_document(again.id).graph.nodes == nodes


def test_a_service_that_restarts_loses_nothing(service: Service, wb: Workbench) -> None:
    wb.documents.create_document("credit")
    with wb.documents.open("credit") as g:
        first = g.add("dense", units=4)
        g.settled()
        service.stop()
        second = g.add("dense", units=5)
        assert g.unsafe
        service.start()
        g.settled(20)
    nodes = wb.documents.get_document("credit").graph.nodes
    assert nodes[first].params == {"units": 4} and nodes[second].params == {"units": 5}


def test_what_is_not_there_is_not_opened(wb: Workbench) -> None:
    with pytest.raises(NotFound, match="no document 'none'"):
        wb.documents.open("none")


def closed(url: str, **headers: str) -> int:
    with connect_socket(url, additional_headers=headers, proxy=None) as socket:
        try:
            socket.recv(timeout=5)
        except ConnectionClosed as error:
            assert error.rcvd is not None
            return error.rcvd.code
    raise AssertionError("it was let in")


def test_who_shows_nothing_is_not_let_in(service: Service, wb: Workbench) -> None:
    made = wb.documents.create_document("credit")
    room = f"ws://127.0.0.1:{service.port}/api/v1/documents/room"
    key = {"Authorization": f"Bearer {local_key(service.home)}"}
    assert closed(f"{room}?id={made.id}") == 4403
    assert closed(f"{room}?id=doc_none", **key) == 4404
    assert closed(f"{room}?id={made.id}", Origin="http://elsewhere.example", **key) == 4403


def test_the_first_word_is_who_one_is(service: Service, wb: Workbench) -> None:
    made = wb.documents.create_document("credit")
    url = f"ws://127.0.0.1:{service.port}/api/v1/documents/room?id={made.id}"
    key = {"Authorization": f"Bearer {local_key(service.home)}"}
    with connect_socket(url, additional_headers=key, proxy=None) as socket:
        first = socket.recv(timeout=5)
        assert isinstance(first, bytes) and first[0] == wire.HELLO
        told = json.loads(wire.read(first)[2])
        assert told["actor"] == f"person:{local_person()}"
        assert told["may_write"] is True and told["seq"] == 0
