"""The files of the logs: turned over while they are written to, thrown away, searched.

Whoever writes holds the file open to append, so it is not moved: it is copied and emptied (as
logrotate's `copytruncate` does). A line that is written between the two is lost.
"""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .errors import Invalid
from .records import Record

LIMIT_BYTES = 10 * 1024**2
"""A log that is larger is turned over."""
KEPT = 5
"""How many former files of a log are kept at most, whatever their age."""
LONGEST = 4_000
"""Signs of a line that are shown."""
MOST = 200
"""Entries that a search finds at most."""

_STAMP = "%Y%m%dT%H%M%S%f"
_FORMER = re.compile(r"\.log\.(\d{8}T\d{12})$")
_DATE = re.compile(rb"\d{4}-\d\d-\d\d")
_BEGINS = re.compile(r"\{\"|\[?[A-Z]? ?\d{4}-\d\d-\d\d|\[[CEWIDV] |\d\d:\d\d:\d\d|== ")
"""How an entry begins; other lines belong to the one before."""
_ID = re.compile(r"[a-z]{2,8}_[0-9a-z]{20,40}")


class Entry(Record):
    """An entry of a log in which an id stands, with the lines that belong to it."""

    file: str
    """Below the folder of the logs."""
    line: int
    """The number of its first line, counted from 1."""
    text: str
    around: bool = False
    """True for an entry beside one in which the id stands."""


def current_logs(folder: Path) -> list[Path]:
    """The logs that are being written: of the Studio's processes, of projects, of jobs."""
    return sorted([*folder.glob("*.log"), *folder.glob("jobs/*.log")])


def former_logs(folder: Path) -> list[tuple[datetime, Path]]:
    """What was turned over, oldest first, and when."""
    found = []
    for file in [*folder.glob("*.log.*"), *folder.glob("jobs/*.log.*")]:
        if stamp := _FORMER.search(file.name):
            found.append((datetime.strptime(stamp[1], _STAMP).replace(tzinfo=UTC), file))
    return sorted(found)


def turn_over(log: Path, now: datetime) -> Path | None:
    """Put what a log holds into a file beside it, and go on with an empty one.

    Returns:
        The file; None if there was nothing in the log.
    """
    former = log.with_name(f"{log.name}.{now.astimezone(UTC).strftime(_STAMP)}")
    with open(os.open(log, os.O_RDWR | os.O_NOFOLLOW), "r+b") as source:
        if not os.fstat(source.fileno()).st_size:
            return None
        with open(os.open(former, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as kept:
            while piece := source.read(1 << 20):
                kept.write(piece)
        os.ftruncate(source.fileno(), 0)
    return former


def turn_over_large(folder: Path, now: datetime, limit_bytes: int = LIMIT_BYTES) -> list[Path]:
    """Turn over every log that is larger than it may be, and drop its oldest former files."""
    turned = [
        log
        for log in current_logs(folder)
        if log.stat().st_size > limit_bytes and turn_over(log, now)
    ]
    for log in turned:
        former = [file for _, file in former_logs(folder) if file.name.startswith(f"{log.name}.")]
        for file in [each for each in former if each.parent == log.parent][:-KEPT]:
            file.unlink(missing_ok=True)
    return turned


def begun(log: Path) -> datetime | None:
    """The day of the first line of a log that bears one; None if it cannot be told."""
    with open(log, "rb") as file:
        found = _DATE.search(file.read(500))
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[0].decode()).replace(tzinfo=UTC)
    except ValueError:
        return None


def turn_over_old(folder: Path, now: datetime) -> list[Path]:
    """Turn over every log of a day before yesterday, so that what is old can be thrown away."""
    edge = now - timedelta(days=2)
    return [
        log
        for log in sorted(folder.glob("*.log"))
        if (since := begun(log)) is not None and since < edge and turn_over(log, now)
    ]


def find_entries(folder: Path, id: str, *, around: int = 0) -> list[Entry]:
    """The entries of all logs in which an id stands, oldest files first.

    Args:
        folder: The folder of the logs.
        id: A trace, a job's id, any other.
        around: How many entries before and after each are shown too.

    Raises:
        Invalid: It is no id.
    """
    if not _ID.fullmatch(id):
        raise Invalid(
            f"{id[:80]!r} is no id of the Studio.",
            hint="An id looks like trc_01jd3…: copy all of it.",
        )
    files = [*(file for _, file in former_logs(folder)), *current_logs(folder)]
    found: list[Entry] = []
    for file in files:
        name = file.relative_to(folder).as_posix()
        found += _matching(list(_entries(file)), name, id, around, whole=file.name.startswith(id))
    return found[:MOST]


def _matching(
    entries: list[tuple[int, str]], name: str, id: str, around: int, *, whole: bool
) -> Iterator[Entry]:
    hits = {at for at, (_, text) in enumerate(entries) if id in text}
    if whole:
        hits |= set(range(max(0, len(entries) - MOST), len(entries)))
    near = {at + step for at in hits for step in range(-around, around + 1)}
    for at in sorted(near & set(range(len(entries)))):
        line, text = entries[at]
        yield Entry(file=name, line=line, text=_shown(text), around=at not in hits)


def _entries(file: Path) -> Iterator[tuple[int, str]]:
    first, lines = 1, list[str]()
    with open(file, encoding="utf-8", errors="replace") as source:
        for number, line in enumerate(source, 1):
            if lines and (_BEGINS.match(line) or len(lines) > MOST):
                yield first, "\n".join(lines)
                first, lines = number, []
            lines.append(line.rstrip("\n")[:LONGEST])
    if lines:
        yield first, "\n".join(lines)


def _shown(text: str) -> str:
    """Without what would move the cursor of a terminal: projects write in logs too."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "·" for sign in text)
