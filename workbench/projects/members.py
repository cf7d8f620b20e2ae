"""Who is in a project. At least one owner always remains, and `projects.owner` is one of them."""

import sqlalchemy as sa

from workbench.core import Conflict, Context, Forbidden, NotFound, Page, Refused, action
from workbench.security import grant, grants, revoke, role_of
from workbench.security.sessions import end

from .links import withdraw
from .spaces import check_person, held, projects, record
from .types import Member, Project, Role


@action(effect="read")
def list_members(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Member]:
    """Who is in this project, by name.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    query = (
        sa.select(grants.c.actor, grants.c.role)
        .where(grants.c.project == ctx.project, grants.c.actor.like("person:%"))
        .order_by(grants.c.actor)
        .limit(limit + 1)
    )
    if after:
        query = query.where(grants.c.actor > f"person:{after}")
    with ctx.store.read() as connection:
        found = [
            Member(person=row.actor.partition(":")[2], role=row.role)
            for row in connection.execute(query)
        ]
    return Page(items=found[:limit], next=found[limit - 1].person if len(found) > limit else None)


@action(effect="write", fresh=True, undo="inverse:projects.set_role")
def set_role(ctx: Context, person: str, role: Role) -> Member:
    """Change what a member of this project may do.

    Args:
        person: The member's name.
        role: viewer, editor or owner.
    """
    actor = check_person(person)

    def check(connection: sa.Connection) -> None:
        _member(connection, ctx.project, actor)
        if role != "owner":
            _another_owner(connection, ctx.project, actor)

    def write(tx: sa.Connection) -> None:
        row = held(tx, ctx.project)
        check(tx)
        grant(tx, ctx.project, actor, role)
        if role != "owner":
            _hand_on(tx, row, actor)
            withdraw(tx, ctx.project, actor, ctx.now(), sent=True)

    with ctx.store.read() as connection:
        check(connection)
    ctx.note(member=actor, role=role)
    ctx.stage(write)
    return Member(person=person, role=role)


@action(effect="write", undo="compensate:projects.invite")
def remove_member(ctx: Context, person: str) -> Member:
    """Take somebody out of this project; a member may take out themself.

    Args:
        person: The member's name.
    """
    actor = check_person(person)
    if actor != str(ctx.actor) and role_of(ctx.store, ctx.actor, ctx.project) != "owner":
        raise Forbidden(
            f"{ctx.actor.name} may not take {person} out of this project.",
            hint="An owner of the project may.",
        )

    def check(connection: sa.Connection) -> Role:
        role = _member(connection, ctx.project, actor)
        _another_owner(connection, ctx.project, actor)
        return role

    def write(tx: sa.Connection) -> None:
        row = held(tx, ctx.project)
        check(tx)
        revoke(tx, ctx.project, actor)
        _hand_on(tx, row, actor)
        withdraw(tx, ctx.project, actor, ctx.now(), sent=False)
        end(tx, person=person, project=ctx.project)

    with ctx.store.read() as connection:
        role = check(connection)
    ctx.note(member=actor)
    ctx.stage(write)
    return Member(person=person, role=role)


@action(effect="write", fresh=True, undo="inverse:projects.transfer_project")
def transfer_project(ctx: Context, person: str) -> Project:
    """Give this project to another member; whoever owned it stays as an editor.

    Args:
        person: The member's name.
    """
    actor = check_person(person)
    with ctx.store.read() as connection:
        row = held(connection, ctx.project)
        _member(connection, ctx.project, actor)
    if row.owner == actor:
        raise Conflict(
            f"The project {row.name!r} is {person}'s already.", hint="There is nothing to transfer."
        )

    def write(tx: sa.Connection) -> None:
        before = held(tx, ctx.project).owner
        _member(tx, ctx.project, actor)
        _give(tx, ctx.project, actor, f"{person} has a project {row.name!r} already.")
        if before != actor:
            grant(tx, ctx.project, before, "editor")
            withdraw(tx, ctx.project, before, ctx.now(), sent=True)
        grant(tx, ctx.project, actor, "owner")

    ctx.note(project=ctx.project, member=actor)
    ctx.stage(write)
    role = "editor" if str(ctx.actor) == row.owner and not ctx.actor.admin else "owner"
    return record(row, role).model_copy(update={"owner": actor})


def _member(connection: sa.Connection, project: str, actor: str) -> Role:
    role: Role | None = connection.execute(
        sa.select(grants.c.role).where(grants.c.project == project, grants.c.actor == actor)
    ).scalar()
    if role is None:
        raise NotFound(
            f"{actor.partition(':')[2]} is not in this project.",
            hint="List the members, or invite the person first.",
        )
    return role


def _owners(connection: sa.Connection, project: str) -> list[str]:
    query = sa.select(grants.c.actor).where(
        grants.c.project == project, grants.c.role == "owner", grants.c.actor.like("person:%")
    )
    return list(connection.execute(query.order_by(grants.c.actor)).scalars())


def _another_owner(connection: sa.Connection, project: str, actor: str) -> None:
    if _owners(connection, project) == [actor]:
        raise Refused(
            f"{actor.partition(':')[2]} is the only owner of this project.",
            hint="Make somebody else an owner first, or delete the project.",
        )


def _hand_on(tx: sa.Connection, row: sa.Row[tuple[object, ...]], actor: str) -> None:
    """Make another owner the project's, if the one it belongs to stops being an owner."""
    if row.owner != actor:
        return
    others = _owners(tx, row.id)
    taken = set(
        tx.execute(
            sa.select(projects.c.owner).where(
                projects.c.name == row.name, projects.c.owner.in_(others)
            )
        ).scalars()
    )
    heir = next((each for each in others if each not in taken), None)
    if heir is None:
        raise Conflict(
            f"Nobody who owns this project can take it over: each has a project {row.name!r}.",
            hint="Make somebody else an owner first, or delete the project.",
        )
    _give(tx, row.id, heir, f"{heir} has a project {row.name!r} already.")


def _give(tx: sa.Connection, project: str, actor: str, taken: str) -> None:
    try:
        tx.execute(sa.update(projects).where(projects.c.id == project).values(owner=actor))
    except sa.exc.IntegrityError as error:
        raise Conflict(
            taken, hint="A person's projects have different names: choose another member."
        ) from error
