"""The language of graphs: architectures as documents that people edit and torch runs.

`LAYERS` is the one table of layers; `check` says whether a document is a graph, `sizes` how long
the vectors are at each node, `build` makes the torch module, `suggest` draws one to begin with.
"""

from .build import build
from .check import check, sizes
from .layers import LAYERS, find_layer
from .suggest import plain, suggest
from .types import Edge, Graph, Layer, Node, Parameter

__all__ = [
    "LAYERS",
    "Edge",
    "Graph",
    "Layer",
    "Node",
    "Parameter",
    "build",
    "check",
    "find_layer",
    "plain",
    "sizes",
    "suggest",
]
