"""Functions of torch and tensors of the network's own: what they mean, and what torch makes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.graphs.agreeing import ROWS, agree, formatted
from workbench.core import Invalid
from workbench.graphs import Edge, Graph, Node, Reader, build, check_param, find_layer, source
from workbench.graphs.arguments import is_arguments, meant, sizes_meant, sizes_said
from workbench.graphs.dims import product, total
from workbench.graphs.layers.operation import ATEN, FUNCTIONS, WRITES

torch = pytest.importorskip("torch")


def of(nodes: dict[str, Node], *edges: str, **params: Any) -> Graph:
    """A graph that ends at the operation `here`, of what the nodes make."""
    return Graph(
        nodes={**nodes, "here": Node(layer="operation", params=params)},
        edges={
            f"e{place}": Edge(source=id, target="here", order=place)
            for place, id in enumerate(edges)
        },
    )


def numbers(*size: int, **params: Any) -> Node:
    return Node(layer="tensor_input", params={"size": list(size), **params})


def weight(*size: int, **params: Any) -> Node:
    return Node(layer="weight", params={"size": list(size), **params})


def problem(graph: Graph) -> str:
    problems = Reader().read(graph).problems
    return problems[0].text if problems else ""


DROPS = ("gru", "lstm", "rnn_relu", "rnn_tanh", "scaled_dot_product_attention")
"""What draws if it is asked to drop some."""
X, ROWS_4 = {"x": numbers(4)}, [{"rows": 1}, 4]

RIGHT: dict[str, Graph] = {
    "of one": of(X, "x", function="erf"),
    "with a number": of(X, "x", function="pow", arguments=[{"in": 0}, 2]),
    "of two ranks": of(
        {"x": numbers(3, 4), "w": weight(4)},
        *("x", "w"),
        function="atan2",
        arguments=[{"in": 0}, {"in": 1}],
    ),
    "of a scalar": of(
        {"x": numbers(4), "w": weight()},
        *("w", "x"),
        function="mul",
        arguments=[{"in": 1}, {"in": 0}],
    ),
    "the same twice": of(X, "x", function="mul", arguments=[{"in": 0}, {"in": 0}]),
    "by name": of(X, "x", function="clamp", named={"min": -1, "max": {"number": "0.5"}}),
    "of no number": of(X, "x", function="nan_to_num", arguments=[{"in": 0}, {"number": "nan"}]),
    "a type": of(X, "x", function="to", arguments=[{"in": 0}, {"type": "int64"}], type="int64"),
    "true or false": of(X, "x", function="gt", arguments=[{"in": 0}, 0], type="bool"),
    "rows in a size": of(
        X,
        "x",
        function="reshape",
        arguments=[{"in": 0}, [{"rows": 2}, 2]],
        takes=[ROWS_4],
        gives=[{"rows": 2}, 2],
    ),
    "one of several": of(
        X,
        "x",
        function="topk",
        arguments=[{"in": 0}, 2],
        item=1,
        type="int64",
        takes=[ROWS_4],
        gives=[{"rows": 1}, 2],
    ),
    "of nothing": of(
        {},
        function="full",
        arguments=[[{"rows": 1, "plus": 1}, 3], {"number": "2.0"}],
        named={"device": {"device": "input"}},
        gives=[{"rows": 1, "plus": 1}, 3],
    ),
    "of all rows": of(X, "x", function="sum", arguments=[{"in": 0}], takes=[ROWS_4], gives=[]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_function_is_what_torch_computes(name: str) -> None:
    graph = RIGHT[name]
    if "x" not in graph.nodes:
        edges = {
            "to": Edge(source="x", target="sum", order=0),
            "too": Edge(source="here", target="sum", order=1),
        }
        graph = graph.model_copy(
            update={
                "nodes": {
                    **graph.nodes,
                    "x": numbers(3),
                    "sum": Node(
                        layer="operation",
                        params={
                            "function": "cat",
                            "arguments": [[{"in": 0}, {"in": 1}]],
                            "gives": [{"rows": 2, "plus": 1}, 3],
                        },
                    ),
                },
                "edges": edges,
            }
        )
    last = "sum" if "sum" in graph.nodes else "here"
    agree(graph, last)
    for width in (88, 100):
        formatted(source(graph), width)


WRONG: list[tuple[Graph, str]] = [
    (of(X, "x", function="erf", arguments=[]), "arguments that use each of its 1 edges"),
    (of(X, "x", function="add", arguments=[{"in": 0}, {"in": 1}]), "use each of its 1 edges"),
    (of(X, "x", function="sum", takes=[[{"rows": 1}, 5]]), r"needs [B, 5], as when it was read"),
    (of(X, "x", function="sum", gives="wide"), "cannot have gives"),
    (of(X, "x", function="sum", gives=[["no size"]]), "sizes in what it takes and gives"),
    (of(X, "x", function="erf", named={"out": {"in": 0}}), "writes nothing"),
    (of(X, "x", function="system"), "cannot have function"),
    (of(X, "x", function="from_file"), "cannot have function"),
    (
        of({"x": numbers(4), "y": numbers(3)}, *("x", "y"), function="add",
           arguments=[{"in": 0}, {"in": 1}]),
        "one size, or 1, in dimension -1",
    ),
    (of({**X, "w": weight(10_000, 10_000, 100)}, *("x", "w")), "at most 1,000,000,000 numbers"),
    (of({**X, "w": weight(4, type="int64")}, *("x", "w")), "float32 to be learned"),
]  # fmt: skip


@pytest.mark.parametrize(("graph", "told"), WRONG)
def test_what_is_wrong_is_said(graph: Graph, told: str) -> None:
    assert told in problem(graph)


def test_a_layer_takes_no_tensor_without_dimensions() -> None:
    graph = of(X, "x", function="sum", takes=[ROWS_4], gives=[])
    nodes = {**graph.nodes, "after": Node(layer="relu")}
    edges = {**graph.edges, "on": Edge(source="here", target="after")}
    assert "tensors with dimensions" in problem(Graph(nodes=nodes, edges=edges))


def test_an_answer_is_of_rows() -> None:
    graph = Graph(
        nodes={"table": Node(layer="input"), "w": weight(4, 4), "end": Node(layer="output")},
        edges={"e": Edge(source="w", target="end")},
    )
    assert any("an answer for each row" in each.text for each in Reader().read(graph).problems)


def test_tensors_of_its_own_are_parameters_and_buffers() -> None:
    nodes = {"x": numbers(4), "w": weight(4), "b": weight(4, learned=False, begin="ones")}
    graph = of(
        nodes, *("x", "w", "b"), function="addcmul", arguments=[{"in": 0}, {"in": 1}, {"in": 2}]
    )
    built = build(graph, 1, 1)
    assert [name for name, _ in built.named_parameters()] == ["w"]
    assert [name for name, _ in built.named_buffers()] == ["b"]
    assert Reader().read(graph).parameters == 4
    x = torch.randn(ROWS, 4)
    assert torch.equal(built(x), x + built.w)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_changes_nothing_and_draws_nothing(name: str) -> None:
    packet = getattr(torch.ops.aten, name)
    for overload in packet.overloads():
        held = getattr(packet, overload)
        if held._schema.is_mutable:
            written = [
                e.name for e in held._schema.arguments if e.alias_info and e.alias_info.is_write
            ]
            assert name not in ATEN or WRITES in written
        elif name not in DROPS:
            assert torch.Tag.nondeterministic_seeded not in held.tags


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["in", "rows", "plus", "number", "type", "device", "dim"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_json_says(value: Any) -> None:
    if is_arguments(value):
        assert isinstance(value, list | dict)
        meant(value)
        json.dumps(value)


def test_what_is_too_deep_or_too_much() -> None:
    deep: Any = 1
    for _ in range(9):
        deep = [deep]
    assert not is_arguments(deep)
    assert not is_arguments([0] * 600)
    with pytest.raises(Invalid, match="cannot have arguments"):
        check_param("here", find_layer("operation"), "arguments", ["a'; import os"])


@given(
    st.lists(
        st.integers(0, 9)
        | st.tuples(st.integers(1, 9), st.integers(-9, 9)).map(
            lambda each: total([product([each[0], "B"]), each[1]])
        )
    )
)
def test_sizes_come_back(sizes: list[Any]) -> None:
    assert sizes_meant(sizes_said(tuple(sizes))) == tuple(sizes)
