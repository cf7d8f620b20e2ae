"""A file is written whole or not at all, and read whole meanwhile."""

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from workbench.hub.contents import StudioContents, replacing


def notebook(cells: int) -> dict[str, Any]:
    cell = {"cell_type": "markdown", "metadata": {}, "source": "x" * 200}
    made = [{**cell, "id": f"c{number}"} for number in range(cells)]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}


async def test_who_reads_while_it_is_written_finds_a_whole_notebook(tmp_path: Path) -> None:
    contents = StudioContents(root_dir=str(tmp_path))
    model = {"type": "notebook", "format": "json"}
    await contents.save({**model, "content": notebook(1)}, "n.ipynb")
    done = asyncio.Event()

    async def write() -> None:
        for number in range(15):
            await contents.save({**model, "content": notebook(200 + number)}, "n.ipynb")
        done.set()

    writing = asyncio.create_task(write())
    read = 0
    while not done.is_set():
        found = await contents.get("n.ipynb", content=True, type="notebook")
        assert len(found["content"]["cells"]) == 1 or len(found["content"]["cells"]) >= 200
        read += 1
    await writing
    assert read > 1
    assert len(json.loads((tmp_path / "n.ipynb").read_text())["cells"]) == 214
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".~")]


def test_what_breaks_off_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("before")
    with pytest.raises(ZeroDivisionError), replacing(file) as out:
        out.write("half")
        _ = 1 / 0
    assert file.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    file, link = tmp_path / "a.sh", tmp_path / "link"
    file.write_text("before")
    file.chmod(0o754)
    link.symlink_to("a.sh")
    with replacing(link) as out:
        out.write("after\n")
    assert link.is_symlink()
    assert file.read_bytes() == b"after\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o754


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "b", text=False) as out:
            out.write(b"\x00")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o640
