"""What is predicted: which rows have an answer, which task it is, which classes there are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.core import Invalid
from workbench.data.types import Column

from .types import Task

LEAST_ROWS = 30
LEAST_OF_A_CLASS = 3
MOST_CLASSES = 100
FEW = 10
"""Whole numbers with at most this many different values are taken for classes."""
POSITIVE = ("yes", "true", "1", "y", "t", "good", "approved", "accepted", "positive", "pass")

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Target:
    """Rows with an answer, and the answers.

    Attributes:
        task: What kind of answer.
        rows: Positions in the table, ascending, int64.
        values: The index of the class, int64, or the value, float64; as long as `rows`.
        classes: In the order of the probabilities; empty for a regression.
        positive: The class a yes/no decision is for; empty otherwise.
    """

    task: Task
    rows: Array
    values: Array
    classes: list[str]
    positive: str

    @property
    def positive_index(self) -> int | None:
        """The place of `positive` in `classes`, for metrics."""
        return self.classes.index(self.positive) if self.positive else None


def read_target(
    column: Column,
    values: pa.ChunkedArray,
    task: Literal["auto", "classification", "regression"],
    log: Callable[[str], None],
) -> Target:
    """The answers in a column.

    Args:
        column: The target, with the kind it was registered with.
        values: Its values, in the table's order.
        task: What kind of answer; `auto` decides by the column.
        log: Told what was left out, in sentences.

    Raises:
        Invalid: Too few rows, one class, too many classes, or no answer of that kind.
    """
    name = column.name
    if column.kind == "time":
        raise Invalid(f"{name} is a time and cannot be predicted.", hint="Choose another target.")
    numeric = column.kind in ("number", "integer")
    if task == "regression" and not numeric:
        raise Invalid(
            f"{name} is a {column.kind} and no number: a regression cannot predict it.",
            hint="Use task='classification', or choose a number.",
        )
    there = pc.is_valid(values)
    if numeric:
        there = pc.and_(there, pc.fill_null(pc.is_finite(pc.cast(values, pa.float64())), False))
    else:
        text = pc.utf8_trim_whitespace(pc.cast(values, pa.string()))
        there = pc.and_(there, pc.fill_null(pc.not_equal(text, ""), False))
    rows = np.flatnonzero(there.to_numpy()).astype(np.int64)
    if len(rows) < len(values):
        log(f"{len(values) - len(rows):,} rows have no {name} and were left out.")
    if len(rows) < LEAST_ROWS:
        raise Invalid(
            f"{len(rows)} rows with a {name} are too few to learn from.",
            hint=f"At least {LEAST_ROWS} are needed.",
        )
    present = values.filter(there)
    if task == "auto":
        few = 2 if column.kind == "number" else FEW
        task = (
            "classification"
            if not numeric or pc.count_distinct(present).as_py() <= few
            else "regression"
        )
        log(f"{name} is predicted as a {task}.")
    if task == "regression":
        numbers = np.asarray(pc.cast(present, pa.float64()).to_numpy(), dtype=np.float64)
        if numbers.min() == numbers.max():
            raise Invalid(
                f"{name} is always {numbers[0]:g}: there is nothing to predict.",
                hint="Choose a target that varies.",
            )
        return Target("regression", rows, numbers, [], "")
    return _classes(name, rows, pc.cast(present, pa.string()), log)


def _classes(name: str, rows: Array, texts: pa.ChunkedArray, log: Callable[[str], None]) -> Target:
    counts = {
        str(each["values"]): int(each["counts"]) for each in pc.value_counts(texts).to_pylist()
    }
    rare = [each for each, count in counts.items() if count < LEAST_OF_A_CLASS]
    kept = sorted((each for each in counts if each not in rare), key=_order)
    if len(kept) > MOST_CLASSES or len(rare) > len(rows) // 2:
        raise Invalid(
            f"{name} has {len(counts):,} different values in {len(rows):,} rows: too many classes.",
            hint=f"At most {MOST_CLASSES}; use task='regression' for a number.",
        )
    if len(kept) < 2:
        raise Invalid(
            f"{name} has one class, {kept[0]!r}: there is nothing to predict."
            if kept
            else f"{name} has no class with {LEAST_OF_A_CLASS} rows.",
            hint="Choose a target with at least two classes of three rows each.",
        )
    if rare:
        told = ", ".join(repr(each) for each in sorted(rare)[:5])
        log(
            f"{sum(counts[each] for each in rare)} rows were left out: {told} "
            f"{'is' if len(rare) == 1 else 'are'} too rare to train on and test."
        )
    index = pc.fill_null(pc.index_in(texts, value_set=pa.array(kept, pa.string())), -1)
    index = index.to_numpy().astype(np.int64)
    positive = ""
    if len(kept) == 2:
        worded = [each for each in kept if each.strip().lower() in POSITIVE]
        positive = worded[0] if worded else min(kept, key=lambda each: counts[each])
    return Target("classification", rows[index >= 0], index[index >= 0], kept, positive)


def _order(name: str) -> tuple[int, float, str]:
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
