"""A product, column by column: what is in it, and what to look at before training on it."""

import time
from typing import Any

import duckdb

from workbench.core import Settings

from .columns import looks_sensitive
from .query import limited, plain, quoted
from .types import Bin, Column, ColumnProfile, Product, Profile

BINS = 20
TOP = 12
EXACT_ROWS = 10_000
DUPLICATE_ROWS = 1_000_000
SAMPLE_ROWS = 20_000
TELLS = 0.9
RARE_ROWS = 20


def profile_of(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    product: Product,
    target: str | None,
    settings: Settings,
) -> Profile:
    """The profile of a table.

    Args:
        connection: Sees the table.
        table: Its name there, quoted.
        product: Its Record.
        target: A column to look for leakage into, if any.
        settings: For the limits.
    """
    started = time.monotonic()
    with limited(connection, settings):
        return _profiled(
            connection, _without_zones(connection, table, product), product, target, started
        )


def _without_zones(connection: duckdb.DuckDBPyConnection, table: str, product: Product) -> str:
    """The table with instants as plain times in UTC, which Python reads without another package."""
    zoned = [quoted(each.name) for each in product.columns if ", tz=" in each.type]
    if not zoned:
        return table
    replaced = ", ".join(f"{name} AT TIME ZONE 'UTC' AS {name}" for name in zoned)
    connection.execute(f"CREATE TEMP VIEW profiled AS SELECT * REPLACE ({replaced}) FROM {table}")
    return "profiled"


def _profiled(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    product: Product,
    target: str | None,
    started: float,
) -> Profile:
    columns = [_column(connection, table, each, product.rows) for each in product.columns]
    duplicates = None
    if product.rows <= DUPLICATE_ROWS:
        found = connection.execute(
            f"SELECT count(*) - (SELECT count(*) FROM (SELECT DISTINCT * FROM {table})) "
            f"FROM {table}"
        ).fetchone()
        duplicates = int(found[0]) if found else 0
    return Profile(
        product=product.ref,
        rows=product.rows,
        columns=columns,
        duplicates=duplicates,
        target=target,
        leakage=_leakage(connection, table, product, target) if target else [],
        elapsed_s=time.monotonic() - started,
    )


def _column(
    connection: duckdb.DuckDBPyConnection, table: str, column: Column, rows: int
) -> ColumnProfile:
    name = quoted(column.name)
    distinct = f"count(DISTINCT {name})" if rows <= EXACT_ROWS else f"approx_count_distinct({name})"
    numeric = column.kind in ("number", "integer")
    figures = f"avg({name}), stddev_samp({name}), median({name})" if numeric else "NULL, NULL, NULL"
    found = connection.execute(
        f"SELECT count({name}), {distinct}, min({name}), max({name}), {figures} FROM {table}"
    ).fetchone()
    assert found is not None
    count, different, low, high, mean, deviation, median = found
    bins, other = (
        _histogram(connection, table, name, low, high, column.kind == "integer")
        if numeric and count
        else _categories(connection, table, name, count)
    )
    missing = rows - count
    # An approximate count is off by a few per cent: a key is worth counting exactly.
    key = count == rows and rows > 1 and different > 0.9 * rows and column.kind != "number"
    if key and rows > EXACT_ROWS:
        exact = connection.execute(f"SELECT count(DISTINCT {name}) FROM {table}").fetchone()
        different = int(exact[0]) if exact else different
    key = key and different == rows
    return ColumnProfile(
        name=column.name,
        kind=column.kind,
        type=column.type,
        count=count,
        missing=missing,
        missing_share=missing / rows if rows else 0.0,
        distinct=min(different, count),
        minimum=_bound(low),
        maximum=_bound(high),
        mean=_figure(mean),
        deviation=_figure(deviation),
        median=_figure(median),
        bins=bins,
        other=other,
        sensitive=column.sensitive,
        looks_sensitive="" if column.sensitive else looks_sensitive(column.name),
        key=key,
        notes=_notes(count, rows, different, key),
    )


def _notes(count: int, rows: int, distinct: int, key: bool) -> list[str]:
    notes = []
    if not count:
        notes.append("Empty: every value is missing.")
    elif distinct == 1:
        notes.append("Constant: it tells nothing.")
    elif count < 0.5 * rows:
        notes.append(f"{1 - count / rows:.0%} of its values are missing.")
    if key:
        notes.append("A key: every value is different, so a model can only learn it by heart.")
    return notes


def _histogram(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, low: Any, high: Any, whole: bool
) -> tuple[list[Bin], int]:
    start, end = float(low), float(high)
    if start == end:
        count = connection.execute(f"SELECT count({name}) FROM {table}").fetchone()
        return [Bin(label=f"{start:g}", count=count[0] if count else 0, low=start, high=end)], 0
    bins = BINS
    if whole and end - start < BINS:
        bins, end = int(end - start) + 1, end + 1
    width = (end - start) / bins
    found = dict(
        connection.execute(
            f"SELECT least(floor(({name}::DOUBLE - $start) / $width), $last)::INT AS bin, count(*) "
            f"FROM {table} WHERE {name} IS NOT NULL AND isfinite({name}::DOUBLE) GROUP BY bin",
            {"start": start, "width": width, "last": bins - 1},
        ).fetchall()
    )
    made = []
    for place in range(bins):
        left, right = start + place * width, start + (place + 1) * width
        label = f"{left:g}" if whole and width == 1 else f"{left:.6g} to {right:.6g}"
        made.append(Bin(label=label, count=found.get(place, 0), low=left, high=right))
    return made, 0


def _categories(
    connection: duckdb.DuckDBPyConnection, table: str, name: str, count: int
) -> tuple[list[Bin], int]:
    found = connection.execute(
        f"SELECT {name}::VARCHAR AS value, count(*) AS n FROM {table} "
        f"WHERE {name} IS NOT NULL GROUP BY value ORDER BY n DESC, value LIMIT {TOP}"
    ).fetchall()
    bins = [Bin(label=str(plain(value))[:200], count=n) for value, n in found]
    return bins, count - sum(each.count for each in bins)


def _leakage(
    connection: duckdb.DuckDBPyConnection, table: str, product: Product, target: str
) -> list[str]:
    """Columns that tell the target better than is likely, one sentence each."""
    import numpy as np
    import pandas as pd

    frame = connection.execute(
        f"SELECT * FROM {table} USING SAMPLE reservoir({SAMPLE_ROWS} ROWS) REPEATABLE (7)"
    ).df()
    frame = frame[frame[target].notna()]
    kinds = {each.name: each.kind for each in product.columns}
    found: list[str] = []
    numeric = kinds[target] == "number" or (
        kinds[target] == "integer" and frame[target].nunique() > 20
    )
    truth = frame[target].astype(float if numeric else str)
    for name in frame.columns:
        if name == target or frame[name].notna().sum() < RARE_ROWS:
            continue
        values = frame[name]
        if kinds[name] in ("number", "integer"):
            values = values.astype(float)
        if numeric:
            if kinds[name] in ("number", "integer") and values.std() > 0 and truth.std() > 0:
                related = abs(float(np.corrcoef(values.fillna(values.mean()), truth)[0, 1]))
                if related > 0.99:
                    found.append(
                        f"{name} goes with {target} almost exactly (correlation {related:.3f}): "
                        "is it another form of the same thing?"
                    )
            continue
        if values.nunique() > 0.5 * len(values) and kinds[name] not in ("number", "integer"):
            continue
        cells = (
            pd.qcut(values, 50, duplicates="drop").astype(str)
            if kinds[name] in ("number", "integer") and values.nunique() > 50
            else values.astype(str)
        )
        counts = pd.crosstab(cells, truth)
        base = float(truth.value_counts(normalize=True).iloc[0])
        right = float(counts.max(axis=1).sum() / counts.to_numpy().sum())
        if base < 1 and (right - base) / (1 - base) > TELLS:
            found.append(
                f"{name} alone tells {target} right for {right:.0%} of the rows: "
                "was it known before?"
            )
            continue
        if kinds[name] not in ("number", "integer"):
            found += _telling_value(name, target, counts, truth.value_counts(normalize=True))
    return found


def _telling_value(name: str, target: str, counts: Any, base: Any) -> list[str]:
    for value, row in counts.iterrows():
        rows = int(row.sum())
        label, share = row.idxmax(), float(row.max() / max(rows, 1))
        if rows >= RARE_ROWS and share >= TELLS and base[label] <= 0.5:
            return [
                f"Of the {rows:,} rows with {name} = {value}, {share:.0%} have {target} = {label} "
                f"(of all rows {base[label]:.0%}): was it known before?"
            ]
    return []


def _bound(value: Any) -> float | str | None:
    found = plain(value)
    return found if found is None or isinstance(found, float | int | str) else str(found)


def _figure(value: Any) -> float | None:
    return None if value is None or value != value else float(value)
