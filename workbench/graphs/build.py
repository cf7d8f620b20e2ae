"""A graph as a torch module: node ids are the names of the submodules, so weights keep them."""

from typing import TYPE_CHECKING, Any

from workbench.core import Invalid

from .check import check, params, sizes, sources
from .layers import KINDS
from .types import Graph

if TYPE_CHECKING:
    from torch import fx


def build(graph: Graph, inputs: int, outputs: int) -> "fx.GraphModule":
    """The network a graph describes.

    Args:
        graph: The architecture.
        inputs: Length of the vectors that go in.
        outputs: Length of the vectors that come out.

    Returns:
        A module from float32 [rows, inputs] to float32 [rows, outputs], with fresh weights from
        torch's current random state; `named_parameters` start with the nodes' ids.

    Raises:
        Invalid: The graph is none, or sizes do not fit.
    """
    import torch
    from torch import fx, nn

    order, length = check(graph), sizes(graph, inputs, outputs)
    root = nn.Module()
    made = fx.Graph()
    value: dict[str, Any] = {}
    result = ""
    for id in order:
        node = graph.nodes[id]
        kind = KINDS[node.layer]
        given = [value[source] for source in sources(graph, id)]
        if hasattr(fx.GraphModule, id) or hasattr(root, id) or id in ("graph", "training"):
            raise Invalid(f"{id!r} cannot be a node's id: torch uses it.", hint="Rename the node.")
        if node.layer == "input":
            value[id] = made.placeholder(id)
            continue
        if kind.module is None:
            value[id] = _joined(made, torch, kind.join, given)
            continue
        into = length[sources(graph, id)[0]]
        root.add_module(id, kind.module(nn, into, length[id], params(node)))
        value[id] = made.call_module(id, (given[0],))
        if node.layer == "output":
            result = id
    made.output(value[result])
    made.lint()
    return fx.GraphModule(root, made, class_name="Network")


def _joined(made: Any, torch: Any, join: str, given: list[Any]) -> Any:
    if join == "cat":
        return made.call_function(torch.cat, (given,), {"dim": -1})
    total = given[0]
    for other in given[1:]:
        total = made.call_function(getattr(torch, join), (total, other))
    return total
