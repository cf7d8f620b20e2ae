"""The rows of a product as matrices: in memory if they are small, else in files that are mapped.

A mapped file is in the machine's cache and not in the process's data: what limits it is the disk.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.core import Context, Limited, canonical
from workbench.data import Product, scan
from workbench.security.limits import check_disk

from .features import Features, Matrix
from .room import room
from .splits import Parts

NAMES = ("train", "validation", "test")
FULL = (errno.ENOSPC, errno.EDQUOT)
BLOCK = 16 * 1024 * 1024
"""Bytes that are made at once."""
STEP = 0.05
"""Of the rows, after which it is told how far they are."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Matrices:
    """Features of the rows of each part, float32 [rows, columns], in the order of the rows."""

    train: Matrix
    validation: Matrix
    test: Matrix


def make_matrices(
    ctx: Context, product: Product, files: Sequence[str], features: Features, parts: Parts
) -> Matrices:
    """Read the product once and make the matrix of each part.

    Args:
        ctx: The job's: files are made in its scratch, where a later attempt finds them.
        product: What is read.
        files: Its files, in the order of its rows.
        features: How columns become numbers.
        parts: Which rows are in which matrix.

    Raises:
        Limited: The disk has no room for them, or the project may not hold as much.
    """
    width = len(features.names)
    rows = [getattr(parts, name) for name in NAMES]
    shapes = [(len(each), width) for each in rows]
    if sum(each * 4 * width for each, _ in shapes) <= room() // 2:
        made = [np.zeros(shape, dtype=np.float32) for shape in shapes]
        _fill(ctx, product, files, features, rows, made)
        return Matrices(*made)
    with _scratch(ctx) as scratch:
        folder = scratch / f"matrices-{_made_of(product, features, rows)}"
        if folder.is_dir():
            ctx.job.log("The matrices that a former attempt made are used.")
        else:
            fresh = folder.with_suffix(".writing")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True, mode=0o700)
            try:
                made = _allocated(ctx, fresh, shapes)
                _fill(ctx, product, files, features, rows, made)
                _kept(fresh, folder, made)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
        # Mapped for writing as well: torch shares no array that it could not write to.
        return Matrices(*(np.load(folder / f"{name}.npy", mmap_mode="r+") for name in NAMES))


@contextmanager
def _scratch(ctx: Context) -> Iterator[Path]:
    """Where the files are; outside a job they lose their names at once, and then their bytes."""
    if ctx.job.scratch is not None:
        yield ctx.job.scratch
        return
    with tempfile.TemporaryDirectory(prefix="matrices-") as folder:
        yield Path(folder)


def _made_of(product: Product, features: Features, rows: Sequence[Array]) -> str:
    whole = sha256(canonical([product.ref, product.digest, features.state["columns"]]))
    for part in rows:
        whole.update(len(part).to_bytes(8, "little"))
        whole.update(part.data)
    return whole.hexdigest()[:16]


def _allocated(ctx: Context, folder: Path, shapes: Sequence[tuple[int, int]]) -> list[Array]:
    """Files of zeros that have their room on the disk: one that had not would end the process."""
    need = sum(rows * width * 4 for rows, width in shapes)
    check_disk(ctx, need)
    made: list[Array] = []
    for name, shape in zip(NAMES, shapes, strict=True):
        file = folder / f"{name}.npy"
        matrix = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
        try:
            _reserve(file, matrix)
        except OSError as error:
            if error.errno not in FULL:
                raise
            shutil.rmtree(folder)
            free = shutil.disk_usage(folder.parent).free
            raise Limited(
                f"The matrices to learn from need {need:,} bytes and the disk has {free:,} left.",
                hint="Free space, use fewer rows, or exclude columns with many categories.",
            ) from error
        made.append(matrix)
    return made


def _reserve(file: Path, matrix: Any) -> None:
    with open(file, "r+b") as opened:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(opened.fileno(), 0, matrix.offset + matrix.nbytes)
            return
        opened.seek(matrix.offset)
        for begins in range(0, matrix.nbytes, BLOCK):
            opened.write(bytes(min(BLOCK, matrix.nbytes - begins)))


def _fill(
    ctx: Context,
    product: Product,
    files: Sequence[str],
    features: Features,
    rows: Sequence[Array],
    made: Sequence[Matrix],
) -> None:
    """Write each batch's rows to their places."""
    places, width = {}, 0
    for column in features.columns:
        places[column] = width
        width += len(features.of([column]).names)
    done = 0.0
    for first, batch in scan(files, features.columns):
        ctx.job.check()
        some = features.of(batch.schema.names)
        left = places[some.columns[0]]
        columns = slice(left, left + len(some.names))
        step = max(1, BLOCK // (4 * len(some.names)))
        for begins in range(0, batch.num_rows, step):
            piece = pa.Table.from_batches([batch.slice(begins, step)])
            block, at = some.transform(piece), first + begins
            for part, matrix in zip(rows, made, strict=True):
                low, high = np.searchsorted(part, [at, at + len(block)])
                matrix[low:high, columns] = block[part[low:high] - at]
        share = (first + batch.num_rows) / product.rows
        if share >= done + STEP:
            done = share
            ctx.job.progress(0.02 + 0.03 * done, f"{first + batch.num_rows:,} rows as numbers")


def _kept(fresh: Path, folder: Path, made: Sequence[Any]) -> None:
    """Give what was written its name once it is on the disk: a kill before leaves no such name."""
    for matrix in made:
        matrix.flush()
    for each in (fresh, fresh.parent):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if each is fresh:
            fresh.rename(folder)
