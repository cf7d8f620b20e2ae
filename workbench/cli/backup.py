"""`workbench backup`, `restore` and `upgrade`: a home as one file, and its schema up and down."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

import workbench
from workbench.core import NotFound, Record, Refused, Settings
from workbench.core.databases import connect, explained, locate, revision_in
from workbench.core.snapshot import BACKUPS, Backup, Restored, back_up, in_use, restore, step_back
from workbench.core.store import Store, known_revisions, newest_migration, stores
from workbench.operations.health import note_backup

LETS_IN = ("sessions", "api_tokens", "oauth_codes")
"""Tables with what was handed out to come in by: the Studio's sessions, the hub's tokens."""

LETS_IN_FILES = ("keys/cookie_secret", "keys/welcome.json")
"""The hub's cookies are signed with the one, links that make accounts are in the other. Both are
made anew: a link that was used after the backup must not work again."""


class Upgrade(Record):
    """What `workbench upgrade` did."""

    before: str
    """The schema there was."""
    after: str
    """The schema there is."""
    backup: str
    """The backup made first; empty if there was nothing to do."""
    sentence: str


def make_backup(settings: Settings, file: Path | None = None) -> Backup:
    """Copy the home into a file, while it is used.

    Args:
        settings: Where the home is.
        file: Where the backup goes; in the home's own `backups` folder if absent.

    Raises:
        Refused: The records are not in the home.
    """
    now = datetime.now(UTC)
    name = f"workbench-backup-{now:%Y%m%dT%H%M%S.%f}Z.tar.gz"
    if file is None:
        file = settings.home / BACKUPS / name
    elif file.is_dir():
        file = file / name
    made = back_up(
        settings.home,
        file.absolute(),
        main=_database(settings),
        studio=workbench.__version__,
        now=now,
        tell=_tell,
    )
    note_backup(settings.home, file.absolute(), now)
    return made


def restore_backup(
    settings: Settings, file: Path, *, to: Path | None = None, force: bool = False
) -> Restored:
    """Make a home from a backup; see `workbench.core.snapshot.restore`.

    Args:
        settings: Where the home is.
        file: The backup.
        to: Another home.
        force: Move a home that is there aside.
    """
    return restore(
        file.absolute(),
        (to or settings.home).expanduser().absolute(),
        force=force,
        now=datetime.now(UTC),
        revisions=known_revisions(),
        drop_rows=LETS_IN,
        drop_files=LETS_IN_FILES,
    )


def upgrade(settings: Settings, *, back: bool = False, unsaved: bool = False) -> Upgrade:
    """Bring the database to the schema of this Studio, or one schema back, after a backup.

    A database outside of the home is not backed up here: it has tools of its own.

    Args:
        settings: Where the home is.
        back: One schema back instead.
        unsaved: Go back although this makes no backup of a database outside of the home.

    Raises:
        Conflict: A Studio runs on the home.
        Refused: The schema is newer than this Studio, there is no step back, or no backup.
    """
    url, newest = _url(settings), newest_migration()
    database = locate(url, settings.home, "studio.db")
    if database.drivername == "sqlite" and not Path(str(database.database)).is_file():
        raise NotFound(
            f"There is no database {database.database}.",
            hint="A new home begins with the newest schema.",
        )
    with in_use(settings.home):
        before = _schema(database)
        if before and before not in known_revisions():
            raise Refused(
                f"The database has the schema {before}; this Studio knows up to {newest}.",
                hint="Install the version of the Studio that wrote it, or a newer one.",
            )
        if back and before in ("", min(known_revisions())):
            raise Refused(
                f"The database has the schema {before or 'none'}, and there is none before it.",
                hint="Restore an earlier backup: `workbench restore FILE --force`.",
            )
        if not back and before == newest:
            return Upgrade(
                before=before,
                after=newest,
                backup="",
                sentence=f"The schema {newest} is the newest this Studio knows.",
            )
        if _outside(settings) is None:
            saved = make_backup(settings).file
        elif back and not unsaved:
            raise Refused(
                f"The {_outside(settings)}, outside of the home, so this makes no backup, and "
                "what only the newer schema has a place for goes.",
                hint="Copy the database with its own tools (pg_dump), then add --unsaved.",
            )
        else:
            saved = ""
        if back:
            after = step_back(database)
            sentence = (
                f"The schema went back from {before} to {after}. Now install the Studio that goes "
                "with it: this one migrates forward again with its next command."
            )
        else:
            workbench.load_rooms(settings.rooms)
            Store(url, settings.home).close()
            after = _schema(database)
            sentence = f"The schema went from {before or 'none'} to {after}."
    return Upgrade(before=before, after=after, backup=saved, sentence=sentence)


def backup_lines(made: Backup) -> str:
    """A backup as a person reads it."""
    lines = [
        f"{made.file}",
        f"{made.databases:,} databases and {made.files:,} files, "
        f"{made.content_bytes / 10**6:,.1f} MB "
        f"in {made.bytes / 10**6:,.1f} MB; schema {made.revision or 'none'}.",
    ]
    if made.left_out_count:
        lines.append(f"Left out, or not as they were: {made.left_out_count:,}.")
        lines += [f"  {_shown(each.path)}: {each.why}" for each in made.left_out[:10]]
        if made.left_out_count > 10:
            lines.append("  … all with --json")
    lines += [
        "It holds the keys, accounts and everybody's data: keep it where only you can read it,",
        "and on another disk.",
    ]
    return "\n".join(lines)


def restored_lines(done: Restored) -> str:
    """A restored home as a person reads it."""
    lines = [
        f"{done.home} is as it was on {done.made_at:%Y-%m-%d at %H:%M} UTC: {done.databases} "
        f"databases and {done.files:,} files; schema {done.revision or 'none'}."
    ]
    if done.before:
        lines.append(f"The home that was there is in {done.before}.")
    if done.links_left_out:
        lines.append(f"Links that lead out of the home were not made: {len(done.links_left_out)}.")
        lines += [f"  {_shown(each)}" for each in done.links_left_out[:10]]
    lines += [
        f"Everybody has to sign in again: {sum(done.ended.values()):,} sessions and tokens ended.",
        "Invitations made since the backup are unknown; rights taken away since are back.",
    ]
    return "\n".join(lines)


def _url(settings: Settings) -> str:
    return settings.urls.get("core.store", stores.default)


def _schema(database: sa.URL) -> str:
    engine = connect(database)
    try:
        with explained(), engine.connect().execution_options(reading=True) as connection:
            return revision_in(connection)
    finally:
        engine.dispose()


def _outside(settings: Settings) -> str | None:
    """Which of the Studio's databases are no files of the home, in words; None if none."""
    told = []
    for what, url, file in (
        ("records", _url(settings), "studio.db"),
        ("accounts", settings.hub_db_url, "hub.sqlite"),
    ):
        found = locate(url, settings.home, file)
        path = Path(str(found.database))
        if found.drivername != "sqlite":
            told.append(f"{what} of this Studio are in a {found.get_backend_name()} database")
        elif not path.resolve().is_relative_to(settings.home.resolve()):
            told.append(f"{what} of this Studio are in {path}")
    return " and the ".join(told) or None


def _database(settings: Settings) -> Path:
    """The Studio's own database.

    Raises:
        Refused: It is no file of the home.
    """
    if (where := _outside(settings)) is not None:
        raise Refused(
            f"The {where}, outside of its home.",
            hint="Stop the Studio, copy that database with its own tools (pg_dump), and the home.",
        )
    return Path(str(locate(_url(settings), settings.home, "studio.db").database))


def _tell(line: str) -> None:
    print(f"{line} …", file=sys.stderr, flush=True)


def _shown(path: str) -> str:
    return "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in path)
