"""Layers that look at neighbours, with the same weights everywhere.

How far they see: Araujo, Norris, Sim (2019), https://doi.org/10.23915/distill.00021.
"""

from dataclasses import replace

from ..dims import Dim, floor, known, total
from ..tensors import Given, Misfit, Tensor, Worked
from ..types import Parameter
from .kinds import (
    BIAS,
    Kind,
    Params,
    applied,
    each,
    layer,
    said,
    size,
    spatial,
    unless,
    whole,
    whole_each,
)


def slid(
    x: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[Dim, ...], tuple[tuple[int, int], ...]]:
    """The sizes after a window slid over the dimensions after the channels, and what it saw.

    Raises:
        Misfit: The window is larger than what it slides over.
    """
    dims: list[Dim] = []
    seen = x.seen or ((1, 1),) * len(kernel)
    for place, length in enumerate(x.dims[2:]):
        reach = dilation[place] * (kernel[place] - 1) + 1
        room = known(total([length, 2 * padding[place]]))
        if room is not None and room < reach:
            raise Misfit(
                f"at least {reach - 2 * padding[place]} positions in dimension {place + 2} "
                f"for kernel={kernel[place]}, dilation={dilation[place]}, "
                f"padding={padding[place]}",
                f"Use kernel={max(1, room)} or less, more padding, or fewer pools before it.",
            )
        left = total([length, 2 * padding[place] - reach])
        dims.append(total([floor(left, stride[place]), 1]))
    views = tuple(
        (width + (kernel[place] - 1) * dilation[place] * step, step * stride[place])
        for place, (width, step) in enumerate(seen)
    )
    return tuple(dims), views


def _padding(p: Params, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> int | list[int]:
    given: int | list[int] | str = p["padding"]
    if not isinstance(given, str):
        return given
    if given == "valid":
        return 0
    around = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    if any(width % 2 for width in around):
        raise Misfit(
            f"an odd kernel for padding='same' (kernel={p['kernel']} has no middle)",
            f"Use kernel={max(kernel) + 1}, or a number as padding.",
        )
    return around[0] // 2 if len(set(around)) == 1 else [width // 2 for width in around]


def _grouped(x: Tensor, p: Params) -> Dim:
    channels, groups = x.dims[1], p["groups"]
    for what, count in (("coming in", channels), ("going out", p["channels"])):
        if isinstance(count, int) and count % groups:
            raise Misfit(
                f"channels that groups={groups} divides ({count} are {what})",
                f"Use groups=1, or channels that are multiples of {groups}.",
            )
    return floor(channels, groups)


def _conv(given: Given, p: Params, n: int) -> Worked:
    x = given.x
    spatial(x, n)
    kernel, stride = each(p["kernel"], n), each(p["stride"], n)
    dilation = each(p["dilation"], n)
    padding = _padding(p, kernel, dilation)
    dims, seen = slid(x, kernel, stride, each(padding, n), dilation)
    weights = size(p["channels"], _grouped(x, p), *kernel)
    return applied(
        replace(x, dims=(x.dims[0], p["channels"], *dims), channels="first", seen=seen),
        f"nn.Conv{n}d",
        x.dims[1],
        p["channels"],
        said(p["kernel"]),
        parameters=total([weights, p["channels"] if p["bias"] else 0]),
        flops=size(2, weights, *dims),
        **unless(
            stride=(said(p["stride"]), 1),
            padding=(said(padding), 0),
            dilation=(said(p["dilation"]), 1),
            groups=(p["groups"], 1),
            bias=(p["bias"], True),
        ),
    )


def _transposed(given: Given, p: Params) -> Worked:
    x = given.x
    kernel, stride, padding, more = (
        each(p[name], 2) for name in ("kernel", "stride", "padding", "output_padding")
    )
    dims: list[Dim] = []
    for place, length in enumerate(spatial(x, 2)):
        if more[place] >= stride[place]:
            raise Misfit(
                f"output_padding={more[place]} to be less than stride={stride[place]}",
                f"Use output_padding={stride[place] - 1} or less.",
            )
        added = kernel[place] - stride[place] - 2 * padding[place] + more[place]
        found = total([size(stride[place], length), added])
        if isinstance(found, int) and found < 1:
            raise Misfit(
                f"something to be left after padding={padding[place]}",
                f"Use padding={max(0, (kernel[place] - 1) // 2)} or less.",
            )
        dims.append(found)
    weights = size(x.dims[1], p["channels"], *kernel)
    return applied(
        Tensor((x.dims[0], p["channels"], *dims), channels="first"),
        "nn.ConvTranspose2d",
        x.dims[1],
        p["channels"],
        said(p["kernel"]),
        parameters=total([weights, p["channels"] if p["bias"] else 0]),
        flops=size(2, weights, *x.dims[2:]),
        **unless(
            stride=(said(p["stride"]), 1),
            padding=(said(p["padding"]), 0),
            output_padding=(said(p["output_padding"]), 0),
            bias=(p["bias"], True),
        ),
    )


_CHANNELS = whole("channels", 16, "Channels of the result.", unit="channels")


def _window(n: int) -> tuple[Parameter, ...]:
    return (
        _CHANNELS,
        whole_each(
            "kernel", 3, "Size of the window.", n if n > 1 else 1, maximum=1_024, unit="positions"
        ),
        whole_each("stride", 1, "How far the window moves.", n, maximum=1_024, unit="positions"),
        whole_each(
            "padding",
            0,
            "Zeros at each edge; `same`: half the window, so that stride 1 keeps the size; "
            "`valid`: none.",
            n,
            minimum=0,
            maximum=1_024,
            unit="positions",
            words=("same", "valid"),
        ),
        whole_each(
            "dilation",
            1,
            "How far the window's numbers are apart (Yu, Koltun (2016), arXiv:1511.07122).",
            n,
            maximum=1_024,
            unit="positions",
        ),
        whole(
            "groups",
            1,
            "Channels in so many parts that do not see each other; as many as channels come in "
            "is depthwise (Howard et al. (2017), arXiv:1704.04861).",
        ),
        BIAS,
    )


KINDS = (
    Kind(
        layer(
            "conv1d",
            "1-D convolution",
            "convolution",
            "y[c, t] = b[c] + sum over i, k of W[c, i, k] · x[i, stride · t + dilation · k - pad]",
            "Waibel et al. (1989), https://doi.org/10.1109/29.21701",
            "Looks at neighbours in time, with the same weights everywhere: [B, channels, length].",
            *_window(1),
        ),
        lambda given, p: _conv(given, p, 1),
    ),
    Kind(
        layer(
            "conv2d",
            "2-D convolution",
            "convolution",
            "y[c, h, w] = b[c] + sum over i, j, k of W[c, i, j, k] · x[i, h + j, w + k], "
            "with stride, dilation and padding as in conv1d",
            "LeCun et al. (1989), https://doi.org/10.1162/neco.1989.1.4.541",
            "Looks at neighbours in an image: [B, channels, height, width].",
            *_window(2),
        ),
        lambda given, p: _conv(given, p, 2),
    ),
    Kind(
        layer(
            "conv3d",
            "3-D convolution",
            "convolution",
            "as conv2d, over depth, height and width",
            "Ji et al. (2013), https://doi.org/10.1109/TPAMI.2012.59",
            "Looks at neighbours in a volume or a film: [B, channels, depth, height, width].",
            *_window(3),
        ),
        lambda given, p: _conv(given, p, 3),
    ),
    Kind(
        layer(
            "conv_transpose2d",
            "2-D transposed convolution",
            "convolution",
            "the gradient of conv2d to its input: each number of x is laid out as a window",
            "Zeiler et al. (2010), https://doi.org/10.1109/CVPR.2010.5539957",
            "Makes an image larger, with weights that are learned.",
            _CHANNELS,
            whole_each("kernel", 2, "Size of the window.", 2, maximum=1_024, unit="pixels"),
            whole_each("stride", 2, "How many times larger.", 2, maximum=1_024, unit="pixels"),
            whole_each(
                "padding",
                0,
                "Pixels taken off at each edge.",
                2,
                minimum=0,
                maximum=1_024,
                unit="pixels",
            ),
            whole_each(
                "output_padding",
                0,
                "Pixels added at the lower and right edge.",
                2,
                minimum=0,
                maximum=1_023,
                unit="pixels",
            ),
            BIAS,
        ),
        _transposed,
    ),
)
