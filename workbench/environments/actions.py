"""Install packages for a project, look at what it has, go back to the Studio's own."""

import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock

from workbench.core import (
    Conflict,
    Context,
    Job,
    NotFound,
    Page,
    Shelf,
    Store,
    action,
    new_id,
)

from . import places
from .places import CURRENT
from .types import Environment

environments = Shelf("env", "environment", Environment)
MIB = 1024 * 1024


@action(effect="job", undo="compensate:environments.reset", reach="machine")
def install(ctx: Context, packages: list[str], python: str = "") -> Job:
    """Install Python packages for this project's notebooks: they choose the kernel “Project”.

    The list replaces the one before it: name everything the project needs, not only what is new.
    An empty list goes back to the Studio's own packages. Everything is locked to exact versions
    with hashes; pins that need not move stay. Only wheels are installed, so installing runs no
    code of a package. Kernels that run keep what they have until they are restarted.

    Args:
        packages: Requirements such as `pandas>=3`, at most 200, of the Studio's package index.
        python: A version of Python that the machine has, such as 3.12; the Studio's own if empty.
            The Studio's packages can be imported beside the project's only in its own version.
    """
    from .building import build, check_packages, check_python

    wanted, interpreter = check_packages(packages), check_python(python)
    folder, lock = _locked_folder(ctx)
    ctx.after_commit(lock.release)
    before = _latest(ctx.store, ctx.project)
    was = places.chosen(folder)
    if not wanted:
        made = before or Environment()
        if made.state != "studio":
            made = _next(ctx, before, Environment())
            places.clear(folder, {was})
            _keep(ctx, folder, made, was)
        return _answer(made)  # type: ignore[no-any-return]
    built = build(ctx, wanted, interpreter, before, _limit(ctx.store, ctx.project))
    made = _next(
        ctx,
        before,
        Environment(
            state="ready",
            packages=wanted,
            python=built.python,
            locked=built.locked,
            digest=built.digest,
            folder=built.folder,
            bytes=built.bytes,
        ),
    )
    same = ("state", "packages", "digest", "folder")
    if before is not None and all(getattr(before, each) == getattr(made, each) for each in same):
        made = before
        places.choose(folder, built.folder)
    else:
        places.clear(folder, {was, built.folder})
        _keep(ctx, folder, made, was)
    ctx.job.progress(1.0, f"{len(built.locked)} packages, Python {built.python}")
    return _answer(made)  # type: ignore[no-any-return]


@action(effect="write", undo="compensate:environments.install")
def reset(ctx: Context) -> Environment:
    """Go back to the Studio's own packages and remove the project's from the disk.

    Kernels that run on them have to be restarted. To have them again, install the same list.
    """
    folder, lock = _locked_folder(ctx)
    before = _latest(ctx.store, ctx.project)
    if before is None or before.state == "studio":
        raise Conflict(
            "This project uses the Studio's own packages already.", hint="There is nothing to do."
        )
    made = _next(ctx, before, Environment())
    _keep(ctx, folder, made, places.chosen(folder))

    def remove() -> None:
        places.clear(folder, set())
        lock.release()

    ctx.after_commit(remove)
    return made


@action(effect="read", on="id")
def get_environment(ctx: Context, id: str = CURRENT) -> Environment:
    """The packages of this project: what was asked for, and what is installed, with hashes.

    Args:
        id: `current`, or a version of it, such as `current@2`.
    """
    found = environments.find(ctx.store, ctx.project, id)
    if found is None:
        if id == CURRENT:
            return Environment()
        raise NotFound(
            f"This project has no environment {id[:80]!r}.",
            hint="`current`, or one of those that environments.list_environments answers.",
        )
    latest = _latest(ctx.store, ctx.project)
    return _as_it_is(ctx, found) if found == latest else found


@action(effect="read")
def list_environments(ctx: Context, limit: int = 20, after: str | None = None) -> Page[Environment]:
    """What this project had installed at which time, newest first, without the hashes.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    latest = _latest(ctx.store, ctx.project)
    if latest is None:
        return Page(items=[])
    every = environments.versions(ctx.store, ctx.project, latest.id)[::-1]
    every[0] = _as_it_is(ctx, every[0])
    mine = [each for each in every if not (after or "").isdigit() or each.version < int(after or 0)]
    items = [
        each.model_copy(
            update={"locked": [one.model_copy(update={"hashes": []}) for one in each.locked]}
        )
        for each in mine[:limit]
    ]
    return Page(items=items, next=str(items[-1].version) if len(mine) > limit else None)


def locked(store: Store, project: str) -> dict[str, Any]:
    """The packages that a project's kernels have, for a record of where something comes from.

    Empty while it uses the Studio's own.
    """
    latest = _latest(store, project)
    if latest is None or latest.state == "studio":
        return {}
    return {
        "environment": f"{latest.id}@{latest.version}",
        "digest": latest.digest,
        "python": latest.python,
        "packages": {each.name: each.version for each in latest.locked},
    }


def sweep(home: Path, store: Store) -> int:
    """Put in order what something interrupted; how many folders went. Run when the Studio starts.

    The environment that the record names is the one in use, the one before it stays for kernels
    that run, and everything else goes. A project that installs at this moment is left alone.
    """
    count = 0
    for folder in (home / "projects").glob("prj_*/environments"):
        project = folder.parent.name
        latest = _latest(store, project)
        try:
            lock = places.lock_of(folder)
        except Conflict:
            continue
        try:
            if (left := places.unfinished(home, project)).exists():
                shutil.rmtree(left)
                count += 1
            names: list[str] = []
            if latest is not None and latest.state == "ready":
                every = environments.versions(store, project, latest.id)
                names = list(dict.fromkeys(each.folder for each in every[::-1]))[:2]
            name = names[0] if names and (folder / names[0]).is_dir() else ""
            places.choose(folder, name)
            count += places.clear(folder, set(names))
        finally:
            lock.release()
    return count


def _answer(made: Environment) -> Any:
    return {"environment": f"{made.id}@{made.version}" if made.id else ""}


def _locked_folder(ctx: Context) -> tuple[Path, FileLock]:
    """This project's folder, and its lock: held until the action is committed or undone.

    A job's process ends right after its commit, and the lock with it.
    """
    folder = places.prepare_folder(ctx.settings, ctx.project)
    lock = places.lock_of(folder)
    ctx.on_abort(lock.release)
    return folder, lock


def _next(ctx: Context, before: Environment | None, what: Environment) -> Environment:
    return what.model_copy(
        update={
            "id": before.id if before else new_id("env"),
            "version": before.version + 1 if before else 0,
            "made_at": ctx.now(),
            "made_by": str(ctx.actor),
        }
    )


def _keep(ctx: Context, folder: Path, made: Environment, was: str) -> None:
    """Have the record and the link that kernels follow change together."""

    def write(tx: sa.Connection) -> None:
        environments.put(tx, ctx.project, made)
        places.choose(folder, made.folder)

    ctx.note(environment=f"{made.id}@{made.version}", digest=made.digest)
    ctx.on_abort(lambda: places.choose(folder, was))
    ctx.stage(write)


def _latest(store: Store, project: str) -> Environment | None:
    return environments.find(store, project, CURRENT)


def _as_it_is(ctx: Context, latest: Environment) -> Environment:
    folder = ctx.folder / "environments"
    if latest.state == "ready" and places.chosen(folder) != latest.folder:
        return latest.model_copy(update={"state": "missing"})
    return latest


def _limit(store: Store, project: str) -> int | None:
    """Bytes that a project may use, if somebody limited it."""
    projects = sa.table("projects", sa.column("id", sa.String), sa.column("limits", sa.JSON))
    with store.read() as connection:
        limits = connection.execute(
            sa.select(projects.c.limits).where(projects.c.id == project)
        ).scalar()
    disk = (limits or {}).get("disk_mb")
    return int(disk) * MIB if disk else None
