"""Where rows come from: an upload, a file, a query over products, or a place outside."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from workbench.core import Context, Invalid, NotFound, blobs


@dataclass(frozen=True)
class Source:
    """A file to read, or a query to run."""

    name: str
    """What a person calls it."""
    file: Path | None = None
    sql: str = ""
    descriptor: int = -1
    """An open descriptor of the file, where following the path again would not be safe."""

    folder: "TemporaryDirectory[str] | None" = None
    """Holds the file, if it was fetched for this."""

    def close(self) -> None:
        """Let go of the file."""
        if self.folder is not None:
            self.folder.cleanup()
        if self.descriptor >= 0:
            os.close(self.descriptor)


def open_source(ctx: Context, source: str) -> Source:
    """What a `source` parameter names.

    Args:
        ctx: The project.
        source: `blob:blb_…`, `sql:SELECT …`, `connection:<name>/<path>`,
            `connection:<name>?SELECT …`, or a path in the project's files.

    Raises:
        NotFound: There is no such upload, file, connection or object.
        Invalid: The path leads out of the project, through a link, or to no regular file.
    """
    kind, _, rest = source.partition(":")
    if kind == "blob":
        blob = ctx.engine(blobs).get(ctx.project, rest)
        return Source(blob.name, file=ctx.engine(blobs).path(ctx.project, rest))
    if kind == "sql":
        if not rest.strip():
            raise Invalid("The query is empty.", hint="Write sql:SELECT … FROM a_product.")
        return Source("query", sql=rest)
    if kind == "connection":
        from .fetching import fetched

        return fetched(ctx, rest)
    descriptor = open_beneath(ctx.folder / "files", source)
    # The descriptor is what was checked; its path in /proc cannot be swapped for a link.
    return Source(Path(source).name, file=Path(f"/dev/fd/{descriptor}"), descriptor=descriptor)


def open_beneath(root: Path, path: str) -> int:
    """Open a regular file below a folder, following no link and no `..`."""
    parts = Path(path).parts
    if not parts or Path(path).is_absolute() or ".." in parts or "\0" in path:
        raise Invalid(
            f"{path!r} is not a path in the project's files.",
            hint="Give a path below the project's folder, without `..`, or upload the file.",
        )
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = deeper
        found = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        raise NotFound(
            f"The project has no file {path!r}.",
            hint="Upload it, or see the project's files in JupyterLab.",
        ) from None
    except OSError as error:
        raise Invalid(
            f"{path!r} cannot be read: {error.strerror}.",
            hint="Links are not followed; give the file itself.",
        ) from error
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise Invalid(f"{path!r} is not a file.", hint="Give a regular file.")
    return found
