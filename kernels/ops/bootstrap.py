"""The multinomial bootstrap of contingency tables: how far a statistic of counts may be off."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .device import Array, Device, Given, float64, place
from .quantiles import nan_quantiles
from .quantiles import reference as quantiles_reference


class Bootstrap(NamedTuple):
    """A statistic of counts with its spread over draws, in the statistic's unit.

    Attributes:
        estimate: The statistic of the counts given, float64 [...].
        standard_error: Standard deviation over the draws (ddof 1), [...].
        low: Lower end of the percentile interval, [...].
        high: Upper end, [...].
        undefined: Draws in which the statistic was NaN, int64 [...]; they are left out of the
            other figures, which are NaN where fewer than two draws are defined.
    """

    estimate: Given
    standard_error: Given
    low: Given
    high: Given
    undefined: Given


def draw_tables(counts: Array, draws: int, seed: int) -> Array:
    """Tables of as many rows drawn with replacement, int64 [draws, ..., k].

    Args:
        counts: int64 [..., k]; each table along the last axis keeps its own total.
        draws: How many.
        seed: Of NumPy's Philox.
    """
    random = np.random.Generator(np.random.Philox(seed))
    totals = counts.sum(axis=-1)
    shares = counts / np.maximum(totals, 1)[..., None]
    # Of an empty table nothing is drawn, whatever the shares.
    shares[totals == 0] = 1 / counts.shape[-1]
    return random.multinomial(totals, shares, size=(draws, *totals.shape))


def reference(
    counts: Given,
    statistic: Callable[[Any], Any],
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Bootstrap:
    """The twin of `bootstrap_counts`, which it defines.

    For each table along the last axis: counts* ~ Multinomial(total, counts / total). The
    interval holds the middle `level` of statistic(counts*), interpolated as in `quantiles`.

    Args:
        counts: Whole numbers [..., k], k >= 1; leading axes are tables of their own (strata).
        statistic: float64 [draws, ..., k] -> [draws, ...], on arrays; NaN where undefined.
        draws: At least 2.
        level: Coverage, within 0..1.
        seed: The same seed makes the same draws, 0 or more.

    Returns:
        The statistic of the counts, its standard error and percentile interval.

    Raises:
        ValueError: Counts that are negative, not whole or NaN; draws, level or seed out of
            range; a statistic without an axis of draws.

    Source: Efron, Bootstrap Methods: Another Look at the Jackknife, Annals of Statistics 7 (1979).
    """
    whole = _check(counts, draws, level, seed)
    drawn = statistic(draw_tables(whole, draws, seed).astype(np.float64))
    told = _answered(np.asarray(drawn, np.float64), draws)
    missing = np.isnan(told)
    few = draws - missing.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(missing, 0, told).sum(axis=0) / few
        spread = (np.where(missing, 0, told - mean) ** 2).sum(axis=0) / np.maximum(few - 1, 0)
    low, high = quantiles_reference(told, [(1 - level) / 2, (1 + level) / 2])
    enough = few > 1
    return Bootstrap(
        np.asarray(statistic(whole[None].astype(np.float64)), np.float64)[0],
        np.where(enough, np.sqrt(spread), np.nan),
        np.where(enough, low, np.nan),
        np.where(enough, high, np.nan),
        missing.sum(axis=0),
    )


def bootstrap_counts(
    counts: Given,
    statistic: Callable[[Any], Any],
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    *,
    device: Device = None,
) -> Bootstrap:
    """What `reference` defines; the statistic is computed by torch on the device.

    The tables are drawn by NumPy on the CPU, so that both have the same, and then moved.

    Args:
        counts: Whole numbers [..., k].
        statistic: float64 tensors [draws, ..., k] -> [draws, ...].
        draws: At least 2.
        level: Coverage, within 0..1.
        seed: Of the draws.
        device: Where to compute; see `device`.

    Returns:
        As `reference`.

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: As in `reference`.
    """
    import torch

    where = place(device, counts)
    whole = _check(counts, draws, level, seed)
    told = statistic(where.take(draw_tables(whole, draws, seed), "counts", torch.float64))
    told = _answered(told, draws).double()
    missing = told.isnan()
    few = draws - missing.sum(0)
    mean = told.nansum(0) / few
    spread = (told - mean).masked_fill(missing, 0).square().sum(0) / (few - 1).clamp(min=0)
    low, high = nan_quantiles(told, [(1 - level) / 2, (1 + level) / 2])
    error = spread.sqrt()
    found = statistic(where.take(whole[None], "counts", torch.float64))[0].double()
    kept = [torch.where(few > 1, each, torch.nan) for each in (error, low, high)]
    return Bootstrap(*(where.give(each) for each in (found, *kept, missing.sum(0))))


def _answered(told: Any, draws: int) -> Any:
    """What the statistic answered, if it has an axis of draws."""
    if not told.shape or told.shape[0] != draws:
        raise ValueError(
            f"The statistic answers shape {tuple(told.shape)} for {draws} draws; "
            f"[{draws}, ...] is needed."
        )
    return told


def _check(counts: Given, draws: int, level: float, seed: int) -> Array:
    if draws < 2 or not 0 < level < 1 or seed < 0:
        raise ValueError(
            f"draws={draws}, level={level}, seed={seed}; at least 2 draws, a level within 0..1 "
            "and a seed of 0 or more are needed."
        )
    return whole_numbers(counts)


def whole_numbers(counts: Given) -> Array:
    """The counts as int64 [..., k].

    Raises:
        ValueError: One is negative, not whole, NaN or infinite, or there is no cell.
    """
    found = float64(counts, "counts")
    if not found.ndim or not found.shape[-1]:
        raise ValueError(f"Counts of shape {found.shape}; [..., k] with k >= 1 is needed.")
    wrong = found[~((found >= 0) & (found == np.floor(found)) & (found < 2**53))]
    if wrong.size:
        raise ValueError(f"Counts hold {wrong[0]}; whole numbers of 0 or more are needed.")
    return found.astype(np.int64)
