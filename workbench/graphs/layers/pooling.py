"""Layers that make tensors smaller or larger without weights."""

from dataclasses import replace

from ..dims import Dim
from ..tensors import Call, Given, Into, Method, Misfit, Tensor, Worked
from ..types import Parameter
from .convolution import slid
from .kinds import (
    Kind,
    Params,
    applied,
    each,
    floats,
    layer,
    said,
    size,
    spatial,
    unless,
    whole,
    whole_each,
)


def _pool(given: Given, p: Params, name: str, n: int) -> Worked:
    x = given.x
    spatial(x, n)
    kernel, stride, padding = (each(p[name], n) for name in ("kernel", "stride", "padding"))
    for width, edge in zip(kernel, padding, strict=True):
        if 2 * edge > width:
            raise Misfit(
                f"padding of at most half of kernel={width}", f"Use padding={width // 2} or less."
            )
    dims, seen = slid(x, kernel, stride, padding, (1,) * n)
    return applied(
        replace(x, dims=(*x.dims[:2], *dims), channels="first", seen=seen),
        f"nn.{name}Pool{n}d",
        said(p["kernel"]),
        **unless(stride=(said(p["stride"]), said(p["kernel"])), padding=(said(p["padding"]), 0)),
    )


def _global(given: Given, p: Params, method: str) -> Worked:
    x = given.x
    floats(x)
    if len(x.dims) < 3:
        raise Misfit("positions to pool over, at least 3 dimensions", "Remove it.")
    last = x.channels == "last"
    over = tuple(range(1, len(x.dims) - 1)) if last else tuple(range(2, len(x.dims)))
    kept = x.dims[-1] if last else x.dims[1]
    said_over = over[0] if len(over) == 1 else over
    return Worked(
        {"out": Tensor((x.dims[0], kept))}, Method(Into(), method, (), {"dim": said_over})
    )


def _adaptive(given: Given, p: Params) -> Worked:
    x = given.x
    spatial(x, 2)
    dims = (*x.dims[:2], *each(p["size"], 2))
    return applied(Tensor(dims, channels="first"), "nn.AdaptiveAvgPool2d", said(p["size"]))


def _upsample(given: Given, p: Params) -> Worked:
    x = given.x
    dims: list[Dim] = [size(p["factor"], length) for length in spatial(x, 2)]
    return Worked(
        {"out": Tensor((*x.dims[:2], *dims), channels="first")},
        Call("self", (Into(),)),
        Call(
            "nn.Upsample", (), {"scale_factor": p["factor"]} | unless(mode=(p["mode"], "nearest"))
        ),
    )


def _window(n: int) -> tuple[Parameter, ...]:
    return (
        whole_each("kernel", 2, "Size of the window.", n, maximum=1_024, unit="positions"),
        whole_each("stride", 2, "How far the window moves.", n, maximum=1_024, unit="positions"),
        whole_each(
            "padding",
            0,
            "Positions added at each edge, at most half of the window.",
            n,
            minimum=0,
            maximum=512,
            unit="positions",
        ),
    )


KINDS = (
    *(
        Kind(
            layer(
                f"max_pool{n}d",
                f"{n}-D maximum pooling",
                "pooling",
                "y = max of x over a window",
                "Ranzato et al. (2007), https://doi.org/10.1109/CVPR.2007.383157",
                "Keeps the largest number of each window, channel by channel.",
                *_window(n),
            ),
            lambda given, p, n=n: _pool(given, p, "Max", n),  # type: ignore[misc]
        )
        for n in (1, 2)
    ),
    *(
        Kind(
            layer(
                f"avg_pool{n}d",
                f"{n}-D average pooling",
                "pooling",
                "y = mean of x over a window; added positions count as zeros",
                "LeCun et al. (1998), https://doi.org/10.1109/5.726791",
                "Keeps the mean of each window, channel by channel.",
                *_window(n),
            ),
            lambda given, p, n=n: _pool(given, p, "Avg", n),  # type: ignore[misc]
        )
        for n in (1, 2)
    ),
    Kind(
        layer(
            "global_avg_pool",
            "Average over all positions",
            "pooling",
            "y[c] = mean of x over time, or over height and width",
            "Lin, Chen, Yan (2014), arXiv:1312.4400",
            "One number per channel: [B, length, channels] of sequences or [B, channels, …] of "
            "convolutions become [B, channels].",
        ),
        lambda given, p: _global(given, p, "mean"),
    ),
    Kind(
        layer(
            "global_max_pool",
            "Maximum over all positions",
            "pooling",
            "y[c] = max of x over time, or over height and width",
            "Oquab et al. (2015), https://doi.org/10.1109/CVPR.2015.7298668",
            "As global_avg_pool, with the largest number.",
        ),
        lambda given, p: _global(given, p, "amax"),
    ),
    Kind(
        layer(
            "adaptive_avg_pool2d",
            "2-D average pooling to a size",
            "pooling",
            "y = mean of x over windows as large as the size needs",
            "He et al. (2014), arXiv:1406.4729",
            "Any image becomes one of a given size.",
            whole_each(
                "size", 1, "Height and width of the result.", 2, maximum=1_024, unit="pixels"
            ),
        ),
        _adaptive,
    ),
    Kind(
        layer(
            "upsample2d",
            "2-D upsampling",
            "pooling",
            "y[h, w] = x[h / factor, w / factor], the nearest or between four",
            "Odena, Dumoulin, Olah (2016), https://doi.org/10.23915/distill.00003",
            "Makes an image larger without weights; with a conv2d after it, no checkerboard.",
            whole("factor", 2, "How many times larger.", maximum=64),
            Parameter(
                name="mode",
                type="choice",
                default="nearest",
                choices=["nearest", "bilinear"],
                meaning="Repeat pixels, or go from one to the next in a straight line.",
            ),
        ),
        _upsample,
    ),
)
