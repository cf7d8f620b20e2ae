"""The language of graphs: architectures as documents that people edit and torch runs.

`LAYERS` is the one table of layers; `Reader` says what a graph means while it is edited, `check`
whether a table can be learned with it, `sizes` how long the vectors are at each node; `build` makes
the torch module, `source` writes it; `suggest` draws one to begin with, `TEMPLATES` are others.
"""

from .build import build
from .check import check, check_id, check_param, check_training, sizes
from .layers import LAYERS, find_layer
from .meaning import Meaning, NodeMeaning, Problem, Reader
from .nodes import TRAINING
from .source import source
from .suggest import plain, suggest
from .templates import TEMPLATES, Template, find_template
from .types import Edge, Graph, Group, Layer, Node, Parameter, Port

__all__ = [
    "LAYERS",
    "TEMPLATES",
    "TRAINING",
    "Edge",
    "Graph",
    "Group",
    "Layer",
    "Meaning",
    "Node",
    "NodeMeaning",
    "Parameter",
    "Port",
    "Problem",
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
