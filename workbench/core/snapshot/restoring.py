"""A home is made from a backup; the one that is there changes only when the new one is whole.

The archive is unpacked and checked beside the home, and takes its place by a rename. Tables
of what lets somebody in are emptied, as the caller names them: it may have been revoked since.
"""

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ..errors import Conflict, NotFound
from ..records import Record
from .disk import disk_explained, sync_folder, taken
from .manifest import Manifest
from .sqlite import connected, has_table
from .unpacking import unpack
from .walking import BACKUPS

_KEPT = {BACKUPS, "logs"}


class Restored(Record):
    """A home that was made from a backup."""

    home: str
    file: str
    made_at: datetime
    """When the backup was made."""
    revision: str
    databases: int
    files: int
    before: str
    """Where the home that was there is now; empty if there was none."""
    links_left_out: list[str]
    """Links that lead out of the home."""
    ended: dict[str, int]
    """Table → how many of its rows were removed, since they let somebody in."""


def restore(
    file: Path,
    home: Path,
    *,
    force: bool,
    now: datetime,
    revisions: Collection[str],
    drop_rows: Collection[str] = (),
    drop_files: Collection[str] = (),
) -> Restored:
    """Make a home from a backup; what was there changes only after every digest was checked.

    The archive is unpacked beside the home and then takes its place by a rename.

    Args:
        file: The backup.
        home: Where the home is to be.
        force: Move a home that is there aside.
        now: The time.
        revisions: The schemas this Studio knows.
        drop_rows: Tables that are emptied, in whichever database they are.
        drop_files: Files below the home that are not restored.

    Raises:
        NotFound: There is no such file.
        Conflict: A Studio uses the home, or there is one and `force` was not given.
        Refused: A newer Studio made the backup.
        Invalid: It is no backup, or is damaged.
        Limited: The disk is full.
        Unavailable: The file cannot be read, or the home cannot be replaced.
    """
    if not file.is_file():
        raise NotFound(f"There is no file {file}.", hint="Give the file that the backup made.")
    home = home.resolve()
    with disk_explained(home, "restored home"):
        home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with in_use(home):
            there = _what_is_in(home)
            if there and not force:
                raise Conflict(
                    f"{home} is not empty: it has {', '.join(there[:3])}"
                    f"{' and more' if len(there) > 3 else ''}.",
                    hint="--force moves it aside and deletes nothing; --to restores elsewhere.",
                )
            fresh = Path(tempfile.mkdtemp(prefix=f".{home.name}.restoring-", dir=home.parent))
            try:
                manifest, modes, links = unpack(file, fresh, revisions)
                ended = _forget(fresh, manifest, drop_rows)
                for name in drop_files:
                    (fresh / name).unlink(missing_ok=True)
                _move_references(fresh, manifest, home)
                # Last, children first: a folder may not be writable.
                for path, mode in sorted(modes.items(), reverse=True):
                    os.chmod(path, mode)
                os.sync()
                before = _replace(home, fresh, bool(there), now)
            except BaseException:
                _remove(fresh)
                raise
    kinds = [each.kind for each in manifest.entries]
    return Restored(
        home=str(home),
        file=str(file),
        made_at=manifest.made_at,
        revision=manifest.revision,
        databases=kinds.count("database"),
        files=kinds.count("file"),
        before=str(before) if before else "",
        links_left_out=links,
        ended=ended,
    )


@contextmanager
def in_use(home: Path) -> Iterator[None]:
    """Keep a Studio from starting on a home meanwhile.

    Raises:
        Conflict: One runs on it, or its jobs do.
    """
    if not home.is_dir():
        yield
        return
    from filelock import FileLock, Timeout

    locks = [FileLock(home / name, mode=0o600) for name in ("studio.lock", "jobs.lock")]
    held = []
    try:
        for lock in locks:
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise Conflict(
                    f"A Studio runs on {home}.", hint="Stop it (Ctrl-C where it runs), then repeat."
                ) from error
            held.append(lock)
        yield
    finally:
        for lock in held:
            lock.release()


def _what_is_in(home: Path) -> list[str]:
    """The names in a home that are worth something."""
    if home.exists() and not home.is_dir():
        raise Conflict(f"{home} is a file.", hint="Choose another home with --to.")
    names = sorted(os.listdir(home)) if home.is_dir() else []
    return [name for name in names if name not in _KEPT | {"run"} and not name.endswith(".lock")]


def _replace(home: Path, fresh: Path, keep: bool, now: datetime) -> Path | None:
    """Put the new home in place; where the old one is now, if it is kept."""
    if not home.is_dir():
        os.rename(fresh, home)
        sync_folder(home.parent)
        return None
    aside = home.with_name(f"{home.name}.before-restore-{now:%Y%m%dT%H%M%S.%fZ}")
    if aside.exists():
        raise taken(aside)
    os.rename(home, aside)
    try:
        os.rename(fresh, home)
    except BaseException:
        os.rename(aside, home)
        raise
    if not keep:
        for name in _KEPT:
            if (aside / name).is_dir() and not (aside / name).is_symlink():
                os.rename(aside / name, home / name)
        _remove(aside)
    sync_folder(home.parent)
    return aside if keep else None


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _databases(fresh: Path, manifest: Manifest) -> list[Path]:
    return [fresh / each.path for each in manifest.entries if each.kind == "database"]


def _forget(fresh: Path, manifest: Manifest, tables: Collection[str]) -> dict[str, int]:
    """Empty the tables of what lets somebody in."""
    ended: dict[str, int] = {}
    for path in _databases(fresh, manifest):
        with connected(path) as database:
            for table in tables:
                if has_table(database, table):
                    gone = database.execute(f'DELETE FROM "{table}"').rowcount
                    ended[table] = ended.get(table, 0) + gone
    return ended


def _move_references(fresh: Path, manifest: Manifest, home: Path) -> None:
    """Where the home is elsewhere now: MLflow keeps `file://` addresses of its artifacts."""
    old, new = f"{Path(manifest.home).as_uri()}/", f"{home.as_uri()}/"
    if old == new:
        return
    for path in _databases(fresh, manifest):
        if path == fresh / manifest.main:
            continue  # holds none, and its events may not change
        with connected(path) as database:
            database.execute("BEGIN IMMEDIATE")
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                for row in database.execute(f"PRAGMA table_info({_quoted(table)})").fetchall():
                    column = _quoted(row[1])
                    database.execute(
                        f"UPDATE {_quoted(table)} SET {column} = ? || substr({column}, ?) "
                        f"WHERE typeof({column}) = 'text' AND substr({column}, 1, ?) = ?",
                        (new, len(old) + 1, len(old), old),
                    )
            database.execute("COMMIT")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
