"""What is found below a home, and what of it stays out of a backup.

People's folders are hostile: each folder is opened without following links, from the one above
it, and read by its descriptor. What is made again by itself stays out silently; everything else
that is left out is told.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .disk import reason
from .manifest import LeftOut, spelled

BACKUPS = "backups"
DEEPEST = 64
"""Folders in folders; what lies deeper is left out and told."""
TOLD = 1_000
"""How many of the things left out are named."""
_TOP = {"run", "logs", "node", "cache", "imports", "exports", BACKUPS}
_CACHES = {".cache", "__pycache__"}


@dataclass
class Omitted:
    """What was left out: all are counted, the first are named."""

    items: list[LeftOut] = field(default_factory=list)
    count: int = 0

    def add(self, path: str, why: str) -> None:
        """Note one more."""
        self.count += 1
        if len(self.items) < TOLD:
            self.items.append(LeftOut(path=spelled(path), why=why))


@dataclass(frozen=True)
class Found:
    """A name in a folder that is open."""

    path: str
    name: str
    folder: int
    """The descriptor of the folder, good until the walk goes on."""
    info: os.stat_result


def walk(home: Path, omitted: Omitted) -> Iterator[Found]:
    """Everything below a home that belongs in a backup, folders before what is in them."""
    top = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield from _walk_in(top, "", 0, omitted)
    finally:
        os.close(top)


def _walk_in(folder: int, below: str, depth: int, omitted: Omitted) -> Iterator[Found]:
    for name in sorted(os.listdir(folder)):
        path = f"{below}{name}"
        if _skipped(path, name):
            continue
        try:
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            omitted.add(path, reason(error))
            continue
        if not theirs(path) and (stat.S_ISSOCK(info.st_mode) or stat.S_ISFIFO(info.st_mode)):
            continue
        yield Found(path, name, folder, info)
        if not stat.S_ISDIR(info.st_mode):
            continue
        if depth == DEEPEST:
            omitted.add(path, f"more than {DEEPEST} folders deep")
            continue
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(name, flags, dir_fd=folder)
        except OSError as error:
            omitted.add(path, reason(error))
            continue
        try:
            yield from _walk_in(inner, f"{path}/", depth + 1, omitted)
        finally:
            os.close(inner)


def theirs(path: str) -> bool:
    """Whether people write there: `projects/<id>/files` and `people`."""
    parts = path.split("/")
    return (parts[0] == "projects" and parts[2:3] == ["files"]) or parts[0] == "people"


def _skipped(path: str, name: str) -> bool:
    """What is made again by itself, or means something only while the Studio runs."""
    if name in _CACHES:
        return True
    if theirs(path):
        return False
    if "/" not in path and name in _TOP:
        return True
    parts = path.split("/")
    if parts[0] == "projects" and parts[2:] == ["scratch"]:
        return True
    return name.endswith((".lock", ".migrating")) or name.startswith(".deleted-")
