"""Files that appear whole or not at all, and what a disk says when it fails, in our words.

A disk may be full and a process killed at any moment: nothing half-written keeps a name that
somebody could take for a backup, and the error says how much room there was.
"""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ..errors import Conflict, Limited, Unavailable, WorkbenchError

PART = 1 << 20
"""bytes; what is read and written at a time."""


@contextmanager
def nameless(target: Path) -> Iterator[tuple[IO[bytes], Callable[[], None]]]:
    """A file without a name, and what gives it one: a process that is killed leaves nothing."""
    flag = getattr(os, "O_TMPFILE", 0)
    handle = -1
    if flag:
        with suppress(OSError):  # a file system that has none
            handle = os.open(target.parent, flag | os.O_RDWR | os.O_CLOEXEC, 0o600)
    if handle >= 0:
        with os.fdopen(handle, "wb") as out:

            def link() -> None:
                folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    # Only with a folder given does Python ask for the link to be followed.
                    os.link(f"/proc/self/fd/{handle}", target.name, src_dir_fd=folder,
                            dst_dir_fd=folder)  # fmt: skip
                except FileExistsError:
                    raise taken(target) from None
                finally:
                    os.close(folder)

            yield out, link
        return
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out, lambda: os.replace(name, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def taken(file: Path) -> Conflict:
    """What to raise where something has that name."""
    return Conflict(f"{file} exists already.", hint="Choose another name, or remove it.")


def sync_folder(folder: Path) -> None:
    """Make names in a folder outlive a loss of power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def disk_explained(target: Path, what: str) -> Iterator[None]:
    """Errors of the disk and of SQLite as ours."""
    folder = target.parent
    before = free_bytes(folder)
    try:
        yield
    except WorkbenchError:
        raise
    except (OSError, sqlite3.Error) as error:
        if _full(error):
            raise Limited(
                f"The disk of {folder} is full: it had {before // 10**6:,} MB left when the {what} "
                f"began, and has {free_bytes(folder) // 10**6:,} MB now that it is taken back.",
                hint="Free space, or choose another disk; nothing was changed.",
            ) from error
        said = error.strerror if isinstance(error, OSError) else str(error)
        where = getattr(error, "filename", None) or target
        raise Unavailable(
            f"The {what} {target.name} cannot be made or read: {said} ({where}).",
            hint="Look at the owner and the disk of that folder.",
        ) from error


def _full(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", "")
        return name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR_WRITE")
    return isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
    )


def reason(error: OSError) -> str:
    """Why something is left out, as people are told."""
    said = {
        errno.EACCES: "it may not be read",
        errno.EPERM: "it may not be read",
        errno.ENOENT: "it vanished while the home was copied",
        errno.ELOOP: "it became something else while the home was copied",
        errno.ENOTDIR: "it became something else while the home was copied",
    }
    return said.get(error.errno or 0, error.strerror or type(error).__name__)


def free_bytes(folder: Path) -> int:
    """What the disk of a folder, which may not exist yet, has left."""
    while not folder.exists():
        folder = folder.parent
    info = os.statvfs(folder)
    return info.f_bavail * info.f_frsize
