"""The table of layers, against torch: shapes, learned numbers, operations, and the source."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.graphs.agreeing import CLASSES, FEATURES, ROWS, agree, formatted, run
from workbench.graphs import (
    LAYERS,
    Edge,
    Graph,
    Layer,
    Node,
    Parameter,
    Reader,
    build,
    find_layer,
    source,
)

NAMES = [each.name for each in LAYERS if each.name != "output" and each.group != "operation"]
"""Functions and tensors of the network's own are in test_operations."""

ENTRANCES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "table": [("input", {})],
    "image": [("image_input", {"channels": 4, "height": 7, "width": 6})],
    "volume": [
        ("image_input", {"channels": 4, "height": 6, "width": 8}),
        ("reshape", {"size": [2, 4, 4, 6]}),
    ],
    "sequence": [("sequence_input", {"length": 5, "channels": 8})],
    "signal": [
        ("sequence_input", {"length": 9, "channels": 4}),
        ("permute", {"order": [2, 1]}),
    ],
    "one": [("input", {}), ("unsqueeze", {"dim": 1})],
    "square": [("input", {}), ("reshape", {"size": [4, 3]}), ("dense", {"units": 4})],
    "text": [("text_input", {"length": 5, "vocabulary": 11})],
}


def around(layer: Layer, params: dict[str, Any], entrance: str, edges: int, options: bool) -> Graph:
    """A graph whose only last node is of that layer."""
    nodes: dict[str, Node] = {}
    links: dict[str, Edge] = {}
    before = ""
    if layer.ports:
        for place, (name, said) in enumerate(ENTRANCES[entrance]):
            id = f"in{place}"
            nodes[id] = Node(layer=name, params=said)
            if before:
                links[f"{before}_{id}"] = Edge(source=before, target=id)
            before = id
    nodes["here"] = Node(layer=layer.name, params=params)
    for port in layer.ports:
        if port.optional and not options:
            continue
        for count in range(edges if port.many else 1):
            id = f"{port.name}{count}"
            links[id] = Edge(source=before, target="here", port=port.name)
    return Graph(nodes=nodes, edges=links)


def fits(
    layer: Layer, params: dict[str, Any], edges: int = 2, options: bool = False
) -> list[Graph]:
    """The graphs around a layer that have no problem."""
    entrances = ENTRANCES if layer.ports else ["table"]
    graphs = [around(layer, params, each, edges, options) for each in entrances]
    return [each for each in graphs if not Reader(FEATURES, CLASSES).read(each).problems]


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_with_its_defaults_is_what_torch_computes(name: str) -> None:
    graphs = fits(find_layer(name), {})
    if name in ("reshape", "group_norm"):
        assert graphs
    graphs = graphs or fits(find_layer(name), {"dim": 2})
    assert graphs
    for graph in graphs:
        agree(graph)
        for width in (88, 100):
            formatted(source(graph, FEATURES, CLASSES), width)


def drawn(parameter: Parameter) -> st.SearchStrategy[Any]:
    low = int(max(parameter.minimum or 0, -4)) if parameter.minimum is not None else -4
    high = int(min(parameter.maximum or 6, 6)) if parameter.maximum is not None else 6
    match parameter.type:
        case "boolean":
            return st.booleans()
        case "choice":
            return st.sampled_from(parameter.choices)
        case "integer":
            return st.integers(low, high)
        case "number":
            return st.floats(parameter.minimum, min(parameter.maximum or 1.0, 0.9))
        case "integers":
            length = parameter.length or 2
            assert parameter.shortest <= length
            one = st.integers(low, min(high, 4))
            every = one | st.lists(one, min_size=length, max_size=length)
            return every | st.sampled_from(parameter.choices) if parameter.choices else every


@pytest.mark.parametrize("name", [name for name in NAMES if find_layer(name).params])
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_layer_with_any_parameters_is_what_torch_computes(name: str, data: Any) -> None:
    layer = find_layer(name)
    params = data.draw(st.fixed_dictionaries({}, optional={p.name: drawn(p) for p in layer.params}))
    graphs = fits(layer, params, data.draw(st.integers(1, 3)), data.draw(st.booleans()))
    assume(graphs)
    graph = data.draw(st.sampled_from(graphs))
    agree(graph)
    formatted(source(graph, FEATURES, CLASSES), data.draw(st.sampled_from([88, 100])))


@pytest.mark.parametrize("name", [name for name in NAMES if not find_layer(name).params])
@pytest.mark.parametrize("edges", [1, 3])
def test_a_layer_joins_as_many_as_come(name: str, edges: int) -> None:
    for graph in fits(find_layer(name), {}, edges, True):
        agree(graph)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_looks_at_another_sequence(causal: bool) -> None:
    sizes = {"asks": (5, 8), "keys": (5 if causal else 7, 6), "values": (5 if causal else 7, 4)}
    nodes = {
        id: Node(layer="sequence_input", params={"length": length, "channels": channels})
        for id, (length, channels) in sizes.items()
    }
    nodes["here"] = Node(
        layer="multihead_attention", params={"heads": 2, "dropout": 0.0, "causal": causal}
    )
    edges = {
        "a": Edge(source="asks", target="here", port="query"),
        "b": Edge(source="keys", target="here", port="key"),
        "c": Edge(source="values", target="here", port="value"),
    }
    graph = Graph(nodes=nodes, edges=edges)
    agree(graph)
    formatted(source(graph), 88)
    lone = {id: edge for id, edge in edges.items() if id != "b"}
    assert "a key for its value" in Reader().read(Graph(nodes=nodes, edges=lone)).problems[-1].text


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_recurrent_layer_gives_all_states_and_the_last(name: str, bidirectional: bool) -> None:
    import torch

    params = {"hidden": 6, "layers": 2, "bidirectional": bidirectional}
    nodes = {
        "past": Node(layer="sequence_input", params={"length": 5, "channels": 2}),
        "states": Node(layer=name, params=params),
        "all": Node(layer="flatten"),
        "here": Node(layer="concat"),
    }
    edges = {
        "a": Edge(source="past", target="states"),
        "b": Edge(source="states", target="all"),
        "c": Edge(source="all", target="here"),
        "d": Edge(source="states", target="here", output="last"),
    }
    graph = Graph(nodes=nodes, edges=edges)
    agree(graph)
    formatted(source(graph), 88)
    wide = 12 if bidirectional else 6
    result = run(build(graph, FEATURES, CLASSES).eval(), graph)
    every = result[:, : 5 * wide].reshape(ROWS, 5, wide)
    last = result[:, 5 * wide :]
    assert torch.allclose(last[:, :6], every[:, -1, :6])
    if bidirectional:
        assert torch.allclose(last[:, 6:], every[:, 0, 6:])


@pytest.mark.parametrize(
    "name",
    [
        "dense",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose2d",
        "matmul",
        "multihead_attention",
        "transformer_encoder_layer",
    ],
)
def test_operations_are_those_that_torch_counts(name: str) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    for graph in fits(find_layer(name), {}):
        network = build(graph, FEATURES, CLASSES).train()
        for module in network.modules():
            if hasattr(module, "dropout") and isinstance(module.dropout, float):
                module.dropout = 0.0
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            run(network, graph)
        meaning = Reader(FEATURES, CLASSES).read(graph)
        assert counter.get_total_flops() == ROWS * (meaning.flops or 0)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_a_layer_says_what_it_is_and_where_it_is_from(layer: Layer) -> None:
    assert layer.title and layer.formula
    assert re.search(r"\((18|19|20)\d\d\)", layer.source)
    assert layer.meaning.endswith(".")
    assert len({port.name for port in layer.ports}) == len(layer.ports)
    for parameter in layer.params:
        assert parameter.meaning.endswith(".")
        assert parameter.type != "choice" or parameter.choices
        if parameter.type in ("integer", "integers", "number"):
            assert parameter.minimum is not None and parameter.maximum is not None


def test_how_far_a_convolution_sees() -> None:
    nodes = {
        "image": Node(layer="image_input", params={"channels": 1, "height": 32, "width": 32}),
        "a": Node(layer="conv2d", params={"kernel": [3, 5], "padding": "same"}),
        "pool": Node(layer="max_pool2d"),
        "b": Node(layer="conv2d", params={"dilation": 2}),
        "flat": Node(layer="flatten"),
    }
    ids = list(nodes)
    edges = {f"e{n}": Edge(source=ids[n], target=ids[n + 1]) for n in range(len(ids) - 1)}
    meaning = Reader().read(Graph(nodes=nodes, edges=edges))
    assert not meaning.problems
    assert [meaning.nodes[id].receptive_field for id in ids] == [
        [1, 1],
        [3, 5],
        [4, 6],
        [12, 14],
        [],
    ]
