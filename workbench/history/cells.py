"""Two states of a notebook, compared cell by cell with nbdime: loaded by `repository`, inside."""

import difflib
import json
import re
from typing import Any

LONGEST = 4_000_000
"""Lines of one side times lines of the other that are compared line by line."""
WIDE = 400
EMPTY = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'

Json = dict[str, Any]


def compare_notebooks(before: bytes, after: bytes, left: int) -> Json | None:
    """What changed in a notebook; None if one of them is no notebook.

    Args:
        before: The file as it was; empty if there was none.
        after: The file as it is; empty if there is none any more.
        left: At most how many lines of sources are told.
    """
    try:
        return compare(opened(before), opened(after), left)
    except Exception:  # whatever the files make nbformat and nbdime raise: compare them as text
        return None


def opened(data: bytes) -> Any:
    """A notebook; an empty one for a file that is not there."""
    import nbformat

    notebook: Any = nbformat.reads(  # type: ignore[no-untyped-call]
        data.decode() if data else EMPTY, as_version=4
    )
    for cell in notebook.cells:
        if not (isinstance(cell.source, str) and isinstance(cell.cell_type, str)):
            raise TypeError("a cell has no source or no kind")
    return notebook


def compare(before: Any, after: Any, left: int) -> Json:
    """What changed from one notebook to another."""
    from nbdime import diff_notebooks

    sides = [before, after]
    outputs = [outputs_of(each) for each in sides]
    for side in sides:
        for cell in side.cells:
            cell.pop("outputs", None)
            cell.pop("execution_count", None)
    found: list[Json] = []
    metadata = False
    for change in diff_notebooks(*sides):
        if change.key == "cells":
            found = changed_cells(change.diff, sides, outputs)
        else:
            metadata = True
    if not found:
        found = changed_cells([], sides, outputs)
    found, cut = within(found, left)
    return {"cells": found, "cut": cut, "metadata": metadata and bool(before.cells and after.cells)}


def outputs_of(notebook: Any) -> list[str]:
    """The outputs of each cell in one spelling, without the numbers that every run changes."""
    return [
        json.dumps(
            [
                {name: value for name, value in output.items() if name != "execution_count"}
                for output in cell.get("outputs", [])
            ],
            sort_keys=True,
        )
        for cell in notebook.cells
    ]


def changed_cells(changes: list[Any], sides: list[Any], outputs: list[list[str]]) -> list[Json]:
    """The cells that differ, in the order of the notebook as it is."""
    before, after = (side.cells for side in sides)
    found: list[Json] = []
    at, to = 0, 0

    def same(until: int) -> None:
        nonlocal at, to
        while at < until:
            pair([])

    def pair(ops: list[Any]) -> None:
        nonlocal at, to
        keys = {each.key for each in ops}
        differs = outputs[0][at] != outputs[1][to]
        if differs or keys - {"id"}:
            found.append(
                {
                    "change": "changed",
                    "number": to + 1,
                    "kind": after[to].cell_type,
                    "hunks": lines(before[at].source, after[to].source),
                    "outputs": differs,
                    "metadata": bool(keys & {"metadata", "attachments", "cell_type"}),
                }
            )
        at, to = at + 1, to + 1

    for change in changes:
        same(change.key)
        if change.op == "patch":
            pair(change.diff)
        elif change.op == "removerange":
            for cell in before[at : at + change.length]:
                at += 1
                found.append(whole("removed", at, cell))
        else:
            for cell in change.valuelist:
                to += 1
                found.append(whole("added", to, cell))
    same(len(before))
    return found


def whole(change: str, number: int, cell: Any) -> Json:
    """A cell that is only in one of the two."""
    sources = ("", cell.source) if change == "added" else (cell.source, "")
    return {"change": change, "number": number, "kind": cell.cell_type, "hunks": lines(*sources)}


def lines(before: str, after: str) -> list[Json]:
    """What changed between two sources."""
    old, new = before.split("\n") if before else [], after.split("\n") if after else []
    if len(old) * len(new) > LONGEST:
        told = [f"-{line}" for line in old] + [f"+{line}" for line in new]
        return [{"before": 1, "after": 1, "lines": told}]
    hunks: list[Json] = []
    for line in list(difflib.unified_diff(old, new, n=3, lineterm=""))[2:]:
        if start := re.fullmatch(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@", line):
            hunks.append({"before": int(start[1]), "after": int(start[2]), "lines": []})
        else:
            hunks[-1]["lines"].append(line)
    return hunks


def within(found: list[Json], left: int) -> tuple[list[Json], bool]:
    """The cells in at most `left` lines of at most `WIDE` characters, and whether any is cut."""
    cut = False
    for cell in found:
        for hunk in cell["hunks"]:
            cut = cut or len(hunk["lines"]) > left or any(len(x) > WIDE for x in hunk["lines"])
            hunk["lines"] = [x if len(x) <= WIDE else f"{x[:WIDE]}…" for x in hunk["lines"][:left]]
            left = max(0, left - len(hunk["lines"]))
        cell["hunks"] = [hunk for hunk in cell["hunks"] if hunk["lines"]]
    return found, cut
