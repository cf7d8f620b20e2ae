"""A graph as a torch module: node ids are the names of the submodules, so weights keep them."""

import operator
from typing import TYPE_CHECKING, Any

from workbench.core import Invalid

from .check import strict
from .meaning import Reading
from .tensors import (
    Attribute,
    Call,
    Chain,
    Constant,
    Entrance,
    Into,
    Item,
    Method,
    Own,
    Result,
    Rows,
)
from .types import Edge, Graph

if TYPE_CHECKING:
    from torch import fx


def build(graph: Graph, inputs: int, outputs: int) -> "fx.GraphModule":
    """The network a graph describes.

    Args:
        graph: The architecture.
        inputs: How many numbers the table's row becomes.
        outputs: How many numbers the target needs.

    Returns:
        A module from tensors for its inputs (float32, texts int64; in the order of their nodes'
        ids) to float32 [rows, outputs], or to what the only last node makes if none is an
        `output`. Its weights are fresh, from torch's current random state; the names of
        `state_dict` start with the nodes' ids.

    Raises:
        Invalid: The graph is none, sizes do not fit, or it would take too much memory.
    """
    import torch
    from torch import fx, nn

    found = strict(graph, inputs, outputs)
    last = answer(graph, found)
    root = nn.Module()
    made = fx.Graph()
    writer = _Writer(made, torch)
    for id in entrances(graph, found):
        writer.values[id, "out"] = made.placeholder(id)
    writer.entrance = writer.values[entrance(graph, found), "out"]
    for id in found.order:
        worked = found.worked[id]
        if worked.result is None:
            continue
        held = worked.module or worked.tensor
        if held is not None:
            setattr(root, id, made_of(torch, held))
        writer.node(id, worked, found.into[id], used(found, id, last))
    made.output(writer.values[last])
    made.lint()
    return fx.GraphModule(root, made, class_name="Network")


def entrances(graph: Graph, found: Reading) -> list[str]:
    """The nodes where data comes in, in the order in which the network takes it."""
    return sorted(id for id in graph.nodes if found.worked[id].result is None)


def entrance(graph: Graph, found: Reading) -> str:
    """The first of them that has rows."""
    ids = entrances(graph, found)
    return next((id for id in ids if found.worked[id].outputs["out"].dims[:1] == ("B",)), ids[0])


def answer(graph: Graph, found: Reading) -> tuple[str, str]:
    """The node and output that the network returns.

    Raises:
        Invalid: There is no one last tensor.
    """
    for id, node in graph.nodes.items():
        if node.layer == "output":
            return id, "out"
    sources = {edge.source for edge in graph.edges.values()}
    ends = [id for id in graph.nodes if id not in sources]
    if len(ends) != 1 or "out" not in found.worked[ends[0]].outputs:
        raise Invalid(
            f"The graph ends at {len(ends)} nodes: {', '.join(ends[:10])}.",
            hint="Add a node with the layer output.",
        )
    return ends[0], "out"


def used(found: Reading, id: str, last: tuple[str, str]) -> list[str]:
    """The outputs of a node that something needs, in the order of its layer."""
    return [
        name
        for name in found.worked[id].outputs
        if (id, name) in found.wanted or (id, name) == last
    ]


def made_of(torch: Any, module: Call) -> Any:
    """The module or tensor of torch that a call says."""
    args = [_value(torch, each) for each in module.args]
    kwargs = {name: _value(torch, each) for name, each in module.kwargs.items()}
    return operator.attrgetter(module.path.removeprefix("torch."))(torch)(*args, **kwargs)


def _value(torch: Any, value: Any) -> Any:
    match value:
        case Call():
            return made_of(torch, value)
        case Constant(path=path):
            return operator.attrgetter(path.removeprefix("torch."))(torch)
        case _:
            return value


class _Writer:
    """Writes what computes a node into a graph of fx."""

    def __init__(self, made: Any, torch: Any) -> None:
        self.made, self.torch = made, torch
        self.values: dict[tuple[str, str], Any] = {}
        self.entrance: Any = None

    def node(self, id: str, worked: Any, into: dict[str, list[Edge]], outputs: list[str]) -> None:
        self.id, self.into = id, into
        self.result = self.write(worked.result)
        for name in outputs:
            self.values[id, name] = self.write(worked.parts.get(name, Result()))

    def write(self, value: Any) -> Any:
        match value:
            case Into(port=port, place=place):
                edge = self.into[port][place]
                return self.values[edge.source, edge.output]
            case Result():
                return self.result
            case Own():
                return self.made.get_attr(self.id)
            case Entrance():
                return self.entrance
            case Rows(times=times, plus=plus):
                return self.rows(times, plus)
            case Constant():
                return _value(self.torch, value)
            case Call(path="self"):
                return self.made.call_module(self.id, *self.arguments(value))
            case Call(path=path):
                return self.made.call_function(self.function(path), *self.arguments(value))
            case Method(of=of, name=name):
                args, kwargs = self.arguments(value)
                return self.made.call_method(name, (self.write(of), *args), kwargs)
            case Item(of=of, index=index):
                return self.made.call_function(operator.getitem, (self.write(of), index))
            case Attribute(of=of, name=name):
                return self.made.call_function(getattr, (self.write(of), name))
            case Chain(path=path, items=items):
                total = self.write(items[0])
                for item in items[1:]:
                    total = self.made.call_function(self.function(path), (total, self.write(item)))
                return total
            case list():
                return [self.write(each) for each in value]
            case _:
                return value

    def rows(self, times: int, plus: int) -> Any:
        found = self.made.call_method("size", (self.entrance, 0))
        if times != 1:
            found = self.made.call_function(operator.mul, (times, found))
        return self.made.call_function(operator.add, (found, plus)) if plus else found

    def arguments(self, call: Call | Method) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args = tuple(self.write(each) for each in call.args)
        return args, {name: self.write(each) for name, each in call.kwargs.items()}

    def function(self, path: str) -> Any:
        return operator.attrgetter(path.removeprefix("torch."))(self.torch)
