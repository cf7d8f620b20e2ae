"""A graph: the architecture of a network as a document of nested maps keyed by id."""

from typing import Any, Literal

from workbench.core import Record


class Node(Record):
    """One layer: its kind in the layer table, and its parameters."""

    layer: str
    params: dict[str, Any] = {}


class Edge(Record):
    """A tensor from one node's port to another's."""

    source: str
    target: str
    port: str = "in"


class Graph(Record):
    """An architecture. The nodes with layer `input` and `output` stand for the table and target."""

    name: str = "network"
    nodes: dict[str, Node]
    edges: dict[str, Edge]
    layout: dict[str, tuple[float, float]] = {}
    training: dict[str, Any] = {}
    """`epochs`, `batch_size`, `learning_rate`, `weight_decay`, `patience`; `mixed_precision` is 1
    to compute with 16 bits where they are enough."""


class Parameter(Record):
    """A parameter of a layer: what it may be, and what it is when nobody says."""

    name: str
    type: Literal["integer", "number", "boolean", "choice"]
    default: Any
    minimum: float | None = None
    """Inclusive."""
    maximum: float | None = None
    """Inclusive."""
    choices: list[str] = []
    unit: str = ""
    meaning: str


class Layer(Record):
    """A kind of layer: what a node with this name computes from vectors of numbers."""

    name: str
    group: Literal["ends", "weights", "activation", "regularisation", "join"]
    ports: list[str]
    """Where edges may end; none for `input`."""
    many: bool = False
    """Whether a port takes several edges (they are joined in the order of the edges' ids)."""
    params: list[Parameter] = []
    formula: str
    """What comes out, of the input x."""
    source: str
    """Where it was first described."""
    meaning: str
