"""Setting rows apart: what is trained on, what stops the training, what nobody touches."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .types import Split

SHARE = 0.2
"""Of the rows, for validation and for the test each."""

Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Parts:
    """Positions of rows, in ascending order; each row is in exactly one part."""

    train: Rows
    validation: Rows
    test: Rows
    split: Split


def split_rows(rows: Rows, seed: int, classes: Rows | None = None) -> Parts:
    """Set rows apart 60/20/20 by a hash of their position.

    The same position and seed give the same hash on every machine, so that two models trained
    with one seed on one product's version are measured on the same rows.

    Args:
        rows: Positions in the table, in ascending order.
        seed: Another seed is another split.
        classes: The class of each row: every class is then set apart 60/20/20 by itself.
    """
    hashed = _hash(rows, seed)
    groups = np.zeros(len(rows), dtype=np.int64) if classes is None else classes
    part = np.zeros(len(rows), dtype=np.int64)
    for group in np.unique(groups):
        member = np.flatnonzero(groups == group)
        member = member[np.argsort(hashed[member], kind="stable")]
        count = round(len(member) * SHARE) or int(len(member) >= 3)
        part[member[:count]] = 2
        part[member[count : 2 * count]] = 1
    train, validation, test = (rows[part == each] for each in (0, 1, 2))
    by_class = "" if classes is None else ", class by class"
    return Parts(
        train,
        validation,
        test,
        Split(
            train=len(train),
            validation=len(validation),
            test=len(test),
            seed=seed,
            explained=(
                f"{len(train):,} rows to train on, {len(validation):,} to decide when to stop and "
                f"{len(test):,} untouched until the end, by a hash of the row's position with "
                f"seed {seed}{by_class}."
            ),
        ),
    )


def _hash(rows: Rows, seed: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    # SplitMix64 (Steele, Lea, Flood 2014) of the position, moved by the mixed seed.
    start = _mix(np.array([seed & (2**64 - 1)], dtype=np.uint64))
    return _mix(rows.astype(np.uint64) + start)


def _mix(value: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    with np.errstate(over="ignore"):
        value = value + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return value ^ (value >> np.uint64(31))
