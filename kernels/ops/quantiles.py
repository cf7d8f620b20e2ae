"""Quantiles along the first axis, NaN left out, of any number of values."""

from collections.abc import Sequence

import numpy as np

from .device import Device, Given, float64, place


def reference(values: Given, at: Sequence[float]) -> Given:
    """The twin of `nan_quantiles`, which it defines.

    Of c values v[0] <= ... <= v[c - 1] that are not NaN the quantile at q lies at (c - 1) q and
    is interpolated between its neighbours (NumPy's and R's default).

    Args:
        values: [n, ...], n >= 0.
        at: Each in 0..1.

    Returns:
        float64 [len(at), ...], in the values' unit; NaN where there is no value. Between two
        equal infinities it is that infinity, between opposite ones NaN.

    Raises:
        ValueError: No axis, or a share that is not in 0..1.

    Source: Hyndman and Fan, Sample Quantiles in Statistical Packages, 1996, definition 7.
    """
    _check(values, at)
    found = float64(values, "values")
    answer = np.full((len(at), *found.shape[1:]), np.nan)
    for cell in np.ndindex(found.shape[1:]):
        column = found[(slice(None), *cell)]
        v = np.sort(column[~np.isnan(column)])
        for i, q in enumerate(at):
            if len(v):
                low = int(np.floor((len(v) - 1) * q))
                rest = (len(v) - 1) * q - low
                with np.errstate(invalid="ignore"):
                    answer[(i, *cell)] = (
                        v[low] if rest == 0 else (1 - rest) * v[low] + rest * v[low + 1]
                    )
    return answer


def nan_quantiles(values: Given, at: Sequence[float], *, device: Device = None) -> Given:
    """What `reference` defines, by torch: one sort, and no limit on how many values.

    Args:
        values: [n, ...], any real dtype.
        at: Each in 0..1.
        device: Where to compute; see `device`.

    Returns:
        float64 [len(at), ...].

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: As in `reference`.
    """
    import torch

    _check(values, at)
    where = place(device, values)
    taken = where.take(values, "values", torch.float64)
    if not len(taken):
        empty = taken.new_full((len(at), *taken.shape[1:]), torch.nan)
        return where.give(empty)
    ordered = taken.sort(dim=0).values
    there = taken.isnan().logical_not().sum(0, keepdim=True)
    answers = []
    for q in at:
        position = (there - 1).clamp(min=0).double() * float(q)
        low = position.floor()
        rest = position - low
        under = ordered.gather(0, low.long())
        over = ordered.gather(0, (low + (rest > 0)).long())
        between = torch.where(rest == 0, under, (1 - rest) * under + rest * over)
        answers.append(torch.where(there > 0, between, torch.nan)[0])
    return where.give(torch.stack(answers) if answers else taken.new_empty(0, *taken.shape[1:]))


def _check(values: Given, at: Sequence[float]) -> None:
    if not len(values.shape):
        raise ValueError("A single number has no quantiles; values [n, ...] are needed.")
    for q in at:
        if not 0 <= q <= 1:
            raise ValueError(f"A quantile at {q}; shares in 0..1 are needed.")
