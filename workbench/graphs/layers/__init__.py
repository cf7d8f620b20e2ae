"""The one table of layers: what an editor offers, what a check allows, what torch is built from.

Each entry says what a node may be given, what shape its result has, and which torch module or
function computes it, as data: reading the table imports nothing heavy.
"""

from workbench.core import NotFound

from ..types import Layer
from . import (
    activation,
    attention,
    convolution,
    dense,
    embedding,
    ends,
    join,
    normalisation,
    operation,
    pooling,
    recurrent,
    regularisation,
    shape,
)
from .kinds import Kind

KINDS: dict[str, Kind] = {
    kind.layer.name: kind
    for group in (
        ends,
        dense,
        convolution,
        pooling,
        normalisation,
        activation,
        regularisation,
        recurrent,
        attention,
        embedding,
        shape,
        join,
        operation,
    )
    for kind in group.KINDS
}

LAYERS: list[Layer] = [kind.layer for kind in KINDS.values()]


def enters(layer: str) -> bool:
    """Whether data comes in at a node of that layer."""
    return layer in KINDS and KINDS[layer].layer.group == "ends" and not KINDS[layer].layer.ports


def find_layer(name: str) -> Layer:
    """The layer of that name.

    Raises:
        NotFound: The table has none.
    """
    if name not in KINDS:
        raise NotFound(f"There is no layer {name!r}.", hint=f"Known: {', '.join(KINDS)}.")
    return KINDS[name].layer


__all__ = ["KINDS", "LAYERS", "Kind", "enters", "find_layer"]
