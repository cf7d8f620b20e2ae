"""Graphs: what is one, what is not and why, and what torch makes of it."""

import pytest

from workbench.core import Invalid, NotFound
from workbench.graphs import LAYERS, Edge, Graph, Node, build, check, find_layer, sizes, suggest


def chain(*layers: tuple[str, str, dict[str, object]]) -> Graph:
    nodes = {"table": Node(layer="input")}
    nodes |= {id: Node(layer=layer, params=params) for id, layer, params in layers}
    nodes["target"] = Node(layer="output")
    ids = list(nodes)
    edges = {
        f"e{place}": Edge(source=ids[place], target=ids[place + 1]) for place in range(len(ids) - 1)
    }
    return Graph(nodes=nodes, edges=edges)


def test_ids_of_nodes_are_the_names_of_the_weights() -> None:
    network = build(chain(("wide", "dense", {"units": 7})), 4, 2)
    assert {name for name, _ in network.named_parameters()} == {
        "wide.weight",
        "wide.bias",
        "target.weight",
        "target.bias",
    }


def test_add_joins_and_concat_grows() -> None:
    import torch

    graph = chain(("a", "dense", {"units": 5}), ("sum", "add", {}), ("both", "concat", {}))
    graph = graph.model_copy(
        update={
            "edges": graph.edges
            | {
                "skip": Edge(source="table", target="sum"),
                "again": Edge(source="a", target="both"),
            }
        }
    )
    assert sizes(graph, 5, 1)["both"] == 10
    network = build(graph, 5, 1)
    given = torch.randn(2, 5)
    inner = network.a(given)
    expected = network.target(torch.cat([inner, inner + given], dim=-1))
    assert torch.allclose(network(given), expected)


def changed(graph: Graph, **updates: object) -> Graph:
    return graph.model_copy(update=updates)


GOOD = chain(("a", "dense", {"units": 8}), ("b", "relu", {}))


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        (
            changed(GOOD, edges=GOOD.edges | {"x": Edge(source="b", target="a")}),
            "2 edges end at the node 'a'",
        ),
        (changed(GOOD, edges=GOOD.edges | {"x": Edge(source="q", target="a")}), "starts at 'q'"),
        (changed(GOOD, nodes=GOOD.nodes | {"lone": Node(layer="input")}), "2 input nodes"),
        (changed(GOOD, nodes=GOOD.nodes | {"lone": Node(layer="relu")}), "into the node 'lone'"),
        (changed(GOOD, nodes=GOOD.nodes | {"class": Node(layer="relu")}), "'class' cannot be"),
        (chain(("a", "convolution", {})), "'convolution'"),
        (chain(("a", "dense", {"units": 0})), "units 0"),
        (chain(("a", "dense", {"width": 3})), "'width'"),
        (chain(("a", "dropout", {"rate": 1.5})), "rate 1.5"),
        (changed(GOOD, training={"epochs": 0}), "epochs 0"),
        (changed(GOOD, training={"velocity": 0.9}), "'velocity'"),
    ],
)
def test_what_is_no_graph_is_said_in_a_sentence(graph: Graph, sentence: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(graph)
    assert sentence in str(caught.value)
    assert caught.value.hint


def test_a_circle_is_named() -> None:
    graph = chain(("a", "add", {}), ("b", "relu", {}))
    graph = changed(graph, edges=graph.edges | {"back": Edge(source="b", target="a")})
    with pytest.raises(Invalid, match=r"circle: .*a.*b|circle: .*b.*a"):
        check(graph)


def test_sizes_that_do_not_fit_name_the_node_and_what_would() -> None:
    graph = chain(("a", "dense", {"units": 8}), ("sum", "add", {}))
    graph = changed(graph, edges=graph.edges | {"skip": Edge(source="table", target="sum")})
    with pytest.raises(Invalid, match="'sum'") as caught:
        build(graph, 5, 1)
    assert "units=" in caught.value.hint


@pytest.mark.parametrize("rows", [50, 5_000, 500_000])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_is_suggested_is_a_graph(rows: int, task: str) -> None:
    graph = suggest(12, rows, task)  # type: ignore[arg-type]
    assert check(graph)[0] == "table"
    assert Graph.model_validate_json(graph.model_dump_json()) == graph
    assert sizes(graph, 30, 2)["target"] == 2


def test_layers_are_found_by_name() -> None:
    assert find_layer("dense").params[0].name == "units"
    with pytest.raises(NotFound, match="'dens'"):
        find_layer("dens")
    names = [layer.name for layer in LAYERS]
    assert len(names) == len(set(names))
