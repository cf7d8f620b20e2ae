"""What holds for any graphs and any order of edits."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pycrdt import Doc

from workbench.core import WorkbenchError
from workbench.documents.difference import differ, inverse, take
from workbench.documents.files import parsed, written
from workbench.documents.meant import meant
from workbench.documents.operations import perform
from workbench.documents.shared import NONE, changed, edge_id, fill, graph_of, hash_of, root
from workbench.documents.types import (
    AddNode,
    Connect,
    Disconnect,
    Move,
    RemoveGroup,
    RemoveNode,
    Rename,
    SetGroup,
    SetParam,
    SetTraining,
)
from workbench.graphs import Edge, Graph, Node, NodeGroup

IDS = ["a", "b", "c", "d", "e"]
LAYERS = ["dense", "relu", "dropout", "add"]
ids, places = st.sampled_from(IDS), st.tuples(*[st.integers(-500, 500).map(float)] * 2)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    groups = {
        id: NodeGroup(name=draw(st.sampled_from(["stem", "head"])), folded=draw(st.booleans()))
        for id in draw(st.sets(st.sampled_from(["g", "h"])))
    }
    nodes = {}
    for id in sorted(draw(st.sets(ids))):
        layer = draw(st.sampled_from(LAYERS))
        params = {"units": draw(st.integers(1, 9))} if layer == "dense" else {}
        nodes[id] = Node(
            layer=layer,
            params=params,
            name=draw(st.sampled_from(["", "first", "ü/~"])),
            group=draw(st.sampled_from(["", *groups])),
        )
    edges = {}
    if len(nodes) > 1:
        for source, target in draw(
            st.sets(st.tuples(st.sampled_from([*nodes]), st.sampled_from([*nodes])), max_size=5)
        ):
            edges[edge_id(source, "out", target, "in")] = Edge(source=source, target=target)
    layout = {id: draw(places) for id in nodes if draw(st.booleans())}
    training = draw(st.dictionaries(st.sampled_from(["epochs", "patience"]), st.integers(1, 9)))
    return Graph(nodes=nodes, edges=edges, groups=groups, layout=layout, training=training)


def filled(graph: Graph) -> Doc[Any]:
    doc: Doc[Any] = Doc(client_id=1)
    fill(doc, graph)
    return doc


@given(graphs())
def test_a_graph_comes_back_as_it_went_in(graph: Graph) -> None:
    assert graph_of(filled(graph)) == graph


@given(graphs(), graphs())
def test_changes_lead_from_one_graph_to_the_other_and_back(one: Graph, other: Graph) -> None:
    doc = filled(one)
    there = differ(one, other)
    changed(doc, lambda: take(doc, one, there))
    assert hash_of(graph_of(doc)) == hash_of(other)
    now = graph_of(doc)
    changed(doc, lambda: take(doc, now, inverse(there)))
    assert hash_of(graph_of(doc)) == hash_of(one)


@given(graphs(), graphs())
def test_changes_made_twice_are_made_once(one: Graph, other: Graph) -> None:
    doc, changes = filled(one), differ(one, other)
    changed(doc, lambda: take(doc, one, changes))
    now = graph_of(doc)
    assert changed(doc, lambda: take(doc, now, changes)) == NONE


@given(graphs(), graphs(), graphs())
def test_a_merge_takes_what_does_not_clash(base: Graph, mine: Graph, theirs: Graph) -> None:
    doc, changes = filled(mine), differ(base, theirs)
    found: list[Any] = []
    changed(doc, lambda: found.append(take(doc, mine, changes)))
    [(applied, conflicts)] = found
    assert not {each.key for each in applied} & {each.key for each in conflicts}
    own = {each.key for each in differ(base, mine)}
    for each in conflicts:
        parent = "/".join(each.key.split("/")[:2])
        touched = any(key == parent or key.startswith((f"{parent}/", each.key)) for key in own)
        assert touched or each.what in ("edge", "place", "parameter", "name", "group")


@given(graphs())
def test_a_file_says_the_graph(graph: Graph) -> None:
    import json

    found = parsed(json.loads(written(graph, "doc_x", 3)))
    assert (found.graph, found.seq, found.base) == (graph, 3, hash_of(graph))


@given(graphs(), st.randoms(use_true_random=False))
def test_garbage_in_the_maps_is_left_out(graph: Graph, rng: random.Random) -> None:
    doc = filled(graph)
    for name in ("nodes", "edges", "groups", "layout"):
        root(doc, name)["junk"] = rng.choice([None, 3, "x", [1], {"layer": 5}, ["a", "b"]])
    assert graph_of(doc) == graph


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
fields = st.sampled_from(
    ["layer", "params", "name", "group", "source", "target", "order", "parent"]
)


@given(
    graphs(),
    st.lists(
        st.tuples(
            st.sampled_from(["nodes", "edges", "groups", "layout", "training", "data"]),
            st.sampled_from([*IDS, "g", "", "a b"]),
            json_values | st.dictionaries(fields, json_values | ids),
        ),
        max_size=6,
    ),
)
def test_whatever_somebody_writes_into_the_maps_the_graph_can_be_read(
    graph: Graph, written: list[tuple[str, str, Any]]
) -> None:
    doc = filled(graph)
    for name, id, value in written:
        root(doc, name)[id] = value
    found = graph_of(doc)
    meant(found)
    hash_of(found)


class Peers(RuleBasedStateMachine):
    """Peers that edit at random, are away at random, and hear of each other in any order."""

    @initialize(count=st.integers(2, 20), graph=graphs())
    def begin(self, count: int, graph: Graph) -> None:
        first = filled(graph)
        self.docs: list[Doc[Any]] = [first]
        # Who wins is decided by the clients' numbers, which are drawn by chance elsewhere.
        for client in range(2, count + 1):
            other: Doc[Any] = Doc(client_id=client)
            other.apply_update(first.get_update())
            self.docs.append(other)
        self.waiting: list[tuple[int, bytes]] = []

    def _do(self, who: int, *operations: Any) -> None:
        me = who % len(self.docs)
        try:
            update = changed(self.docs[me], lambda: perform(self.docs[me], operations))
        except WorkbenchError:
            return  # it makes no sense in this peer's graph
        if update != NONE:
            self.waiting += [(to, update) for to in range(len(self.docs)) if to != me]

    @rule(who=st.integers(0, 19), id=ids, layer=st.sampled_from(LAYERS), at=places)
    def add(self, who: int, id: str, layer: str, at: tuple[float, float]) -> None:
        self._do(who, AddNode(layer=layer, id=id, at=at))

    @rule(who=st.integers(0, 19), id=ids)
    def remove(self, who: int, id: str) -> None:
        self._do(who, RemoveNode(id=id))

    @rule(who=st.integers(0, 19), id=ids, value=st.integers(1, 99))
    def set_param(self, who: int, id: str, value: int) -> None:
        self._do(who, SetParam(id=id, param="units", value=value))

    @rule(who=st.integers(0, 19), id=ids, name=st.sampled_from(["x", "y", ""]))
    def rename(self, who: int, id: str, name: str) -> None:
        self._do(who, Rename(id=id, name=name))

    @rule(who=st.integers(0, 19), one=ids, other=ids)
    def connect(self, who: int, one: str, other: str) -> None:
        self._do(who, Connect(source=one, target=other))

    @rule(who=st.integers(0, 19), one=ids, other=ids)
    def disconnect(self, who: int, one: str, other: str) -> None:
        self._do(who, Disconnect(source=one, target=other))

    @rule(who=st.integers(0, 19), id=ids, at=places)
    def move(self, who: int, id: str, at: tuple[float, float]) -> None:
        self._do(who, Move(id=id, at=at))

    @rule(who=st.integers(0, 19), nodes=st.lists(ids, max_size=3))
    def group(self, who: int, nodes: list[str]) -> None:
        self._do(who, SetGroup(id="g", name="stem", nodes=nodes))

    @rule(who=st.integers(0, 19))
    def ungroup(self, who: int) -> None:
        self._do(who, RemoveGroup(id="g"))

    @rule(who=st.integers(0, 19), value=st.integers(1, 9))
    def train(self, who: int, value: int) -> None:
        self._do(who, SetTraining(name="epochs", value=value))

    @rule(rng=st.randoms(), share=st.floats(0, 1))
    def deliver(self, rng: random.Random, share: float) -> None:
        """Some of what is on its way comes, in any order, some of it twice."""
        rng.shuffle(self.waiting)
        cut = int(len(self.waiting) * share)
        for to, update in self.waiting[:cut]:
            self.docs[to].apply_update(update)
            if rng.random() < 0.1:
                self.docs[to].apply_update(update)
        self.waiting = self.waiting[cut:]

    @rule(who=st.integers(0, 19))
    def come_back(self, who: int) -> None:
        """A peer was away: what was on its way to it is lost, and it asks for what it lacks."""
        me = who % len(self.docs)
        self.waiting = [(to, update) for to, update in self.waiting if to != me]
        for other in self.docs:
            if other is not self.docs[me]:
                self.docs[me].apply_update(other.get_update(self.docs[me].get_state()))

    @invariant()
    def every_graph_is_one(self) -> None:
        for doc in getattr(self, "docs", [])[:1]:
            graph = graph_of(doc)
            assert all(
                {each.source, each.target} <= graph.nodes.keys() for each in graph.edges.values()
            )

    def teardown(self) -> None:
        if not hasattr(self, "docs"):
            return
        for to, update in self.waiting:
            self.docs[to].apply_update(update)
        # A peer that asked for what it lacked may be the only one that has it.
        for one in self.docs:
            for other in self.docs:
                if one is not other:
                    one.apply_update(other.get_update(one.get_state()))
        files = {written(graph_of(doc), "doc_x", 0) for doc in self.docs}
        assert len(files) == 1


class TestPeers(Peers.TestCase):  # type: ignore[name-defined,misc]
    """10,000 steps."""

    settings = settings(max_examples=100, stateful_step_count=100, deadline=None)
