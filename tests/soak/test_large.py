"""A job learns from a product that is ten times as large as the memory it may have.

What it held at most, and how large the product was, is printed (`pytest -s`).
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.running import attempts
from workbench.core import Actor, Context, Job, call_here, new_id
from workbench.data import Product, data_files, products
from workbench.data.ingest import write_version
from workbench.data.products import delta_folder
from workbench.data.readers import Reading
from workbench.graphs import suggest
from workbench.models import models
from workbench.pipelines import ledger

LIMIT_MB = int(os.environ.get("STUDIO_LARGE_LIMIT_MB", "1024"))
RATIO = float(os.environ.get("STUDIO_LARGE_RATIO", "10"))
COLUMNS = int(os.environ.get("STUDIO_LARGE_COLUMNS", "1500"))
MIB = 1024 * 1024
ROWS = int(RATIO * LIMIT_MB * MIB / (4 * COLUMNS)) + 1
BATCH = 8_192
TOWNS = np.array(["york", "bath", "ely"])

pytestmark = pytest.mark.soak


def batches(schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Numbers, with a target that two of them and a town decide, and some missing."""
    random = np.random.default_rng(11)
    for start in range(0, ROWS, BATCH):
        count = min(BATCH, ROWS - start)
        x = random.standard_normal((COLUMNS, count), dtype=np.float32)
        town = random.integers(0, 3, count)
        gone = random.random(count) < 0.1
        sold = x[0] - x[1] * (town == 1) + random.normal(0, 0.5, count) > 0
        numbers = [pa.array(each) for each in x[1:]]
        yield pa.record_batch(
            [pa.array(x[0], mask=gone), *numbers, pa.array(TOWNS[town]), pa.array(sold)],
            schema=schema,
        )


def registered(ctx: Context) -> Product:
    """The product `large`, written a batch at a time."""
    numbers = [(f"x{each}", pa.float32()) for each in range(COLUMNS)]
    schema = pa.schema([*numbers, ("town", pa.string()), ("sold", pa.bool_())])
    id = new_id("prd")
    reading = Reading("parquet", schema, batches(schema))
    written = write_version(reading, delta_folder(ctx, id), "large")
    product = Product(
        id=id,
        name="large",
        version=0,
        description="",
        owner=str(ctx.actor),
        made_at=ctx.now(),
        rows=written.rows,
        bytes=written.bytes,
        columns=written.columns,
        sensitive=[],
        source="frame",
        digest=written.digest,
        delta_version=written.delta_version,
    )
    with ctx.store.begin() as tx:
        products.put(tx, ctx.project, product)
    return product


def held(pid: int) -> dict[str, int]:
    """What a process holds, in MiB: its data, what of it is in memory, what is there of files."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    told = dict(line.split(":", 1) for line in lines)
    return {name: int(told[name].split()[0]) // 1024 for name in ("VmData", "RssAnon", "RssFile")}


def watched(ctx: Context, id: str) -> tuple[Job, dict[str, int]]:
    """The job when it has ended, and the most that its process held."""
    most: dict[str, int] = {}
    until = time.monotonic() + 3 * 3600
    while (job := ledger.get(ctx.store, ctx.project, id)).state in ("queued", "running"):
        assert time.monotonic() < until, job
        for each in attempts():
            with suppress(OSError, KeyError):  # It has just ended.
                for name, size in held(each.pid).items():
                    most[name] = max(most.get(name, 0), size)
        time.sleep(0.1)
    return job, most


def test_a_product_ten_times_as_large_as_the_memory(ctx: Context) -> None:
    began = time.monotonic()
    product = registered(ctx)
    wrote_s = time.monotonic() - began
    root = Actor(name="root1", admin=True, fresh=True)
    call_here(ctx.fresh(actor=root), "projects.set_limits", {"memory_mb": LIMIT_MB})
    # A narrow network: the disk is what is tried here.
    graph = suggest(5, 240, "classification").model_dump()
    graph["training"]["batch_size"] = 1_024
    asked: dict[str, Any] = {"product": "large", "target": "sold", "graph": graph, "epochs": 2}
    began = time.monotonic()
    id = str(call_here(ctx.fresh(), "models.train", asked).id)
    job, most = watched(ctx, id)
    took_s = time.monotonic() - began
    lines = [each.text for each in ledger.lines_after(ctx.store, id, 0) if each.kind == "log"]
    print("\n" + "\n".join(lines), flush=True)
    assert job.state == "done", job.error
    assert job.result is not None
    model = models.get(ctx.store, ctx.project, job.result["model"])
    width = sum(len(each.categories) + 1 for each in model.inputs)
    stored = sum(os.path.getsize(each) for each in data_files(ctx, product))
    matrix = ROWS * width * 4
    print(f"{ROWS:,} rows of {COLUMNS + 1:,} columns, written in {wrote_s:.0f} s")
    print(f"Parquet {stored / MIB:,.0f} MiB, matrices {matrix / MIB:,.0f} MiB")
    print(f"the job may hold {LIMIT_MB:,} MiB: {matrix / MIB / LIMIT_MB:.1f} times less")
    print("it held at most: " + ", ".join(f"{name} {size:,} MiB" for name, size in most.items()))
    print(f"trained in {took_s:.0f} s: {model.verdict}")
    assert matrix >= RATIO * LIMIT_MB * MIB and stored >= 0.9 * RATIO * LIMIT_MB * MIB
    assert most["VmData"] <= LIMIT_MB
    assert model.metrics["auc"].value > 0.8
    assert any("may hold" in line for line in lines)
    until = time.monotonic() + 30
    while list((ctx.folder / "scratch").glob("*")):
        assert time.monotonic() < until, "the matrices outlive their job"
        time.sleep(0.1)
