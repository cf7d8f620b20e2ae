"""A graph to begin with, sized to the table."""

from typing import Literal

from .types import Edge, Graph, Node

STEP = 104.0
"""CSS pixels from a node to the next, downwards."""


def suggest(columns: int, rows: int, task: Literal["classification", "regression"]) -> Graph:
    """A plain network whose size follows the table's.

    Few rows get one narrow layer and much dropout, many rows two or three wider ones with a
    residual connection; widths are powers of two near twice the number of columns.

    Args:
        columns: How many columns the model uses, at least 1.
        rows: How many rows the table has.
        task: What is predicted; regression gets less dropout.

    Example:
        >>> [node.layer for node in suggest(20, 800, "classification").nodes.values()]
        ['input', 'dense', 'relu', 'dropout', 'output']
    """
    least, most = (16, 32) if rows < 2_000 else (32, 128) if rows < 50_000 else (64, 256)
    width = least
    while width < most and width < 2 * columns:
        width *= 2
    depth = 1 if rows < 2_000 else 2 if rows < 50_000 else 3
    rate = 0.3 if rows < 2_000 else 0.2 if rows < 50_000 else 0.1
    if task == "regression":
        rate /= 2
    batch = 32
    while batch < 1_024 and batch * 100 < rows:
        batch *= 2
    return plain(
        depth,
        width,
        rate,
        {
            "epochs": 200,
            "batch_size": batch,
            "learning_rate": 0.002,
            "weight_decay": 0.02 if rows < 2_000 else 0.005,
            "patience": 20 if rows < 2_000 else 12,
        },
    )


def plain(layers: int, width: int, dropout: float, training: dict[str, float]) -> Graph:
    """A plain network: dense layers of one width, each with a residual after the first.

    Args:
        layers: How many hidden ones, at least 1.
        width: Of each, at least 1.
        dropout: The rate after each, 0 to 1.
        training: How it is trained, as in `Graph.training`.
    """
    nodes: dict[str, Node] = {"table": Node(layer="input")}
    edges: dict[str, Edge] = {}
    last = "table"

    def follow(id: str, layer: str, *given: str, **params: object) -> str:
        nodes[id] = Node(layer=layer, params=params)
        for source in given:
            edges[f"{source}_{id}"] = Edge(source=source, target=id)
        return id

    for step in range(1, layers + 1):
        before = last
        last = follow(f"dense{step}", "dense", last, units=width)
        last = follow(f"relu{step}", "relu", last)
        last = follow(f"dropout{step}", "dropout", last, rate=dropout)
        if step > 1:
            last = follow(f"add{step}", "add", last, before)
    follow("target", "output", last)
    return Graph(
        nodes=nodes,
        edges=edges,
        layout={id: (0.0, STEP * place) for place, id in enumerate(nodes)},
        training=training,
    )
