"""Text files on their way in: decompressed under a limit, in UTF-8, their dialect known."""

import codecs
import csv
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import AnyStr

from workbench.core import Invalid, Limited

from .columns import clean_names

CHUNK = 1 << 20
CELL_BYTES = 1 << 24
SNIFFED_BYTES = 1 << 18
SNIFFED_LINES = 200
GZIP = b"\x1f\x8b"
MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "?", "<NA>")
"""What stands for a missing value in text files."""


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is written."""

    delimiter: str
    header: bool
    names: list[str]
    decimal: str
    warnings: list[str]


def plain_copy(file: Path, folder: Path, name: str, limit: int, head: int = 0) -> Path:
    """The bytes of a file, decompressed if they are gzip, as a file of ours.

    Args:
        file: What was given.
        folder: Where a copy may be made.
        name: What a person calls it.
        limit: The most bytes after decompression.
        head: Only about this many bytes, cut at the end of a line; all if 0.

    Raises:
        Limited: More than `limit` bytes come out.
        Invalid: The file is empty, or broken gzip.
    """
    with open(file, "rb") as source:
        start = source.read(2)
    if not start:
        raise Invalid(f"{name} is empty.", hint="Give a file with a header and rows.")
    if start != GZIP and not head:
        return file
    copy = folder / "plain"
    written = 0
    with open(copy, "wb") as out:
        for part in _unpacked(file, name) if start == GZIP else _parts(file):
            written += len(part)
            if written > limit:
                raise Limited(
                    f"{name} is more than {limit:,} bytes when decompressed.",
                    hint="Raise `upload_limit_bytes`, or register it in parts.",
                )
            out.write(part)
            if head and written >= head:
                break
    if head and written >= head:
        copy.write_bytes(_whole_lines(copy.read_bytes()[:head]))
    return copy


def _whole_lines(data: bytes) -> bytes:
    """The beginning of a text up to the end of a row: not inside a character or double quotes."""
    for mark, encoding in (
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            # The half of a character that may be left at the end is not in a whole line.
            text = data[len(mark) : len(data) & ~1].decode(encoding, "surrogatepass")
            whole = text[: _end_of_rows(text, "\n", '"')]
            return mark + whole.encode(encoding, "surrogatepass")
    return data[: _end_of_rows(data, b"\n", b'"')]


def _end_of_rows(data: AnyStr, newline: AnyStr, quote: AnyStr) -> int:
    """Where the last whole row ends; the end of all if there is none."""
    last = cut = data.rfind(newline)
    quotes = data.count(quote, 0, cut + 1)
    while cut > 0 and quotes % 2:
        before = data.rfind(newline, 0, cut)
        quotes -= data.count(quote, before + 1, cut + 1)
        cut = before
    # No such place: the quotes are no delimiters, as in JSON lines.
    cut = cut if cut > 0 else last
    return cut + 1 if cut > 0 else len(data)


def _parts(file: Path) -> Iterator[bytes]:
    with open(file, "rb") as source:
        while part := source.read(CHUNK):
            yield part


def _unpacked(file: Path, name: str) -> Iterator[bytes]:
    unpack, inside = zlib.decompressobj(wbits=31), False
    with open(file, "rb") as source:
        while data := source.read(CHUNK // 16):
            while data:
                if not inside and not (data := data.lstrip(b"\0")):
                    # Zeros after the last member fill a block, as `tar` and tapes do.
                    break
                try:
                    part = unpack.decompress(data, CHUNK)
                except zlib.error as error:
                    raise Invalid(
                        f"{name} is broken gzip: {error}.",
                        hint="Compress it again, or send it plain.",
                    ) from error
                if part:
                    yield part
                data, inside = unpack.unconsumed_tail, not unpack.eof
                if unpack.eof:
                    # A gzip file may have several members, one after the other.
                    data = unpack.unused_data
                    unpack = zlib.decompressobj(wbits=31)
    if inside:
        raise Invalid(f"{name} is cut off.", hint="Send the whole file.")


def in_utf8(file: Path, folder: Path, name: str) -> tuple[Path, list[str]]:
    """The text of a file in UTF-8, and what had to be guessed about its encoding.

    UTF-8 (with or without a mark) is taken as it is; UTF-16 by its mark; anything else is read
    line by line, as UTF-8 where it fits and as Windows-1252 where it does not.

    Raises:
        Invalid: It is no text.
    """
    with open(file, "rb") as source:
        start = source.read(1 << 16)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _transcoded(file, folder, "utf-16", name), [f"{name} was read as UTF-16."]
    if b"\0" in start or start.startswith((b"PAR1", b"PK\x03\x04", b"%PDF", b"\x89PNG")):
        raise Invalid(
            f"{name} is not text: it holds binary data.",
            hint="Give the right format, e.g. --format parquet, or export it as CSV.",
        )
    if _is_utf8(file):
        return file, []
    copy, odd = folder / "utf8", 0
    with open(file, "rb") as source, open(copy, "wb") as out:
        for line in source:
            try:
                line.decode()
            except UnicodeDecodeError:
                line = line.decode("cp1252", errors="replace").encode()
                odd += 1
            out.write(line)
    return copy, [f"{odd:,} lines of {name} are not UTF-8: they were read as Windows-1252."]


def _is_utf8(file: Path) -> bool:
    decode = codecs.getincrementaldecoder("utf-8")()
    try:
        for part in _parts(file):
            decode.decode(part)
        decode.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _transcoded(file: Path, folder: Path, encoding: str, name: str) -> Path:
    copy = folder / "utf8"
    try:
        with (
            open(file, encoding=encoding, newline="") as source,
            open(copy, "w", encoding="utf-8", newline="") as out,
        ):
            while part := source.read(CHUNK):
                out.write(part)
    except UnicodeDecodeError as error:
        raise Invalid(
            f"{name} is marked as {encoding} but is not: {error.reason}.", hint="Save it as UTF-8."
        ) from error
    return copy


def dialect_of(file: Path, name: str, delimiter: str = "") -> Dialect:
    """How a delimited file is written, from its first lines.

    Args:
        file: UTF-8 text.
        name: What a person calls it.
        delimiter: Use this one; guessed if empty.
    """
    with open(file, encoding="utf-8-sig", newline="") as source:
        text = source.read(SNIFFED_BYTES)
    if not text.strip():
        raise Invalid(f"{name} is empty.", hint="Give a file with a header and rows.")
    lines = text.splitlines(keepends=True)
    if len(text) == SNIFFED_BYTES and len(lines) > 1:
        lines.pop()
    candidates = [delimiter] if delimiter else [",", ";", "\t", "|"]
    scored = [(*_regular(lines, each), each) for each in candidates]
    _, _, chosen = max(scored, key=lambda each: each[:2])
    rows = [row for row in _records(lines, chosen) if row]
    if not rows:
        raise Invalid(f"{name} has no rows.", hint="Give a file with a header and rows.")
    first = rows[0]
    header = not any(_number(cell) for cell in first) or not any(
        _number(cell) for row in rows[1:] for cell in row
    )
    warnings = [] if header else [f"{name} has no header: its columns were numbered."]
    given = first if header else [f"column_{place}" for place in range(1, len(first) + 1)]
    names, told = clean_names(given)
    cells = [cell for row in rows[1:] for cell in row]
    commas = sum(bool(re.fullmatch(r"-?\d{1,3}(\.\d{3})*,\d+|-?\d+,\d+", c)) for c in cells)
    points = sum(bool(re.fullmatch(r"-?\d+\.\d+", cell)) for cell in cells)
    decimal = "," if chosen != "," and commas > points else "."
    if decimal == ",":
        warnings.append(f"{name} writes decimals with a comma; they were read as numbers.")
    return Dialect(chosen, header, names, decimal, warnings + told)


def _records(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(CELL_BYTES)
    try:
        for number, row in enumerate(csv.reader(lines, delimiter=delimiter)):
            if number >= SNIFFED_LINES:
                return
            yield row
    except csv.Error:
        # A NUL or an endless field: the reader of the whole file says where.
        return


def _regular(lines: list[str], delimiter: str) -> tuple[float, int]:
    """How well a delimiter fits: the share of rows as wide as the first, and that width."""
    widths = [len(row) for row in _records(lines, delimiter) if row]
    if not widths or widths[0] < 2:
        return 0.0, 1
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def _number(cell: str) -> bool:
    return bool(re.fullmatch(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*", cell))


def first_ragged(file: Path, dialect: Dialect) -> tuple[int, int, int] | None:
    """The first line that is not as wide as the header: (line, its values, the header's)."""
    width = len(dialect.names)
    csv.field_size_limit(CELL_BYTES)
    with open(file, encoding="utf-8-sig", newline="") as source:
        reader = csv.reader(source, delimiter=dialect.delimiter)
        try:
            for row in reader:
                if row and len(row) != width:
                    return reader.line_num, len(row), width
        except csv.Error:
            # An endless field: what the reader of the whole file says stands.
            return None
    return None
