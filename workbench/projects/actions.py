"""Create projects, look at them, put them away, say what they may use."""

import shutil

import sqlalchemy as sa

from workbench.core import Conflict, Context, Invalid, NotFound, Page, action, new_id
from workbench.security import grant

from .deletion import check_idle
from .spaces import check_name, find, held, here, projects, visible
from .types import Limits, Project

RANGES: dict[str, tuple[float, float]] = {
    "disk_mb": (10, 10**7),
    "memory_mb": (128, 10**7),
    "cpus": (0.1, 1024),
    "jobs": (1, 1000),
}
"""The smallest and the largest limit of each kind."""


@action(effect="write", undo="compensate:projects.delete_project")
def create_project(ctx: Context, name: str, title: str = "", description: str = "") -> Project:
    """Make a project; whoever makes it owns it.

    Args:
        name: Lower-case letters, digits and `-`; unique among one's own projects.
        title: What people read, at most 200 characters; the name if absent.
        description: A sentence on what it is for, at most 2,000 characters.
    """
    check_name(name)
    for what, text, most in (("title", title, 200), ("description", description, 2_000)):
        if len(text) > most:
            raise Invalid(
                f"A {what} of {len(text):,} characters is too long.", hint=f"At most {most:,}."
            )
    project = Project(
        id=new_id("prj"),
        name=name,
        title=title or name,
        description=description,
        owner=str(ctx.actor),
        role="owner",
        made_at=ctx.now(),
    )
    folder = ctx.home / "projects" / project.id / "files"
    folder.mkdir(parents=True, mode=0o700)

    def write(tx: sa.Connection) -> None:
        try:
            tx.execute(
                projects.insert().values(
                    **project.model_dump(exclude={"role", "made_at"}),
                    made_at=project.made_at.isoformat(),
                )
            )
        except sa.exc.IntegrityError as error:
            raise Conflict(
                f"You have a project {name!r} already.", hint="Open it, or choose another name."
            ) from error
        grant(tx, project.id, str(ctx.actor), "owner")

    ctx.on_abort(lambda: shutil.rmtree(folder.parent))
    ctx.note(project=project.id)
    ctx.stage(write)
    return project


@action(effect="read")
def list_projects(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Project]:
    """The projects you are in, newest first.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    mine = [p for p in visible(ctx.store, ctx.actor) if after is None or p.id < after]
    return Page(items=mine[:limit], next=mine[limit - 1].id if len(mine) > limit else None)


@action(effect="read", on="id")
def get_project(ctx: Context, id: str) -> Project:
    """A project you are in.

    Args:
        id: Its id or name.
    """
    found = find(ctx.store, ctx.actor, id)
    if found is None:
        raise NotFound(f"You are in no project {id!r}.", hint="List your projects.")
    return found


@action(effect="write", undo="inverse:projects.reopen_project", on="id")
def archive_project(ctx: Context, id: str) -> Project:
    """Put this project away: it can be read, and changed no more until it is reopened.

    Its server stops at once, with the kernels and terminals in it.

    Args:
        id: Its id or name.
    """
    project = here(ctx, id)
    if project.archived_at is not None:
        raise Conflict(
            f"The project {project.name!r} is archived already.", hint="There is nothing to do."
        )
    now = ctx.now()

    def write(tx: sa.Connection) -> None:
        held(tx, project.id)
        check_idle(tx, project.id)
        _set(tx, project.id, archived_at=now.isoformat())

    ctx.note(project=project.id)
    ctx.stage(write)
    return project.model_copy(update={"archived_at": now})


@action(effect="write", undo="inverse:projects.archive_project", on="id")
def reopen_project(ctx: Context, id: str) -> Project:
    """Take this project out of the archive again.

    Args:
        id: Its id or name.
    """
    project = here(ctx, id)
    if project.archived_at is None:
        raise Conflict(
            f"The project {project.name!r} is not archived.", hint="There is nothing to do."
        )
    ctx.note(project=project.id)
    ctx.stage(lambda tx: _set(tx, project.id, archived_at=None))
    return project.model_copy(update={"archived_at": None})


@action(effect="write", undo="inverse:projects.set_limits")
def set_limits(
    ctx: Context,
    disk_mb: int | None = None,
    memory_mb: int | None = None,
    cpus: float | None = None,
    jobs: int | None = None,
) -> Project:
    """Say what this project may use; what is left out is the Studio's own limit again.

    Memory and processors hold for servers and jobs that start from then on.

    Args:
        disk_mb: MiB of files, 10 to 10⁷.
        memory_mb: MiB of memory, 128 to 10⁷.
        cpus: Processors, 0.1 to 1024.
        jobs: Jobs at once, 1 to 1000.
    """
    limits = Limits(disk_mb=disk_mb, memory_mb=memory_mb, cpus=cpus, jobs=jobs)
    kept = limits.model_dump(exclude_none=True)
    for name, value in kept.items():
        low, high = RANGES[name]
        if not low <= value <= high:
            raise Invalid(
                f"A project's {name} cannot be {value}.",
                hint=f"From {low} to {high:,}, or nothing for the Studio's own limit.",
            )
    project = here(ctx, ctx.project)
    ctx.note(project=project.id)
    ctx.stage(lambda tx: _set(tx, project.id, limits=kept or None))
    return project.model_copy(update={"limits": limits if kept else None})


def _set(tx: sa.Connection, project: str, **values: object) -> None:
    held(tx, project)
    tx.execute(sa.update(projects).where(projects.c.id == project).values(values))
