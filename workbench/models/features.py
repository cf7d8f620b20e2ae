"""A table as numbers a model can learn from, by rules that are plain JSON.

Numbers: the median for what is missing and an indicator that it was, then standardised and
clipped. Categories: one column per category seen (most frequent first, up to `MOST_CATEGORIES`),
one for the rest, one for missing. Times become numbers. What names rows (keys, free text) is
left out, and so is what never changes. Everything is learned from the training rows only.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.core import Invalid
from workbench.data.types import Column

from .byhand import given_values
from .types import Field

MOST_CATEGORIES = 64
CLIP = 8.0
"""Standard deviations from the mean at which a number is cut off."""
HUGE = 1e100
"""Larger numbers count as this one: their squares must not overflow."""

Matrix = np.ndarray[Any, np.dtype[np.float32]]
Vector = np.ndarray[Any, np.dtype[np.float64]]
State = dict[str, Any]


@dataclass(frozen=True)
class Features:
    """How columns become numbers. `state` is plain JSON; keep it beside the weights.

    Attributes:
        state: `{"columns": [...], "left_out": {name: why}}`.
    """

    state: State

    @property
    def names(self) -> list[str]:
        """What each column of the matrix is: `age`, `age:missing`, `sex=Male`."""
        return [name for column in self.state["columns"] for name in _names(column)]

    @property
    def left_out(self) -> dict[str, str]:
        """Columns that were not used, and why."""
        found: dict[str, str] = self.state["left_out"]
        return found

    @property
    def columns(self) -> list[str]:
        """The columns of a table that `transform` reads."""
        return [column["name"] for column in self.state["columns"]]

    def of(self, columns: Sequence[str]) -> "Features":
        """The rules of these columns alone, for a table that has no others."""
        wanted = set(columns)
        kept = [column for column in self.state["columns"] if column["name"] in wanted]
        return Features({"columns": kept, "left_out": {}})

    @property
    def fields(self) -> list[Field]:
        """The inputs as people see them."""
        return [
            Field(
                name=column["name"],
                kind=column["kind"],
                categories=column.get("categories", []),
                minimum=column.get("minimum"),
                maximum=column.get("maximum"),
                example=column["example"],
            )
            for column in self.state["columns"]
        ]

    def transform(self, table: pa.Table) -> Matrix:
        """The table as float32 [rows, len(names)]; never NaN, never infinite.

        Raises:
            Invalid: A column is not there.
        """
        out = np.zeros((table.num_rows, len(self.names)), dtype=np.float32)
        at = 0
        for column in self.state["columns"]:
            if column["name"] not in table.column_names:
                raise Invalid(
                    f"The table has no column {column['name']!r}, which the model reads.",
                    hint=f"It has: {', '.join(table.column_names[:20])}.",
                )
            width = len(_names(column))
            _fill(out[:, at : at + width], column, table[column["name"]])
            at += width
        return out

    def table(self, rows: Sequence[dict[str, Any]]) -> tuple[pa.Table, list[str]]:
        """Rows given by hand as a table for `transform`.

        Args:
            rows: A dictionary per row, field → value; an absent or null field is missing.

        Returns:
            The table, and one sentence for each thing never seen in training.

        Raises:
            Invalid: A value is of a kind its field cannot have.
        """
        told: dict[str, None] = {}
        known = set(self.columns)
        for row in rows:
            for name in row:
                if name not in known and name not in self.left_out:
                    told[f"The model does not use {name!r}."] = None
        arrays = {
            column["name"]: given_values(column, rows, told) for column in self.state["columns"]
        }
        absent = [name for name in self.columns if any(name not in row for row in rows)]
        if absent:
            told[f"Not given, so taken as missing: {', '.join(absent)}."] = None
        return pa.table(arrays), list(told)


def fit(read: Callable[[str], pa.ChunkedArray], columns: Sequence[Column]) -> Features:
    """Learn how these columns become numbers.

    Args:
        read: The training rows of the column of that name: each is asked for once, and let go
            before the next. Of a table in memory it is `table.column`.
        columns: The columns to use, with the kinds they were registered with.
    """
    found: list[State] = []
    left_out: dict[str, str] = {}
    for column in columns:
        state = "free text" if column.kind == "text" else _fitted(column, read(column.name))
        if isinstance(state, str):
            left_out[column.name] = state
        else:
            found.append(state)
    return Features({"columns": found, "left_out": left_out})


def as_they_are(table: pa.Table, columns: Sequence[Column]) -> Features:
    """Numbers unchanged, the median for what is missing: what a stranger's model expects.

    Args:
        table: Where the medians are from.
        columns: Numbers, in the order the model takes them.
    """
    found: list[State] = []
    for column in columns:
        numbers = _numbers(table[column.name])
        present = numbers[~np.isnan(numbers)]
        present = present if len(present) else np.zeros(1)
        found.append(
            {
                "name": column.name,
                "kind": column.kind,
                "median": float(np.median(present)),
                "mean": 0.0,
                "scale": 1.0,
                "minimum": float(present.min()),
                "maximum": float(present.max()),
                "missing": False,
                "clip": None,
                "example": float(np.median(present)),
            }
        )
    return Features({"columns": found, "left_out": {}})


def _fitted(column: Column, values: pa.ChunkedArray) -> State | str:
    """A column's rules, or why it is left out."""
    rows = len(values)
    if column.kind in ("number", "integer"):
        numbers = _numbers(values)
        present = numbers[~np.isnan(numbers)]
        if column.kind == "integer" and _counts_rows(column.name, present, rows):
            return "it numbers the rows"
        rules = _scaled(present, rows)
        if rules is None:
            return "it never changes"
        # Six digits are enough for a form.
        example = float(f"{rules['median']:.6g}")
        return {
            "name": column.name,
            "kind": column.kind,
            **rules,
            "example": round(example) if column.kind == "integer" else example,
        }
    if column.kind == "time":
        parts = {
            part: rules
            for part, numbers in _parts(values).items()
            if (rules := _scaled(numbers[~np.isnan(numbers)], rows)) is not None
        }
        if not parts:
            return "it never changes"
        example_time = next(value for value in values.to_pylist() if value is not None)
        return {
            "name": column.name,
            "kind": "time",
            "parts": parts,
            "example": example_time.isoformat(),
        }
    return _categories(column, values, rows)


def _categories(column: Column, values: pa.ChunkedArray, rows: int) -> State | str:
    texts = _texts(values)
    counted = pc.value_counts(pc.drop_null(texts))
    counts = sorted(
        ((str(each["values"]), int(each["counts"])) for each in counted.to_pylist()),
        key=lambda pair: (-pair[1], pair[0]),
    )
    missing = bool(texts.null_count)
    if len(counts) + missing < 2:
        return "it never changes"
    if column.kind == "category" and rows >= 20 and len(counts) > max(rows // 2, 10):
        return f"{len(counts):,} different values in {rows:,} rows: a key or free text"
    # A category in a single row teaches nothing but that row.
    kept = [name for name, count in counts if count > 1][:MOST_CATEGORIES]
    kept = kept or [name for name, _ in counts[:MOST_CATEGORIES]]
    return {
        "name": column.name,
        "kind": column.kind,
        "categories": kept,
        "other": len(kept) < len(counts),
        "missing": missing,
        "example": (kept[0] == "true") if column.kind == "boolean" else kept[0],
    }


def _scaled(present: Vector, rows: int) -> State | None:
    """Centre and spread of the numbers that are there; None if they say nothing."""
    missing = len(present) < rows
    if not len(present) or (present.min() == present.max() and not missing):
        return None
    median = float(np.median(present))
    filled_share = 1 - len(present) / rows
    mean = float(present.mean() * (1 - filled_share) + median * filled_share)
    spread = math.sqrt(
        float(((present - mean) ** 2).mean()) * (1 - filled_share)
        + (median - mean) ** 2 * filled_share
    )
    return {
        "median": median,
        "mean": mean,
        "scale": spread if spread > 1 / HUGE**2 else 1.0,
        "minimum": float(present.min()),
        "maximum": float(present.max()),
        "missing": missing,
        "clip": CLIP,
    }


def _counts_rows(name: str, present: Vector, rows: int) -> bool:
    if rows < 20 or len(present) < rows or len(np.unique(present)) < rows:
        return False
    in_a_row = present.max() - present.min() < 2 * rows and bool((np.diff(present) > 0).all())
    named = name.lower().replace("-", "_").split("_")[-1] in ("id", "key", "index", "no", "nr")
    return in_a_row or named


def _names(column: State) -> list[str]:
    name = column["name"]
    if column["kind"] in ("number", "integer"):
        return [name, f"{name}:missing"] if column["missing"] else [name]
    if column["kind"] == "time":
        return [
            each
            for part, rules in column["parts"].items()
            for each in _names({"name": f"{name}:{part}", "kind": "number", **rules})
        ]
    names = [f"{name}={each}" for each in column["categories"]]
    return names + [f"{name}:{each}" for each in ("other", "missing") if column[each]]


def _fill(out: Matrix, column: State, values: pa.ChunkedArray) -> None:
    if column["kind"] in ("number", "integer"):
        _fill_numbers(out, column, _numbers(values))
    elif column["kind"] == "time":
        at, parts = 0, _parts(values)
        for part, rules in column["parts"].items():
            width = 2 if rules["missing"] else 1
            _fill_numbers(out[:, at : at + width], rules, parts[part])
            at += width
    else:
        texts = _texts(values)
        known = column["categories"]
        index = pc.index_in(texts, value_set=pa.array(known, pa.string()))
        place = pc.fill_null(index, -1).to_numpy().astype(np.int64)
        gone = pc.is_null(texts).to_numpy()
        other = len(known) if column["other"] else -1
        missing = len(known) + bool(column["other"]) if column["missing"] else -1
        place = np.where(gone, missing, np.where(place < 0, other, place))
        rows = np.flatnonzero(place >= 0)
        out[rows, place[rows]] = 1.0


def _fill_numbers(out: Matrix, rules: State, numbers: Vector) -> None:
    gone = np.isnan(numbers)
    filled = np.where(gone, rules["median"], numbers)
    clip = rules["clip"] or np.inf
    out[:, 0] = np.clip((filled - rules["mean"]) / rules["scale"], -clip, clip)
    if rules["missing"]:
        out[:, 1] = gone


def _numbers(values: pa.ChunkedArray) -> Vector:
    numbers = np.asarray(
        pc.cast(values, pa.float64(), safe=False).to_numpy(), dtype=np.float64
    ).copy()
    numbers[np.isinf(numbers)] = np.nan
    return np.clip(numbers, -HUGE, HUGE)


def _texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = pc.cast(values, pa.string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(texts), ""), None, texts)


def _parts(values: pa.ChunkedArray) -> dict[str, Vector]:
    if pa.types.is_time(values.type):
        seconds = pc.divide(pc.cast(pc.cast(values, pa.time64("us")), pa.int64()), 1_000_000)
        return {"hour": _numbers(pc.divide(pc.cast(seconds, pa.float64()), 3600.0))}
    times = pc.cast(values, pa.timestamp("us"), safe=False)
    days = pc.divide(pc.cast(pc.cast(times, pa.int64()), pa.float64()), 86_400e6)
    return {
        "day": _numbers(days),
        "month": _numbers(pc.month(times)),
        "weekday": _numbers(pc.day_of_week(times)),
        "hour": _numbers(pc.hour(times)),
    }
