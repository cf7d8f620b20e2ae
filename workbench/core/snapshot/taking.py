"""A backup is taken: databases first, files after, and again if something was deleted meanwhile.

Why the order makes the copy whole. A write puts its files in place first and commits the rows
that name them after; files are content-addressed or versioned and are only added. So the
databases are copied first, each in one read transaction by SQLite's online backup, and the files
after: what the copied rows name was there before the rows were, and is there still. More files
than rows is harmless (nobody finds them). Among the databases the order is: DBOS's, then
`studio.db`, then the rest. DBOS's must not know more than the Studio's: a job that is done there
and running here would wait for ever, the other way round it is told that there is nothing to do.
MLflow's must not know less: models name its runs.

Only a deletion breaks this, and a deletion takes the rows first and the files after. So when all
files are copied the rows that name files are compared: if the database in use lacks one that the
copy has, the files may be incomplete and everything is copied again.

SQLite never opens a database from people's folders (`sqlite` says why): such a database is
copied together with its journals, again if it changed meanwhile, as after a loss of power.
"""

import io
import os
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ..errors import Conflict, Invalid, NotFound
from ..records import Record
from .archive import Archive
from .disk import disk_explained, reason, taken
from .manifest import FORMAT, LeftOut, Manifest
from .reading import (
    HEADER,
    HOLES,
    Exactly,
    begins,
    holes,
    is_database,
    opened,
    signature,
    state,
    taken_whole,
)
from .sqlite import Database, Deleted, turn_of
from .walking import BACKUPS, Found, Omitted, theirs, walk

TRIES = 3
SMALL = 8 * 1024**2
"""bytes; smaller files are read again when they change under the copy."""
_JOURNALS = ("-wal", "-journal", "-shm")


class Backup(Record):
    """A backup that was made."""

    file: str
    bytes: int
    """of the archive"""
    made_at: datetime
    studio: str
    revision: str
    databases: int
    files: int
    content_bytes: int
    """of what is in it"""
    left_out_count: int
    left_out: list[LeftOut]


def back_up(
    home: Path,
    file: Path,
    *,
    main: Path,
    studio: str,
    now: datetime,
    tell: Callable[[str], None] = lambda line: None,
) -> Backup:
    """Copy a home into one file, which appears under its name when it is whole.

    Args:
        home: The folder with everything.
        file: Where the backup goes; nothing may be there.
        main: The Studio's own database, below the home.
        studio: The version of the Studio.
        now: The time.
        tell: Gets a line for each step.

    Raises:
        NotFound: There is no home.
        Invalid: The file would be a part of the next backup.
        Conflict: Something has that name, or projects were deleted each time it was tried.
        Limited: The disk is full; nothing is left of the backup.
        Unavailable: A database or the folder cannot be used.
    """
    home, file = home.resolve(), file.parent.resolve() / file.name
    if not home.is_dir():
        raise NotFound(f"There is no home {home}.", hint="Choose one with WORKBENCH_HOME=….")
    if file.parent.is_relative_to(home) and not file.parent.is_relative_to(home / BACKUPS):
        raise Invalid(
            f"{file} would be a part of the next backup.",
            hint=f"Choose a file in {home / BACKUPS} or outside of {home}.",
        )
    with disk_explained(file, "backup"):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if file.exists() or file.is_symlink():
            raise taken(file)
        for attempt in range(1, TRIES + 1):
            try:
                return _back_up(home, file, main.resolve(), studio, now, tell)
            except Deleted as error:
                tell(f"{error} while its files were copied (try {attempt} of {TRIES})")
    raise Conflict(
        f"Something was deleted during each of {TRIES} copies of {home}.",
        hint="Make the backup when no project is being deleted.",
    )


def _back_up(
    home: Path, file: Path, main: Path, studio: str, now: datetime, tell: Callable[[str], None]
) -> Backup:
    omitted = Omitted()
    with Archive(file) as archive:
        found = [each for each in walk(home, Omitted()) if not theirs(each.path)]
        # The descriptors of that walk are closed; the paths of our own folders are good.
        ours = [home / each.path for each in found if stat.S_ISREG(each.info.st_mode)]
        databases = sorted(filter(is_database, ours), key=lambda path: turn_of(path, main))
        tell(f"Copying {len(databases)} databases")
        copies: dict[str, Database] = {}
        try:
            for path in databases:
                copies[path.relative_to(home).as_posix()] = Database(
                    path, file.parent, own=path == main
                )
            own = copies.get(main.relative_to(home).as_posix())
            tell("Copying files")
            for each in walk(home, omitted):
                _put(archive, home, each, copies, omitted)
            if own is not None:
                own.check_nothing_deleted()
            manifest = Manifest(
                format=FORMAT,
                studio=studio,
                revision=own.revision if own is not None else "",
                made_at=now,
                home=str(home),
                main=main.relative_to(home).as_posix(),
                entries=archive.entries,
                left_out=omitted.items,
                left_out_count=omitted.count,
            )
        finally:
            for each_copy in copies.values():
                each_copy.close()
        archive.finish(manifest)
    kinds = [each.kind for each in manifest.entries]
    return Backup(
        file=str(file),
        bytes=file.stat().st_size,
        made_at=now,
        studio=studio,
        revision=manifest.revision,
        databases=kinds.count("database"),
        files=kinds.count("file"),
        content_bytes=sum(each.size for each in manifest.entries),
        left_out_count=omitted.count,
        left_out=omitted.items,
    )


def _put(
    archive: Archive,
    home: Path,
    each: Found,
    copies: dict[str, Database],
    omitted: Omitted,
) -> None:
    """Add one thing that the walk found."""
    mode = each.info.st_mode
    if stat.S_ISDIR(mode):
        archive.folder(each)
    elif stat.S_ISLNK(mode):
        try:
            archive.link(each, os.readlink(each.name, dir_fd=each.folder))
        except OSError as error:
            omitted.add(each.path, reason(error))
    elif not stat.S_ISREG(mode):
        omitted.add(each.path, "no regular file")
    elif each.path in copies:
        archive.file(each, copies[each.path].reader(), "database")
    elif theirs(each.path):
        _put_theirs(archive, each, omitted)
    elif is_database(home / each.path):  # made since the databases were looked for
        copies[each.path] = Database(home / each.path, archive.target.parent)
        archive.file(each, copies[each.path].reader(), "database")
    elif not any(each.path == f"{name}{end}" for name in copies for end in _JOURNALS):
        _put_file(archive, each, omitted)


def _put_theirs(archive: Archive, each: Found, omitted: Omitted) -> None:
    if each.path in archive.names:
        return  # a journal, copied with its database
    base = next((each.name[: -len(e)] for e in _JOURNALS if each.name.endswith(e)), "")
    if base and begins(base, each.folder) == HEADER:
        # The database comes first in the order of names: its copy was whole without this one.
        return
    if begins(each.name, each.folder) != HEADER:
        _put_file(archive, each, omitted)
        return
    names = [each.name, f"{each.name}-wal", f"{each.name}-journal"]
    for _ in range(TRIES):
        before = [state(name, each.folder) for name in names]
        parts = {name: taken_whole(name, each.folder, archive.target.parent) for name in names}
        after = [state(name, each.folder) for name in names]
        if before == after:
            break
    else:
        omitted.add(each.path, "a database that changed while it was copied; it may be torn")
    for name, part in parts.items():
        if isinstance(part, str):
            if name == each.name:
                omitted.add(each.path, part)
            continue
        path = each.path + name[len(each.name) :]
        with part:
            archive.file(Found(path, name, each.folder, each.info), part, "file")


def _put_file(archive: Archive, each: Found, omitted: Omitted) -> None:
    """Add a file as far as it reaches now; a small one again if it changes meanwhile."""
    try:
        source = opened(each.name, each.folder)
    except OSError as error:
        omitted.add(each.path, reason(error))
        return
    with source:
        info = os.fstat(source.fileno())
        if not stat.S_ISREG(info.st_mode):
            omitted.add(each.path, "no regular file")
            return
        if theirs(each.path) and holes(source.fileno(), info) > HOLES:
            omitted.add(each.path, f"{info.st_size:,} bytes, nearly all of them nothing")
            return
        if info.st_size <= SMALL:
            for _ in range(TRIES):
                before = signature(os.fstat(source.fileno()))
                try:
                    source.seek(0)
                    content = source.read(min(before[1], SMALL))
                except OSError as error:
                    omitted.add(each.path, reason(error))
                    return
                if signature(os.fstat(source.fileno())) == before:
                    break
            else:
                omitted.add(each.path, "changed while it was copied")
            archive.file(each, io.BytesIO(content), "file")
            return
        exact = Exactly(source, info.st_size)
        archive.file(each, exact, "file", size=info.st_size)
        if exact.short or signature(os.fstat(source.fileno())) != signature(info):
            omitted.add(each.path, "changed while it was copied")
