"""Layers that move numbers without changing them."""

from dataclasses import replace

from ..dims import Dim, differ, floor
from ..tensors import Given, Into, Method, Misfit, Tensor, Worked
from .kinds import Kind, Params, axis, layer, size, whole, whole_each


def _flatten(given: Given, p: Params) -> Worked:
    x = given.x
    if len(x.dims) < 2:
        raise Misfit("at least 2 dimensions", "Use a reshape with size=[1].")
    return Worked(
        {"out": Tensor((x.dims[0], x.numbers), x.dtype, values=x.values)},
        Method(Into(), "flatten", (1,)),
    )


def _reshape(given: Given, p: Params) -> Worked:
    x = given.x
    wanted: list[int] = [p["size"]] if isinstance(p["size"], int) else list(p["size"])
    if 0 in wanted or wanted.count(-1) > 1:
        raise Misfit(f"sizes of at least 1, and one -1 at most, not {wanted}", "Say each size.")
    rest = size(*(each for each in wanted if each != -1))
    dims: list[Dim] = list(wanted)
    if -1 in wanted:
        left = floor(x.numbers, int(rest))
        if differ(size(left, rest), x.numbers):
            raise Misfit(
                f"as many numbers per row as {rest} divides ({x.numbers} are there)",
                f"Use size=[-1], or sizes whose product divides {x.numbers}.",
            )
        dims[wanted.index(-1)] = left
    elif differ(rest, x.numbers):
        raise Misfit(
            f"{rest} numbers per row for size={wanted} ({x.numbers} are there)",
            f"Use size={[*wanted[:-1], -1]}, or sizes whose product is {x.numbers}.",
        )
    # Without the batch's size: it is not known before the network runs.
    ahead = (-1, *dims)
    return Worked(
        {"out": Tensor((x.dims[0], *dims), x.dtype, values=x.values)},
        Method(Into(), "reshape", ahead),
    )


def _permute(given: Given, p: Params) -> Worked:
    x = given.x
    order: list[int] = [p["order"]] if isinstance(p["order"], int) else list(p["order"])
    rest = list(range(1, len(x.dims)))
    if sorted(order) != rest:
        raise Misfit(
            f"dimensions {order} and the batch", f"Use each of {rest} once, as order={rest[::-1]}."
        )
    channels = x.channels
    if channels and order != rest:
        at = 1 if channels == "first" else len(x.dims) - 1
        place = order.index(at) + 1
        channels = "first" if place == 1 else "last" if place == len(x.dims) - 1 else ""
    return Worked(
        {
            "out": replace(
                x,
                dims=(x.dims[0], *(x.dims[each] for each in order)),
                channels=channels,
                seen=x.seen if order == rest else (),
            )
        },
        Method(Into(), "permute", (0, *order)),
    )


def _squeeze(given: Given, p: Params) -> Worked:
    x = given.x
    at = axis(x, p["dim"])
    if differ(x.dims[at], 1):
        raise Misfit(f"size 1 in dimension {at}", "Use take to choose one of them, or a pool.")
    if len(x.dims) == 2:
        raise Misfit("at least 3 dimensions", "Remove it.")
    return Worked(
        {"out": Tensor(x.dims[:at] + x.dims[at + 1 :], x.dtype, values=x.values)},
        Method(Into(), "squeeze", (p["dim"],)),
    )


def _unsqueeze(given: Given, p: Params) -> Worked:
    x, dim = given.x, p["dim"]
    rank = len(x.dims)
    at = dim + rank + 1 if dim < 0 else dim
    if not 1 <= at <= rank:
        raise Misfit(f"a place {dim} beside the batch", f"Use dim=1 to {rank}, or -1.")
    if rank >= 6:
        raise Misfit("at most 6 dimensions", "Put a reshape before it.")
    return Worked(
        {"out": Tensor((*x.dims[:at], 1, *x.dims[at:]), x.dtype, values=x.values)},
        Method(Into(), "unsqueeze", (dim,)),
    )


def _take(given: Given, p: Params) -> Worked:
    x, index = given.x, p["index"]
    at = axis(x, p["dim"])
    if len(x.dims) == 2:
        raise Misfit("at least 3 dimensions", "Use slice, which keeps the dimension.")
    length = x.dims[at]
    if isinstance(length, int) and not -length <= index < length:
        raise Misfit(
            f"a position {index} in dimension {at}", f"Use index=0 to {length - 1}, or -1."
        )
    return Worked(
        {"out": Tensor(x.dims[:at] + x.dims[at + 1 :], x.dtype, values=x.values)},
        Method(Into(), "select", (p["dim"], index)),
    )


def _slice(given: Given, p: Params) -> Worked:
    x, start, length = given.x, p["start"], p["length"]
    at = axis(x, p["dim"])
    there = x.dims[at]
    if isinstance(there, int) and start + length > there:
        raise Misfit(
            f"{start + length} positions in dimension {at}",
            f"Use length={max(1, there - start)} or less, and start before {there}.",
        )
    dims = (*x.dims[:at], length, *x.dims[at + 1 :])
    return Worked(
        {"out": replace(x, dims=dims)}, Method(Into(), "narrow", (p["dim"], start, length))
    )


KINDS = (
    Kind(
        layer(
            "flatten",
            "Flatten",
            "shape",
            "[B, a, b, …] → [B, a · b · …]",
            "LeCun et al. (1998), https://doi.org/10.1109/5.726791",
            "All numbers of a row, one after the other.",
        ),
        _flatten,
    ),
    Kind(
        layer(
            "reshape",
            "Reshape",
            "shape",
            "[B, …] → [B, size…], the numbers in their order",
            "Harris et al. (2020), https://doi.org/10.1038/s41586-020-2649-2",
            "The same numbers in other dimensions.",
            whole_each(
                "size",
                [-1],
                "Size of each dimension after the batch; -1 where the rest goes.",
                None,
                minimum=-1,
                maximum=10_000_000,
            ),
        ),
        _reshape,
    ),
    Kind(
        layer(
            "permute",
            "Permute",
            "shape",
            "[B, a, b] → [B, b, a]",
            "Harris et al. (2020), https://doi.org/10.1038/s41586-020-2649-2",
            "The dimensions in another order: between sequences [B, length, channels] and "
            "convolutions [B, channels, length].",
            whole_each(
                "order",
                [2, 1],
                "Which dimension comes to each place; the batch is 0 and stays.",
                None,
                maximum=6,
            ),
        ),
        _permute,
    ),
    Kind(
        layer(
            "squeeze",
            "Squeeze",
            "shape",
            "[B, 1, a] → [B, a]",
            "Harris et al. (2020), https://doi.org/10.1038/s41586-020-2649-2",
            "A dimension of size 1 less.",
            whole("dim", 1, "Which; -1 is the last.", minimum=-6, maximum=6),
        ),
        _squeeze,
    ),
    Kind(
        layer(
            "unsqueeze",
            "Unsqueeze",
            "shape",
            "[B, a] → [B, 1, a]",
            "Harris et al. (2020), https://doi.org/10.1038/s41586-020-2649-2",
            "A dimension of size 1 more.",
            whole("dim", 1, "Where; -1 is after the last.", minimum=-6, maximum=6),
        ),
        _unsqueeze,
    ),
    Kind(
        layer(
            "take",
            "Take one",
            "shape",
            "y = x[:, index]",
            "Sutskever, Vinyals, Le (2014), arXiv:1409.3215, for the last step",
            "One position of a dimension: the last step of a sequence, the first of a text.",
            whole("dim", 1, "Of which dimension; -1 is the last.", minimum=-6, maximum=6),
            whole(
                "index",
                -1,
                "Which position, from 0; -1 is the last.",
                minimum=-1_000_000,
                maximum=1_000_000,
            ),
        ),
        _take,
    ),
    Kind(
        layer(
            "slice",
            "Slice",
            "shape",
            "y = x[:, start : start + length]",
            "Harris et al. (2020), https://doi.org/10.1038/s41586-020-2649-2",
            "Some neighbouring positions of a dimension.",
            whole("dim", -1, "Of which dimension; -1 is the last.", minimum=-6, maximum=6),
            whole("start", 0, "The first position.", minimum=0, maximum=10_000_000),
            whole("length", 1, "How many positions.", maximum=10_000_000),
        ),
        _slice,
    ),
)
