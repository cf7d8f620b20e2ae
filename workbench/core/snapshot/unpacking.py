"""An archive is unpacked as if somebody had made it up: nothing is believed that does not fit.

A backup may have lain on any disk meanwhile: the manifest is checked before anything is written,
and every digest before anything is used.
"""

import gzip
import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from ..errors import Invalid, Limited, Refused
from .disk import PART, free_bytes
from .manifest import FORMAT, MANIFEST, Entry, Manifest, spelled


def unpack(
    file: Path, into: Path, revisions: Collection[str]
) -> tuple[Manifest, dict[str, int], list[str]]:
    """Unpack and check; the folders' modes, and the links that were not made.

    Every member stands in the manifest, as what it is there (a file, a folder or a link), in a
    folder that does, without `..`; set-user-id bits and write rights of others go, as tarfile's
    own filter does it (PEP 706), which Python has from 3.11.4 on only. Links are
    made when everything else is there, so that nothing is written through one; those that lead
    out of the home are not made: people link to what their sandbox shows them.
    """
    seen: set[str] = set()
    modes: dict[str, int] = {}
    links: list[tarfile.TarInfo] = []
    try:
        # Not tarfile's own gzip: it reads only the first of two members.
        with gzip.open(file) as unzipped, tarfile.open(fileobj=unzipped, mode="r|") as tar:
            manifest = _manifest(tar, file, revisions)
            told = {each.path: each for each in manifest.entries}
            if len(told) != len(manifest.entries):
                raise _damaged(file, "its manifest names something twice")
            total = sum(each.size for each in manifest.entries)
            if total > free_bytes(into):
                raise Limited(
                    f"{file.name} unpacks to {total:,} bytes and the disk of {into.parent} has "
                    f"{free_bytes(into):,} left.",
                    hint="Free space, or restore --to another disk.",
                )
            while (member := tar.next()) is not None:
                name = spelled(member.name)
                entry = told.get(name)
                if entry is None or name in seen or _kind(member) != _stored(entry):
                    raise _damaged(file, f"{name!r} is not in its manifest")
                if {"", ".", ".."} & set(name.split("/")):
                    raise _damaged(file, f"{name!r} leads out of the home")
                seen.add(name)
                above = name.rpartition("/")[0]
                if above and (above not in seen or told[above].kind != "dir"):
                    raise _damaged(file, f"{name!r} is in no folder")
                if member.issym():
                    if spelled(member.linkname) != entry.target:
                        raise _damaged(file, f"{name!r} is not what was backed up")
                    links.append(member)
                    continue
                path = os.path.join(into, member.name)
                if member.isdir():
                    os.mkdir(path, 0o700)
                    modes[path] = (member.mode & 0o755) | 0o700
                    continue
                source = tar.extractfile(member)
                assert source is not None
                if _write(source, path, _mode(member)) != (entry.size, entry.sha256):
                    raise _damaged(file, f"{name!r} is not what was backed up")
                os.utime(path, (member.mtime, member.mtime))
            while unzipped.read(PART):
                pass  # to the end, where the checksum is
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(file, str(error).rstrip(".") or "it cannot be unpacked") from error
    missing = next((each.path for each in manifest.entries if each.path not in seen), None)
    if missing is not None:
        raise _damaged(file, f"{missing!r} is missing")
    return manifest, modes, [spelled(each.name) for each in links if not _linked(each, into)]


def _linked(member: tarfile.TarInfo, into: Path) -> bool:
    """Make a link unless it leads out of the home; whether it was made."""
    inside = os.path.normpath(os.path.join(os.path.dirname(member.name), member.linkname))
    if os.path.isabs(member.linkname) or inside == ".." or inside.startswith("../"):
        return False
    place = os.path.join(into, member.name)
    # Also by way of a link that was made before this one.
    target = os.path.realpath(os.path.join(os.path.dirname(place), member.linkname))
    if not Path(target).is_relative_to(os.path.realpath(into)):
        return False
    try:
        os.symlink(member.linkname, place)
    except FileExistsError:
        return False
    return True


def _mode(member: tarfile.TarInfo) -> int:
    """A file's rights without set-user-id bits and without write rights of others (PEP 706)."""
    mode = (member.mode & 0o755) | 0o600
    return mode if mode & 0o100 else mode & ~0o011


def _manifest(tar: tarfile.TarFile, file: Path, revisions: Collection[str]) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isreg():
        raise _damaged(file, f"it does not begin with {MANIFEST}")
    source = tar.extractfile(first)
    assert source is not None
    try:
        body = json.loads(source.read())
        format = int(body["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(file, "its manifest cannot be read") from error
    if format > FORMAT:
        raise Refused(
            f"{file.name} has the format {format}; this Studio reads up to {FORMAT}.",
            hint="Restore it with the version of the Studio that made it, or a newer one.",
        )
    try:
        manifest = Manifest.model_validate(body)
    except ValidationError as error:
        raise _damaged(file, "its manifest cannot be read") from error
    if manifest.revision and manifest.revision not in revisions:
        raise Refused(
            f"{file.name} has the schema {manifest.revision[:40]}; this Studio knows up to "
            f"{max(revisions, default='none')}.",
            hint=f"Restore it with version {manifest.studio[:40]} of the Studio, or a newer one.",
        )
    return manifest


def _kind(member: tarfile.TarInfo) -> str:
    kinds = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link"}
    return kinds.get(member.type, "none")


def _stored(entry: Entry) -> str:
    return "file" if entry.kind == "database" else entry.kind


def _write(source: IO[bytes], path: str, mode: int) -> tuple[int, str]:
    """Write a new file; its size and digest."""
    total, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as out:
        while part := source.read(PART):
            total.update(part)
            size += len(part)
            out.write(part)
        os.fchmod(out.fileno(), mode)
    return size, f"sha256:{total.hexdigest()}"


def _damaged(file: Path, what: str) -> Invalid:
    return Invalid(
        f"{file} is no whole backup: {what}.", hint="Nothing was changed; use another backup."
    )
