"""The permutation test of a two-way table: would groups and outcomes meet like this by chance?"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .bootstrap import whole_numbers
from .device import Array, Device, Given, place

if TYPE_CHECKING:
    import torch

STATISTICS = ("chi-square", "gap")
TIE = 1e-9
"""Relative to the observed statistic: as large up to rounding counts as as large."""


class PermutationTest(NamedTuple):
    """What was observed, and how often chance alone is as far off.

    Attributes:
        statistic: Of the table given, >= 0: chi-square has no unit, a gap is a share in 0..1.
        p_value: (exceeding + 1) / (draws + 1), in 0..1 and never 0.
        exceeding: Drawn tables whose statistic is at least as large.
    """

    statistic: float
    p_value: float
    exceeding: int


def draw_tables(table: Array, draws: int, seed: int) -> Array:
    """Tables with the margins of the one given, int64 [draws, groups, outcomes].

    As if the outcomes were shuffled over the people: multivariate hypergeometric, drawn a cell
    at a time from what the cells before have left.

    Args:
        table: int64 [groups, outcomes], fewer than 1e9 people (NumPy's limit).
        draws: How many.
        seed: Of NumPy's Philox.
    """
    random = np.random.Generator(np.random.Philox(seed))
    groups, outcomes = table.shape
    drawn = np.zeros((draws, groups, outcomes), np.int64)
    left = np.broadcast_to(table.sum(axis=0), (draws, outcomes)).copy()
    for group in range(groups):
        open_places = np.full(draws, table[group].sum())
        behind = left.sum(axis=1)
        for outcome in range(outcomes):
            behind = behind - left[:, outcome]
            cell = random.hypergeometric(left[:, outcome], behind, open_places)
            drawn[:, group, outcome] = cell
            open_places = open_places - cell
        left -= drawn[:, group]
    return drawn


def reference(
    table: Given,
    statistic: str = "chi-square",
    outcome: int = 0,
    draws: int = 9999,
    seed: int = 0,
) -> PermutationTest:
    """The twin of `permutation_test`, which it defines.

    chi-square = sum of (count - expected)^2 / expected over cells with expected > 0;
    gap = the highest minus the lowest share of `outcome` among groups that have people.

    Args:
        table: Whole numbers [groups, outcomes], at least 1 by 1, 1..1e9 - 1 people in all.
        statistic: "chi-square" or "gap".
        outcome: The column a gap is about; -1 is the last.
        draws: At least 1.
        seed: The same seed makes the same draws, 0 or more.

    Returns:
        The statistic, p = (b + 1) / (draws + 1), and b, how many drawn tables with the same
        margins have a statistic at least as large (ties up to rounding count).

    Raises:
        ValueError: No such statistic or outcome, a table that is none, or draws or seed out of
            range.

    Source: Fisher, The Design of Experiments, 1935; p: Phipson and Smyth, Permutation P-values
    Should Never Be Zero, SAGMB 9 (2010).
    """
    whole = _check(table, statistic, outcome, draws, seed)
    told = []
    for each in (whole, *draw_tables(whole, draws, seed)):
        people = each.sum(axis=1)
        if statistic == "gap":
            shares = each[people > 0, outcome] / people[people > 0]
            told.append(shares.max() - shares.min())
        else:
            expected = np.outer(people, each.sum(axis=0)) / people.sum()
            there = expected > 0
            told.append(((each - expected)[there] ** 2 / expected[there]).sum())
    observed = float(told[0])
    exceeding = sum(bool(each >= observed * (1 - TIE) - 1e-12) for each in told[1:])
    return PermutationTest(observed, (exceeding + 1) / (draws + 1), exceeding)


def permutation_test(
    table: Given,
    statistic: str = "chi-square",
    outcome: int = 0,
    draws: int = 9999,
    seed: int = 0,
    *,
    device: Device = None,
) -> PermutationTest:
    """What `reference` defines; the statistics are computed by torch on the device, all at once.

    The tables are drawn by NumPy on the CPU, so that both have the same, and then moved: 8 bytes
    for each draw and cell.

    Args:
        table: Whole numbers [groups, outcomes].
        statistic: "chi-square" or "gap".
        outcome: The column a gap is about.
        draws: At least 1.
        seed: Of the draws.
        device: Where to compute; see `device`.

    Returns:
        As `reference`.

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: As in `reference`.
    """
    import torch

    where = place(device, table)
    whole = _check(table, statistic, outcome, draws, seed)
    tables = np.concatenate([whole[None], draw_tables(whole, draws, seed)])
    given = where.take(tables, "table", torch.float64)
    told = _gap(given, outcome) if statistic == "gap" else _chi_square(given)
    observed = float(told[0])
    exceeding = int((told[1:] >= observed * (1 - TIE) - 1e-12).sum())
    return PermutationTest(observed, (exceeding + 1) / (draws + 1), exceeding)


def _chi_square(tables: "torch.Tensor") -> "torch.Tensor":
    """[draws, groups, outcomes] -> [draws]; the expected counts are those of every table."""
    expected = tables[0].sum(1, keepdim=True) * tables[0].sum(0) / tables[0].sum()
    there = expected > 0
    return ((tables - expected)[:, there].square() / expected[there]).sum(1)


def _gap(tables: "torch.Tensor", outcome: int) -> "torch.Tensor":
    people = tables[0].sum(1)
    shares = tables[:, people > 0, outcome] / people[people > 0]
    return shares.amax(1) - shares.amin(1)


def _check(table: Given, statistic: str, outcome: int, draws: int, seed: int) -> Array:
    if statistic not in STATISTICS:
        raise ValueError(f"{statistic!r} is no statistic; use {' or '.join(STATISTICS)}.")
    if draws < 1 or seed < 0:
        raise ValueError(f"draws={draws}, seed={seed}; at least 1 draw and a seed >= 0 are needed.")
    whole = whole_numbers(table)
    if whole.ndim != 2 or not 0 < whole.sum() < 10**9:
        raise ValueError(
            f"A table of shape {whole.shape} with {whole.sum()} people; [groups, outcomes] with "
            "1 to 999,999,999 people is needed."
        )
    if not -whole.shape[1] <= outcome < whole.shape[1]:
        raise ValueError(f"outcome={outcome} of {whole.shape[1]}; 0..{whole.shape[1] - 1} exist.")
    return whole
