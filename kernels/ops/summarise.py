"""A layer's weights or activations in a few numbers, for a view that cannot show them all."""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .device import Array, Device, Given, float64, place
from .quantiles import nan_quantiles
from .quantiles import reference as quantiles_reference

if TYPE_CHECKING:
    import torch

AT = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
NOISE = 1e-9
"""A direction with less than this share of the variance is rounding, and given as zeros; so is
variance below this squared times the mean square."""
TINY = float(np.finfo(np.float64).tiny)


class LayerSummary(NamedTuple):
    """An array as a table [r, c]: its first axis, and all others in one.

    Attributes:
        quantiles: Of all numbers that are not NaN, float64 [len(at)].
        mean: Of each tile, [p, q]; NaN is left out, a tile of NaN alone is NaN.
        low: The least of each tile, [p, q].
        high: The greatest, [p, q].
        directions: Orthonormal principal directions, [k, c], the one with most variance first;
            the largest component of each is positive. Zeros beyond the rank.
        explained: Share of the variance along each, [k], in 0..1, descending.
        zeros: Share of zeros among all numbers, in 0..1; NaN if there are none.
        nans: Share of NaN.
        infinite: Share of infinities.
    """

    quantiles: Given
    mean: Given
    low: Given
    high: Given
    directions: Given
    explained: Given
    zeros: float
    nans: float
    infinite: float


def reference(
    layer: Given,
    grid: tuple[int, int] = (32, 32),
    k: int = 3,
    at: Sequence[float] = AT,
) -> LayerSummary:
    """The twin of `summarise_layer`, which it defines.

    Tile (i, j) of the p by q tiles holds rows floor(i r / p)..floor((i + 1) r / p) - 1 and the
    columns likewise. Directions are the right singular vectors of the rows without NaN or
    infinity, less their mean; explained = s^2 / sum of s^2 (below NOISE: none).

    Args:
        layer: Weights [out, in, ...] or activations [rows, units, ...]; one axis is one row.
        grid: Tiles along rows and columns, each >= 1; fewer where there are fewer numbers.
        k: Directions, >= 0.
        at: Where quantiles are taken, in 0..1; see `quantiles`.

    Returns:
        A LayerSummary, in the layer's unit. Of an empty layer there are no tiles, quantiles and
        shares are NaN, directions and explained zeros; so they are with fewer than two rows.

    Raises:
        ValueError: A single number, a grid below 1 by 1, k < 0, or `at` outside 0..1.

    Source: Pearson, On Lines and Planes of Closest Fit, Philosophical Magazine 2 (1901);
    quantiles: Hyndman and Fan 1996.
    """
    shape, tiles = _check(layer, grid, k)
    table = float64(layer, "layer").reshape(shape)
    mean, low, high = np.full((3, *tiles), np.nan)
    rows, columns = (_edges(n, parts) for n, parts in zip(shape, tiles, strict=True))
    for i, j in np.ndindex(tiles):
        tile = table[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
        there = tile[~np.isnan(tile)]
        if there.size:
            with np.errstate(invalid="ignore"):
                mean[i, j], low[i, j], high[i, j] = there.mean(), there.min(), there.max()
    directions, explained = np.zeros((k, shape[1])), np.zeros(k)
    sound = table[np.isfinite(table).all(axis=1)]
    if len(sound) > 1 and shape[1]:
        _, s, vectors = np.linalg.svd(sound - sound.mean(axis=0), full_matrices=False)
        for i, each in enumerate(vectors[:k]):
            share = s[i] ** 2 / max((s**2).sum(), NOISE**2 * (sound**2).sum(), TINY)
            if share > NOISE:
                explained[i] = share
                directions[i] = each * np.sign(each[np.abs(each).argmax()])
    count = max(table.size, 1) if table.size else np.nan
    return LayerSummary(
        quantiles_reference(table.ravel(), at),
        mean, low, high, directions, explained,
        float((table == 0).sum() / count),
        float(np.isnan(table).sum() / count),
        float(np.isinf(table).sum() / count),
    )  # fmt: skip


def summarise_layer(
    layer: Given,
    grid: tuple[int, int] = (32, 32),
    k: int = 3,
    at: Sequence[float] = AT,
    *,
    device: Device = None,
) -> LayerSummary:
    """What `reference` defines, by torch.

    The directions come from the products of the shorter side with itself: O(r c min(r, c)).

    Args:
        layer: Weights or activations, any real dtype; a float64 copy is made on the device.
        grid: Tiles along rows and columns.
        k: Directions.
        at: Where quantiles are taken.
        device: Where to compute; see `device`.

    Returns:
        As `reference`.

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: As in `reference`.
    """
    import torch

    shape, tiles = _check(layer, grid, k)
    where = place(device, layer)
    table = where.take(layer, "layer", torch.float64).reshape(shape)
    quantiles = nan_quantiles(table.flatten(), at)
    missing = table.isnan()
    count = table.numel() or torch.nan
    there = _tiles((~missing).double(), tiles, "sum")
    mean = _tiles(table.masked_fill(missing, 0), tiles, "sum") / there
    low = _tiles(table.masked_fill(missing, torch.inf), tiles, "amin")
    high = _tiles(table.masked_fill(missing, -torch.inf), tiles, "amax")
    low, high = (each.masked_fill(there == 0, torch.nan) for each in (low, high))
    directions, explained = _directions(table, k)
    zeros, nans, infinite = (
        float(each.sum()) / count for each in (table == 0, missing, table.isinf())
    )
    return LayerSummary(
        where.give(torch.as_tensor(quantiles)), where.give(mean), where.give(low),
        where.give(high), where.give(directions), where.give(explained), zeros, nans, infinite,
    )  # fmt: skip


def _tiles(table: "torch.Tensor", tiles: tuple[int, int], how: str) -> "torch.Tensor":
    """Each tile's sum, least or greatest number: columns are joined first, then rows."""
    import torch

    if 0 in tiles:
        return table.new_zeros(tiles)
    for axis in (1, 0):
        edges = torch.tensor(_edges(table.shape[axis], tiles[axis]), device=table.device)
        owner = torch.repeat_interleave(edges.diff()).expand_as(table.movedim(axis, 1))
        turned = table.movedim(axis, 1)
        empty = turned.new_zeros(len(turned), tiles[axis])
        table = empty.scatter_reduce(1, owner, turned, how, include_self=False).movedim(1, axis)
    return table


def _directions(table: "torch.Tensor", k: int) -> "tuple[torch.Tensor, torch.Tensor]":
    """Principal directions from the eigenvectors of X X^T or X^T X, whichever is smaller.

    Squaring halves the digits: directions with less than NOISE of the variance are not told
    from rounding, which is why they are zeros.
    """
    import torch

    c = table.shape[1]
    directions, explained = table.new_zeros(k, c), table.new_zeros(k)
    sound = table[table.isfinite().all(1)]
    if len(sound) < 2 or not c or not k:
        return directions, explained
    x = sound - sound.mean(0)
    wide = len(x) < c
    squares, vectors = torch.linalg.eigh(x @ x.T if wide else x.T @ x)
    least = max(NOISE**2 * float(sound.square().sum()), TINY)
    shares = squares.flip(0)[:k] / x.square().sum().clamp(min=least)
    found = vectors.flip(1)[:, :k].T
    if wide:
        found = torch.nn.functional.normalize(found @ x, dim=1)
    signs = found.gather(1, found.abs().argmax(1, keepdim=True)).sign()
    kept = shares > NOISE
    directions[: len(found)] = torch.where(kept[:, None], found * signs, 0.0)
    explained[: len(found)] = torch.where(kept, shares, 0.0)
    return directions, explained


def _edges(n: int, parts: int) -> Array:
    """Where each of the parts begins, and the last ends."""
    return np.arange(parts + 1) * n // max(parts, 1)


def _check(layer: Given, grid: tuple[int, int], k: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The table's shape, and how many tiles it has each way."""
    if not len(layer.shape):
        raise ValueError("A single number is no layer; at least one axis is needed.")
    if min(grid) < 1 or k < 0:
        raise ValueError(f"grid={grid}, k={k}; a grid of at least (1, 1) and k >= 0 are needed.")
    sizes = tuple(layer.shape) if len(layer.shape) > 1 else (1, *layer.shape)
    shape = (sizes[0], prod(sizes[1:]))
    empty = not prod(shape)
    return shape, (0, 0) if empty else (min(grid[0], shape[0]), min(grid[1], shape[1]))
