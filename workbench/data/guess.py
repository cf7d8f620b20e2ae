"""A first look at a file, from its beginning."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from workbench.core import Settings

from .columns import kind_of
from .query import plain
from .readers import reading
from .types import Column, Guess

LOOKED_ROWS = 5_000


def guessed(file: Path, name: str, settings: Settings, format: str, rows: int) -> Guess:
    """The first rows of a file and what its columns seem to be.

    Args:
        file: The file.
        name: What a person calls it.
        settings: For the limits.
        format: As for `reading`.
        rows: How many rows to show.
    """
    with reading(file, name, settings, format=format, head=True) as read:
        batches: list[pa.RecordBatch] = []
        for batch in read.batches:
            batches.append(batch)
            if sum(each.num_rows for each in batches) >= LOOKED_ROWS:
                break
        table = pa.Table.from_batches(batches, schema=read.schema)
        columns = []
        for f in table.schema:
            values = table[f.name].drop_null()
            distinct = pc.count_distinct(values).as_py() if pa.types.is_string(f.type) else 0
            length = pc.mean(pc.utf8_length(values)).as_py() if pa.types.is_string(f.type) else 0
            columns.append(
                Column(
                    name=f.name,
                    type=str(f.type),
                    kind=kind_of(f.type, distinct, len(values), float(length or 0)),
                )
            )
        shown = table.slice(0, rows).to_pylist()
        return Guess(
            format=read.format,
            columns=columns,
            rows=[[plain(row[f.name]) for f in table.schema] for row in shown],
            total=read.total,
            questions=[],
            sensitive=[],
            warnings=read.warnings,
            suggested_name="",
            suggested_target=None,
        )
