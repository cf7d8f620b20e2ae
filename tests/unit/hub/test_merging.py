"""A file's change is carried into a shared document: what either side wrote is there once."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jupyter_ydoc import YFile, YNotebook
from pycrdt import Doc

from workbench.hub import merging


def cell(id: str, source: str = "", kind: str = "code") -> dict[str, Any]:
    made: dict[str, Any] = {"id": id, "cell_type": kind, "source": source, "metadata": {}}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def book(*cells: dict[str, Any], minor: int = 5) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": minor, "metadata": {}, "cells": list(cells)}


def notebook(content: dict[str, Any]) -> YNotebook:
    made = YNotebook(Doc())
    made.set(content)
    return made


def copy_of(document: Any) -> Any:
    made = type(document)(Doc())
    made.ydoc.apply_update(document.ydoc.get_update())
    return made


def told(document: YNotebook) -> list[tuple[str, str]]:
    return [(each["id"], each["source"]) for each in document.get()["cells"]]


WORDS = st.text(alphabet="ab\nä€😀", max_size=12)
BOOKS = st.lists(st.tuples(st.sampled_from("pqrstuv"), WORDS), unique_by=lambda x: x[0]).map(
    lambda cells: book(*(cell(id, source) for id, source in cells))
)


@settings(deadline=None)
@given(BOOKS, BOOKS)
def test_without_other_edits_the_document_becomes_the_file(
    before: dict[str, Any], now: dict[str, Any]
) -> None:
    live = notebook(before)
    merging.carry(live, copy_of(live), now)
    wanted = [(each["id"], each["source"]) for each in now["cells"]]
    assert told(live) == wanted
    if now["cells"]:
        assert merging.distance(live.get(), now) == 0


@settings(deadline=None)
@given(BOOKS, st.data())
def test_what_was_typed_since_stays_and_is_there_once(before: dict[str, Any], data: Any) -> None:
    live = notebook(before)
    agreed = copy_of(live)
    number = data.draw(st.integers(0, len(live.ycells) - 1))
    source = live.ycells[number]["source"]
    places = [len(str(source)[:n].encode()) for n in range(len(str(source)) + 1)]
    source.insert(data.draw(st.sampled_from(places)), "<mine>")
    id = live.ycells[number]["id"]
    now = data.draw(BOOKS)
    merging.carry(live, agreed, now)
    found = dict(told(live))
    assert "".join(found.values()).count("<mine>") == 1
    assert {each["id"] for each in now["cells"]} | {id} == set(found)
    for each in now["cells"]:
        if each["id"] != id:
            assert found[each["id"]] == each["source"]


@settings(deadline=None)
@given(WORDS, WORDS)
def test_a_text_becomes_what_is_wanted(was: str, now: str) -> None:
    live = YFile(Doc())
    live.set(was)
    merging.carry(live, copy_of(live), now)
    assert live.get() == now


def test_two_changes_of_one_text_both_hold() -> None:
    live = YFile(Doc())
    live.set("one\ntwo\nthree\n")
    agreed = copy_of(live)
    live.set("zero\none\ntwo\nthree\n")
    merging.carry(live, agreed, "one\ntwo\n3\n")
    assert live.get() == "zero\none\ntwo\n3\n"


def test_outputs_and_metadata_follow_the_file() -> None:
    live = notebook(book(cell("a", "1"), cell("b", "2")))
    now = book(cell("a", "1"), cell("b", "2"))
    output = {"output_type": "stream", "name": "stdout", "text": "hello\n"}
    now["cells"][1] |= {"outputs": [output], "execution_count": 3, "metadata": {"tags": ["x"]}}
    now["metadata"] = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    merging.carry(live, copy_of(live), now)
    got = live.get()
    assert got["cells"][1]["outputs"] == [output]
    assert (got["cells"][1]["execution_count"], got["cells"][1]["metadata"]) == (3, {"tags": ["x"]})
    assert got["metadata"]["kernelspec"]["name"] == "python3"


def test_cells_without_ids_are_found_by_what_they_say() -> None:
    live = notebook(book(cell("a", "one"), cell("b", "two"), minor=4))
    agreed = copy_of(live)
    live.ycells[1]["source"].insert(0, "<mine>")
    cells: list[dict[str, Any]] = [cell("", "zero"), cell("", "one"), cell("", "two!")]
    for each in cells:
        del each["id"]
    merging.carry(live, agreed, book(*cells, minor=4))
    assert [each["source"] for each in live.get()["cells"]] == ["zero", "one", "<mine>two!"]


def test_a_cell_that_moved_keeps_what_was_typed_into_it() -> None:
    live = notebook(book(cell("a", "one"), cell("b", "two"), cell("c", "three")))
    agreed = copy_of(live)
    live.ycells[0]["source"].insert(0, "<mine>")
    merging.carry(live, agreed, book(cell("b", "two"), cell("c", "three"), cell("a", "one")))
    assert told(live) == [("b", "two"), ("c", "three"), ("a", "<mine>one")]


@settings(deadline=None)
@given(BOOKS, BOOKS)
def test_a_copy_of_another_history_is_taken_in_once(
    mine: dict[str, Any], theirs: dict[str, Any]
) -> None:
    live, stranger = notebook(mine), notebook(theirs)
    before, said = live.get(), stranger.get()
    both = merging.united(before, said, {})
    merging.carry(live, copy_of(live), both)
    merging.unite(live, stranger, live.get())
    ids = [id for id, _ in told(live)]
    assert sorted(ids) == sorted({each["id"] for each in (*before["cells"], *said["cells"])})
    # Both windows are one document now: what one writes, the other has.
    window = copy_of(stranger)
    window.ydoc.apply_update(live.ydoc.get_update(window.ydoc.get_state()))
    assert told(window) == told(live)


def test_two_copies_that_know_what_they_come_from() -> None:
    old = book(cell("a", "one"), cell("b", "two"), cell("c", "three"), cell("d", "four"))
    mine = book(cell("a", "one"), cell("c", "three, mine"), cell("d", "four"), cell("m", "new"))
    theirs = book(cell("t", "new too"), cell("a", "one, theirs"), cell("b", "two"), cell("c", "3"))
    both = merging.united(mine, theirs, merging.marks(old))
    assert {each["id"]: each["source"] for each in both["cells"]} == {
        "t": "new too",
        "a": "one, theirs",
        "c": "three, mine\n3",
        "m": "new",
    }


def test_of_a_line_and_its_beginning_the_line_is_kept() -> None:
    assert merging.united("x = 1\ny\n", "x = 12\ny\n", {}) == "x = 12\ny\n"
    assert merging.united("a = 1\n", "b = 2\n", {}) == "a = 1\nb = 2\n"


def test_nothing_lies_between_equal_contents() -> None:
    content = book(cell("a", "one"))
    trusted = book({**cell("a", "one"), "metadata": {"trusted": True}})
    assert merging.distance(content, trusted) == 0
    assert merging.distance(content, book(cell("a", "on"))) > 0
    assert merging.distance(content, book()) > 0
