"""Layers that only work while training."""

from ..tensors import Given, Worked
from .kinds import RATE, Kind, Params, applied, floats, layer, spatial


def _dropout(given: Given, p: Params) -> Worked:
    floats(given.x)
    return applied(given.x, "nn.Dropout", p["rate"])


def _channels(given: Given, p: Params) -> Worked:
    spatial(given.x, 2)
    return applied(given.x, "nn.Dropout2d", p["rate"])


KINDS = (
    Kind(
        layer(
            "dropout",
            "Dropout",
            "regularisation",
            "training: y = x · m / (1 - rate), m ~ Bernoulli(1 - rate); else y = x",
            "Srivastava et al. (2014), https://jmlr.org/papers/v15/srivastava14a.html",
            "Forgets some numbers while training, so that none is relied on alone.",
            RATE,
        ),
        _dropout,
    ),
    Kind(
        layer(
            "dropout2d",
            "2-D dropout",
            "regularisation",
            "as dropout, with one m per row and channel",
            "Tompson et al. (2015), arXiv:1411.4280",
            "Forgets whole channels of an image while training: neighbours are too alike for one "
            "to be missed.",
            RATE,
        ),
        _channels,
    ),
)
