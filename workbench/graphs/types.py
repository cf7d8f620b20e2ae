"""A graph: the architecture of a network as a document of nested maps keyed by id."""

from typing import Any, Literal

from workbench.core import Record


class Node(Record):
    """One layer: its kind in the layer table, and its parameters."""

    layer: str
    params: dict[str, Any] = {}
    name: str = ""
    """What people call it; its id stays the name of its weights."""
    group: str = ""
    """The id of the group it is drawn in; empty if in none."""


class Edge(Record):
    """A tensor from one node's output to another's port."""

    source: str
    target: str
    port: str = "in"
    output: str = "out"
    order: float = 0.0
    """Where a port takes several edges, they are joined by (order, id of the edge)."""


class NodeGroup(Record):
    """Nodes that are drawn together; what is computed stays the same."""

    name: str
    folded: bool = False
    parent: str = ""
    """The id of the group it is drawn in; empty if in none."""


class Graph(Record):
    """An architecture. The nodes with layer `input` and `output` stand for the table and target."""

    name: str = "network"
    nodes: dict[str, Node]
    edges: dict[str, Edge]
    groups: dict[str, NodeGroup] = {}
    layout: dict[str, tuple[float, float]] = {}
    """Where nodes are drawn, in CSS pixels, to the right and down."""
    data: dict[str, Any] = {}
    """What it is for, once that is chosen: `product`, `target`, and the numbers that follow from
    them, `features` that a table's row becomes and `outputs` that the target needs; `weights`, what
    its layers begin with, if that is kept."""
    training: dict[str, Any] = {}
    """How it is trained, by the names of `TRAINING`."""


class Parameter(Record):
    """A parameter of a layer: what it may be, and what it is when nobody says."""

    name: str
    type: Literal["integer", "integers", "number", "boolean", "choice", "arguments"]
    """`integers`: a list, or one whole number for every dimension, or a word of `choices`;
    `arguments`: what a function of torch is given, as JSON (`graphs/arguments.py`)."""
    default: Any
    minimum: float | None = None
    """Inclusive; of each number of a list."""
    maximum: float | None = None
    """Inclusive; of each number of a list."""
    length: int | None = None
    """How many numbers a list has; as many as 8 if None."""
    shortest: int = 1
    """How few numbers a list may have."""
    choices: list[str] = []
    unit: str = ""
    meaning: str


class Port(Record):
    """Where edges end or start at a node."""

    name: str
    meaning: str
    many: bool = False
    """Whether it takes several edges; they are joined in the order of (order, id)."""
    optional: bool = False


LayerGroup = Literal[
    "ends",
    "dense",
    "convolution",
    "pooling",
    "normalisation",
    "activation",
    "regularisation",
    "recurrent",
    "attention",
    "embedding",
    "shape",
    "join",
    "operation",
]


class Layer(Record):
    """A kind of layer: what a node with this name computes from tensors."""

    name: str
    title: str
    """For people: "2-D convolution"."""
    group: LayerGroup
    ports: list[Port] = []
    """Where edges may end; none for the inputs."""
    outputs: list[Port] = [Port(name="out", meaning="The result.")]
    """Where edges may start; none for `output`."""
    params: list[Parameter] = []
    formula: str
    """What comes out, of the input x."""
    source: str
    """Where it was first described."""
    meaning: str
