"""Layers that keep means and spreads the same."""

from ..dims import Dim, known
from ..tensors import Given, Misfit, Worked
from ..types import Parameter
from .kinds import (
    EPSILON,
    Kind,
    Params,
    applied,
    floats,
    layer,
    size,
    spatial,
    unless,
    whole,
)


def _channels(given: Given) -> Dim:
    x = given.x
    floats(x)
    if len(x.dims) > 2:
        spatial(x, min(len(x.dims) - 2, 3))
    return x.dims[1]


def _batch(given: Given, p: Params) -> Worked:
    channels = _channels(given)
    return applied(
        given.x,
        f"nn.BatchNorm{max(1, len(given.x.dims) - 2)}d",
        channels,
        parameters=size(2, channels),
        **unless(eps=(p["epsilon"], 1e-5), momentum=(p["momentum"], 0.1)),
    )


def _layer(given: Given, p: Params) -> Worked:
    floats(given.x)
    length = given.x.dims[-1]
    return applied(
        given.x,
        "nn.LayerNorm",
        length,
        parameters=size(2, length),
        **unless(eps=(p["epsilon"], 1e-5)),
    )


def _root(given: Given, p: Params) -> Worked:
    floats(given.x)
    length = given.x.dims[-1]
    return applied(given.x, "nn.RMSNorm", length, eps=p["epsilon"], parameters=length)


def _group(given: Given, p: Params) -> Worked:
    channels, groups = _channels(given), p["groups"]
    if isinstance(channels, int) and channels % groups:
        fits = max(each for each in range(1, groups + 1) if channels % each == 0)
        raise Misfit(f"channels that groups={groups} divides", f"Use groups={fits}.")
    return applied(
        given.x,
        "nn.GroupNorm",
        groups,
        channels,
        parameters=size(2, channels),
        **unless(eps=(p["epsilon"], 1e-5)),
    )


def _instance(given: Given, p: Params) -> Worked:
    if known(size(*spatial(given.x, 2))) == 1:
        raise Misfit("more than one position per channel", "Use layer_norm or batch_norm.")
    channels = given.x.dims[1]
    return applied(
        given.x,
        "nn.InstanceNorm2d",
        channels,
        parameters=size(2, channels) if p["affine"] else 0,
        **unless(eps=(p["epsilon"], 1e-5), affine=(p["affine"], False)),
    )


KINDS = (
    Kind(
        layer(
            "batch_norm",
            "Batch normalisation",
            "normalisation",
            "y = g · (x - mean(batch)) / sqrt(var(batch) + epsilon) + b, per channel",
            "Ioffe, Szegedy (2015), arXiv:1502.03167",
            "Keeps each number's or channel's mean and spread the same over a batch.",
            Parameter(
                name="momentum",
                type="number",
                default=0.1,
                minimum=0.0,
                maximum=1.0,
                unit="share",
                meaning="How fast the running mean and variance follow the batches.",
            ),
            EPSILON,
        ),
        _batch,
    ),
    Kind(
        layer(
            "layer_norm",
            "Layer normalisation",
            "normalisation",
            "y = g · (x - mean(x)) / sqrt(var(x) + epsilon) + b, over the last dimension",
            "Ba, Kiros, Hinton (2016), arXiv:1607.06450",
            "Keeps each row's mean and spread the same.",
            EPSILON,
        ),
        _layer,
    ),
    Kind(
        layer(
            "group_norm",
            "Group normalisation",
            "normalisation",
            "y = g · (x - mean(group)) / sqrt(var(group) + epsilon) + b, per group of channels",
            "Wu, He (2018), arXiv:1803.08494",
            "As batch_norm, and the same whatever the batch is.",
            whole("groups", 4, "Parts of the channels; it must divide them.", unit="groups"),
            EPSILON,
        ),
        _group,
    ),
    Kind(
        layer(
            "instance_norm2d",
            "2-D instance normalisation",
            "normalisation",
            "y = (x - mean(x)) / sqrt(var(x) + epsilon), per image and channel",
            "Ulyanov, Vedaldi, Lempitsky (2016), arXiv:1607.08022",
            "Takes the contrast of each image away, channel by channel.",
            Parameter(
                name="affine",
                type="boolean",
                default=False,
                meaning="Whether a factor and a constant are learned per channel.",
            ),
            EPSILON,
        ),
        _instance,
    ),
    Kind(
        layer(
            "rms_norm",
            "Root mean square normalisation",
            "normalisation",
            "y = g · x / sqrt(mean(x²) + epsilon), over the last dimension",
            "Zhang, Sennrich (2019), arXiv:1910.07467",
            "As layer_norm, without taking the mean away.",
            EPSILON,
        ),
        _root,
    ),
)
