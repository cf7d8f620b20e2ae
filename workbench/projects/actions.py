"""Create, list and look at projects."""

import shutil

import sqlalchemy as sa

from workbench.core import Conflict, Context, NotFound, Page, action, new_id
from workbench.security import grant

from .spaces import check_name, find, projects, visible
from .types import Project


@action(effect="write", undo="compensate:projects.delete_project")
def create_project(ctx: Context, name: str, title: str = "", description: str = "") -> Project:
    """Make a project; whoever makes it owns it.

    Args:
        name: Lower-case letters, digits and `-`; unique among one's own projects.
        title: What people read; the name if absent.
        description: A sentence on what it is for.
    """
    check_name(name)
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
