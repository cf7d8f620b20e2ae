"""A project's notebooks, to be read: what people who share a project wrote is hostile.

Names in a project's folder may be links to anywhere, files may change while they are read, and
what a notebook shows may be made to harm whoever looks. So a file is opened name by name below
the folder, links not followed; it is turned into HTML in a process of its own, with limits; and
it is shown from the project's origin, in a sandbox of the browser (`view_headers`).
"""

import asyncio
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from workbench.core import Invalid, Limited, NotFound, Settings, Unavailable, WorkbenchError

LIMIT = 50 * 1024 * 1024
"""The largest notebook that is shown, in bytes."""
MOST = 500
"""The most notebooks that are listed."""
LOOKED_AT = 20_000
"""The most files looked at for that."""
DEPTH = 8
RENDER_S = 60
SUFFIX = ".ipynb"


@dataclass(frozen=True)
class Notebook:
    """A notebook in a project's folder."""

    path: str
    size: int
    changed_at: datetime


def list_notebooks(home: Path, project: str) -> tuple[list[Notebook], bool]:
    """The notebooks of a project, by path, and whether there may be more."""
    found: list[Notebook] = []
    looked = 0
    try:
        with _files(home, project) as top:
            for at, folders, names, here in os.fwalk(".", dir_fd=top, follow_symlinks=False):
                folder = at.removeprefix(".").removeprefix("/")
                deep = folder.count("/") + 1 if folder else 0
                folders[:] = sorted(f for f in folders if _is_shown(f) and deep < DEPTH)
                for name in sorted(names):
                    looked += 1
                    if len(found) >= MOST or looked > LOOKED_AT:
                        return sorted(found, key=lambda each: each.path), True
                    if not (name.endswith(SUFFIX) and _is_shown(name)):
                        continue
                    with suppress(OSError):
                        told = os.stat(name, dir_fd=here, follow_symlinks=False)
                        if stat.S_ISREG(told.st_mode):
                            changed = datetime.fromtimestamp(told.st_mtime, UTC)
                            path = f"{folder}/{name}" if folder else name
                            found.append(Notebook(path, told.st_size, changed))
    except NotFound:
        return [], False  # nobody has worked in it yet
    return sorted(found, key=lambda each: each.path), False


def read_notebook(home: Path, project: str, path: str) -> bytes:
    """The bytes of a notebook in a project's folder.

    Args:
        home: The Studio's folder.
        project: The project's id.
        path: Below the project's files, with `/` between the names.

    Raises:
        NotFound: There is no such notebook, or something on the way to it is a link.
        Limited: It has more than `LIMIT` bytes.
    """
    missing = NotFound(
        f"This project has no notebook {path[:200]!r}.", hint="See the list of its notebooks."
    )
    names = path.split("/")
    if not path.endswith(SUFFIX) or not all(_is_shown(n) and "\0" not in n for n in names):
        raise missing
    with _files(home, project) as top:
        here = os.dup(top)
        try:
            for name in names[:-1]:
                here = _into(here, name)
            # Not blocking: opening a pipe would wait for whoever writes to it.
            file = os.open(
                names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here
            )
        except (OSError, ValueError) as error:
            raise missing from error
        finally:
            os.close(here)
    try:
        told = os.fstat(file)
        if not stat.S_ISREG(told.st_mode):
            raise missing
        data = b""
        if told.st_size <= LIMIT:
            with open(file, "rb", closefd=False) as reader:
                data = reader.read(LIMIT + 1)  # it may have grown meanwhile
    finally:
        os.close(file)
    if max(told.st_size, len(data)) > LIMIT:
        raise Limited(
            f"The notebook {path[:200]!r} is too large to be shown: more than {LIMIT:,} bytes.",
            hint="Clear its outputs, or open it in JupyterLab.",
        )
    return data


def view_headers(settings: Settings) -> dict[str, str]:
    """The headers a project's origin must send with what `rendered` made.

    The page has an origin that is nobody's (no cookies, no storage, no requests), whatever
    address it is served at, and only the Studio's own pages may frame it.
    """
    policy = [
        "sandbox allow-scripts allow-popups",
        "default-src 'none'",
        "script-src 'unsafe-inline' 'unsafe-eval'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "media-src data: blob:",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        f"frame-ancestors {settings.address.rstrip('/')}",
    ]
    return {
        "content-security-policy": "; ".join(policy),
        "content-type": "text/html; charset=utf-8",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "private, no-store",
        "cross-origin-resource-policy": "cross-origin",
    }


_turns: "asyncio.Semaphore | None" = None


async def rendered(file_bytes: bytes, name: str) -> str:
    """A notebook as one page of HTML: `drawing`, in a process of its own with limits.

    Args:
        file_bytes: The file.
        name: What stands in the title.

    Raises:
        Invalid: It is no notebook.
        Limited: It takes too long, or too much memory.
        Unavailable: nbconvert is not installed.
    """
    from . import drawing

    global _turns
    if _turns is None:
        _turns = asyncio.Semaphore(2)
    async with _turns:
        code, out = await _apart(["-P", drawing.__file__, name], file_bytes, name)
    if code == 3:
        raise Invalid(out.decode(), hint="Open it in JupyterLab, and save it there.")
    if code == 4:
        raise Unavailable(out.decode(), hint="pip install nbconvert")
    if code:
        raise _too_much(name)
    return out.decode()


def not_shown(error: WorkbenchError) -> str:
    """What stands in the frame instead of a notebook that cannot be shown."""
    return (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Not shown</title>'
        "<style>html { color-scheme: light dark; background: Canvas; }"
        "body { margin: 2rem; font: 1rem/1.5 system-ui, sans-serif; }"
        "h1 { font-size: 1.12rem; }</style>"
        f"<h1>{escape(str(error))}</h1><p>{escape(error.hint)}</p></html>"
    )


async def outlined(file_bytes: bytes) -> list[dict[str, str]]:
    """`outline` in a process of its own; no cells if it takes too long or too much memory."""
    from . import outline

    try:
        code, out = await _apart(["-I", outline.__file__], file_bytes, "")
    except Limited:
        return []
    return list(json.loads(out)) if code == 0 else []


async def _apart(arguments: list[str], data: bytes, name: str) -> tuple[int, bytes]:
    """What a Python of its own makes of a file, and how it ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(RENDER_S):
            out, _ = await process.communicate(data)
    except TimeoutError as error:
        raise _too_much(name) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out


def _too_much(name: str) -> Limited:
    return Limited(
        f"The notebook {name[:200]!r} takes too long or too much memory to be shown.",
        hint="Clear its largest outputs, or open it in JupyterLab.",
    )


def _is_shown(name: str) -> bool:
    return name not in ("", ".", "..") and not name.startswith(".")


@contextmanager
def _files(home: Path, project: str) -> Iterator[int]:
    """A project's folder, opened; nothing on the way below the home is a link."""
    try:
        here = os.open(home / "projects", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _nowhere(project) from error
    try:
        for name in (project, "files"):
            if not _is_shown(name) or "/" in name:
                raise _nowhere(project)
            try:
                here = _into(here, name)
            except OSError as error:
                raise _nowhere(project) from error
        yield here
    finally:
        os.close(here)


def _into(here: int, name: str) -> int:
    """A folder inside an opened one, which is closed."""
    there = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    os.close(here)
    return there


def _nowhere(project: str) -> NotFound:
    return NotFound(f"The project {project[:80]!r} has no files.", hint="Open it in JupyterLab.")
