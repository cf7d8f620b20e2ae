"""What is run of a notebook, and what is told of it: without a kernel."""

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest

from workbench.notebooks import inside

GIVEN = {"notebook": "", "code": "", "parameters": {}, "kernel": "", "copy": "runs/x.ipynb"}


def notebook(folder: Path, *sources: str, tags: tuple[str, ...] = (), language: str = "") -> str:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in sources])
    made.cells[0].metadata["tags"] = list(tags)
    made.cells[0].outputs = [nbformat.v4.new_output("stream", text="of an earlier run\n")]
    if language:
        made.metadata["kernelspec"] = {"name": "x", "display_name": "X", "language": language}
    nbformat.write(made, folder / "n.ipynb")
    return str(folder / "n.ipynb")


@pytest.mark.parametrize(
    ("tags", "order"), [(("parameters",), ["a = 1", "injected", "b"]), ((), ["injected", "a = 1"])]
)
def test_parameters_come_after_the_tagged_cell(
    tmp_path: Path, tags: tuple[str, ...], order: list[str]
) -> None:
    path = notebook(tmp_path, "a = 1", "b", tags=tags)
    given = {"a": 2, "names": ["x", 'y"'], "deep": {"n": None, "t": True}}
    cells = inside.read({**GIVEN, "notebook": path, "parameters": given}).cells
    sources = [each.source for each in cells]
    place = order.index("injected")
    assert sources[:place] == order[:place]
    told: dict[str, Any] = {}
    exec(sources[place], told)
    assert {name: told[name] for name in given} == given
    assert cells[place].metadata.tags == ["injected-parameters"]
    assert not any(each.outputs for each in cells)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "There is no notebook"),
        ("{", "is no notebook that can be read"),
        ("[1]", "is no notebook that can be read"),
        ('{"cells": 3}', "is no notebook that can be read"),
        ("\x00\xff", "is no notebook that can be read"),
    ],
)
def test_what_is_no_notebook(tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        (tmp_path / "n.ipynb").write_text(content)
    with pytest.raises(inside.Problem, match=told):
        inside.read({**GIVEN, "notebook": str(tmp_path / "n.ipynb")})


def test_parameters_of_another_language(tmp_path: Path) -> None:
    path = notebook(tmp_path, "a <- 1", language="R")
    with pytest.raises(inside.Problem, match="in R cannot be set"):
        inside.read({**GIVEN, "notebook": path, "parameters": {"a": 1}})


def test_what_is_printed_is_told_line_by_line() -> None:
    out, given = os.pipe()
    told = inside.Told(given)
    told.text("stdout", "one\ntw")
    told.text("stderr", "bad\n")
    told.text("stdout", "o\n10 %\r50 %\r100 %\n")
    told.text("stdout", "x" * 5_000)
    told.text("stdout", "the end")
    told.end()
    told.end()
    told._out.close()
    with os.fdopen(out) as lines:
        texts = [json.loads(line)["text"] for line in lines]
    assert texts == ["one", "bad", "two", "100 %", "x" * inside.LONGEST, "the end"]
