"""The GPU functions on a CPU: exact Shapley values over shap's, group counting over DuckDB.

Prints one JSON line. Bounds: both ratios >= 1.0 with the same threads (all cores, or as many as
the one argument says: two on a machine that others use wait for each other). Each pair runs in
alternation in one process, after warm-ups (counting: three of each); seconds are medians.

Shapley: d = 16, 1,000 rows over 2 background rows, a float32 network 16-64-64-1, the same
module for both; `general` is the same network as a function that cannot be split, for 100 rows.
Group counting: 10 million rows, three columns (5, 12 and 2 codes), read by both from the same
Arrow table in memory.
"""

import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from kernels.ops import count_groups, exact_shapley  # noqa: E402

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count() or 1
ROWS, BEHIND, FEATURES = 1000, 2, 16
SIZES = {"a": 5, "b": 12, "c": 2}


def alternating(repeats: int, *calls: Callable[[], object]) -> list[float]:
    """The median seconds of each call, run in turn."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, seconds in zip(calls, taken, strict=True):
            started = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - started)
    return [statistics.median(each) for each in taken]


def shapley() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

    torch.manual_seed(0)
    nn = torch.nn
    f = nn.Sequential(
        nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    rows, background = torch.randn(ROWS, FEATURES).numpy(), torch.randn(BEHIND, FEATURES).numpy()

    def on_arrays(given: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            return np.asarray(f(torch.from_numpy(given.astype(np.float32))).numpy()[:, 0])

    explainer = shap.explainers.Exact(
        on_arrays, shap.maskers.Independent(background, max_samples=BEHIND)
    )

    def theirs(some: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(explainer(some, max_evals=2**FEATURES + 1, silent=True).values)

    ours = np.asarray(exact_shapley(f, rows[:4], background).phi)[:, :, 0]
    apart = float(np.abs(ours - theirs(rows[:4])).max())
    shap_s, ops_s, general_s = alternating(
        3,
        lambda: theirs(rows),
        lambda: exact_shapley(f, rows, background),
        lambda: exact_shapley(lambda x: f(x), rows[:100], background),
    )
    return {
        "ratio": round(shap_s / ops_s, 2),
        "ratio_general": round(shap_s / ROWS / (general_s / 100), 2),
        "shap_s": round(shap_s, 2),
        "ops_s": round(ops_s, 2),
        "general_100_rows_s": round(general_s, 2),
        "evaluations_per_s": round(ROWS * BEHIND * 2**FEATURES / ops_s),
        "largest_difference": apart,
    }


def counting(kind: str, rows: int = 10_000_000) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made = {name: rng.integers(0, size, rows).astype(kind) for name, size in SIZES.items()}
    table = pa.table(made | {"value": rng.normal(size=rows)})
    arrays = [table.column(i).chunk(0).to_numpy(zero_copy_only=True) for i in range(4)]
    columns, value, sizes = arrays[:3], arrays[3], list(SIZES.values())
    connection = duckdb.connect(config={"threads": THREADS})
    connection.register("t", table)

    def theirs(more: str) -> list[Any]:
        return connection.execute(f"SELECT a, b, c, count(*){more} FROM t GROUP BY ALL").fetchall()

    counts = count_groups(columns, sizes, value).counts
    for a, b, c, found, _ in theirs(", sum(value)"):
        assert counts[a, b, c] == found
    calls = [
        lambda: theirs(""),
        lambda: count_groups(columns, sizes),
        lambda: theirs(", sum(value)"),
        lambda: count_groups(columns, sizes, value),
    ]
    alternating(3, *calls)
    duckdb_s, ops_s, duckdb_sum_s, ops_sum_s = alternating(9, *calls)
    return {
        "ratio": round(duckdb_s / ops_s, 2),
        "ratio_with_sum": round(duckdb_sum_s / ops_sum_s, 2),
        "duckdb_s": round(duckdb_s, 4),
        "ops_s": round(ops_s, 4),
        "duckdb_sum_s": round(duckdb_sum_s, 4),
        "ops_sum_s": round(ops_sum_s, 4),
    }


def main() -> dict[str, Any]:
    torch.set_num_threads(THREADS)
    return {
        "threads": THREADS,
        "shapley": shapley(),
        "group_count_int8": counting("int8"),
        "group_count_int32": counting("int32"),
        "group_count_int64": counting("int64"),
        "cuda": "not run",
    }


if __name__ == "__main__":
    print(json.dumps(main()))
