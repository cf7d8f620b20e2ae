"""Reading files that somebody else may change, replace or make up meanwhile.

Every file is opened by its name in a folder that is open already, without following links and
without waiting; only regular files are read, at most as far as they reached when they were
opened, and none that would fill a disk with nothing.
"""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from .disk import PART, reason

HOLES = 64 * 1024**2
"""bytes; a file of people's that has more of nothing in it would fill a disk when restored."""
HEADER = b"SQLite format 3\0"
"""How a SQLite database begins."""


def opened(name: str, folder: int) -> IO[bytes]:
    """A file in an open folder, to be read; a link is an error."""
    # Not blocking: a FIFO that took the file's place would hold us for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, dir_fd=folder), "rb", buffering=0)


def begins(name: str, folder: int) -> bytes:
    """A file's first bytes, as many as `HEADER` has; none if it cannot be read."""
    try:
        with opened(name, folder) as file:
            return file.read(len(HEADER))
    except OSError:
        return b""


def is_database(path: Path) -> bool:
    """Whether a file in one of our own folders is a SQLite database, whatever its name."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
            return file.read(len(HEADER)) == HEADER
    except OSError:
        return False


def state(name: str, folder: int) -> tuple[int, int, int] | None:
    """The `signature` of a file in an open folder; None if there is none."""
    try:
        return signature(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except OSError:
        return None


def signature(info: os.stat_result) -> tuple[int, int, int]:
    """What differs after a file was written to or replaced: time (ns), size (bytes), inode."""
    return info.st_mtime_ns, info.st_size, info.st_ino


def taken_whole(name: str, folder: int, into: Path) -> IO[bytes] | str:
    """A file's bytes in a file without a name, or why there are none."""
    try:
        source = opened(name, folder)
    except OSError as error:
        return reason(error)
    with source:
        info = os.fstat(source.fileno())
        if not stat.S_ISREG(info.st_mode):
            return "no regular file"
        if holes(source.fileno(), info) > HOLES:
            return f"{info.st_size:,} bytes, nearly all of them nothing"
        out = tempfile.TemporaryFile(dir=into)  # noqa: SIM115
        try:
            left = info.st_size
            while left:
                part = source.read(min(PART, left))
                if not part:
                    break
                out.write(part)
                left -= len(part)
            out.flush()
        except BaseException:
            with suppress(OSError):
                out.close()
            raise
        return out


def holes(file: int, info: os.stat_result) -> int:
    """How many bytes of a file are not on the disk; 0 where most of them are."""
    if info.st_size - info.st_blocks * 512 <= HOLES:
        return 0
    found = at = 0
    try:
        for _ in range(10_000):
            start = os.lseek(file, at, os.SEEK_HOLE)
            if start >= info.st_size:
                break
            try:
                at = os.lseek(file, start, os.SEEK_DATA)
            except OSError:
                at = info.st_size  # nothing more behind this hole
            found += at - start
            if at >= info.st_size:
                break
    finally:
        os.lseek(file, 0, os.SEEK_SET)
    return found


class Exactly:
    """A file's first bytes, as many as it had; nothing where it became shorter meanwhile."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source, self._left, self.short = source, size, False

    def read(self, size: int) -> bytes:
        """The next bytes, or nothing in their place."""
        wanted = min(size, self._left)
        try:
            part = self._source.read(wanted)
        except OSError:
            part = b""
        self._left -= wanted
        if len(part) < wanted:
            self.short = True
        return part.ljust(wanted, b"\0")
