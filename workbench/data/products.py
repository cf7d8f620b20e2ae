"""Where products live, and how their rows are read back.

The Record on the shelf is the truth: a Delta version that no Record names was never committed
and is never seen.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core import Context, Invalid, NotFound, Shelf

from .types import Product

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.dataset

products: Shelf[Product] = Shelf("prd", "product", Product)

AT_ONCE = 32
"""Columns that are read side by side: each holds a page and a dictionary, a MiB or two."""
VALUES = 1 << 19
"""In a batch of rows: 4 MiB of numbers."""


def find_product(ctx: Context, product: str, version: int | None = None) -> Product:
    """The product of that id, `id@version` or name; of that version if one is given.

    Raises:
        NotFound: The project has no such product, or it has no such version.
        Invalid: Two different versions are named.
    """
    named, _, at = product.partition("@")
    for asked in (at, str(version) if version is not None else ""):
        # More than a database's integer holds; `-1` and words are told of below.
        if asked.isdigit() and int(asked[:20]) >= 2**31:
            raise NotFound(f"{named} has no version {asked[:40]}.", hint="Versions begin at 0.")
    if version is not None and at and at != str(version):
        raise Invalid(
            f"{product} and version {version} are two versions.", hint="Give one of them."
        )
    if version is None:
        return products.get(ctx.store, ctx.project, product)
    found = products.find(ctx.store, ctx.project, f"{named}@{version}")
    if found is None:
        latest = products.get(ctx.store, ctx.project, named)
        raise NotFound(
            f"{latest.name} has no version {version}.", hint=f"It has 0 to {latest.version}."
        )
    return found


def delta_folder(ctx: Context, id: str) -> Path:
    """Where a product's Delta table is."""
    return ctx.folder / "delta" / id


def data_files(ctx: Context, product: Product) -> list[str]:
    """The Parquet files of a product's version, in the order of its rows."""
    from deltalake import DeltaTable

    table = DeltaTable(str(delta_folder(ctx, product.id)), version=product.delta_version)
    # Writers number their files; the order of the log is not the order of the rows.
    return sorted(table.file_uris())


def dataset(ctx: Context, product: Product) -> "pyarrow.dataset.Dataset":
    """A product's version as an Arrow dataset: read lazily, in the order of its rows."""
    import pyarrow.dataset

    return pyarrow.dataset.dataset(data_files(ctx, product), format="parquet")


def read_table(
    ctx: Context, product: Product, columns: Sequence[str] | None = None
) -> "pyarrow.Table":
    """All rows of a product's version, always in the same order.

    Args:
        ctx: The project.
        product: Which version.
        columns: Only these; all if absent.
    """
    found = dataset(ctx, product)
    return found.to_table(columns=list(columns) if columns is not None else None)


def scan(
    files: Sequence[str], columns: Sequence[str]
) -> "Iterator[tuple[int, pyarrow.RecordBatch]]":
    """The rows of a product's files in batches, however large the files are.

    A row group is read once for each `AT_ONCE` of the columns, in the order in which they are
    asked for; then comes the next one. So little is held, and a matrix that is written meanwhile
    is written from its beginning to its end.

    Args:
        files: As `data_files` names them.
        columns: Which ones.

    Yields:
        The position of the batch's first row in the product, and the batch with some of the
        columns.
    """
    import pyarrow.parquet as pq

    begins = 0
    for name in files:
        # Mapped, so that what is read of the file is no data of this process. A dataset would
        # hold the row groups that it reads as a whole.
        with pq.ParquetFile(name, memory_map=True, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                for place in range(0, len(columns), AT_ONCE):
                    some = list(columns[place : place + AT_ONCE])
                    at = begins
                    for batch in file.iter_batches(
                        max(1, VALUES // len(some)), [group], some, use_threads=False
                    ):
                        yield at, batch
                        at += batch.num_rows
                begins += file.metadata.row_group(group).num_rows


def read_columns(
    files: Sequence[str], names: Sequence[str], rows: Any = None
) -> "dict[str, pyarrow.ChunkedArray]":
    """Some columns of a product, by name; nothing else of it is held.

    Args:
        files: As `data_files` names them.
        names: Which columns.
        rows: Positions of the rows that are wanted, ascending, int64; all if absent.
    """
    import numpy as np
    import pyarrow as pa

    found: dict[str, list[pa.Array]] = {name: [] for name in names}
    for at, batch in scan(files, names):
        if rows is not None:
            first, last = np.searchsorted(rows, [at, at + batch.num_rows])
            batch = batch.take(pa.array(rows[first:last] - at))
        for name in batch.schema.names:
            found[name].append(batch[name])
    return {name: pa.chunked_array(pieces) for name, pieces in found.items()}
