"""Layers that make one tensor of several."""

from dataclasses import replace

from ..dims import Dim, differ, total
from ..tensors import Call, Chain, Given, Into, Misfit, Tensor, Worked
from ..types import Port
from .kinds import (
    MANY,
    Kind,
    Params,
    axis,
    floats,
    layer,
    ordered,
    size,
    together,
    whole,
    widest,
)


def _all(given: Given) -> tuple[Into, ...]:
    return tuple(Into("in", place) for place in range(len(given.ports["in"])))


def _chain(given: Given, path: str, sign: str) -> Worked:
    return Worked({"out": together(given.ports["in"])}, Chain(path, sign, _all(given)))


def _minus(given: Given, p: Params) -> Worked:
    out = together((given.x, given.ports["other"][0]))
    return Worked({"out": out}, Chain("torch.sub", "-", (Into(), Into("other"))))


def _concat(given: Given, p: Params) -> Worked:
    tensors = given.ports["in"]
    floats(*tensors)
    first = tensors[0]
    at = axis(first, p["dim"])
    for other in tensors[1:]:
        if len(other.dims) != len(first.dims):
            raise Misfit(
                "tensors with the same number of dimensions",
                "Put a flatten, a pool or an unsqueeze before the one that differs.",
            )
        for place, (one, two) in enumerate(zip(first.dims, other.dims, strict=True)):
            if place != at and differ(one, two):
                raise Misfit(
                    f"tensors that differ in dimension {at} only",
                    f"Make dimension {place} the same, or use dim={place} if only it differs.",
                )
    length = total(each.dims[at] for each in tensors)
    dims = (*first.dims[:at], length, *first.dims[at + 1 :])
    views = widest(tensors) if at == 1 else ()
    return Worked(
        {"out": replace(first, dims=dims, channels=ordered(tensors), seen=views)},
        Call("torch.cat", (list(_all(given)),), {"dim": p["dim"]}),
    )


def _matmul(given: Given, p: Params) -> Worked:
    one, two = given.x, given.ports["other"][0]
    floats(one, two)
    if len(one.dims) != len(two.dims) or len(one.dims) < 3:
        raise Misfit(
            "two tensors [batch, …, rows, columns] with as many dimensions",
            "Put an unsqueeze before the one that has fewer.",
        )
    if differ(one.dims[-1], two.dims[-2]):
        raise Misfit(
            "as many columns in the first as rows in the other",
            "Put a permute with order=[2, 1] before the other, or a dense layer with "
            f"units={two.dims[-2]} before the first.",
        )
    ahead: list[Dim] = [one.dims[0]]
    for place in range(1, len(one.dims) - 2):
        if differ(one.dims[place], two.dims[place]):
            raise Misfit(f"the same size in dimension {place}", "Put a reshape before one of them.")
        ahead.append(one.dims[place])
    rows, inner, columns = one.dims[-2], one.dims[-1], two.dims[-1]
    return Worked(
        {"out": Tensor((*ahead, rows, columns))},
        Chain("torch.matmul", "@", (Into(), Into("other"))),
        flops=size(2, *ahead[1:], rows, inner, columns),
    )


_TWO = (
    Port(name="in", meaning="The first."),
    Port(name="other", meaning="The second."),
)

KINDS = (
    Kind(
        layer(
            "add",
            "Add",
            "join",
            "y = x1 + x2 + …",
            "He et al. (2016), arXiv:1512.03385",
            "The sum of tensors of one shape: a residual connection.",
            ports=(MANY,),
        ),
        lambda given, p: _chain(given, "torch.add", "+"),
    ),
    Kind(
        layer(
            "multiply",
            "Multiply",
            "join",
            "y = x1 · x2 · …",
            "Dauphin et al. (2017), arXiv:1612.08083",
            "The product, number by number, of tensors of one shape: a gate.",
            ports=(MANY,),
        ),
        lambda given, p: _chain(given, "torch.mul", "*"),
    ),
    Kind(
        layer(
            "subtract",
            "Subtract",
            "join",
            "y = x - other",
            "Bromley et al. (1993), https://doi.org/10.1142/S0218001493000339",
            "The difference of two tensors of one shape.",
            ports=_TWO,
        ),
        _minus,
    ),
    Kind(
        layer(
            "maximum",
            "Maximum",
            "join",
            "y = max(x1, x2, …)",
            "Goodfellow et al. (2013), arXiv:1302.4389",
            "The larger, number by number, of tensors of one shape.",
            ports=(MANY,),
        ),
        lambda given, p: _chain(given, "torch.maximum", ""),
    ),
    Kind(
        layer(
            "concat",
            "Concatenate",
            "join",
            "y = (x1, x2, …)",
            "Huang et al. (2017), arXiv:1608.06993",
            "Tensors one after the other in a dimension.",
            whole(
                "dim", -1, "Which; -1 is the last, 1 the channels of images.", minimum=-6, maximum=6
            ),
            ports=(MANY,),
        ),
        _concat,
    ),
    Kind(
        layer(
            "matmul",
            "Product of matrices",
            "join",
            "y = x · other, over the last two dimensions",
            "Vaswani et al. (2017), arXiv:1706.03762",
            "The product of two matrices per row, or of as many as the dimensions before say.",
            ports=_TWO,
        ),
        _matmul,
    ),
)
