"""Blobs: bytes by reference. Uploads resume where they stopped; downloads take ranges.

An upload is created with its size, filled by appending at its offset, and usable when all of
it is there. Acknowledgement of an append means the bytes are with the operating system;
`finish` syncs them to disk. Unused uploads are removed after `keep_uploads_s`.
"""

import hashlib
import hmac
import json
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any, Protocol

from .errors import Conflict, Forbidden, Invalid, Limited, NotFound
from .ids import new_id
from .ports import Port
from .records import Record


class Blob(Record):
    """Bytes the Studio keeps for a project."""

    id: str
    name: str
    size: int
    """bytes"""
    received: int
    """bytes; the offset the next append must have"""
    sha256: str | None = None
    """`sha256:…` once complete."""
    media_type: str = "application/octet-stream"
    url: str = ""
    """Signed; good for `URL_LIFE_S` seconds."""


URL_LIFE_S = 3600


class Blobs(Protocol):
    """Where bytes live. Every engine passes tests/ports/test_blobs.py."""

    def create(self, project: str, name: str, size: int, media_type: str = ...) -> Blob:
        """A new, empty blob of that size; Invalid for a size below 0."""

    def append(self, project: str, id: str, offset: int, data: bytes) -> Blob:
        """Add bytes at the offset; Conflict if it is not where the blob ends."""

    def get(self, project: str, id: str) -> Blob:
        """The blob; NotFound if the project has none of that id."""

    def path(self, project: str, id: str) -> Path:
        """A file with the complete bytes; Conflict while some are missing."""

    def keep(self, project: str, file: Path, name: str, media_type: str = ...) -> Blob:
        """Take over a finished file (it is moved)."""

    def link(self, project: str, file: Path) -> Blob:
        """Refer to a file of the person who runs this process, without copying it."""

    def delete(self, project: str, id: str) -> None:
        """Remove it; nothing if it is gone already."""

    def sweep(self, older_than_s: float) -> int:
        """Remove blobs last touched longer ago; how many."""


class FileBlobs:
    """Blobs as folders: `blobs/<project>/<id>/{data,meta.json}`."""

    def __init__(self, url: str, home: Path) -> None:
        given = url.partition("://")[2]
        self._root = Path(given) if given else home / "blobs"

    def create(
        self, project: str, name: str, size: int, media_type: str = "application/octet-stream"
    ) -> Blob:
        if size < 0:
            raise Invalid(f"A size of {size} bytes makes no sense.", hint="0 or more.")
        free = shutil.disk_usage(self._ensured()).free
        if size > free:
            raise Limited(
                f"{name} needs {size:,} bytes and the disk has {free:,} left.",
                hint="Free space, or upload less.",
            )
        blob = Blob(
            id=new_id("blb"),
            name=Path(name).name[:200] or "data",
            size=size,
            received=0,
            media_type=media_type,
        )
        folder = self._root / project / blob.id
        folder.mkdir(parents=True, mode=0o700)
        (folder / "data").touch(mode=0o600)
        self._write_meta(folder, blob)
        return self._completed(folder, blob) if size == 0 else blob

    def append(self, project: str, id: str, offset: int, data: bytes) -> Blob:
        folder, meta = self._meta(project, id)
        blob = self.get(project, id)
        if blob.sha256 or meta.get("link"):
            raise Conflict(f"The upload {id} is complete.", hint="Make a new one.")
        if offset != blob.received:
            raise Conflict(
                f"The upload {id} is at byte {blob.received}, not at {offset}.",
                hint="Ask where it is, and go on from there.",
            )
        if offset + len(data) > blob.size:
            raise Invalid(
                f"{offset + len(data):,} bytes do not fit an upload of {blob.size:,}.",
                hint="Make a new upload with the right size.",
            )
        try:
            with open(folder / "data", "r+b") as file:
                file.seek(offset)
                file.write(data)
        except OSError as error:
            raise Limited(
                f"The disk is full after {offset:,} of {blob.size:,} bytes.",
                hint="Free space; the upload goes on where it stopped.",
            ) from error
        blob = blob.model_copy(update={"received": offset + len(data)})
        return self._completed(folder, blob) if blob.received == blob.size else blob

    def get(self, project: str, id: str) -> Blob:
        folder, meta = self._meta(project, id)
        blob = Blob.model_validate(meta)
        if blob.sha256 or meta.get("link"):
            return blob
        return blob.model_copy(update={"received": (folder / "data").stat().st_size})

    def path(self, project: str, id: str) -> Path:
        folder, meta = self._meta(project, id)
        if meta.get("link"):
            linked = Path(meta["link"])
            if not linked.is_file():
                raise NotFound(
                    f"The file {linked.name} is not there any more.", hint="Give it again."
                )
            return linked
        blob = self.get(project, id)
        if not blob.sha256:
            raise Conflict(
                f"The upload {id} has {blob.received:,} of {blob.size:,} bytes.",
                hint="Send the rest first.",
            )
        return folder / "data"

    def keep(
        self, project: str, file: Path, name: str, media_type: str = "application/octet-stream"
    ) -> Blob:
        blob = Blob(
            id=new_id("blb"),
            name=name,
            size=file.stat().st_size,
            received=file.stat().st_size,
            media_type=media_type,
        )
        folder = self._ensured() / project / blob.id
        folder.mkdir(parents=True, mode=0o700)
        shutil.move(file, folder / "data")
        return self._completed(folder, blob)

    def link(self, project: str, file: Path) -> Blob:
        size = file.stat().st_size
        blob = Blob(id=new_id("blb"), name=file.name, size=size, received=size)
        folder = self._ensured() / project / blob.id
        folder.mkdir(parents=True, mode=0o700)
        self._write_meta(folder, blob, link=str(file.absolute()))
        return blob

    def delete(self, project: str, id: str) -> None:
        shutil.rmtree(self._folder(project, id), ignore_errors=True)

    def sweep(self, older_than_s: float) -> int:
        gone = 0
        for folder in self._root.glob("*/blb_*"):
            data = folder / "data"
            touched = (data if data.exists() else folder).stat().st_mtime
            if time.time() - touched > older_than_s:
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
        return gone

    def _ensured(self) -> Path:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._root

    def _folder(self, project: str, id: str) -> Path:
        if not id.startswith("blb_") or not id[4:].isalnum() or "/" in project or ".." in project:
            raise NotFound(f"There is no upload {id!r}.", hint="An upload's id starts with blb_.")
        return self._root / project / id

    def _meta(self, project: str, id: str) -> tuple[Path, dict[str, Any]]:
        folder = self._folder(project, id)
        try:
            return folder, json.loads((folder / "meta.json").read_text())
        except FileNotFoundError:
            raise NotFound(
                f"There is no upload {id!r} in this project.",
                hint="Unused uploads are removed after a day; upload it again.",
            ) from None

    def _completed(self, folder: Path, blob: Blob) -> Blob:
        with open(folder / "data", "rb") as file:
            os.fsync(file.fileno())
            content = hashlib.file_digest(file, "sha256").hexdigest()
        blob = blob.model_copy(update={"sha256": f"sha256:{content}"})
        self._write_meta(folder, blob)
        return blob

    def _write_meta(self, folder: Path, blob: Blob, link: str = "") -> None:
        new = folder / "meta.json.new"
        new.write_text(json.dumps(blob.model_dump() | ({"link": link} if link else {})))
        new.replace(folder / "meta.json")


class Signer:
    """Signs references to blobs, so that a link works without a session for a while.

    HMAC-SHA256 over project, id and expiry, with a key of this home (RFC 2104).
    """

    def __init__(self, home: Path) -> None:
        file = home / "keys" / "blobs"
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
                new.write(secrets.token_bytes(32))
        except FileExistsError:
            pass  # made by an earlier start; the file is the one key
        self._key = file.read_bytes()

    def url(self, project: str, id: str, now: float | None = None) -> str:
        """A path that downloads the blob until `URL_LIFE_S` from now."""
        return f"/api/v1/blobs/{project}/{id}?{self.query(project, id, now)}"

    def query(self, project: str, id: str, now: float | None = None) -> str:
        """What to put behind an address, so that `check` accepts it until `URL_LIFE_S` from now."""
        expires = int(now if now is not None else time.time()) + URL_LIFE_S
        return f"expires={expires}&signature={self._sign(project, id, expires)}"

    def check(self, project: str, id: str, expires: int, signature: str) -> None:
        """Return if the reference is ours and still good; raise Forbidden otherwise."""
        good = hmac.compare_digest(self._sign(project, id, expires), signature)
        if not good or time.time() > expires:
            raise Forbidden("This link is not valid any more.", hint="Go back to where it stood.")

    def _sign(self, project: str, id: str, expires: int) -> str:
        text = f"{project}/{id}/{expires}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


blobs = Port[Blobs]("core.blobs", default="file://", doc="Bytes by reference: uploads, exports.")
blobs.engine("file", "workbench.core.blobs:FileBlobs")
