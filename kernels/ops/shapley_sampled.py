"""Shapley values from walks along random permutations, for more features than can be enumerated."""

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .device import Array, Device, Given, float64
from .game import ArrayModel, Model, check, game

if TYPE_CHECKING:
    import torch


class SampledShapleyValues(NamedTuple):
    """Estimated Shapley values with their standard errors.

    Attributes:
        phi: float64 [n, d], or [n, d, outputs] for a model with an axis of outputs.
        standard_error: Of phi, the same shape: that of the mean over pairs of walks.
        base: v of no features: the mean answer over the background, [] or [outputs].
    """

    phi: Given
    standard_error: Given
    base: Given


def permutations(d: int, pairs: int, seed: int) -> Array:
    """Orders in which features enter, int64 [pairs, d], from NumPy's Philox."""
    random = np.random.Generator(np.random.Philox(seed))
    return random.permuted(np.tile(np.arange(d), (pairs, 1)), axis=1)


def reference(
    f: ArrayModel, rows: Given, background: Given, pairs: int = 64, seed: int = 0
) -> SampledShapleyValues:
    """The twin of `sampled_shapley`, which it defines.

    A walk adds the features one by one in the order of a permutation; a feature's share is
    v(with it) - v(before it). Each permutation is walked forwards and backwards (antithetic)
    and the two shares averaged; phi is the mean over the pairs.

    Args:
        f: [rows, d] -> [rows] or [rows, outputs], on NumPy arrays.
        rows: What is explained, [n, d], d >= 1, n >= 0.
        background: [m, d], m >= 1.
        pairs: Permutations, at least 2.
        seed: The same seed makes the same permutations, 0 or more.

    Returns:
        phi, its standard error (standard deviation over the pairs, ddof 1, / sqrt(pairs)) and
        base, in f's unit. Every walk telescopes, so phi summed over d is f(row) - base whatever
        the number of pairs. NaN and infinities go to f like any number.

    Raises:
        ValueError: Shapes that do not fit, or pairs or seed out of range.

    Source: Castro, Gómez and Tejada, Computers and Operations Research 36 (2009); antithetic:
    Mitchell et al., Sampling Permutations for Shapley Value Estimation, JMLR 23 (2022).
    """
    _check(rows, background, pairs, seed)
    x, b = float64(rows, "rows"), float64(background, "background")
    n, d = x.shape
    base = f(b).mean(axis=0)

    def v(inside: Array) -> Array:
        answers = f(np.where(inside, x[:, None], b).reshape(-1, d))
        return np.asarray(answers.reshape(n, len(b), *base.shape).mean(axis=1))

    shares = np.zeros((pairs, n, d, *base.shape))
    for pair, order in enumerate(permutations(d, pairs, seed)):
        for walk in (order, order[::-1]):
            inside = np.zeros(d, bool)
            before = v(inside)
            for feature in walk:
                inside[feature] = True
                after = v(inside)
                shares[pair, :, feature] += (after - before) / 2
                before = after
    return SampledShapleyValues(shares.mean(axis=0), shares.std(axis=0, ddof=1) / sqrt(pairs), base)


def sampled_shapley(
    f: Model,
    rows: Given,
    background: Given,
    pairs: int = 64,
    seed: int = 0,
    *,
    device: Device = None,
    memory: int | None = None,
) -> SampledShapleyValues:
    """What `reference` defines, by torch: f is asked about 2 n m pairs (d - 1) masked rows.

    Coalitions are made on the device from the permutations, some pairs at a time; the shares
    of those pairs are merged into a mean and a sum of squares and not kept.

    Args:
        f: A torch module or function on the device; see `exact_shapley` for its dtype.
        rows: [n, d].
        background: [m, d].
        pairs: At least 2.
        seed: Of the permutations.
        device: Where to compute; see `device`.
        memory: Bytes of masked rows made at once, reckoned at eight numbers a feature, but never
            less than one pair of walks before one background row. None: 4 MiB on a CPU, 256 MiB
            on CUDA.

    Returns:
        As `reference`, float64.

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: As in `reference`, and what `exact_shapley` says of f and memory.

    Source: `reference`; merging: Chan, Golub and LeVeque, The American Statistician 37 (1983).
    """
    import torch

    _check(rows, background, pairs, seed)
    played = game(f, rows, background, device, memory)
    n, d = played.rows.shape
    ranks = np.argsort(permutations(d, pairs, seed), axis=1)
    rank = torch.from_numpy(ranks).to(played.place.device)
    mean = torch.zeros(n, d, len(played.base), dtype=torch.float64, device=rank.device)
    squares = torch.zeros_like(mean)
    steps = max(1, 2 * (d - 1))
    some, behind, few = played.blocks(pairs * steps, 8 * d, least=steps)
    at_once = few // steps
    with torch.no_grad():
        for where, x in played.parts(some):
            full = played.value(lambda x, b: f(x.repeat_interleave(len(b), 0)), x, behind)
            for start in range(0, pairs, at_once):
                part = rank[start : start + at_once]
                ask = played.masked(_prefixes(part))
                # With one feature there is nothing between no features and all.
                v = played.value(ask, x, behind) if d > 1 else full[:, :0]
                shares = _shares(v, full, played.base, part)
                new, apart = shares.mean(1), shares.var(1, correction=0) * len(part)
                far = new - mean[where]
                mean[where] += far * (len(part) / (start + len(part)))
                squares[where] += apart + far.square() * (start * len(part) / (start + len(part)))
    error = (squares / (pairs - 1) / pairs).sqrt()
    base = played.base.squeeze(-1) if played.flat else played.base
    return SampledShapleyValues(played.give(mean), played.give(error), played.place.give(base))


def _prefixes(rank: "torch.Tensor") -> "torch.Tensor":
    """The coalitions on the way, bool [pairs 2 (d - 1), d]: the first t features, and the others.

    The last d - t features of a permutation are the first of the walk backwards.
    """
    import torch

    d = rank.shape[1]
    first = rank[:, None] < torch.arange(1, d, device=rank.device)[:, None]
    return torch.stack([first, ~first], dim=1).flatten(0, 2)


def _shares(
    v: "torch.Tensor", full: "torch.Tensor", base: "torch.Tensor", rank: "torch.Tensor"
) -> "torch.Tensor":
    """What each feature adds, the mean of both walks of each pair, [r, pairs, d, outputs].

    Args:
        v: Of `_prefixes`, [r, pairs 2 (d - 1), outputs].
        full: v of all features, [r, 1, outputs].
        base: v of none, [outputs].
        rank: When each feature enters, [pairs, d].
    """
    import torch

    pairs, d = rank.shape
    r, outputs = len(full), len(base)
    ways = v.reshape(r, pairs, 2, d - 1, outputs)
    none = base.expand(r, pairs, 1, outputs)
    all_in = full[:, None].expand(r, pairs, 1, outputs)
    forwards = torch.cat([none, ways[:, :, 0], all_in], dim=2).diff(dim=2)
    backwards = -torch.cat([all_in, ways[:, :, 1], none], dim=2).diff(dim=2)
    where = rank[None, :, :, None].expand(r, pairs, d, outputs)
    return ((forwards + backwards) / 2).gather(2, where)


def _check(rows: Given, background: Given, pairs: int, seed: int) -> None:
    check(rows, background)
    if pairs < 2 or seed < 0:
        raise ValueError(
            f"pairs={pairs}, seed={seed}; at least 2 pairs of walks and a seed of 0 or more are "
            "needed."
        )
