"""What a graph means while people edit it: wrong where it is wrong, whole everywhere else."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core import Invalid
from workbench.graphs import (
    LAYERS,
    TEMPLATES,
    Edge,
    Graph,
    Meaning,
    Node,
    Reader,
    build,
    check,
    find_layer,
    source,
)
from workbench.graphs.nodes import RESERVED


def row(*layers: str | tuple[str, dict[str, Any]]) -> Graph:
    """One layer after the other; ids are n0, n1, …"""
    nodes = {
        f"n{place}": Node(layer=each)
        if isinstance(each, str)
        else Node(layer=each[0], params=each[1])
        for place, each in enumerate(layers)
    }
    edges = {
        f"e{place}": Edge(source=f"n{place}", target=f"n{place + 1}")
        for place in range(len(nodes) - 1)
    }
    return Graph(nodes=nodes, edges=edges)


def changed(graph: Graph, **updates: object) -> Graph:
    return graph.model_copy(update=updates)


def shapes(meaning: Meaning) -> dict[str, list[int | str]]:
    return {id: each.outputs["out"] for id, each in meaning.nodes.items() if each.outputs}


GOOD = row("input", ("dense", {"units": 8}), "relu", "output")


def test_sizes_have_names_until_they_are_known() -> None:
    graph = changed(
        row("input", "concat", ("dense", {"units": 8}), "output"),
        edges={
            **row("input", "concat", "dense", "output").edges,
            "again": Edge(source="n0", target="n1"),
        },
    )
    open_ = Reader().read(graph)
    assert shapes(open_) == {
        "n0": ["B", "F"],
        "n1": ["B", "2·F"],
        "n2": ["B", 8],
        "n3": ["B", "C"],
    }
    assert open_.nodes["n2"].parameters is None and open_.parameters is None
    assert not open_.problems
    closed = Reader(5, 3).read(graph)
    assert shapes(closed)["n1"] == ["B", 10]
    assert closed.nodes["n2"].parameters == 88
    assert closed.nodes["n2"].flops == 160
    assert closed.parameters == 88 + 27
    assert closed.activation_bytes == 4 * (5 + 10 + 8 + 3)


@pytest.mark.parametrize(
    ("graph", "where", "sentence", "whole"),
    [
        (row("input", "nothing", "relu", "output"), "n1", "'nothing'", {"n0"}),
        (row("input", ("dense", {"units": "many"}), "output"), "n1", "units 'many'", {"n0"}),
        (row("input", "dense", ("conv2d", {}), "relu"), "n2", "[batch, channels", {"n0", "n1"}),
        (
            changed(GOOD, edges=GOOD.edges | {"x": Edge(source="gone", target="n2")}),
            "x",
            "'gone'",
            {"n0", "n1"},
        ),
        (
            changed(GOOD, edges=GOOD.edges | {"x": Edge(source="n0", target="n2", port="side")}),
            "x",
            "n2.side",
            {"n0", "n1"},
        ),
        (
            changed(GOOD, edges=GOOD.edges | {"x": Edge(source="n0", target="n2", output="last")}),
            "x",
            "n0.last",
            {"n0", "n1"},
        ),
        (
            changed(GOOD, edges=GOOD.edges | {"x": Edge(source="n0", target="n2")}),
            "n2",
            "2 edges end",
            {"n0", "n1"},
        ),
        (
            changed(
                row("input", "add", "output"),
                nodes=row("input", "add", "output").nodes | {"lone": Node(layer="relu")},
                edges=row("input", "add", "output").edges | {"x": Edge(source="lone", target="n1")},
            ),
            "lone",
            "Nothing comes into the node 'lone'",
            {"n0"},
        ),
        (
            changed(GOOD, nodes=GOOD.nodes | {"lone": Node(layer="input")}),
            "lone",
            "2 input nodes",
            {"n0", "n1", "n2", "n3", "lone"},
        ),
        (
            changed(
                row("input", "add", "relu", "output"),
                edges=row("input", "add", "relu", "output").edges
                | {"back": Edge(source="n2", target="n1")},
            ),
            "n1",
            "circle: n1 → n2 → n1",
            {"n0"},
        ),
        (
            changed(
                GOOD,
                nodes=GOOD.nodes | {"spare": Node(layer="tanh")},
                edges=GOOD.edges | {"x": Edge(source="n0", target="spare")},
            ),
            "spare",
            "leads nowhere",
            {"n0", "n1", "n2", "n3", "spare"},
        ),
        (changed(GOOD, training={"epochs": -1}), "", "epochs -1", {"n0", "n1", "n2", "n3"}),
    ],
)
def test_a_problem_is_told_where_it_is_and_what_waits_is_silent(
    graph: Graph, where: str, sentence: str, whole: set[str]
) -> None:
    found = Reader(5, 2).read(graph)
    problem = found.problems[0]
    assert (problem.node or problem.edge) == where
    assert sentence in problem.text and problem.hint
    assert len({each.node or each.edge for each in found.problems}) == 1
    assert {id for id, each in found.nodes.items() if each.outputs} == whole
    assert {id for id, each in found.nodes.items() if each.problem} == {problem.node} - {""}
    assert set(found.nodes) == set(graph.nodes)
    with pytest.raises(Invalid) as caught:
        check(graph)
    assert str(caught.value) == problem.text


@pytest.mark.parametrize(
    ("graph", "hint"),
    [
        (row("sequence_input", "conv1d"), "permute with order=[2, 1]"),
        (row("sequence_input", "permute", "conv1d", "lstm"), "permute with order=[2, 1]"),
        (row("image_input", "output"), "flatten or a global_avg_pool"),
        (row("text_input", "dense"), "embedding"),
        (row("input", "embedding"), "text_input"),
        (row("input", "lstm"), "unsqueeze"),
        (row("input", ("reshape", {"size": [1, 28, 28]})), "size=[1, 28, -1]"),
        (row("image_input", ("conv2d", {"kernel": 64})), "kernel=32"),
        (row("image_input", ("conv2d", {"groups": 2})), "groups=1"),
        (row("image_input", ("conv2d", {"kernel": 4, "padding": "same"})), "kernel=5"),
        (row("image_input", "group_norm"), "groups=3"),
        (row(("sequence_input", {"channels": 6}), "transformer_encoder_layer"), "heads=3"),
        (row("sequence_input", ("take", {"index": 99})), "index=0 to 31"),
        (row("sequence_input", ("permute", {"order": [1, 1]})), "order=[2, 1]"),
        (row("input", "squeeze"), "take"),
    ],
)
def test_a_misfit_says_what_came_and_what_would_fit(graph: Graph, hint: str) -> None:
    found = Reader(30, 2).read(graph)
    assert found.problems, shapes(found)
    problem = found.problems[0]
    assert hint in problem.hint
    assert "and gets [B, " in problem.text


def test_what_a_graph_would_learn_is_limited_before_memory_is_taken() -> None:
    graph = row(
        ("text_input", {"vocabulary": 10_000_000, "length": 4}),
        ("embedding", {"units": 16_384}),
        "global_avg_pool",
        "output",
    )
    problem = Reader(1, 2).read(graph).problems[0]
    assert problem.node == "n1" and "163,840,032,770" in problem.text
    for make in (build, source):
        with pytest.raises(Invalid, match="would learn"):
            make(graph, 1, 2)


def test_a_tensor_that_no_machine_holds_is_a_problem() -> None:
    graph = row("image_input", *[("upsample2d", {"factor": 64})] * 400)
    assert "numbers per row" in Reader().read(graph).problems[0].text
    squares = row("input", "unsqueeze")
    nodes, edges, last = dict(squares.nodes), dict(squares.edges), "n1"
    for place in range(60):  # F · F · F · …: what is not known must not grow either
        nodes |= {f"p{place}": Node(layer="permute"), f"m{place}": Node(layer="matmul")}
        nodes |= {f"f{place}": Node(layer="flatten"), f"u{place}": Node(layer="unsqueeze")}
        for id, (begin, end, port) in enumerate(
            (
                (last, f"p{place}", "in"),
                (f"p{place}", f"m{place}", "in"),
                (last, f"m{place}", "other"),
                (f"m{place}", f"f{place}", "in"),
                (f"f{place}", f"u{place}", "in"),
            )
        ):
            edges[f"{place}_{id}"] = Edge(source=begin, target=end, port=port)
        last = f"u{place}"
    found = Reader().read(Graph(nodes=nodes, edges=edges))
    assert not found.problems
    assert found.nodes[last].outputs["out"] == ["B", 1, "?"]


def test_edges_are_joined_in_their_order() -> None:
    graph = Graph(
        nodes={
            "table": Node(layer="input"),
            "wide": Node(layer="dense", params={"units": 7}),
            "both": Node(layer="concat"),
        },
        edges={
            "a": Edge(source="table", target="wide"),
            "b": Edge(source="table", target="both", order=2.0),
            "c": Edge(source="wide", target="both", order=1.5),
        },
    )
    assert "torch.cat([wide, table], dim=-1)" in source(graph, 3, 1)


def test_whole_numbers_may_come_as_documents_hold_them() -> None:
    graph = row("input", ("dense", {"units": 8.0}), "output")
    assert check(graph)
    assert "nn.Linear(5, 8)" in source(graph, 5, 2)
    with pytest.raises(Invalid, match=r"units 8\.5"):
        check(row("input", ("dense", {"units": 8.5}), "output"))


def test_no_parameter_is_too_deep_to_be_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    graph = row("input", ("dense", {"units": deep}), "output")
    problem = Reader().read(graph).problems[0]
    assert problem.node == "n1" and len(problem.text) < 200
    while deep:  # taken apart step by step: the interpreter would do it by recursion
        deep = deep.pop()


def test_torch_own_names_are_no_ids() -> None:
    from torch import fx, nn

    own = fx.GraphModule(nn.Module(), fx.Graph())
    names = {name for name in {*dir(own), *dir(nn.Module)} if not name.startswith("_")}
    assert names <= RESERVED
    graph = Graph(nodes={"forward": Node(layer="input")}, edges={})
    assert "torch uses it" in Reader().read(graph).problems[0].text


def test_other_inputs_than_a_table_are_not_for_tables() -> None:
    with pytest.raises(Invalid, match="0 input nodes"):
        check(row("image_input", "flatten", "output"))
    graph = Graph(
        nodes={
            "table": Node(layer="input"),
            "more": Node(layer="sequence_input"),
            "flat": Node(layer="flatten"),
            "both": Node(layer="concat"),
            "target": Node(layer="output"),
        },
        edges={
            "a": Edge(source="table", target="both"),
            "b": Edge(source="more", target="flat"),
            "c": Edge(source="flat", target="both"),
            "d": Edge(source="both", target="target"),
        },
    )
    with pytest.raises(Invalid, match="more than a table's row: more"):
        check(graph)
    import torch

    network = build(graph, 3, 2)
    assert network(torch.randn(4, 32, 1), torch.randn(4, 3)).shape == (4, 2)  # more, table


IDS = st.sampled_from([f"n{n}" for n in range(8)])
VALUES = st.sampled_from([None, True, -1, 0, 1, 2, 3, 8, 0.5, 3.0, "same", "?", [2, 1], [3, 3], []])


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, Any]:
    match draw(st.sampled_from(["node", "param", "edge", "edge", "drop", "cut"])):
        case "node":
            layer = draw(st.sampled_from([*(each.name for each in LAYERS), "unknown"]))
            return "node", (draw(IDS), layer)
        case "param":
            return "param", (draw(IDS), draw(st.integers(0, 5)), draw(VALUES))
        case "edge":
            return "edge", (draw(IDS), draw(IDS), draw(st.integers(0, 3)), draw(st.booleans()))
        case "drop":
            return "drop", draw(IDS)
        case _:
            return "cut", draw(st.integers(0, 20))


def edited(graph: Graph, edit: tuple[str, Any]) -> Graph:
    nodes, edges = dict(graph.nodes), dict(graph.edges)
    match edit:
        case "node", (id, layer):
            nodes[id] = Node(layer=layer)
        case "param", (id, place, value) if id in nodes:
            names = [*(each.name for layer in LAYERS for each in layer.params), "unknown"]
            if nodes[id].layer != "unknown":
                own = [each.name for each in find_layer(nodes[id].layer).params]
                names = own or names
            name = names[place % len(names)]
            nodes[id] = Node(layer=nodes[id].layer, params=nodes[id].params | {name: value})
        case "edge", (begin, end, port, first):
            ports = ("in", "other", "query", "key")
            if end in nodes and nodes[end].layer != "unknown":
                ports = tuple(p.name for p in find_layer(nodes[end].layer).ports) or ports
            edges[f"{begin}_{end}_{port}"] = Edge(
                source=begin, target=end, port=ports[port % len(ports)], order=-1.0 * first
            )
        case "drop", id:
            nodes.pop(id, None)
        case "cut", place if edges:
            edges.pop(sorted(edges)[place % len(edges)])
    return changed(graph, nodes=nodes, edges=edges)


STARTS = [
    row("input", ("dense", {"units": 8}), "relu", "output"),
    row("image_input", "conv2d", "batch_norm", "max_pool2d", "flatten", "output"),
    row("text_input", "embedding", "lstm", "layer_norm", "global_avg_pool", "output"),
]


@settings(max_examples=150, deadline=None)
@given(start=st.sampled_from(STARTS), steps=st.lists(edits(), max_size=12))
def test_reading_edit_by_edit_finds_what_reading_anew_finds(
    start: Graph, steps: list[tuple[str, Any]]
) -> None:
    reader, graph = Reader(6, 2), start
    reader.read(graph)
    for step in steps:
        graph = edited(graph, step)
        found = reader.read(graph)
        assert found == Reader(6, 2).read(graph)
        assert Meaning.model_validate_json(found.model_dump_json()) == found
        Reader().read(graph)
        if not found.problems:
            build(graph, 6, 2)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_node_that_did_not_change_is_not_worked_out_again(name: str) -> None:
    graph = TEMPLATES[name].graph
    reader = Reader(6, 2)
    before = reader.read(graph)
    again = reader.read(Graph.model_validate_json(graph.model_dump_json()))
    assert all(again.nodes[id] is before.nodes[id] for id in graph.nodes)


@settings(max_examples=200, deadline=None)
@given(links=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_every_circle_that_is_told_is_one(links: list[tuple[int, int]]) -> None:
    graph = Graph(
        nodes={f"n{n}": Node(layer="add") for n in range(8)},
        edges={
            f"e{place}": Edge(source=f"n{begin}", target=f"n{end}")
            for place, (begin, end) in enumerate(links)
        },
    )
    reading = Reader().reading(graph)
    told = [each.text for each in reading.problems if "circle" in each.text]
    assert bool(told) == (len(reading.order) < 8)
    seen: set[str] = set()
    for text in told:
        walked = text.partition(": ")[2].rstrip(".").split(" → ")
        assert walked[0] == walked[-1] and not seen & set(walked)
        seen |= set(walked)
        for begin, end in itertools.pairwise(walked):
            assert (int(begin[1:]), int(end[1:])) in links
    links = [(a, b) for a, b in links if not {f"n{a}", f"n{b}"} & seen]
    rest = {f"n{n}": Node(layer="add") for n in range(8) if f"n{n}" not in seen}
    edges = {f"e{n}": Edge(source=f"n{a}", target=f"n{b}") for n, (a, b) in enumerate(links)}
    again = Reader().reading(Graph(nodes=rest, edges=edges))
    assert len(again.order) == len(rest)


def test_problems_call_nodes_what_people_call_them() -> None:
    nodes = {
        "table": Node(layer="input"),
        "dense_k3f": Node(layer="dense", name="wide"),
        "target": Node(layer="output"),
    }
    edges = {
        "a": Edge(source="table", target="dense_k3f"),
        "b": Edge(source="table", target="target"),
    }
    [problem] = Reader().read(Graph(nodes=nodes, edges=edges)).problems
    assert problem.node == "dense_k3f"
    assert problem.text == "The node 'wide' leads nowhere: the output does not need it."
