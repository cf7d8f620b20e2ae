"""Products: versions, names, queries, profiles, and what a crash leaves."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from workbench.core import Conflict, Context, Invalid, Limited, NotFound, WorkbenchError, call_here

Register = Callable[..., Any]
Rows = Callable[[str], list[list[Any]]]


def test_a_name_registered_again_is_the_next_version(register: Register, rows: Rows) -> None:
    first = register("a,b\n1,2\n", name="t", description="One.")
    second = register("a,c\n3,x\n4,y\n", name="t")
    assert (second.id, second.version, second.description) == (first.id, 1, "One.")
    assert rows("t") == [[3, "x"], [4, "y"]]
    assert rows("t@0") == rows(first.ref) == [[1, 2]]
    assert first.digest != second.digest


def test_the_same_rows_have_the_same_digest(register: Register) -> None:
    assert register("a\n1\n", name="x").digest == register("a\n1\n", name="y").digest


def test_a_version_that_is_not_there_says_which_are(ctx: Context, register: Register) -> None:
    register("a\n1\n", name="t")
    with pytest.raises(NotFound) as caught:
        call_here(ctx.fresh(), "data.preview", {"product": "t", "version": 7})
    assert caught.value.hint == "It has 0 to 0."


@pytest.mark.parametrize("name", ["a b", "../x", "é", "x" * 65, "-x"])
def test_a_name_that_cannot_be(register: Register, name: str) -> None:
    with pytest.raises(Invalid, match="cannot be called") as caught:
        register("a\n1\n", name=name)
    assert "for example" in caught.value.hint


def test_a_sensitive_column_that_is_not_there_names_its_neighbours(register: Register) -> None:
    with pytest.raises(Invalid) as caught:
        register("gender,x\nf,1\n", sensitive=["genders"])
    assert caught.value.hint == "Near: gender."


def test_the_same_name_twice_at_once_loses_nothing(
    ctx: Context, register: Register, rows: Rows
) -> None:
    done: list[Any] = []

    def one(value: int) -> None:
        try:
            done.append(register(f"a\n{value}\n", f"t{value}.csv", name="same"))
        except WorkbenchError as error:
            done.append(error)

    threads = [threading.Thread(target=one, args=(value,)) for value in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [each for each in done if not isinstance(each, Exception)]
    assert made and all(isinstance(e, Conflict) for e in done if isinstance(e, Exception))
    found = call_here(ctx.fresh(), "data.versions", {"product": "same"}).items
    assert sorted(each.version for each in made) == [each.version for each in found]
    for each in made:
        assert rows(each.ref) == [[int(each.source[1])]]
    assert len(list((ctx.folder / "delta").glob("*"))) == 1


CRASH = """
import os, sys
from pathlib import Path
import workbench
from workbench.core import Actor, Context, Engines, call_here, load_settings
workbench.load_rooms()
import workbench.core.door as door
engines = Engines(load_settings(home=Path(sys.argv[1])))
ctx = Context(Actor(name="ada"), sys.argv[2], engines)
where = sys.argv[3]
if where == "before the commit":
    door.commit = lambda *a, **k: os.kill(os.getpid(), 9)
else:
    import workbench.data.ingest as ingest
    import workbench.data.actions
    written = ingest._columns
    ingest._columns = lambda *a: os.kill(os.getpid(), 9)
call_here(ctx, "data.register", {"source": "t.csv", "name": "t"}, key="k")
"""


@pytest.mark.parametrize("where", ["before the commit", "after the table is written"])
def test_a_kill_between_table_and_record_leaves_the_old_version(
    ctx: Context, register: Register, rows: Rows, where: str
) -> None:
    register("a\n1\n", name="t")
    (ctx.folder / "files" / "t.csv").write_text("a\n2\n")
    killed = subprocess.run(
        [sys.executable, "-c", CRASH, str(ctx.home), ctx.project, where],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert killed.returncode == -signal.SIGKILL
    assert rows("t") == [[1]]
    request = {"source": "t.csv", "name": "t"}
    again = call_here(ctx.fresh(), "data.register", request, key="k")
    assert again.version == 1 and rows("t") == [[2]] and rows("t@0") == [[1]]
    assert call_here(ctx.fresh(), "data.register", request, key="k") == again


def test_a_full_disk_leaves_the_old_version(
    ctx: Context, register: Register, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("a\n1\n", name="t")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("workbench.data.ingest.write_deltalake", full)
    with pytest.raises(Limited, match="The disk is full"):
        register("a\n2\n", name="t")
    assert rows("t") == [[1]]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2", "COPY t TO 'x.csv'", "DROP TABLE t", "ATTACH 'x.db'", "PRAGMA x",
        "SET memory_limit = '9GB'", "INSERT INTO t VALUES (1)", "CREATE TABLE u AS SELECT 1",
        "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'", "INSTALL httpfs", "LOAD httpfs", "SELEC 1", "",
        "SELECT * FROM glob('/*')", "EXPORT DATABASE 'x'", "CALL pragma_version()",
    ],
)  # fmt: skip
def test_a_query_can_only_select_products(ctx: Context, register: Register, sql: str) -> None:
    register("a\n1\n", name="t")
    with pytest.raises(Invalid) as caught:
        call_here(ctx.fresh(), "data.query", {"sql": sql})
    assert caught.value.hint and "\n" not in str(caught.value)


def test_a_query_joins_versions(ctx: Context, register: Register) -> None:
    register("id,v\n1,10\n2,20\n", name="t")
    register("id,v\n1,11\n2,20\n", name="t")
    sql = 'SELECT t.id, t.v - o.v AS change FROM t JOIN "t@0" AS o USING (id) ORDER BY id'
    found = call_here(ctx.fresh(), "data.query", {"sql": sql})
    assert found.rows == [[1, 1], [2, 0]]


def test_an_endless_query_is_stopped(
    ctx: Context, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ctx.settings.model_copy(update={"query_limit_s": 0.5})
    monkeypatch.setattr(ctx.engines, "settings", short)
    sql = "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range * b.range = 7"
    with pytest.raises(Limited, match=r"took longer than 0\.5 s"):
        call_here(ctx.fresh(), "data.query", {"sql": sql})


def test_another_project_does_not_see_products(ctx: Context, register: Register) -> None:
    made = register("a\n1\n", name="t")
    other = call_here(ctx.fresh(), "projects.create_project", {"name": "other"})
    for request in ({"product": made.ref}, {"product": "t"}):
        with pytest.raises(NotFound):
            call_here(ctx.fresh(project=other.id), "data.preview", request)
    with pytest.raises(Invalid):
        call_here(ctx.fresh(project=other.id), "data.query", {"sql": "SELECT * FROM t"})


def test_a_profile_tells_what_to_look_at(ctx: Context, register: Register) -> None:
    lines = [
        f"{i},{'f' if i % 3 else 'm'},{i % 7 or ''},{'late' if i % 2 else 'ok'},"
        f"{'yes' if i % 2 else 'no'},same"
        for i in range(200)
    ]
    made = register("id,sex,n,paid,churn,one\n" + "\n".join(lines) + "\n")
    found = call_here(ctx.fresh(), "data.profile", {"product": made.ref, "target": "churn"})
    by_name = {each.name: each for each in found.columns}
    assert by_name["id"].key and not by_name["sex"].key
    assert by_name["sex"].looks_sensitive == "sex"
    assert by_name["n"].missing == sum(1 for i in range(200) if i % 7 == 0)
    assert "Constant" in by_name["one"].notes[0]
    assert sum(each.count for each in by_name["n"].bins) == by_name["n"].count
    assert any(sentence.startswith("paid alone tells churn") for sentence in found.leakage)
    assert found.duplicates == 0


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow"])
def test_a_download_registers_as_the_same_rows(
    ctx: Context, register: Register, rows: Rows, format: str
) -> None:
    made = register("a,b,c\n1,x,0.5\n2,,1.5\n")
    blob = call_here(ctx.fresh(), "data.download", {"product": made.ref, "format": format})
    again = call_here(ctx.fresh(), "data.register", {"source": f"blob:{blob.id}", "name": "again"})
    assert rows(again.ref) == rows(made.ref)


def test_a_query_becomes_a_product(ctx: Context, register: Register, rows: Rows) -> None:
    register("a,b\n1,x\n2,y\n", name="t")
    made = call_here(
        ctx.fresh(), "data.register", {"source": "sql:SELECT b FROM t WHERE a > 1", "name": "u"}
    )
    assert (made.source, rows("u")) == ("query", [["y"]])
