"""Delete a project, and everything of it but what the record tells."""

import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock

from workbench.comments import comments
from workbench.core import FINISHED, Conflict, Context, Invalid, Store, action
from workbench.core.events import events
from workbench.core.shelf import records
from workbench.core.store import metadata
from workbench.pipelines.ledger import jobs, lines
from workbench.security.sessions import end

from .spaces import held, here, projects
from .types import Deletion

log = logging.getLogger(__name__)

GONE = ".deleted-"
"""Before the id: a project's folder that is being removed."""


@action(effect="read", on="id")
def get_deletion(ctx: Context, id: str) -> Deletion:
    """What would go if this project were deleted.

    Args:
        id: Its id or name.
    """
    project = here(ctx, id)
    with ctx.store.read() as connection:
        kinds: dict[str, int] = {
            kind: count
            for kind, count in connection.execute(
                sa.select(records.c.kind, sa.func.count(records.c.id.distinct()))
                .where(records.c.project == project.id)
                .group_by(records.c.kind)
            )
        }
        ran = connection.execute(
            sa.select(sa.func.count()).select_from(jobs).where(jobs.c.project == project.id)
        ).scalar_one()
        said = connection.execute(
            sa.select(sa.func.count())
            .select_from(comments)
            .where(comments.c.project == project.id, comments.c.deleted_at.is_(None))
        ).scalar_one()
    sizes = [_measure(folder) for folder in _folders(ctx.home, project.id)]
    return Deletion(
        project=project.id,
        name=project.name,
        products=kinds.get("prd", 0),
        models=kinds.get("mdl", 0),
        reports=kinds.get("rpt", 0),
        jobs=ran,
        comments=said,
        files=_measure(ctx.folder / "files")[0],
        bytes=sum(size for _, size in sizes),
    )


@action(effect="write", fresh=True, undo="irreversible", on="id")
def delete_project(ctx: Context, id: str, confirm: str) -> Deletion:
    """Delete this project: its members, products, models, reports, jobs, comments and files.

    Args:
        id: Its id or name.
        confirm: Its name, so that nobody deletes one by mistake.
    """
    found = get_deletion(ctx, id)
    if confirm != found.name:
        raise Invalid(
            f"The project is called {found.name!r}, not {confirm[:80]!r}.",
            hint="Give its name as `confirm`; `projects.get_deletion` says what would go.",
        )
    logs: list[str] = []
    with ctx.store.read() as connection:
        check_idle(connection, found.project)

    def write(tx: sa.Connection) -> None:
        held(tx, found.project)
        check_idle(tx, found.project)
        logs.extend(
            tx.execute(sa.select(jobs.c.id).where(jobs.c.project == found.project)).scalars()
        )
        _forget(tx, found.project)

    ctx.note(project=found.project)
    ctx.stage(write)
    ctx.after_commit(lambda: _erase(ctx.home, found.project, logs))
    return found


def check_idle(connection: sa.Connection, project: str) -> None:
    """Raise Conflict while a job of the project is queued or running."""
    count = connection.execute(
        sa.select(sa.func.count())
        .select_from(jobs)
        .where(jobs.c.project == project, jobs.c.state.not_in(FINISHED))
    ).scalar_one()
    if count:
        raise Conflict(
            f"{count} job{'s' if count > 1 else ''} of this project "
            f"{'are' if count > 1 else 'is'} queued or running.",
            hint="Wait for them, or cancel them (`pipelines.cancel`), then repeat.",
        )


def sweep(home: Path, store: Store) -> int:
    """Finish deletions that something interrupted; how many. Run when the Studio starts.

    Only projects go that the record says were deleted: files whose project is merely unknown
    to this database (another one was restored, a project is being made) stay.
    """
    on_disk = {
        folder.name.removeprefix(GONE)
        for place in ("projects", "blobs", "mlflow")
        for folder in (home / place).glob("*prj_*")
    }
    if not on_disk:
        return 0
    with store.read() as connection:
        on_disk -= set(connection.execute(sa.select(projects.c.id)).scalars())
        deleted = [
            id
            for id in connection.execute(
                sa.select(events.c.project)
                .where(events.c.action == "projects.delete_project", events.c.outcome == "done")
                .distinct()
            ).scalars()
            if id in on_disk
        ]
        queued = connection.execute(
            sa.select(events.c.project, events.c.refs).where(
                events.c.project.in_(deleted), events.c.outcome == "queued"
            )
        ).all()
    for id in deleted:
        # A call that was under way may have written rows, too.
        with store.begin() as tx:
            _forget(tx, id)
        _erase(home, id, [str(refs["job"]) for project, refs in queued if project == id])
    return len(deleted)


def _forget(tx: sa.Connection, project: str) -> None:
    """Delete every row of a project; its events stay, for the record is only appended to."""
    tx.execute(
        lines.delete().where(lines.c.job.in_(sa.select(jobs.c.id).where(jobs.c.project == project)))
    )
    end(tx, project=project)
    # Those of rooms above, too: whoever keeps rows of a project names it in them.
    for table in metadata.tables.values():
        if "project" in table.c and table is not events:
            tx.execute(table.delete().where(table.c.project == project))
    tx.execute(projects.delete().where(projects.c.id == project))


def _folders(home: Path, project: str) -> list[Path]:
    """Where files of a project lie: its own folder, uploads and exports, MLflow's artifacts."""
    return [home / place / project for place in ("projects", "blobs", "mlflow")]


def _erase(home: Path, project: str, jobs: Iterable[str]) -> None:
    """Remove the files of a deleted project; what fails is logged, and swept at the next start."""
    with FileLock(home / "deleting.lock"):
        _erase_alone(home, project, jobs)


def _erase_alone(home: Path, project: str, jobs: Iterable[str]) -> None:
    own, *others = _folders(home, project)
    gone = own.with_name(GONE + project)
    try:
        if own.exists():
            _remove(gone)
            own.rename(gone)
        for folder in others:
            _remove(folder)
        for job in jobs:
            (home / "logs" / "jobs" / f"{job}.log").unlink(missing_ok=True)
        _remove(gone)  # last: while it is there, a sweep does all of this again
    except OSError:
        log.exception("files of a deleted project remain", extra={"project": project})


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    try:
        shutil.rmtree(folder)
    except PermissionError:
        # People may close folders of their own to themselves.
        for at, names, _ in os.walk(folder):
            for name in names:
                if not os.path.islink(os.path.join(at, name)):
                    os.chmod(os.path.join(at, name), 0o700)
        shutil.rmtree(folder)


def _measure(folder: Path) -> tuple[int, int]:
    """Files below a folder and their bytes; links are not followed."""
    files = size = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(at, name)).st_size
            except FileNotFoundError:
                continue  # gone while we count
            files += 1
    return files, size
