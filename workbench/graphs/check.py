"""Whether a document is a graph that tables can be learned with: the strict reading of one."""

from workbench.core import Invalid

from .layers import enters
from .meaning import MOST_NODES, MOST_PARAMETERS, Reader, Reading
from .nodes import check_id, check_param, check_training, params
from .types import Edge, Graph

__all__ = [
    "MOST_NODES",
    "MOST_PARAMETERS",
    "check",
    "check_id",
    "check_param",
    "check_training",
    "params",
    "sizes",
    "sources",
    "strict",
]


def check(graph: Graph) -> list[str]:
    """The nodes in an order in which each comes after what it needs.

    Raises:
        Invalid: It is no graph from a table's row to a target; the sentence names the node or
            edge.
    """
    found = strict(graph)
    _table(graph)
    return found.order


def strict(graph: Graph, inputs: int | None = None, outputs: int | None = None) -> Reading:
    """A graph without a problem, read.

    Args:
        graph: The architecture.
        inputs: How many numbers the table's row becomes, if known.
        outputs: How many numbers the target needs, if known.

    Raises:
        Invalid: It has a problem; the first is told.
    """
    found = Reader(inputs, outputs).reading(graph)
    for problem in found.problems:
        raise Invalid(problem.text, hint=problem.hint)
    return found


def sources(graph: Graph, node: str) -> list[str]:
    """The nodes whose results come into a node, in the order in which they are joined."""
    edges: list[tuple[float, str, Edge]] = [
        (edge.order, id, edge) for id, edge in graph.edges.items() if edge.target == node
    ]
    return [edge.source for _, _, edge in sorted(edges, key=lambda each: each[:2])]


def sizes(graph: Graph, inputs: int, outputs: int) -> dict[str, int]:
    """How many numbers per row each node's result has; a vector's length.

    Args:
        graph: A graph that passes `check`.
        inputs: How many numbers the table's row becomes.
        outputs: How many numbers the target needs.

    Raises:
        Invalid: A node cannot take what comes in; the sentence says what would fit.
    """
    found = strict(graph, inputs, outputs)
    _table(graph)
    return {id: int(next(iter(found.worked[id].outputs.values())).numbers) for id in found.order}


def _table(graph: Graph) -> None:
    for layer in ("input", "output"):
        named = [id for id, node in graph.nodes.items() if node.layer == layer]
        if len(named) != 1:
            raise Invalid(
                f"The graph has {len(named)} {layer} nodes.",
                hint=f"It needs exactly one node with the layer {layer}.",
            )
    others = [
        id for id, node in graph.nodes.items() if node.layer != "input" and enters(node.layer)
    ]
    if others:
        raise Invalid(
            f"The graph takes more than a table's row: {', '.join(others)}.",
            hint="Remove what is not the layer input.",
        )
