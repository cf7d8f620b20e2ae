"""Exact Shapley values of a model over a background: every coalition of features is asked."""

from collections.abc import Callable
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from .device import Device, Given, float64
from .game import ArrayModel, Ask, Model, ShapleyValues, check, game

if TYPE_CHECKING:
    import torch

MOST = 20
"""Features; twice as long for each one more."""


def reference(f: ArrayModel, rows: Given, background: Given) -> ShapleyValues:
    """The twin of `exact_shapley`, which it defines.

    phi[i, j] = sum over S without j of |S|! (d - |S| - 1)! / d! (v(S + j) - v(S)), where
    v(S) = mean over background rows b of f(row i in S, b elsewhere).

    Args:
        f: [rows, d] -> [rows] or [rows, outputs], on NumPy arrays.
        rows: What is explained, [n, d], 1 <= d <= 20, n >= 0.
        background: [m, d], m >= 1.

    Returns:
        phi [n, d] or [n, d, outputs] and base [] or [outputs], in f's unit. phi summed over d
        is f(row) - base. NaN and infinities go to f like any number; what it answers is carried
        through the sum.

    Raises:
        ValueError: Shapes that do not fit, or d > 20.

    Source: Shapley, A Value for n-Person Games, 1953; see `game` for v.
    """
    _check(rows, background)
    x, b = float64(rows, "rows"), float64(background, "background")
    n, d = x.shape
    base = f(b).mean(axis=0)
    inside = (np.arange(2**d)[:, None] >> np.arange(d)) & 1 == 1
    v = [
        f(np.where(each, x[:, None], b).reshape(-1, d)).reshape(n, len(b), *base.shape).mean(axis=1)
        for each in inside
    ]
    phi = np.zeros((n, d, *base.shape))
    for j in range(d):
        for s in np.flatnonzero(~inside[:, j]):
            weight = 1 / (d * comb(d - 1, int(inside[s].sum())))
            phi[:, j] += weight * (v[s | 1 << j] - v[s])
    return ShapleyValues(phi, base)


def exact_shapley(
    f: Model,
    rows: Given,
    background: Given,
    *,
    device: Device = None,
    memory: int | None = None,
) -> ShapleyValues:
    """What `reference` defines, by torch: f is asked n m 2^d times.

    Coalitions are made on the device from integers, a block at a time; v is averaged over the
    background before it is weighed. Of a plain `nn.Sequential` that begins with an `nn.Linear`
    that layer is not computed for each coalition but added from two tables (`_split`).

    Args:
        f: A torch module or function on the device. A module is asked in its own dtype, a
            function in float32 or float64 as the rows are.
        rows: [n, d], 1 <= d <= 20, n >= 0.
        background: [m, d], m >= 1.
        device: Where to compute; see `device`.
        memory: Bytes made at once of masked rows, reckoned at eight numbers a feature for what f
            makes of them (where it is split, at the first layer's width); a guide, not a limit,
            for f itself. None: 4 MiB on a CPU, 256 MiB on CUDA.

    Returns:
        phi and base as in `reference`, float64.

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: As in `reference`; also a module on another device or in training mode with
            dropout or batch statistics, a wrong shape of answer, or too little memory.

    Source: `reference`; meet in the middle: Horowitz and Sahni, Journal of the ACM 21 (1974).
    """
    import torch

    _check(rows, background)
    played = game(f, rows, background, device, memory)
    n, d = played.rows.shape
    first, rest = _first_layer(f)
    with torch.no_grad():
        phi = torch.zeros(n, d, len(played.base), dtype=torch.float64, device=played.place.device)
        width = 8 * d if first is None else max(d, first.out_features)
        some, behind, few = played.blocks(2**d, width)
        for start in range(0, 2**d, few):
            ids = torch.arange(start, start + few, device=played.place.device)
            inside = _members(ids, d)
            weights = _weights(inside)
            ask = played.masked(inside) if first is None else _split(first, rest, inside)
            for where, x in played.parts(some):
                v = played.value(ask, x, behind)
                phi[where] += torch.einsum("rco,cd->rdo", v, weights)
    base = played.base.squeeze(-1) if played.flat else played.base
    return ShapleyValues(played.give(phi), played.place.give(base))


def _check(rows: Given, background: Given) -> None:
    check(rows, background)
    if rows.shape[1] > MOST:
        raise ValueError(
            f"{rows.shape[1]} features make 2^{rows.shape[1]} coalitions; at most {MOST} are "
            "asked one by one: use sampled_shapley."
        )


def _members(ids: "torch.Tensor", d: int) -> "torch.Tensor":
    """Which features are in the coalitions with these numbers: bit j for feature j."""
    import torch

    return (ids[:, None] >> torch.arange(d, device=ids.device)) & 1 == 1


def _weights(inside: "torch.Tensor") -> "torch.Tensor":
    """How v of each coalition counts in each phi, float64 [coalitions, d].

    `reference`'s sum by coalitions instead of by pairs: 1 / (|S| binom(d, |S|)) for a feature
    within, -1 / ((d - |S|) binom(d, |S|)) for one without.
    """
    import torch

    d = inside.shape[1]
    within = [0.0] + [1 / (s * comb(d, s)) for s in range(1, d + 1)]
    without = [-1 / ((d - s) * comb(d, s)) for s in range(d)] + [0.0]
    table = torch.tensor([without, within], dtype=torch.float64, device=inside.device)
    return table[inside.long(), inside.sum(1, keepdim=True)]


def _first_layer(f: Model) -> "tuple[torch.nn.Linear | None, Callable[..., torch.Tensor]]":
    """The linear layer f begins with and what follows, if nothing can come between them."""
    from torch import nn

    if type(f) is not nn.Sequential or not len(f) or type(f[0]) is not nn.Linear:
        return None, f
    return (None, f) if _hooked(f) or _hooked(f[0]) else (f[0], _following(f))


def _hooked(layer: "torch.nn.Module") -> bool:
    """Whether a layer does something else than its type says."""
    return bool("forward" in vars(layer) or layer._forward_hooks or layer._forward_pre_hooks)


def _following(f: "torch.nn.Sequential") -> "Callable[[torch.Tensor], torch.Tensor]":
    """All layers but the first; a ReLU works in place on a linear layer's fresh answer.

    On a CPU new memory for each answer takes as long as the answer itself.
    """
    from torch import nn

    def rest(answers: "torch.Tensor") -> "torch.Tensor":
        fresh = True
        for layer in list(f)[1:]:
            in_place = fresh and type(layer) is nn.ReLU and not _hooked(layer)
            answers = answers.relu_() if in_place else layer(answers)
            fresh = type(layer) is nn.Linear and not _hooked(layer)
        return answers

    return rest


def _split(
    first: "torch.nn.Linear", rest: "Callable[..., torch.Tensor]", inside: "torch.Tensor"
) -> Ask:
    """`Game.masked` for 2^c coalitions in a row: the first layer's answer is low[S] + high[S].

    The low half of the bits that vary among them has a table of 2^(c / 2) answers, all other
    features another: 2^(c / 2 + 1) products with the layer's weight instead of 2^c.
    """
    import torch

    cut = (len(inside).bit_length() - 1) // 2
    low_in, high_in = inside[: 2**cut, :cut], inside[:: 2**cut, cut:]
    low_weight, high_weight = first.weight[:, :cut].T, first.weight[:, cut:].T

    def ask(rows: "torch.Tensor", some: "torch.Tensor") -> "torch.Tensor":
        x = rows[:, None, None]
        low = torch.where(low_in, x[..., :cut], some[:, None, :cut]) @ low_weight
        high = torch.where(high_in, x[..., cut:], some[:, None, cut:]) @ high_weight
        if first.bias is not None:
            high += first.bias
        answers = high[:, :, :, None] + low[:, :, None]
        return rest(answers.reshape(-1, first.out_features))

    return ask
