"""Writing a product's version: a stream of batches into Delta Lake, and what is known of it."""

import errno
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from workbench.core import Conflict, Invalid, Limited

from .columns import kind_of
from .readers import Reading
from .types import Column


@dataclass(frozen=True)
class Written:
    """A Delta version, measured."""

    delta_version: int
    rows: int
    bytes: int
    columns: list[Column]
    digest: str


def write_version(read: Reading, folder: Path, name: str) -> Written:
    """Write the batches as the next version of the Delta table in a folder.

    Nothing is visible until a Record names the version: this only makes it exist.

    Raises:
        Invalid: There are no rows.
        Limited: The disk is full; the version before still reads.
        Conflict: Somebody else wrote the table at the same moment.
    """
    counter = _Counter(len(read.schema))
    try:
        batches = counter.counted(read.batches)
        first = next(batches, None)
        if first is None:
            raise Invalid(f"{name} has no rows.", hint="Give a table with at least one row.")
        stream = pa.RecordBatchReader.from_batches(read.schema, _chained(first, batches))
        write_deltalake(str(folder), stream, mode="overwrite", schema_mode="overwrite")
    except CommitFailedError as error:
        raise Conflict(
            f"{name} was written by somebody else at the same moment.", hint="Do it again."
        ) from error
    except Exception as error:
        # deltalake wraps what the batches raised; our own sentences come first.
        if counter.raised is not None:
            raise counter.raised from error
        if "No space left" in str(error) or getattr(error, "errno", 0) == errno.ENOSPC:
            raise Limited(
                f"The disk is full after {counter.rows:,} rows of {name}; nothing was changed.",
                hint="Free space, then register it again.",
            ) from error
        raise
    table = DeltaTable(str(folder))
    files = sorted(table.file_uris())
    return Written(
        delta_version=table.version(),
        rows=counter.rows,
        bytes=sum(Path(each).stat().st_size for each in files),
        columns=_columns(read.schema, files, counter.rows),
        digest=_digest(read.schema, files),
    )


def forget(folder: Path) -> None:
    """Remove a new product's table that was not committed."""
    shutil.rmtree(folder, ignore_errors=True)


class _Counter:
    """Counts rows on their way, and keeps what went wrong in the reading."""

    def __init__(self, width: int) -> None:
        self.rows = 0
        self.raised: Exception | None = None

    def counted(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in batches:
                if batch.num_rows:
                    self.rows += batch.num_rows
                    yield batch
        except Exception as error:
            self.raised = error
            raise


def _chained(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _columns(schema: pa.Schema, files: list[str], rows: int) -> list[Column]:
    import duckdb

    texts = [f.name for f in schema if pa.types.is_string(f.type)]
    told: dict[str, tuple[int, int, float]] = {}
    if texts:
        parts = []
        for name in texts:
            quoted = '"' + name.replace('"', '""') + '"'
            parts.append(
                f"approx_count_distinct({quoted}), count({quoted}), "
                f"coalesce(avg(length({quoted})), 0)"
            )
        connection = duckdb.connect(":memory:")
        connection.execute("SET threads = 2; SET memory_limit = '1GB'")
        # A million rows tell what kind a column is.
        found = connection.execute(
            f"SELECT {', '.join(parts)} FROM (SELECT * FROM read_parquet($files) LIMIT 1000000)",
            {"files": files},
        ).fetchone()
        connection.close()
        assert found is not None
        told = {name: found[3 * i : 3 * i + 3] for i, name in enumerate(texts)}
    return [
        Column(
            name=f.name,
            type=str(f.type),
            kind=kind_of(f.type, *told.get(f.name, (0, 0, 0.0))),
        )
        for f in schema
    ]


def _digest(schema: pa.Schema, files: list[str]) -> str:
    """`sha256:` over the schema and the content of the files, in the order of the rows."""
    total = sha256(str([(f.name, str(f.type)) for f in schema]).encode())
    for each in files:
        with open(each, "rb") as file:
            while part := file.read(1 << 22):
                total.update(part)
    return f"sha256:{total.hexdigest()}"
