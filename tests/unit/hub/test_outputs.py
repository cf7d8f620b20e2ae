"""A cell's outputs, against what nbformat and nbclient make of the same messages."""

import json
import time
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from workbench.hub.kernels.outputs import Outputs, fits, messages, overwritten, trimmed


def made(*told: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    outputs = Outputs()
    for kind, content in told:
        outputs.take(kind, content)
    return outputs.list


def stream(text: str, name: str = "stdout") -> tuple[str, dict[str, Any]]:
    return "stream", {"name": name, "text": text}


def display(text: str, id: str = "", kind: str = "display_data") -> tuple[str, dict[str, Any]]:
    transient = {"display_id": id} if id else {}
    return kind, {"data": {"text/plain": text}, "metadata": {}, "transient": transient}


def texts(outputs: list[dict[str, Any]]) -> list[str]:
    return [each["text"] if "text" in each else each["data"]["text/plain"] for each in outputs]


def test_text_of_one_stream_is_one_output() -> None:
    told = made(stream("a\n"), stream("b\n"), stream("!", "stderr"), stream("c"))
    assert [(each["name"], each["text"]) for each in told] == [
        ("stdout", "a\nb\n"),
        ("stderr", "!"),
        ("stdout", "c"),
    ]


def test_what_is_cleared_is_gone() -> None:
    assert made(stream("a"), ("clear_output", {"wait": False})) == []
    waits = ("clear_output", {"wait": True})
    assert texts(made(stream("a"), waits)) == ["a"]
    assert texts(made(stream("a"), waits, stream("b"))) == ["b"]


def test_a_display_is_updated_where_it_stands() -> None:
    told = made(display("one", "x"), stream("between"), display("two", "x", "update_display_data"))
    assert texts(told) == ["two", "between"]


def test_an_output_widget_takes_what_is_its_own() -> None:
    def widget(run: str) -> tuple[str, dict[str, Any]]:
        return "comm_msg", {"comm_id": "w", "data": {"state": {"msg_id": run}}}

    told = made(stream("a\n"), widget("run"), stream("inside\n"), widget(""), stream("b\n"))
    assert texts(told) == ["a\nb\n"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("10 %\r20 %\r30 %", "30 %"),
        ("long line\rshort", "shortline"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\nb\r", "a\nb\r"),
        ("abc\b\bX", "aX"),
        ("é 1\ré 2", "é 2"),
    ],
)
def test_a_terminal_would_show_the_same(text: str, seen: str) -> None:
    assert overwritten(text) == seen


@given(st.lists(st.text(alphabet="ab\r\n", max_size=6), max_size=8))
def test_text_comes_in_pieces(pieces: list[str]) -> None:
    """However a text is cut, it shows the same in the end."""
    whole = made(stream("".join(pieces)))
    cut = made(*(stream(each) for each in pieces))
    assert "".join(t.rstrip("\r") for t in texts(cut)) == "".join(
        t.rstrip("\r") for t in texts(whole)
    )


KINDS = st.sampled_from(["stream", "display_data", "update_display_data", "clear_output", "error"])


@settings(deadline=None)
@given(st.lists(st.tuples(KINDS, st.integers(0, 3)), max_size=12))
def test_as_nbclient_does(told: list[tuple[str, int]]) -> None:
    """The outputs that nbclient, which runs notebooks without a browser, makes of the messages."""
    cell = new_code_cell("x")
    client = NotebookClient(new_notebook(cells=[cell]))
    client.reset_execution_trackers()
    client.clear_before_next_output = False
    outputs, clears = Outputs(), False
    for kind, number in told:
        if kind == "update_display_data" and clears:
            continue  # Here JupyterLab and nbclient differ; it is done as in JupyterLab.
        clears = bool(number % 2) if kind == "clear_output" else False
        content: dict[str, Any] = {
            "stream": {"name": ["stdout", "stderr"][number % 2], "text": f"t{number}\n"},
            "clear_output": {"wait": bool(number % 2)},
            "error": {"ename": "E", "evalue": str(number), "traceback": []},
        }.get(kind, display(f"d{number}", f"i{number % 2}")[1])
        header = {"msg_type": kind, "msg_id": "m"}
        message = {"header": header, "msg_type": kind, "content": content, "metadata": {}}
        client.process_message({**message, "parent_header": {"msg_id": "r"}}, cell, 0)
        outputs.take(kind, content)
    theirs = [dict(each) for each in cell.outputs]
    joined: list[dict[str, Any]] = []
    for each in theirs:  # nbclient joins the text of one stream at the end, if at all.
        last = joined[-1] if joined else {}
        if each["output_type"] == "stream" and last.get("name") == each["name"]:
            last["text"] += each["text"]
        else:
            joined.append(each)
    assert outputs.list == joined, told
    nbformat.validate(new_notebook(cells=[new_code_cell("x", outputs=outputs.list)]))


def test_what_is_known_can_be_put_aside_and_taken_up_again() -> None:
    """A compacted run goes on: displays are updated, a line is overwritten, a clear is due."""
    first = Outputs()
    for kind, content in (display("one", "x"), stream("a\n1 %")):
        first.take(kind, content)
    state = json.loads(json.dumps(first.state()))
    then = Outputs()
    then.take("outputs", state)
    then.take(*display("two", "x", "update_display_data"))
    then.take(*stream("\r2 %"))
    assert texts(then.list) == ["two", "a\n2 %"]
    assert "transient" not in then.list[0]
    then.take("clear_output", {"wait": True})
    last = Outputs()
    last.take("outputs", then.state())
    last.take(*stream("new"))
    assert texts(last.list) == ["new"]


@pytest.mark.parametrize("data", [[1, 2], "text", {"state": None}, {"state": []}, None, {}])
def test_whatever_a_widget_says_does_no_harm(data: Any) -> None:
    assert texts(made(stream("a"), ("comm_msg", {"comm_id": "c", "data": data}))) == ["a"]


@pytest.mark.parametrize(
    ("kind", "content", "well"),
    [
        ("stream", {"name": "stdout", "text": "a"}, True),
        ("stream", {}, False),
        ("stream", {"name": "stdout", "text": 1}, False),
        ("stream", None, False),
        ("error", {"ename": "E", "traceback": ["a"]}, True),
        ("error", {"traceback": "a"}, False),
        ("display_data", {"data": {"text/plain": "a"}}, True),
        ("display_data", {"data": None}, False),
        ("clear_output", {}, True),
    ],
)
def test_a_message_has_what_the_protocol_says(kind: str, content: Any, well: bool) -> None:
    assert fits(kind, content) is well


def test_long_text_takes_time_by_its_length() -> None:
    outputs = Outputs()
    for n in range(20_000):
        outputs.take(*stream(f"{n} " + "x" * 400 + "\n"))
    began = time.monotonic()
    assert len(outputs.list[0]["text"]) > 8_000_000
    assert time.monotonic() - began < 2


def test_messages_lead_back_to_the_outputs() -> None:
    told = made(stream("a"), display("b"), ("error", {"ename": "E", "evalue": "", "traceback": []}))
    assert made(*messages(told)) == told


def test_too_much_text_keeps_its_ends() -> None:
    text = "".join(f"line {n}\n" for n in range(10_000))
    (kept,) = trimmed([{"output_type": "stream", "name": "stdout", "text": text}], 1000)
    assert kept["text"].startswith("line 0\n") and kept["text"].endswith("line 9999\n")
    assert f"[{len(text) - 1000} characters were not kept]" in kept["text"]
    again = {**kept, "text": kept["text"] + "x" * 500}
    (kept,) = trimmed([again], 1000)
    assert f"[{len(text) + 500 - 1000} characters were not kept]" in kept["text"]
    assert kept["text"].endswith("x" * 500)


def test_too_many_outputs_keep_first_and_last() -> None:
    many = made(*(display(f"{n:09d}") for n in range(100)))
    kept = trimmed(many, 200)
    assert texts(kept)[0] == "000000000" and texts(kept)[-1] == "000000099"
    assert len(kept) < 30 and any("not kept" in each for each in texts(kept))
    assert trimmed(many, 900) == many
