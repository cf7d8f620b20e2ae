"""The columns of a product, one after the other, in as much memory as there is for them."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.core import Reporter
from workbench.data import read_columns

from .room import room
from .splits import Rows

LONG = 256
"""Bits of a value whose type does not say, such as a text."""


class Columns:
    """Some rows of a product's columns, by name: asked for in their order, each once.

    A pass over the product reads as many columns as there is room for: to open a file takes
    longer than to read a column of it.

    Args:
        job: Who may cancel.
        files: The product's, in the order of its rows.
        names: The columns that will be asked for, in that order.
        rows: Positions of the rows that are wanted, ascending.
    """

    def __init__(
        self, job: Reporter, files: Sequence[str], names: Sequence[str], rows: Rows
    ) -> None:
        self._job, self._files, self._rows = job, files, rows
        self._left = list(names)
        self._schema = pq.read_schema(files[0])
        self._held: dict[str, pa.ChunkedArray] = {}

    def __call__(self, name: str) -> pa.ChunkedArray:
        """The values of a column; they are not held any longer than the caller does."""
        if name not in self._held:
            self._job.check()
            self._held = read_columns(self._files, self._next(name), self._rows)
        return self._held.pop(name)

    def _next(self, name: str) -> list[str]:
        """This column, and those behind it that there is room for."""
        del self._left[: self._left.index(name)]
        some: list[str] = []
        bits = 0
        for each in self._left:
            bits += _bits(self._schema.field(each).type)
            if some and bits * len(self._rows) > 8 * room():
                break
            some.append(each)
        del self._left[: len(some)]
        return some


def _bits(kind: pa.DataType) -> int:
    try:
        return int(kind.bit_width)
    except ValueError:
        return LONG
