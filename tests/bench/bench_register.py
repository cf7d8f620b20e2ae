"""`data.register` of a Parquet file over a bare deltalake write, and how memory grows with rows.

Prints one JSON line. Bounds: speed >= 0.6 of bare deltalake at 5 million rows (medians of three
alternating runs); peak resident memory at 10 million rows about that at 1 million. Each run is
a process of its own; seconds are of the write alone, memory is the process's peak.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUN = """
import json, resource, sys, time
from pathlib import Path
how, file, home = sys.argv[1:]
import pyarrow.parquet as pq
if how == "bare":
    import pyarrow as pa
    from deltalake import write_deltalake
    started = time.perf_counter()
    source = pq.ParquetFile(file)
    batches = source.iter_batches(65536)
    write_deltalake(home, pa.RecordBatchReader.from_batches(source.schema_arrow, batches))
else:
    import workbench
    from workbench.api.client import connect
    import workbench.data.ingest, workbench.data.readers
    wb = connect(home=home)
    wb.call("projects.list_projects")
    started = time.perf_counter()
    wb.data.register(file, name="big")
taken = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"s": taken, "mb": peak}))
import os; os._exit(0)
"""


def table(rows: int, file: Path) -> None:
    """A table of that many rows: numbers, a category, a time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("x", pa.float64()),
            ("y", pa.float32()),
            ("city", pa.string()),
            ("at", pa.timestamp("us")),
        ]
    )
    cities = pa.array([f"city {i}" for i in range(100)])
    with pq.ParquetWriter(file, schema) as writer:
        for start in range(0, rows, 500_000):
            n = min(500_000, rows - start)
            writer.write_batch(
                pa.RecordBatch.from_arrays(
                    [
                        pa.array(np.arange(start, start + n)),
                        pa.array(rng.normal(size=n)),
                        pa.array(rng.random(n, dtype="float32")),
                        cities.take(pa.array(rng.integers(0, 100, n))),
                        pa.array(rng.integers(0, 10**15, n)).cast(pa.timestamp("us")),
                    ],
                    schema=schema,
                )
            )


def run(how: str, file: Path, folder: Path) -> dict[str, float]:
    """One run, in a process and a folder of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        done = subprocess.run(
            [sys.executable, "-c", RUN, how, str(file), home],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def main() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sizes = {rows: folder / f"{rows}.parquet" for rows in (1_000_000, 5_000_000, 10_000_000)}
        for rows, file in sizes.items():
            table(rows, file)
        five = sizes[5_000_000]
        pairs = [(run("bare", five, folder), run("ours", five, folder)) for _ in range(3)]
        bare = statistics.median(each["s"] for each, _ in pairs)
        ours = statistics.median(each["s"] for _, each in pairs)
        small, large = (run("ours", sizes[rows], folder) for rows in (1_000_000, 10_000_000))
    return {
        "ratio": round(bare / ours, 2),
        "bare_s": round(bare, 2),
        "register_s": round(ours, 2),
        "rss_bare_5m_mb": round(pairs[0][0]["mb"]),
        "rss_1m_mb": round(small["mb"]),
        "rss_5m_mb": round(pairs[0][1]["mb"]),
        "rss_10m_mb": round(large["mb"]),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
