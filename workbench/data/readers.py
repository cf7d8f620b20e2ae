"""Readers: any table a person has, as a stream of Arrow batches that Delta Lake can hold."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq
import pyarrow.types as is_

from workbench.core import Invalid, Limited, Settings

from .columns import clean_names
from .text import MISSING, Dialect, dialect_of, first_ragged, in_utf8, plain_copy
from .told import cleaned, quoted, times

FORMATS = ("csv", "tsv", "jsonl", "parquet", "arrow", "excel")
BATCH_ROWS = 64 * 1024
EXCEL_ROWS = 1_048_576
HEAD_BYTES = 2 << 20
FIRST_DAY, LAST_DAY = -719_162, 2_932_897
"""The years 1 to 9999 in days since 1970, the second not included."""


@dataclass
class Reading:
    """A table on its way in."""

    format: str
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    warnings: list[str] = field(default_factory=list)
    total: int | None = None
    """Rows in all, where the format says so."""


@contextmanager
def reading(
    file: Path, name: str, settings: Settings, *, format: str = "auto", head: bool = False
) -> Iterator[Reading]:
    """A file as a stream of batches.

    Args:
        file: The file.
        name: What a person calls it.
        settings: For the limits.
        format: One of `FORMATS`, or `auto`: told by content first, then by name.
        head: Read only the beginning, for a first look.

    Raises:
        Invalid: It cannot be read; the sentence says where it breaks.
        Limited: Too many columns or bytes.
    """
    if format != "auto" and format not in FORMATS:
        raise Invalid(f"There is no format {format!r}.", hint=f"Known: auto, {', '.join(FORMATS)}.")
    with TemporaryDirectory(prefix="workbench-") as temporary:
        folder = Path(temporary)
        limit = settings.upload_limit_bytes
        kind = _guessed(file, name) if format == "auto" else format
        cut = HEAD_BYTES if head and kind in ("csv", "tsv", "jsonl") else 0
        plain = plain_copy(file, folder, name, limit, head=cut)
        if format == "auto" and plain != file:
            kind = _guessed(plain, name)
        read = _READERS[kind](plain, folder, name, head)
        read.format = kind
        if len(read.schema) > settings.columns_limit:
            raise Limited(
                f"{name} has {len(read.schema):,} columns; at most "
                f"{settings.columns_limit:,} are allowed.",
                hint="Leave columns out, or turn columns into rows; the limit is `columns_limit`.",
            )
        if not len(read.schema):
            raise Invalid(f"{name} has no columns.", hint="Give a table with named columns.")
        yield _for_delta(read)


def _guessed(file: Path, name: str) -> str:
    with open(file, "rb") as source:
        start = source.read(4096)
        source.seek(0, 2)
        size = source.tell()
    if not size:
        raise Invalid(f"{name} is empty.", hint="Give a file with a header and rows.")
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"ARROW1") or start.startswith(b"\xff\xff\xff\xff"):
        return "arrow"
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "excel"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "jsonl"
    if re.match(rb"(\xef\xbb\xbf)?\s*\[\s*\{", start):
        raise Invalid(f"{name} is one JSON array.", hint="Write one object per line (JSON lines).")
    endings = name.lower().removesuffix(".gz").rpartition(".")[2]
    return "tsv" if endings in ("tsv", "tab") else "csv"


def _delimited(file: Path, folder: Path, name: str, head: bool, delimiter: str = "") -> Reading:
    text, told = in_utf8(file, folder, name)
    dialect = dialect_of(text, name, delimiter)
    if len(dialect.names) > 20_000:
        raise Limited(
            f"{name} has {len(dialect.names):,} columns.", hint="At most `columns_limit`."
        )
    # A name of ours: DuckDB would read `*` and `[` in a person's as a pattern.
    link = folder / "input.csv"
    link.symlink_to(text.absolute())
    connection = _connection()
    asked = (
        f"SELECT * FROM read_csv('{link}', delim=$delim, quote='\"', escape='\"', "
        "header=$header, skip=0, names=$names, nullstr=$missing, decimal_separator=$decimal, "
        "sample_size=-1, null_padding=false, strict_mode=true, max_line_size=16777216, "
        # No BOOLEAN: it would turn a person's yes and no into true and false. No DATE: it would
        # guess which number is the day. HUGEINT finds the whole numbers that a DOUBLE would round.
        "auto_type_candidates=['BIGINT', 'HUGEINT', 'DOUBLE', 'VARCHAR']"
    )
    given = {
        "delim": dialect.delimiter,
        "header": dialect.header,
        "names": dialect.names,
        "missing": [*MISSING, *(f" {mark}" for mark in MISSING)],
        "decimal": dialect.decimal,
    }
    try:
        relation = connection.sql(f"{asked})", params=given)
        types = [str(each) for each in relation.types]
        long = [name for name, type in zip(dialect.names, types, strict=True) if type == "HUGEINT"]
        told += [f"{each} holds numbers of more than 64 bits; it stays text." for each in long]
        if long:
            given["types"] = {each: "VARCHAR" for each in long}
            relation = connection.sql(f"{asked}, types=$types)", params=given)
        made, left = times(relation)
        told += left
        batches, schema = _trimmed(connection, relation, made)
    except duckdb.Error as error:
        raise _broken(error, text, dialect, name) from error
    return Reading(
        "csv",
        schema,
        _watched(batches, lambda error: _broken(error, text, dialect, name)),
        [*told, *dialect.warnings],
    )


def _trimmed(
    connection: duckdb.DuckDBPyConnection,
    relation: duckdb.DuckDBPyRelation,
    made: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
    """A relation's batches, its texts without spaces around them and its marks of missing gone.

    Args:
        connection: The relation's.
        relation: The rows.
        made: SQL for the columns that are something else than they are written as.
    """
    parts = []
    for column, kind in zip(relation.columns, relation.types, strict=True):
        name = quoted(column)
        if column in made:
            parts.append(f"{made[column]} AS {name}")
        elif str(kind) == "VARCHAR":
            parts.append(f"{cleaned(column)} AS {name}")
        elif str(kind) == "JSON":
            # Values of several types: a text among them without JSON's quotes.
            parts.append(
                f"CASE WHEN json_type({name}) = 'VARCHAR' THEN {name} ->> '$' "
                f"ELSE {name}::VARCHAR END AS {name}"
            )
        else:
            parts.append(name)
    connection.execute("SET preserve_insertion_order = true")
    reader = relation.project(", ".join(parts)).to_arrow_reader(BATCH_ROWS)
    return iter(reader), reader.schema


def _broken(error: Exception, file: Path, dialect: Dialect, name: str) -> Invalid:
    ragged = first_ragged(file, dialect)
    if ragged is not None:
        line, found, wanted = ragged
        if found < wanted:
            where = f"the column {dialect.names[found]!r} and what follows it are missing"
        else:
            where = f"there is something after the last column {dialect.names[-1]!r}"
        return Invalid(
            f"Line {line} of {name} has {found} values, the header has {wanted}: {where}.",
            hint="Mend that line; a value that holds the delimiter belongs in double quotes.",
        )
    said = str(error)
    if "sniffing" in said:
        return Invalid(
            f"{name} cannot be read: its lines end in several ways, or a quote is not closed.",
            hint="Save it again with one kind of line ending.",
        )
    line_number = re.search(r"Line:? (\d+)", said)
    where = f" at line {line_number[1]}" if line_number else ""
    first = said.partition("\n")[0].partition(":")[2].strip() or said[:200]
    if "unterminated quote" in said.lower() or "quote" in first.lower():
        first = "a double quote is not closed"
    return Invalid(
        f"{name} cannot be read{where}: {first[:300]}.", hint="Mend it, or name its format."
    )


def _json_lines(file: Path, folder: Path, name: str, head: bool) -> Reading:
    text, told = in_utf8(file, folder, name)
    link = folder / "input.jsonl"
    link.symlink_to(text.absolute())
    connection = _connection()

    def broken(error: Exception) -> Invalid:
        with open(text, encoding="utf-8-sig") as source:
            for number, line in enumerate(source, start=1):
                try:
                    found = json.loads(line) if line.strip() else {}
                except RecursionError:
                    return Invalid(
                        f"Line {number} of {name} is nested too deeply.",
                        hint="Write flatter objects.",
                    )
                except ValueError as problem:
                    return Invalid(
                        f"Line {number} of {name} is not JSON: {problem}.",
                        hint="Write one JSON object per line.",
                    )
                if not isinstance(found, dict):
                    return Invalid(
                        f"Line {number} of {name} is no JSON object.",
                        hint="Write one JSON object per line.",
                    )
        said = _first(error).replace(str(link), name)
        return Invalid(f"{name} cannot be read: {said}.", hint="Write JSON lines.")

    try:
        relation = connection.sql(
            f"SELECT * FROM read_json('{link}', format='newline_delimited', sample_size=-1, "
            "maximum_object_size=16777216, records=true, map_inference_threshold=-1)"
        )
        batches, schema = _trimmed(connection, relation)
    except duckdb.Error as error:
        raise broken(error) from error
    names, more = clean_names(schema.names)
    schema = pa.schema([f.with_name(n) for f, n in zip(schema, names, strict=True)])
    renamed = (pa.RecordBatch.from_arrays(b.columns, names=names) for b in batches)
    return Reading("jsonl", schema, _watched(renamed, broken), told + more)


def _parquet(file: Path, folder: Path, name: str, head: bool) -> Reading:
    try:
        source = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
    except (pa.ArrowInvalid, OSError) as error:
        raise Invalid(
            f"{name} is no whole Parquet file: {_first(error)}.",
            hint="It was probably cut off while it was written or sent; send it again.",
        ) from error
    names, told = clean_names(source.schema_arrow.names)
    batches = (
        pa.RecordBatch.from_arrays(batch.columns, names=names)
        for batch in source.iter_batches(BATCH_ROWS)
    )
    schema = pa.schema([f.with_name(n) for f, n in zip(source.schema_arrow, names, strict=True)])
    return Reading(
        "parquet",
        schema,
        _watched(
            batches, lambda e: Invalid(f"{name} is damaged: {_first(e)}.", hint="Send it again.")
        ),
        told,
        source.metadata.num_rows,
    )


def _arrow(file: Path, folder: Path, name: str, head: bool) -> Reading:
    mapped = pa.memory_map(str(file))
    try:
        try:
            opened: Any = pyarrow.ipc.open_file(mapped)
            batches = (opened.get_batch(place) for place in range(opened.num_record_batches))
        except pa.ArrowInvalid:
            mapped.seek(0)
            opened = pyarrow.ipc.open_stream(mapped)
            batches = iter(opened)
    except (pa.ArrowInvalid, OSError) as error:
        raise Invalid(
            f"{name} is no whole Arrow file: {_first(error)}.", hint="Send it again."
        ) from error
    names, told = clean_names(opened.schema.names)
    schema = pa.schema([f.with_name(n) for f, n in zip(opened.schema, names, strict=True)])
    renamed = (pa.RecordBatch.from_arrays(batch.columns, names=names) for batch in batches)
    return Reading(
        "arrow",
        schema,
        _watched(
            renamed, lambda e: Invalid(f"{name} is damaged: {_first(e)}.", hint="Send it again.")
        ),
        told,
    )


def _excel(file: Path, folder: Path, name: str, head: bool) -> Reading:
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_path(str(file))
        sheet = book.get_sheet_by_index(0)
        rows = sheet.to_python(skip_empty_area=True, nrows=EXCEL_ROWS)
    except Exception as error:
        # calamine raises a class of its own for each way a workbook can be broken.
        raise Invalid(
            f"{name} is no Excel workbook: {_first(error)}.", hint="Save it again as .xlsx or CSV."
        ) from error
    if len(rows) < 2:
        raise Invalid(
            f"The sheet {book.sheet_names[0]!r} of {name} has no rows below its header.",
            hint="The first sheet is read; its first row names the columns.",
        )
    names, told = clean_names([str(cell) for cell in rows[0]])
    if len(book.sheet_names) > 1:
        told.append(f"{name} has {len(book.sheet_names)} sheets; only the first was read.")
    arrays = [_cells([row[place] for row in rows[1:]]) for place in range(len(names))]
    table = pa.Table.from_arrays(arrays, names=names)
    return Reading("excel", table.schema, iter(table.to_batches(BATCH_ROWS)), told, table.num_rows)


def _cells(values: list[Any]) -> pa.Array:
    """A column of a sheet: its own type if all cells agree, text otherwise."""
    plain = [None if isinstance(v, str) and v.strip() in MISSING else v for v in values]
    if all(isinstance(v, float) and v.is_integer() for v in plain if v is not None) and any(
        v is not None for v in plain
    ):
        plain = [None if v is None else int(v) for v in plain]
    try:
        return pa.array(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else str(v) for v in plain], pa.string())


def _for_delta(read: Reading) -> Reading:
    """The same rows in types that Delta Lake knows; what it does not know becomes text."""
    target = pa.schema([pa.field(f.name, _type(f.type), nullable=True) for f in read.schema])
    same = all(a.type.equals(b.type) for a, b in zip(read.schema, target, strict=True))

    temporal = [f.name for f in target if is_.is_date(f.type) or is_.is_timestamp(f.type)]

    def cast() -> Iterator[pa.RecordBatch]:
        for batch in read.batches:
            if same:
                made = batch.cast(target) if batch.schema != target else batch
            else:
                arrays = [
                    _cast(a, f, read.warnings) for a, f in zip(batch.columns, target, strict=True)
                ]
                made = pa.RecordBatch.from_arrays(arrays, schema=target)
            for name in temporal:
                _check_years(made[name], name)
            yield made

    return Reading(read.format, target, cast(), read.warnings, read.total)


def _check_years(array: pa.Array, name: str) -> None:
    """Delta Lake and Python know the years 1 to 9999; beyond them both break."""
    days = {"us": 86_400_000_000}.get(getattr(array.type, "unit", ""), 1)
    ends = pc.min_max(array.view(pa.int32() if is_.is_date(array.type) else pa.int64()))
    low, high = ends["min"].as_py(), ends["max"].as_py()
    if low is not None and (low < FIRST_DAY * days or high >= LAST_DAY * days):
        raise Invalid(
            f"The column {name!r} holds times outside the years 1 to 9999.",
            hint="Leave those rows out, or write the column as text.",
        )


def _duration(array: pa.Array) -> list[str | None]:
    """Durations in ISO 8601, e.g. `PT90S`, whatever their unit."""
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[array.type.unit]
    whole = array.view(pa.int64()).to_pylist()
    texts = [None if v is None else f"{Decimal(v).scaleb(-digits):f}" for v in whole]
    return [
        None if v is None else f"PT{v.rstrip('0').rstrip('.') if '.' in v else v}S" for v in texts
    ]


def _bytes(value: bytes | None) -> str | None:
    """Bytes as the text they are, or in hexadecimal."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"


def _type(type: pa.DataType) -> pa.DataType:
    if is_.is_dictionary(type):
        return _type(type.value_type)
    if is_.is_unsigned_integer(type):
        return pa.int64()
    if is_.is_float16(type):
        return pa.float32()
    if is_.is_timestamp(type):
        return pa.timestamp("us", tz="UTC" if type.tz else None)
    if is_.is_date64(type):
        return pa.date32()
    if (
        is_.is_boolean(type)
        or is_.is_integer(type)
        or is_.is_floating(type)
        or is_.is_date32(type)
        or (is_.is_decimal(type) and type.precision <= 38)
    ):
        return type
    return pa.string()


def _cast(array: pa.Array, field: pa.Field, warnings: list[str]) -> pa.Array:
    type = field.type
    if array.type.equals(type):
        return array
    if is_.is_dictionary(array.type):
        array = array.dictionary_decode()
    if is_.is_duration(array.type):
        return pa.array(_duration(array), type)
    if (
        is_.is_binary(array.type)
        or is_.is_large_binary(array.type)
        or is_.is_fixed_size_binary(array.type)
        or is_.is_binary_view(array.type)
    ):
        return pa.array([_bytes(v) for v in array.to_pylist()], type)
    if is_.is_string(type) and is_.is_nested(array.type):
        return pa.array(
            [None if v is None else json.dumps(v, default=str) for v in array.to_pylist()], type
        )
    if is_.is_string(type) and is_.is_null(array.type):
        return pa.nulls(len(array), type)
    try:
        fine = is_.is_timestamp(array.type) and array.type.unit == "ns"
        made = pc.cast(array, type, safe=not fine)
        if fine and not made.cast(array.type, safe=False).equals(array):
            warning = f"{field.name} is kept to the microsecond; what is finer was cut."
            if warning not in warnings:
                warnings.append(warning)
        return made
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if is_.is_string(type):
            # No rule of Arrow's makes text of it; Python's own words do.
            return pa.array([None if v is None else str(v) for v in array.to_pylist()], type)
        raise Invalid(
            f"The column {field.name!r} holds values that do not fit {type}: {_first(error)}.",
            hint="Write it as text, or with smaller values.",
        ) from error


def _watched(
    batches: Iterator[pa.RecordBatch], explain: Callable[[Exception], Invalid]
) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except (duckdb.Error, pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise explain(error) from error


def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET threads = 2; SET memory_limit = '1GB'")
    return connection


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")[:200]


_READERS: dict[str, Callable[[Path, Path, str, bool], Reading]] = {
    "csv": _delimited,
    "tsv": lambda file, folder, name, head: _delimited(file, folder, name, head, "\t"),
    "jsonl": _json_lines,
    "parquet": _parquet,
    "arrow": _arrow,
    "excel": _excel,
}
