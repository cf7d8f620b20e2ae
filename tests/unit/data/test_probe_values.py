"""No value is lost or changed silently on its way in, and none breaks a look at it."""

import codecs
import gzip
import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from workbench.core import Context, Invalid, NotFound, blobs, call_here
from workbench.data.text import plain_copy

Register = Callable[..., Any]
Rows = Callable[[str], list[list[Any]]]


def parquet(array: pa.Array) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"c": array}), out)
    return out.getvalue()


PACKED = gzip.compress(b"a,b\n" + b"1,2\n" * 1000)


def test_gzip_without_its_end_is_cut_off(register: Register) -> None:
    with pytest.raises(Invalid, match="is cut off"):
        register(PACKED[:-4], "t.csv.gz")


def test_gzip_members_and_padding_are_read(register: Register) -> None:
    product = register(PACKED + gzip.compress(b"3,4\n") + b"\0" * 700, "t.csv.gz")
    assert product.rows == 1001


DATES = {
    "iso": ("2020-01-02", "2020-12-31", ["2020-01-02", "2020-12-31"]),
    "clock": (
        "2020-01-02 10:00",
        "2020-01-02T10:00:01.5",
        ["2020-01-02T10:00:00", "2020-01-02T10:00:01.500000"],
    ),
    "dots": ("01.02.2020", "03.04.2020", ["2020-02-01", "2020-04-03"]),
    "day first": ("01/02/2020", "13/04/2020", ["2020-02-01", "2020-04-13"]),
    "month first": ("01/02/2020", "04/13/2020", ["2020-01-02", "2020-04-13"]),
    "either first": ("01/02/2020", "03/04/2020", ["01/02/2020", "03/04/2020"]),
    "two digits": ("01/02/20", "03/04/21", ["01/02/20", "03/04/21"]),
    "mixed": ("2020-01-02", "03/04/2020", ["2020-01-02", "03/04/2020"]),
    "nanoseconds": (
        "2020-01-02 10:00:00.123456789",
        "2020-01-02 10:00:00.123456788",
        ["2020-01-02 10:00:00.123456789", "2020-01-02 10:00:00.123456788"],
    ),
    "infinite": ("inf", "-inf", [None, None]),
    "beyond 64 bits": (
        "12345678901234567890",
        "12345678901234567891",
        ["12345678901234567890", "12345678901234567891"],
    ),
}


@pytest.mark.parametrize("kind", DATES)
def test_a_text_is_only_turned_into_what_it_says(register: Register, rows: Rows, kind: str) -> None:
    first, second, expected = DATES[kind]
    product = register(f"n,c\n1,{first}\n2,{second}\n")
    assert [row[1] for row in rows(product.ref)] == expected
    if kind in ("either first", "beyond 64 bits"):
        assert "stays text" in product.warnings[0]


def test_a_time_is_told_from_all_rows(register: Register, rows: Rows) -> None:
    product = register("n,c\n" + "1,2020-01-02\n" * 3000 + "2,soon\n")
    assert [each.type for each in product.columns] == ["int64", "string"]


ODD = {
    "duration": (pa.array([90, None], pa.duration("s")), ["PT90S", None]),
    "short duration": (pa.array([90, 1000], pa.duration("ms")), ["PT0.09S", "PT1S"]),
    "bytes": (pa.array([b"abc", b"\xff\x00"]), ["abc", "0xff00"]),
    "decimal": (
        pa.array(["12345678901234567890.12345", "0.5"]).cast(pa.decimal128(25, 5)),
        ["12345678901234567890.12345", 0.5],
    ),
    "zone": (
        pa.array([0, None], pa.timestamp("ms", tz="Europe/Berlin")),
        ["1970-01-01T00:00:00+00:00", None],
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_type_can_be_looked_at(
    ctx: Context, register: Register, rows: Rows, kind: str
) -> None:
    array, expected = ODD[kind]
    product = register(parquet(array), "t.parquet")
    assert [row[0] for row in rows(product.ref)] == expected
    found = call_here(ctx.fresh(), "data.profile", {"product": product.ref, "target": "c"})
    assert found.columns[0].count == 2 - expected.count(None)


def test_a_query_of_instants(ctx: Context, register: Register) -> None:
    register(parquet(pa.array([0], pa.timestamp("us", tz="UTC"))), "t.parquet")
    found = call_here(ctx.fresh(), "data.query", {"sql": "SELECT c, c, [c] AS l FROM t; -- all"})
    assert found.rows[0][:2] == ["1970-01-01T00:00:00+00:00"] * 2
    assert found.columns[0].type == "TIMESTAMP WITH TIME ZONE"


@pytest.mark.parametrize(
    "array",
    [
        pa.array([2**31 - 1], pa.date32()),
        pa.array([10**14], pa.timestamp("s")),
        pa.array([10**18], pa.timestamp("us")),
    ],
)
def test_a_time_beyond_all_calendars_is_refused(register: Register, array: pa.Array) -> None:
    with pytest.raises(Invalid, match="The column 'c' holds"):
        register(parquet(array), "t.parquet")


def test_what_is_finer_than_a_microsecond_is_said(register: Register) -> None:
    product = register(parquet(pa.array([1999], pa.timestamp("ns"))), "t.parquet")
    assert "c is kept to the microsecond" in product.warnings[0]


BAD = {
    "deep json": ('{"a":' * 2000 + "1" + "}" * 2000 + "\n", "t.jsonl", "nested too deeply"),
    "an array": ('{"a": 1}\n[1]\n', "t.jsonl", "Line 2 of t.jsonl is no JSON object"),
    "pretty array": ('[\n {"a": 1}\n]\n', "t.json", "is one JSON array"),
    "a key twice": ('{"a": 1, "a": 2}\n', "t.jsonl", "t.jsonl cannot be read"),
    "endless cell": ("a,b\n1," + "x" * (1 << 24) + "\n", "t.csv", "t.csv cannot be read"),
    "three line endings": ("a,b\n1,2\r\n3,4\r5,6\n", "t.csv", "lines end in several ways"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_broken_file_is_one_sentence_of_ours(register: Register, kind: str) -> None:
    content, file, sentence = BAD[kind]
    with pytest.raises(Invalid, match=sentence) as caught:
        register(content, file)
    assert "/tmp" not in str(caught.value) and "workbench-" not in str(caught.value)


def test_json_texts_among_numbers_have_no_quotes(register: Register, rows: Rows) -> None:
    product = register('{"a": 1}\n{"a": "y"}\n', "t.jsonl")
    assert rows(product.ref) == [["1"], ["y"]]


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
@pytest.mark.parametrize("head", [22, 23, 24, 25, 26, 27, 28])
def test_the_beginning_ends_where_a_row_does(tmp_path: Any, mark: bytes, head: int) -> None:
    """Not inside a value that has a line's end in it, nor inside a character."""
    encoding = {b"": "utf-8", codecs.BOM_UTF16_LE: "utf-16-le"}.get(mark, "utf-16-be")
    file = tmp_path / "long.csv"
    file.write_bytes(mark + ("a,b\n" + '1,"é😀\n"\n' * 9).encode(encoding))
    most = head * (2 if mark else 1)
    found = plain_copy(file, tmp_path, "long.csv", 10**6, head=most).read_bytes()
    assert len(found) <= most and found.startswith(mark)
    text = found[len(mark) :].decode(encoding)
    assert text == "a,b\n" + '1,"é😀\n"\n' * text.count("1")
    assert "1" in text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8"])
def test_the_beginning_of_a_long_file(
    ctx: Context, register: Register, tmp_path: Any, encoding: str
) -> None:
    file = tmp_path / "long.csv"
    file.write_bytes(("a,b\n" + '1,"é\n"\n' * 400_000).encode(encoding))
    blob = ctx.engine(blobs).link(ctx.project, file)
    found = call_here(ctx.fresh(), "data.inspect", {"source": f"blob:{blob.id}"})
    assert found.rows[0][0] == 1


@pytest.mark.parametrize(
    ("action", "request_", "error"),
    [
        ("data.get_product", {"id": f"t@{10**30}"}, NotFound),
        ("data.preview", {"product": "t", "version": 10**30}, NotFound),
        ("data.query", {"sql": f'SELECT * FROM "t@{10**30}"'}, NotFound),
        ("data.list_products", {"limit": -5}, Invalid),
        ("data.register", {"source": "sql:SELECT b::INT FROM t", "name": "u"}, Invalid),
    ],
)
def test_a_figure_out_of_range_is_no_bug(
    ctx: Context, register: Register, action: str, request_: dict[str, Any], error: Any
) -> None:
    register("a,b\n1,x\n", name="t")
    with pytest.raises(error) as caught:
        call_here(ctx.fresh(), action, request_)
    assert caught.value.hint
    far = call_here(ctx.fresh(), "data.preview", {"product": "t", "offset": 10**30})
    assert far.rows == []


def test_a_download_that_fails_leaves_no_file(
    ctx: Context, register: Register, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    made = register("a\n1\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pyarrow.parquet, "ParquetWriter", full)
    with pytest.raises(OSError, match="No space"):
        call_here(ctx.fresh(), "data.download", {"product": made.ref})
    assert list((tmp_path / "scratch").iterdir()) == []
