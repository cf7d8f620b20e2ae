"""The source of a graph: it runs alone, is what `build` makes, and stands as ruff writes it."""

import ast
import doctest
import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.graphs.agreeing import CLASSES, FEATURES, agree, formatted, run, written
from workbench.core import Invalid, NotFound
from workbench.graphs import (
    TEMPLATES,
    Edge,
    Graph,
    Node,
    Reader,
    build,
    find_template,
    source,
    suggest,
)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_a_tidy_graph_without_a_problem(name: str) -> None:
    graph = find_template(name).graph
    assert not Reader().read(graph).problems
    assert set(graph.layout) == set(graph.nodes)
    assert len(set(graph.layout.values())) == len(graph.nodes)
    assert {node.group for node in graph.nodes.values()} <= {"", *graph.groups}
    assert Graph.model_validate_json(graph.model_dump_json()) == graph
    agree(graph, "target")
    for width in (88, 100):
        formatted(source(graph, FEATURES, CLASSES), width)


def test_templates_are_found_by_name() -> None:
    with pytest.raises(NotFound, match="'mpl'"):
        find_template("mpl")


def test_a_source_imports_torch_alone() -> None:
    tree = ast.parse(source(suggest(12, 60_000, "classification"), FEATURES, CLASSES, "Mine"))
    imported = [ast.unparse(each) for each in tree.body if isinstance(each, ast.Import)]
    assert imported == ["import torch"]
    assert [each.name for each in tree.body if isinstance(each, ast.ClassDef)] == ["Mine"]


def test_what_is_not_known_yet_has_no_source() -> None:
    graph = TEMPLATES["mlp"].graph
    with pytest.raises(Invalid, match="features") as caught:
        source(graph, outputs=2)
    assert "product" in caught.value.hint
    with pytest.raises(Invalid, match="answers"):
        source(graph, 5)
    with pytest.raises(Invalid, match="'2nd'"):
        source(graph, 5, 2, "2nd")


@pytest.mark.parametrize(
    ("letter", "length"),
    [
        *((letter, length) for letter in "al" for length in (1, 20, 21, 40, 63)),
        ("名", 10),
        ("名", 31),
    ],
)
def test_ids_of_any_length_make_lines_that_stay(letter: str, length: int) -> None:
    names = [letter * length + tail for tail in ("1", "2", "3", "4", "5", "6", "7")]
    layers: list[tuple[str, dict[str, Any]]] = [
        ("sequence_input", {"length": 5, "channels": 8}),
        ("transformer_encoder_layer", {"causal": True, "norm_first": False}),
        ("lstm", {"hidden": 8, "bidirectional": True, "layers": 2, "dropout": 0.5}),
        ("positional_encoding", {}),
        ("permute", {}),
        ("conv1d", {"kernel": [3], "stride": 2, "padding": "same", "bias": False}),
        ("flatten", {}),
    ]
    nodes = {
        id: Node(layer=layer, params=params)
        for id, (layer, params) in zip(names, layers, strict=True)
    }
    edges = {
        str(place): Edge(source=names[place], target=names[place + 1])
        for place in range(len(names) - 1)
    }
    joins = {
        "joined": ("add", ["last", "maximal", "torch", "self", "last", "last", "last"]),
        "maximal": ("maximum", ["last"] * 3),
        "torch": ("subtract", ["last", "last"]),
        "self": ("multiply", ["last"]),
        "here": ("concat", ["joined", "flat", *["joined"] * 9]),
    }
    nodes["last"] = Node(layer="dense", params={"units": 4})
    edges["last"] = Edge(source=names[2], target="last", output="last")
    nodes["flat"] = Node(layer="tanh")
    edges["flat"] = Edge(source=names[-1], target="flat")
    for id, (layer, given_) in joins.items():
        nodes[id] = Node(layer=layer)
        for place, each in enumerate(given_):
            port = "other" if layer == "subtract" and place else "in"
            edges[f"{id}{place}"] = Edge(source=each, target=id, port=port, order=place)
    graph = Graph(nodes=nodes, edges=edges)
    agree(graph)
    for width in (88, 100):
        formatted(source(graph), width)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_graphs_of_any_form_have_a_source_that_agrees(data: Any) -> None:
    nodes = {"table": Node(layer="input")}
    edges: dict[str, Edge] = {}
    for place in range(data.draw(st.integers(1, 8))):
        layer = data.draw(
            st.sampled_from(["dense", "tanh", "add", "concat", "multiply", "maximum"])
        )
        before = st.sampled_from(sorted(nodes))
        given_ = data.draw(st.lists(before, min_size=1, max_size=4))
        id = f"n{place}"
        many = layer not in ("dense", "tanh")
        nodes[id] = Node(layer=layer, params={"units": FEATURES} if layer == "dense" else {})
        for number, each in enumerate(given_ if many else given_[:1]):
            order = data.draw(st.integers(-2, 2))
            edges[f"{id}_{number}"] = Edge(source=each, target=id, order=order)
    used = {edge.source for edge in edges.values()}
    nodes["here"] = Node(layer="concat")
    for id in nodes:
        if id not in used and id != "here":
            edges[f"here_{id}"] = Edge(source=id, target="here")
    graph = Graph(nodes=nodes, edges=edges)
    if not Reader(FEATURES, CLASSES).read(graph).problems:
        agree(graph)
        formatted(source(graph, FEATURES, CLASSES), 88)


def test_a_graph_without_one_end_is_not_built() -> None:
    graph = Graph(
        nodes={"table": Node(layer="input"), "a": Node(layer="relu"), "b": Node(layer="tanh")},
        edges={
            "a": Edge(source="table", target="a"),
            "b": Edge(source="table", target="b"),
        },
    )
    for make in (build, source):
        with pytest.raises(Invalid, match="ends at 2 nodes: a, b"):
            make(graph, 3, 2)


def test_an_input_alone_is_a_network_that_changes_nothing() -> None:
    graph = Graph(nodes={"here": Node(layer="input")}, edges={})
    agree(graph)
    assert run(build(graph, FEATURES, CLASSES), graph).equal(run(written(graph), graph))


@pytest.mark.parametrize("name", ["dims", "suggest"])
def test_examples_in_docstrings_hold(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"workbench.graphs.{name}"))
    assert tried.attempted and not tried.failed
