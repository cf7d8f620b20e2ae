"""What a file's change means for the document people share: carried in, nothing overwritten.

A shared document and its file part ways whenever a program writes the file while somebody types.
Here the file's change is carried into a copy of the document as it was when both agreed; the CRDT
then brings copy and document together, letter by letter. All functions are pure but for the
document they are given.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any
from zlib import crc32

from jupyter_ydoc import YNotebook
from jupyter_ydoc.yunicode import YUnicode
from pycrdt import Doc, Map, Text

Cell = dict[str, Any]
PARTS = ("metadata", "outputs", "attachments", "execution_count")
"""What a cell has besides its type, id and source."""


def carry(live: Any, agreed: Any, now: Any) -> None:
    """Carry a file's change into the document that people share.

    What people wrote since is kept; a cell that the file lost and somebody changed since stays.

    Args:
        live: The shared document, a `YNotebook` or `YUnicode`.
        agreed: A document of the same history, as it was when it agreed with the file: it is used
            up.
        now: What the file holds.
    """
    moved: list[tuple[str, str]] = []
    if isinstance(live, YNotebook):
        here = {cell["id"]: str(cell["source"]) for cell in live.ycells}
        before = {cell["id"]: str(cell["source"]) for cell in agreed.ycells}
        kept = {id for id, source in here.items() if before.get(id, source) != source}
        moved = _change_notebook(agreed, now, kept)
    elif isinstance(live, YUnicode):
        edit(agreed.ydoc, agreed.ydoc.get("source", type=Text), now)
    else:
        live.set(now)
        return
    live.ydoc.apply_update(agreed.ydoc.get_update(live.ydoc.get_state()))
    for id, after in moved:
        _move(live, id, after)


def unite(live: Any, stranger: Any, now: Any) -> None:
    """Take a copy of another history into the shared document, so that both go on as one.

    Args:
        live: The shared document, with the copy's changes carried into it.
        stranger: The copy: all it holds becomes history of the shared document.
        now: What the shared document holds afterwards.
    """
    update = stranger.ydoc.get_update()
    if not isinstance(live, YNotebook):
        with live.ydoc.transaction():
            live.ydoc.apply_update(update)
            if isinstance(live, YUnicode):
                edit(live.ydoc, live.ydoc.get("source", type=Text), now)
        return
    meta = live.ydoc.get("meta", type=Map)
    with live.ydoc.transaction():
        before = meta.to_py()
        for cell in live.ycells:
            cell[_OURS] = True
        live.ydoc.apply_update(update)
        for i in reversed(range(len(live.ycells))):
            if _OURS in live.ycells[i]:
                del live.ycells[i][_OURS]
            else:
                del live.ycells[i]
        _set_meta(meta, before)


def united(one: Any, other: Any, saved: Mapping[str, int]) -> Any:
    """What two copies come to, when what they had in common is known by its marks alone.

    Args:
        one: What the one says.
        other: What the other says.
        saved: The marks (see `marks`) of what both come from. What lacks one may have been there
            or not: then nothing is taken away, and a deleted cell comes back.
    """
    if isinstance(one, str):
        return _united_text(one, other, saved.get(""))
    cells = [dict(cell) for cell in one["cells"]]
    found = matched(cells, other["cells"])
    gone = set(range(len(cells))) - set(found)
    both: list[Cell] = [c for i, c in enumerate(cells) if not (i in gone and _as_saved(c, saved))]
    at = 0
    for cell, i in zip(other["cells"], found, strict=True):
        if i is not None:
            at = next(n for n, each in enumerate(both) if each is cells[i]) + 1
            mine, theirs = source_of(cells[i]), source_of(cell)
            cells[i]["source"] = _united_text(mine, theirs, saved.get(cell.get("id", "")))
        elif not _as_saved(cell, saved):
            both.insert(at, cell)
            at += 1
    return {**one, "cells": both}


def marks(content: Any) -> dict[str, int]:
    """For each cell, by its id, a number that tells whether its text changed; "" for a text."""
    if isinstance(content, str):
        return {"": crc32(content.encode())}
    return {c["id"]: crc32(source_of(c).encode()) for c in content["cells"] if "id" in c}


def distance(before: Any, now: Any) -> int:
    """How much was changed, in characters: 0 if nothing was."""
    if isinstance(now, str):
        return _apart(before, now)
    found = matched(before["cells"], now["cells"])
    gone = set(range(len(before["cells"]))) - set(found)
    far = sum(1 + len(source_of(before["cells"][i])) for i in gone if i is not None)
    for cell, i in zip(now["cells"], found, strict=True):
        if i is None:
            far += 1 + len(source_of(cell))
            continue
        was = before["cells"][i]
        far += _apart(source_of(was), source_of(cell))
        far += sum(_differs(was, cell, part) for part in PARTS)
    return far + _differs(before, now, "metadata")


def matched(before: Sequence[Cell], now: Sequence[Cell]) -> list[int | None]:
    """For each cell of `now`, which of `before` it is: by its id, else by what it says."""
    if all("id" in cell for cell in (*before, *now)):
        places = {cell["id"]: i for i, cell in reversed(list(enumerate(before)))}
        return [places.pop(cell["id"], None) for cell in now]
    found: list[int | None] = [None] * len(now)
    matcher = SequenceMatcher(
        None, [source_of(cell) for cell in before], [source_of(cell) for cell in now], False
    )
    for _, i1, i2, j1, j2 in matcher.get_opcodes():
        for i, j in zip(range(i1, i2), range(j1, j2), strict=False):
            found[j] = i
    return found


def source_of(cell: Cell) -> str:
    """A cell's text, however the file writes it."""
    return "".join(cell["source"])


def edit(ydoc: Doc[Any], text: Text, now: str) -> None:
    """Make a shared text say `now`, leaving every line alone that stays."""
    with ydoc.transaction():
        for start, end, new in reversed(list(_edits(str(text), now))):
            # Places in a shared text count the bytes of its UTF-8.
            if end > start:
                del text[start:end]
            if new:
                text.insert(start, new)


_OURS = "studio-ours"


def _change_notebook(notebook: YNotebook, now: Any, kept: set[str]) -> list[tuple[str, str]]:
    """Change it, but for cells that moved: those are told, each with the one before it."""
    ycells, before = notebook.ycells, notebook.get(deduplicate=False)
    found = matched(before["cells"], now["cells"])
    for j, i in enumerate(found):
        # What becomes another kind of cell is another cell.
        if i is not None and before["cells"][i]["cell_type"] != now["cells"][j]["cell_type"]:
            found[j] = None
    ids = [str(cell["id"]) for cell in ycells]
    stay = _in_order([i for i in found if i is not None])
    moved: list[tuple[str, str]] = []
    with notebook.ydoc.transaction():
        for cell, i in zip(now["cells"], found, strict=True):
            if i is not None:
                _change_cell(notebook, ycells[i], before["cells"][i], cell)
        there = set(found)
        for i in reversed(range(len(ids))):
            if i not in there and ids[i] not in kept:
                del ycells[i]
        at, last = 0, ""
        for cell, i in zip(now["cells"], found, strict=True):
            if i is None:
                ycell = notebook.create_ycell(cell)
                ycells.insert(at, ycell)
                last = str(ycells[at]["id"])
            elif i in stay:
                last = ids[i]
                at = next(n for n, each in enumerate(ycells) if each["id"] == last)
            else:
                moved.append((ids[i], last))
                last = ids[i]
                continue
            at += 1
        for key in ("metadata", "nbformat", "nbformat_minor"):
            if _differs(before, now, key):
                _set_meta(notebook.ydoc.get("meta", type=Map), {key: now[key]})
    return moved


def _change_cell(notebook: YNotebook, ycell: Any, was: Cell, now: Cell) -> None:
    if source_of(was) != source_of(now):
        edit(notebook.ydoc, ycell["source"], source_of(now))
    for part in PARTS:
        if not _differs(was, now, part):
            continue
        if part == "outputs":
            notebook._set_ycell_outputs(ycell, now.get("outputs", []))
        elif part == "metadata":
            # In place: who has the notebook open follows this very map.
            metadata = ycell["metadata"]
            metadata.clear()
            metadata.update(now.get("metadata", {}))
        elif part in now:
            ycell[part] = now[part]
        else:
            del ycell[part]


def _move(notebook: YNotebook, id: str, after: str) -> None:
    """Put a cell behind another one, with what it says now."""
    cells = notebook.ycells
    places = {str(cell["id"]): i for i, cell in enumerate(cells)}
    if id not in places or (after and after not in places):
        return
    cell = cells[places[id]].to_py()
    cell.pop("execution_state", None)
    with notebook.ydoc.transaction():
        del cells[places[id]]
        at = 1 + next((i for i, each in enumerate(cells) if each["id"] == after), -1)
        cells.insert(at, notebook.create_ycell(cell))


def _differs(was: dict[str, Any], now: dict[str, Any], part: str) -> bool:
    return bool(_told(was.get(part)) != _told(now.get(part)))


def _told(value: Any) -> Any:
    """Without what Jupyter adds when it reads a file, and takes away when it writes it."""
    if isinstance(value, dict):
        value = {k: v for k, v in value.items() if k != "trusted" and v not in _EMPTY}
    return value or None


_EMPTY = ({"name": ""}, {"name": "", "display_name": ""})


def _set_meta(meta: Any, now: dict[str, Any]) -> None:
    was = meta.to_py() or {}
    for key, value in now.items():
        if was.get(key) != value:
            meta[key] = Map(value) if isinstance(value, dict) else value


def _in_order(places: Sequence[int]) -> set[int]:
    """The most of them that rise from left to right."""
    tops: list[int] = []
    before: dict[int, int | None] = {}
    for place in places:
        at = bisect_left(tops, place)
        before[place] = tops[at - 1] if at else None
        tops[at : at + 1] = [place]
    chosen = set()
    last = tops[-1] if tops else None
    while last is not None:
        chosen.add(last)
        last = before[last]
    return chosen


def _edits(was: str, now: str) -> Iterator[tuple[int, int, str]]:
    """Byte ranges of `was` and what stands there in `now`: by lines, in short ones by letters."""
    lines, new = was.splitlines(keepends=True), now.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, lines, new, False).get_opcodes():
        if tag == "equal":
            continue
        old, text = "".join(lines[i1:i2]), "".join(new[j1:j2])
        if len(old) * len(text) > _LETTERS:
            yield starts[i1], starts[i2], text
            continue
        for kind, a1, a2, b1, b2 in SequenceMatcher(None, old, text, False).get_opcodes():
            if kind != "equal":
                first = starts[i1] + len(old[:a1].encode())
                yield first, first + len(old[a1:a2].encode()), text[b1:b2]


_LETTERS = 1_000_000
"""The product of two lengths up to which letters are compared: some tenths of a second."""


def _apart(was: str, now: str) -> int:
    if was == now:
        return 0
    return sum(end - start + len(new) for start, end, new in _edits(was, now))


def _as_saved(cell: Cell, saved: Mapping[str, int]) -> bool:
    return saved.get(cell.get("id", "")) == crc32(source_of(cell).encode())


def _united_text(one: str, other: str, saved: int | None) -> str:
    """The one that changed; of two that did, every line of either."""
    if saved is not None and saved == crc32(one.encode()):
        return other
    if saved is not None and saved == crc32(other.encode()):
        return one
    mine, theirs = one.splitlines(keepends=True), other.splitlines(keepends=True)
    lines: list[str] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, mine, theirs, False).get_opcodes():
        old, new = "".join(mine[i1:i2]), "".join(theirs[j1:j2])
        if tag == "equal" or _within(new, old):
            lines.append(old)
        elif _within(old, new):
            lines.append(new)
        else:
            lines += [old, "" if old.endswith("\n") else "\n", new]
    return "".join(lines)


def _within(short: str, long: str) -> bool:
    """Whether one text is the other with letters added."""
    letters = iter(long)
    return all(letter in letters for letter in short)
