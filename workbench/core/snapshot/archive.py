"""The file that a backup becomes: written in one go, hashed as it goes by, named when it is whole.

Whoever reads it goes through it once, front to back, so the manifest comes first; a process that
is killed meanwhile leaves nothing behind.
"""

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal

from .disk import PART, nameless, sync_folder
from .manifest import MANIFEST, Entry, Manifest, spelled
from .reading import Exactly
from .walking import Found


class Archive:
    """The file that is being made; it has a name once it is whole."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.entries: list[Entry] = []
        self.names: set[str] = set()
        # The content goes first into a file without a name: the manifest, which comes first in
        # the archive, is known last. Two gzip members behind one another are one gzip file.
        self._content = tempfile.TemporaryFile(dir=target.parent)  # noqa: SIM115
        self._zip = gzip.GzipFile("", "wb", 3, self._content, 0)
        self._tar = tarfile.TarFile(fileobj=self._zip, mode="w", format=tarfile.PAX_FORMAT)

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # on a full disk, what is left in buffers cannot be written
            self._zip.close()
        self._content.close()

    def folder(self, each: Found) -> None:
        """Add a folder, without what is in it."""
        info = self._info(each)
        info.type = tarfile.DIRTYPE
        self._tar.addfile(info)
        self._add(each, Entry(path=spelled(each.path), kind="dir"))

    def link(self, each: Found, target: str) -> None:
        """Add a link as a link."""
        info = self._info(each)
        info.type, info.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(info)
        self._add(each, Entry(path=spelled(each.path), kind="link", target=spelled(target)))

    def file(
        self,
        each: Found,
        source: IO[bytes] | Exactly,
        kind: Literal["file", "database"],
        size: int | None = None,
    ) -> None:
        """Add a file's bytes: `size` of them, or all that `source` has."""
        info = self._info(each)
        if size is None:
            assert not isinstance(source, Exactly)
            size = source.seek(0, os.SEEK_END)
            source.seek(0)
        info.size = size
        hashing = _Hashing(source)
        self._tar.addfile(info, hashing)  # type: ignore[arg-type]
        self._add(
            each,
            Entry(path=spelled(each.path), kind=kind, size=size, sha256=hashing.digest),
        )

    def finish(self, manifest: Manifest) -> None:
        """Put the manifest in front, sync, and give the file its name."""
        self._tar.close()
        self._zip.close()
        body = json.dumps(manifest.model_dump(mode="json")).encode()
        with nameless(self.target) as (out, publish):
            with gzip.GzipFile("", "wb", 3, out, 0) as zipped:
                # Not closed: the end of an archive stands behind the content.
                first = tarfile.TarFile(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT)
                info = tarfile.TarInfo(MANIFEST)
                info.size, info.mode = len(body), 0o600
                info.mtime = int(manifest.made_at.timestamp())
                first.addfile(info, io.BytesIO(body))
            self._content.seek(0)
            while part := self._content.read(PART):
                out.write(part)
            out.flush()
            os.fsync(out.fileno())
            publish()
        sync_folder(self.target.parent)

    def _info(self, each: Found) -> tarfile.TarInfo:
        info = tarfile.TarInfo(each.path)
        info.mode, info.mtime = stat.S_IMODE(each.info.st_mode), each.info.st_mtime
        return info

    def _add(self, each: Found, entry: Entry) -> None:
        self.entries.append(entry)
        self.names.add(each.path)


class _Hashing:
    """Reads on, and digests what goes by."""

    def __init__(self, source: IO[bytes] | Exactly) -> None:
        self._source, self._total = source, hashlib.sha256()

    def read(self, size: int) -> bytes:
        part = self._source.read(size)
        self._total.update(part)
        return part

    @property
    def digest(self) -> str:
        return f"sha256:{self._total.hexdigest()}"
