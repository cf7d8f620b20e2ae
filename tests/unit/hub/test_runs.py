"""The file of runs."""

import sqlite3
import time
from pathlib import Path

import pytest

from workbench.hub.kernels import runs as module
from workbench.hub.kernels.runs import Run, Runs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def run(id: str = "r1", cell: str = "a", window: str = "w", kernel: str = "k") -> Run:
    return Run(id, kernel, cell, "1 + 1", "n.ipynb", window, {"msg_id": id}, time.time())


def said(text: str) -> dict[str, str]:
    return {"name": "stdout", "text": text}


def test_two_processes_see_the_same(file: Path) -> None:
    server, keeper = Runs(file), Runs(file)
    server.ask(run())
    assert keeper.knows("r1")
    keeper.add([("r1", "stream", said("a"))], begun={"r1": 3})
    keeper.add([("r1", "stream", said("b"))], ended={"r1": "ok"})
    assert [row.content["text"] for row in server.rows("r1")] == ["a", "b"]
    assert [row.content["text"] for row in server.rows("r1", server.rows("r1")[0].number)] == ["b"]
    found = server.find("r1")
    assert found is not None
    assert (found.count, found.how, found.header) == (3, "ok", {"msg_id": "r1"})
    assert found.ended is not None and found.written is None
    server.close()
    keeper.close()


def test_what_is_no_cells_is_not_kept(file: Path) -> None:
    runs = Runs(file)
    assert not runs.knows("unknown")
    runs.add([("unknown", "stream", said("a"))], begun={"unknown": 1}, ended={"unknown": "ok"})
    assert runs.rows("unknown") == []
    assert runs.find("unknown") is None
    runs.close()


def test_a_cell_that_is_run_again_forgets_what_it_printed(file: Path) -> None:
    runs = Runs(file)
    runs.ask(run("r1"))
    runs.add([("r1", "stream", said("old"))])
    runs.ask(run("r2"))
    assert runs.find("r1") is None and runs.rows("r1") == []
    runs.add([("r1", "stream", said("late"))])  # Its kernel goes on printing.
    assert runs.rows("r1") == []
    # Another kernel runs it: what the first one still prints has its place until it ended.
    runs.ask(run("r3", kernel="another"))
    assert runs.find("r2") is not None
    runs.ask(run("r2"))  # Said twice, it is one.
    assert len(runs.unended()) == 2
    runs.add([], ended={"r2": "ok"})
    runs.ask(run("r4", kernel="a third"))
    assert runs.find("r2") is None
    runs.close()


def test_rows_and_ends_are_kept_together_or_not_at_all(file: Path) -> None:
    runs = Runs(file)
    runs.ask(run())
    with pytest.raises(TypeError):
        rows = [("r1", "stream", said("a")), ("r1", "stream", {"bad": object()})]
        runs.add(rows, ended={"r1": "ok"})
    assert runs.rows("r1") == []
    assert [each.id for each in runs.unended("k")] == ["r1"]
    runs.close()


def test_an_end_is_said_once(file: Path) -> None:
    runs = Runs(file)
    runs.ask(run())
    runs.add([], ended={"r1": "died"})
    runs.add([], ended={"r1": "ok"})
    found = runs.find("r1")
    assert found is not None and found.how == "died"
    # A kernel in the place of one that died does what was asked of that.
    runs.add([], begun={"r1": 1})
    runs.add([], ended={"r1": "ok"})
    found = runs.find("r1")
    assert found is not None and found.how == "ok"
    runs.close()


def test_a_long_run_keeps_what_its_cell_shows(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2000)
    runs = Runs(file)
    runs.ask(run())
    for n in range(100):
        runs.add([("r1", "stream", said(f"\r{n} %"))])
    before = runs.last("r1")
    assert runs.compact("r1") < 200
    (row,) = runs.rows("r1")
    assert row.kind == "outputs" and row.number > before
    assert row.content["outputs"][0]["text"].strip() == "99 %"
    runs.add([("r1", "stream", said("\n" + "é" * 5000))])
    assert runs.compact("r1") <= 2000
    assert "not kept" in runs.rows("r1")[0].content["outputs"][0]["text"]
    runs.close()


def test_another_window_gets_it(file: Path) -> None:
    runs = Runs(file)
    runs.ask(run())
    runs.written("r1")
    assert runs.unwritten() == []
    handed = runs.hand_over("r1", "other", {"msg_id": "mine"})
    assert handed is not None and (handed.window, handed.header) == ("other", {"msg_id": "mine"})
    assert (
        [each.id for each in runs.of_window("other")]
        == ["r1"]
        == [each.id for each in runs.unwritten()]
    )
    assert runs.hand_over("gone", "other", {}) is None
    runs.close()


def test_nobody_comes_back_after_a_day(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(file)
    runs.ask(run("r1", "a"))
    runs.ask(run("r2", "b"))
    runs.add([("r1", "stream", said("a"))], ended={"r1": "ok"})
    runs.sweep()
    assert runs.find("r1") is not None
    monkeypatch.setattr(module, "KEPT_S", -1.0)
    runs.sweep()
    assert runs.find("r1") is None and runs.rows("r1") == []
    assert runs.find("r2") is not None
    runs.close()


def test_a_damaged_file_is_put_aside(file: Path) -> None:
    file.write_bytes(b"this is no database" * 100)
    runs = Runs(file)
    runs.ask(run())
    assert runs.find("r1") is not None
    assert list(file.parent.glob("runs.db.damaged-*"))
    runs.close()


def test_a_full_disk_is_said(file: Path) -> None:
    runs = Runs(file)
    runs.ask(run())
    runs._db.execute("PRAGMA max_page_count = 8")
    with pytest.raises(sqlite3.OperationalError):
        for _ in range(100):
            runs.add([("r1", "stream", said("x" * 4000))])
    assert runs.find("r1") is not None
    runs.close()


def test_where_nothing_can_be_written_it_lies_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who starts first decides, and the others find it."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "full" / "file"))
    (tmp_path / "full").write_text("no folder")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.delenv("STUDIO_RUNS", raising=False)
    keeper = module.own_runs()
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "free"))
    server = module.own_runs()
    server.ask(run())
    assert keeper.knows("r1")
    keeper.close()
    server.close()
