"""The language of graphs: architectures as documents that people edit and torch runs.

`LAYERS` is the one table of layers; `Reader` says what a graph means while it is edited, `check`
whether a table can be learned with it, `sizes` how long the vectors are at each node; `build` makes
the torch module, `source` writes it; `suggest` draws one to begin with, `TEMPLATES` are others.
"""

from .build import build
from .check import check, check_id, check_param, check_training, sizes
from .layers import LAYERS, find_layer
from .meaning import GraphProblem, Meaning, NodeMeaning, Reader
from .source import source
from .suggest import STEP, plain, suggest
from .templates import TEMPLATES, Template, find_template
from .training import TRAINING
from .types import Edge, Graph, Layer, Node, NodeGroup, Parameter, Port

__all__ = [
    "LAYERS",
    "STEP",
    "TEMPLATES",
    "TRAINING",
    "Edge",
    "Graph",
    "GraphProblem",
    "Layer",
    "Meaning",
    "Node",
    "NodeGroup",
    "NodeMeaning",
    "Parameter",
    "Port",
    "Reader",
    "Template",
    "build",
    "check",
    "check_id",
    "check_param",
    "check_training",
    "find_layer",
    "find_template",
    "plain",
    "sizes",
    "source",
    "suggest",
]
