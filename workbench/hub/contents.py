"""A project's files as JupyterLab reads and writes them: each write whole, or not at all.

Jupyter's own manager writes into the file itself beside a copy. Whoever reads meanwhile finds half
a notebook, takes the copy for what is left of it, and puts it in place of what is being written.
"""

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager


class StudioContents(AsyncLargeFileManager):
    """Jupyter's files, each written beside and then put in place of the former one.

    Attributes:
        before_reading: What is done before a notebook is read; it is given the path.
    """

    before_reading: Callable[[str], Awaitable[None]] | None = None

    async def get(self, path: str, content: bool = True, *args: Any, **kwargs: Any) -> Any:
        """See `jupyter_server`: a file or folder, with what is in it."""
        if content and self.before_reading is not None:
            await self.before_reading(path.strip("/"))
        return await super().get(path, content, *args, **kwargs)

    @contextmanager
    def atomic_writing(self, os_path: str, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """See `jupyter_server`: a file to write, which replaces `os_path` once it is complete."""
        with self.perm_to_403(os_path), replacing(Path(os_path), *args, **kwargs) as file:
            yield file


@contextmanager
def replacing(
    path: Path, text: bool = True, encoding: str = "utf-8", **kwargs: Any
) -> Iterator[Any]:
    """A file that takes another's place when it is written to its end; if not, nothing changed.

    Args:
        path: What is replaced; where it is a link, what that leads to. It keeps its permissions.
        text: Whether text is written.
        encoding: Of the text.
        kwargs: More for `open`.

    Raises:
        PermissionError: The file may not be written.
    """
    path = path.resolve()
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path.name} may not be written.")
    if not os.access(path.parent, os.W_OK):
        # Nothing can be put beside it: then into the file itself.
        with open(path, "w" if text else "wb", encoding=encoding if text else None) as file:
            yield file
        return
    if text:
        kwargs = {"encoding": encoding, "newline": "\n", **kwargs}
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".~{path.name[:100]}-")
    try:
        with open(number, "w" if text else "wb", **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, name)
        else:
            os.chmod(name, 0o666 & ~_mask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _mask() -> int:
    """The bits a new file does not get."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
