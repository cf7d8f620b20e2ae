"""Graphs to begin with."""

from typing import Any

from workbench.core import NotFound, Record

from .suggest import STEP
from .types import Edge, Graph, Node, NodeGroup

BESIDE = 264.0
"""CSS pixels from a column of nodes to the next."""


class Template(Record):
    """A graph to begin with."""

    name: str
    title: str
    """For people: "Tabular classifier"."""
    meaning: str
    graph: Graph


class _Sketch:
    """A graph as it is drawn, from top to bottom."""

    def __init__(self, **training: float) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[str, Edge] = {}
        self.groups: dict[str, NodeGroup] = {}
        self.layout: dict[str, tuple[float, float]] = {}
        self.training = training
        self.group = ""
        self.last = ""

    def __call__(
        self, id: str, layer: str, *others: str, output: str = "out", column: int = 0, **params: Any
    ) -> str:
        """Draw a node after the last one, and after others; the id.

        Args:
            id: The node's.
            layer: The node's.
            others: Nodes whose results come in besides.
            output: Of the last node: which goes on.
            column: How many columns right of the first it stands.
            params: The layer's.
        """
        self.nodes[id] = Node(layer=layer, params=params, group=self.group)
        for source in filter(None, (self.last, *others)):
            said = output if source == self.last else "out"
            port = "query" if layer == "multihead_attention" else "in"
            self.edges[f"{source}_{id}"] = Edge(source=source, target=id, output=said, port=port)
        self.layout[id] = (BESIDE * column, STEP * len(self.layout))
        self.last = id
        return id

    def within(self, id: str, name: str) -> None:
        """What is drawn from now on is in a group."""
        self.group = id
        if id:
            self.groups[id] = NodeGroup(name=name)

    def graph(self, name: str) -> Graph:
        return Graph(
            name=name,
            nodes=self.nodes,
            edges=self.edges,
            groups=self.groups,
            layout=self.layout,
            training=self.training,
        )


def _empty() -> Graph:
    draw = _Sketch()
    draw("table", "input")
    draw("target", "output")
    return draw.graph("empty")


def _mlp() -> Graph:
    draw = _Sketch(epochs=200, batch_size=64, learning_rate=0.002, weight_decay=0.01, patience=12)
    draw("table", "input")
    for place, units in enumerate((64, 32), start=1):
        draw(f"dense{place}", "dense", units=units)
        draw(f"relu{place}", "relu")
        draw(f"dropout{place}", "dropout", rate=0.2)
    draw("target", "output")
    return draw.graph("mlp")


def _residual() -> Graph:
    draw = _Sketch(epochs=200, batch_size=128, learning_rate=0.001, weight_decay=0.01, patience=15)
    draw("table", "input")
    before = draw("widen", "dense", units=64)
    for place in (1, 2):
        draw.within(f"block{place}", f"Residual block {place}")
        draw(f"norm{place}", "batch_norm", column=1)
        draw(f"inner{place}", "dense", units=64, column=1)
        draw(f"relu{place}", "relu", column=1)
        draw(f"dropout{place}", "dropout", rate=0.1, column=1)
        draw(f"back{place}", "dense", units=64, column=1)
        before = draw(f"add{place}", "add", before)
        draw.within("", "")
    draw("norm", "batch_norm")
    draw("relu", "relu")
    draw("target", "output")
    return draw.graph("residual")


def _cnn() -> Graph:
    draw = _Sketch(epochs=50, batch_size=64, learning_rate=0.001, weight_decay=0.01, patience=8)
    draw("image", "image_input", channels=1, height=8, width=8)
    for place, channels in enumerate((16, 32), start=1):
        draw.within(f"stage{place}", f"Stage {place}")
        draw(f"conv{place}", "conv2d", channels=channels, kernel=3, padding="same")
        draw(f"norm{place}", "batch_norm")
        draw(f"relu{place}", "relu")
        draw(f"pool{place}", "max_pool2d", kernel=2, stride=2)
    draw.within("", "")
    draw("mean", "global_avg_pool")
    draw("dropout", "dropout", rate=0.2)
    draw("target", "output")
    return draw.graph("cnn")


def _transformer() -> Graph:
    draw = _Sketch(epochs=30, batch_size=32, learning_rate=0.0005, weight_decay=0.01, patience=5)
    draw("text", "text_input", length=64, vocabulary=10_000)
    draw("words", "embedding", units=64)
    draw("places", "positional_encoding")
    draw.within("encoder", "Encoder")
    for place in (1, 2):
        draw(f"layer{place}", "transformer_encoder_layer", heads=4, feedforward=128, dropout=0.1)
    draw.within("", "")
    draw("norm", "layer_norm")
    draw("mean", "global_avg_pool")
    draw("target", "output")
    return draw.graph("transformer")


def _forecaster() -> Graph:
    draw = _Sketch(epochs=100, batch_size=64, learning_rate=0.002, weight_decay=0.0, patience=10)
    draw("past", "sequence_input", length=48, channels=1)
    draw("lstm", "lstm", hidden=64, layers=2, dropout=0.1)
    draw("dropout", "dropout", output="last", rate=0.1)
    draw("target", "output")
    return draw.graph("forecaster")


TEMPLATES: dict[str, Template] = {
    name: Template(name=name, title=title, meaning=meaning, graph=graph)
    for name, title, meaning, graph in (
        ("empty", "Empty", "A table's row, the target, and a linear layer between.", _empty()),
        (
            "mlp",
            "Tabular classifier",
            "Two dense layers with dropout, for a table of a few thousand rows or more.",
            _mlp(),
        ),
        (
            "residual",
            "Residual network",
            "Two residual blocks (He et al. (2016), arXiv:1512.03385) for larger tables "
            "(Gorishniy et al. (2021), arXiv:2106.11959).",
            _residual(),
        ),
        (
            "cnn",
            "Image classifier",
            "Convolutions, pools and a mean over all positions, for small grey images.",
            _cnn(),
        ),
        (
            "transformer",
            "Text classifier",
            "Embedding, positions and two encoder layers (Vaswani et al. (2017), "
            "arXiv:1706.03762).",
            _transformer(),
        ),
        (
            "forecaster",
            "Forecaster",
            "An LSTM reads the past; its last state says the next value.",
            _forecaster(),
        ),
    )
}
"""The templates by name."""


def find_template(name: str) -> Template:
    """The template of that name.

    Raises:
        NotFound: There is none.
    """
    if name not in TEMPLATES:
        raise NotFound(f"There is no template {name!r}.", hint=f"Known: {', '.join(TEMPLATES)}.")
    return TEMPLATES[name]
