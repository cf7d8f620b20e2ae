"""Layers in which every number sees every other."""

from dataclasses import replace

from ..dims import total
from ..tensors import Given, Misfit, Worked
from .kinds import BIAS, Kind, Params, applied, floats, layer, size, unless, whole


def _dense(given: Given, p: Params) -> Worked:
    x, units = given.x, p["units"]
    floats(x)
    if x.channels == "first" and len(x.dims) > 2:
        order = [*range(2, len(x.dims)), 1]
        raise Misfit(
            "its numbers in the last dimension",
            f"Put a flatten, a global pool, or a permute with order={order} before it.",
        )
    weights = size(x.dims[-1], units)
    return applied(
        replace(x, dims=(*x.dims[:-1], units), seen=()),
        "nn.Linear",
        x.dims[-1],
        units,
        parameters=total([weights, units if p["bias"] else 0]),
        flops=size(2, weights, *x.dims[1:-1]),
        **unless(bias=(p["bias"], True)),
    )


KINDS = (
    Kind(
        layer(
            "dense",
            "Dense",
            "dense",
            "y = W x + b, over the last dimension",
            "Rosenblatt (1958), https://doi.org/10.1037/h0042519",
            "Every number of the result sees every number that comes in.",
            whole("units", 32, "Length of the result.", unit="numbers"),
            BIAS,
        ),
        _dense,
    ),
)
