"""Rows of a database on their way into an Arrow file: types are told from all of them."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc


class Stage:
    """An Arrow file that is written row by row.

    Rows go into a part until they do not fit its types any more; then a part with wider types
    begins. At the end the parts become one file with the widest types. Memory: one batch.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._parts: list[Path] = []
        self._types: list[pa.DataType] = []
        self._names: list[str] = []
        self._writer: Any = None
        self._open = ExitStack()

    def __enter__(self) -> "Stage":
        return self

    def add(self, names: list[str], rows: Sequence[tuple[Any, ...]]) -> int:
        """Write rows; how many bytes they are."""
        if not self._names:
            self._names = names
            self._types = [pa.null()] * len(names)
        if not rows:
            return 0
        columns = list(zip(*rows, strict=True))
        pairs = [_array(list(c), t) for c, t in zip(columns, self._types, strict=True)]
        types = [array.type for array in pairs]
        if self._writer is None or types != self._types:
            self._begin(types)
        batch = pa.RecordBatch.from_arrays(pairs, schema=self._schema())
        self._writer.write_batch(batch)
        return int(batch.nbytes)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        if error is not None:
            return
        schema = self._schema()
        if len(self._parts) == 1:
            self._parts[0].replace(self._file)
            return
        with pyarrow.ipc.new_file(str(self._file), schema) as writer:
            for part in self._parts:
                with pa.memory_map(str(part)) as source:
                    for batch in _read(source):
                        arrays = [_cast(a, f.type) for a, f in zip(batch, schema, strict=True)]
                        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
                part.unlink()

    def _schema(self) -> pa.Schema:
        return pa.schema(list(zip(self._names, self._types, strict=True)))

    def _begin(self, types: list[pa.DataType]) -> None:
        self._open.close()
        self._types = types
        part = self._file.with_name(f"{self._file.name}.{len(self._parts)}")
        self._parts.append(part)
        self._writer = self._open.enter_context(pyarrow.ipc.new_file(str(part), self._schema()))


def _read(source: Any) -> Any:
    opened = pyarrow.ipc.open_file(source)
    return (opened.get_batch(place) for place in range(opened.num_record_batches))


def _array(values: list[Any], type: pa.DataType) -> pa.Array:
    """A column as the type so far, or as the narrowest wider one that takes all of it."""
    if pa.types.is_string(type):
        return pa.array([None if v is None else _text(v) for v in values], type)
    try:
        found = pa.array(values)
        wider = _wider(type, found.type)
        return found if found.type.equals(wider) else pc.cast(found, wider)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if v is None else _text(v) for v in values], pa.string())


def _wider(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    both = [pa.schema([pa.field("x", each)]) for each in (a, b)]
    return pa.unify_schemas(both, promote_options="permissive").field("x").type


def _cast(array: pa.Array, type: pa.DataType) -> pa.Array:
    if array.type.equals(type):
        return array
    if pa.types.is_string(type):
        return pa.array([None if v is None else _text(v) for v in array.to_pylist()], type)
    return pc.cast(array, type, safe=False)


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def plain_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row in values that Arrow has types for; the rest as text, documents as JSON."""
    return tuple(_plain(value) for value in row)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | date | time | timedelta):
        return value
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)
