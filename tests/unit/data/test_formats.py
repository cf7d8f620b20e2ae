"""Every format comes in as the same rows, and every bad input as one sentence."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.core import Context, Invalid, Limited, NotFound, WorkbenchError, call_here

TABLE = pa.table({"name": ["Ann", "Bo", None], "age": [31, None, 40], "share": [0.5, 1.25, 2.0]})
ROWS = [["Ann", 31, 0.5], ["Bo", None, 1.25], [None, 40, 2.0]]
CSV = "name,age,share\nAnn,31,0.5\nBo,,1.25\n,40,2.0\n"


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()


def arrow(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pyarrow.feather.write_feather(table, out)
    return out.getvalue()


def excel(rows: list[list[Any]]) -> bytes:
    """A small workbook, written by hand: the reader is what is tested."""

    def cell(value: Any) -> str:
        if value is None:
            return "<c/>"
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    sheet = "".join(f"<row>{''.join(cell(v) for v in row)}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/s.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="People" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/s.xml"/>'
        "</Relationships>",
        "xl/worksheets/s.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData>'
        "</worksheet>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


LINES = "\n".join(
    json.dumps({k: v for k, v in row.items() if v is not None} | {"name": row["name"]})
    for row in TABLE.to_pylist()
)

GOOD: dict[str, tuple[str, bytes | str]] = {
    "csv": ("t.csv", CSV),
    "with a mark": ("t.csv", b"\xef\xbb\xbf" + CSV.encode()),
    "utf-16": ("t.csv", CSV.encode("utf-16")),
    "crlf": ("t.csv", CSV.replace("\n", "\r\n")),
    "no last newline": ("t.csv", CSV.rstrip("\n")),
    "semicolons": ("t.txt", CSV.replace(",", ";")),
    "pipes": ("t.txt", CSV.replace(",", "|")),
    "decimal commas": ("t.csv", CSV.replace(",", ";").replace(".", ",")),
    "tsv": ("t.tsv", CSV.replace(",", "\t")),
    "quotes": ("t.csv", '"name","age","share"\n"Ann",31,0.5\n"Bo",,1.25\n,40,2.0\n'),
    "marks of missing": ("t.csv", "name,age,share\nAnn,31,0.5\nBo,NA,1.25\n?,40,2.0\n"),
    "spaces": ("t.csv", "name, age, share\n Ann, 31, 0.5\nBo , ?,1.25\n ?,40, 2.0\n"),
    "gzip": ("t.csv.gz", gzip.compress(CSV.encode())),
    "json lines": ("t.jsonl", LINES),
    "parquet": ("t.parquet", parquet(TABLE)),
    "parquet by content": ("t.csv", parquet(TABLE)),
    "arrow": ("t.arrow", arrow(TABLE)),
    "excel": ("t.xlsx", excel([["name", "age", "share"], *ROWS])),
}


@pytest.mark.parametrize("kind", GOOD)
def test_every_format_is_the_same_rows(
    register: Callable[..., Any], rows: Callable[[str], list[list[Any]]], kind: str
) -> None:
    file, content = GOOD[kind]
    product = register(content, file)
    assert [each.name for each in product.columns] == ["name", "age", "share"]
    assert rows(product.ref) == ROWS
    assert (product.name, product.version, product.rows) == ("t", 0, 3)


BAD: dict[str, tuple[bytes | str, str, type[WorkbenchError], str]] = {
    "empty": (b"", "t.csv", Invalid, "t.csv is empty."),
    "only a header": ("a,b\n", "t.csv", Invalid, "t.csv has no rows."),
    "too short a line": (
        "a,b,c\n1,2,3\n4,5\n",
        "t.csv",
        Invalid,
        "Line 3 of t.csv has 2 values, the header has 3: the column 'c'",
    ),
    "too long a line": (
        "a,b\n1,2\n3,4,5\n",
        "t.csv",
        Invalid,
        "Line 3 of t.csv has 3 values, the header has 2",
    ),
    "binary": (bytes(range(256)) * 20, "t.csv", Invalid, "t.csv is not text"),
    "half a parquet": (
        parquet(TABLE)[:-20],
        "t.parquet",
        Invalid,
        "t.parquet is no whole Parquet file",
    ),
    "half an arrow": (arrow(TABLE)[:200], "t.arrow", Invalid, "t.arrow is"),
    "json array": ('[{"a": 1}]', "t.json", Invalid, "t.json is one JSON array."),
    "bad json": ('{"a": 1}\n{"a": \n', "t.jsonl", Invalid, "Line 2 of t.jsonl is not JSON"),
    "too wide": (
        ",".join(f"c{i}" for i in range(20_000)) + "\n" + ",".join("1" for _ in range(20_000)),
        "t.csv",
        Limited,
        "t.csv has 20,000 columns; at most 2,000 are allowed.",
    ),
    "no excel": (b"PK\x03\x04" + b"x" * 100, "t.xlsx", Invalid, "t.xlsx is no Excel workbook"),
    "broken gzip": (b"\x1f\x8bnothing of the kind", "t.csv.gz", Invalid, "is broken gzip"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_sentence_with_a_hint(
    ctx: Context, register: Callable[..., Any], kind: str
) -> None:
    content, file, error, sentence = BAD[kind]
    with pytest.raises(error) as caught:
        register(content, file)
    assert sentence in str(caught.value)
    assert caught.value.hint and "\n" not in str(caught.value)
    assert call_here(ctx.fresh(), "data.list_products", {}).items == []
    assert list((ctx.folder / "delta").glob("*")) == []


def test_a_gzip_bomb_is_stopped_on_the_way(
    ctx: Context, register: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ctx.settings.model_copy(update={"upload_limit_bytes": 1_000_000})
    monkeypatch.setattr(ctx.engines, "settings", small)
    with pytest.raises(Limited, match="is more than 1,000,000 bytes when decompressed"):
        register(gzip.compress(b"a,b\n" + b"1,2\n" * 10_000_000), "t.csv.gz")


def test_names_are_made_usable(register: Callable[..., Any]) -> None:
    product = register('a,a,A,,"x ""y""\u0007",Größe\n1,2,3,4,5,6\n')
    assert [c.name for c in product.columns] == ["a", "a_2", "A_3", "column_4", 'x "y"', "Größe"]
    assert len(product.warnings) >= 4


def test_hostile_names_do_no_harm(
    ctx: Context, register: Callable[..., Any], rows: Callable[[str], list[list[Any]]]
) -> None:
    names = ["'; DROP TABLE x; --", "<script>alert(1)</script>", "../../etc", "${HOME}", "a\tb"]
    header = ",".join('"' + each + '"' for each in names)
    product = register(f"{header}\n1,2,3,4,5\n6,7,8,9,x\n")
    assert rows(product.ref) == [[1, 2, 3, 4, "5"], [6, 7, 8, 9, "x"]]
    found = call_here(ctx.fresh(), "data.profile", {"product": product.ref})
    assert len(found.columns) == 5


def test_mixed_encodings_are_read_and_said(
    register: Callable[..., Any], rows: Callable[[str], list[list[Any]]]
) -> None:
    product = register("name,n\nJosé,1\n".encode() + "Müller,2\n".encode("cp1252"))
    assert rows(product.ref) == [["José", 1], ["Müller", 2]]
    assert "1 lines of t.csv are not UTF-8" in product.warnings[0]


def test_yes_and_no_stay_what_they_are(
    register: Callable[..., Any], rows: Callable[[str], list[list[Any]]]
) -> None:
    product = register("x,ok\n1,yes\n2,no\n")
    assert rows(product.ref) == [[1, "yes"], [2, "no"]]


def test_a_type_is_told_from_all_rows(
    register: Callable[..., Any], rows: Callable[[str], list[list[Any]]]
) -> None:
    product = register("x,y\n" + "1,a\n" * 30_000 + "z,b\n")
    assert [each.type for each in product.columns] == ["string", "string"]
    assert product.rows == 30_001


def test_odd_arrow_types_become_what_delta_knows(
    register: Callable[..., Any], rows: Callable[[str], list[list[Any]]]
) -> None:
    table = pa.table(
        {
            "u": pa.array([1, 2], pa.uint16()),
            "d": pa.array(["a", "b"]).dictionary_encode(),
            "l": pa.array([[1, 2], None]),
            "t": pa.array([0, 1], pa.timestamp("ns")),
            "n": pa.nulls(2),
            "h": pa.array([1.5, 2.5], pa.float16()),
        }
    )
    found = rows(register(parquet(table), "t.parquet").ref)
    assert found[0][:3] == [1, "a", "[1, 2]"] and found[1][2] is None
    assert found[0][3] == "1970-01-01T00:00:00" and found[0][4:] == [None, 1.5]


def test_a_value_too_large_for_delta_names_its_column(register: Callable[..., Any]) -> None:
    table = pa.table({"big": pa.array([2**64 - 1], pa.uint64())})
    with pytest.raises(Invalid, match="The column 'big' holds values that do not fit int64"):
        register(parquet(table), "t.parquet")


def test_a_duration_becomes_text(
    register: Callable[..., Any], rows: Callable[[str], list[list[Any]]]
) -> None:
    table = pa.table({"took": pa.array([90], pa.duration("s"))})
    assert rows(register(parquet(table), "t.parquet").ref) != [[None]]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("../secret.csv", Invalid),
        ("/etc/passwd", Invalid),
        ("link.csv", Invalid),
        ("linked/secret.csv", Invalid),
        ("pipe", Invalid),
        ("folder", Invalid),
        ("nothing.csv", NotFound),
        ("", Invalid),
        ("a\0b", Invalid),
    ],
)
def test_a_path_out_of_the_project_is_not_followed(
    ctx: Context, tmp_path: Path, path: str, error: type[WorkbenchError]
) -> None:
    import os

    files = ctx.folder / "files"
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("a\n1\n")
    (files / "link.csv").symlink_to(outside / "secret.csv")
    (files / "linked").symlink_to(outside)
    (files / "folder").mkdir()
    os.mkfifo(files / "pipe")
    with pytest.raises(error) as caught:
        call_here(ctx.fresh(), "data.register", {"source": path, "name": "x"})
    assert caught.value.hint


def test_a_file_of_the_project_is_registered(ctx: Context) -> None:
    (ctx.folder / "files" / "in").mkdir()
    (ctx.folder / "files" / "in" / "my table [1].csv").write_text(CSV)
    made = call_here(ctx.fresh(), "data.register", {"source": "in/my table [1].csv"})
    assert (made.name, made.rows) == ("my_table_1", 3)


cells = st.one_of(
    st.none(),
    st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=8).filter(
        lambda text: (
            text == text.strip()
            and text not in ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "?", "<NA>")
            and not text[:1].isdigit()
            and text[:1] not in "+-.i"
            and not text.startswith("\ufeff")
        )
    ),
)


@given(st.lists(st.tuples(cells, st.integers(-(2**53), 2**53)), min_size=1, max_size=20))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_frame_comes_back_as_it_was(
    register: Callable[..., Any],
    rows: Callable[[str], list[list[Any]]],
    values: list[tuple[str | None, int]],
) -> None:
    frame = pd.DataFrame(values, columns=["text", "number"])
    product = register(frame.to_csv(index=False), "t.csv", name="same")
    assert rows(product.ref) == [[None if text is None else text, n] for text, n in values]
