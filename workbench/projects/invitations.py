"""Invite people to a project, take invitations back, accept one."""

from datetime import timedelta

import sqlalchemy as sa

from workbench.core import (
    Conflict,
    Context,
    Forbidden,
    Invalid,
    NotFound,
    Page,
    Refused,
    action,
    new_id,
)
from workbench.security import grant, grants, role_of

from .links import check, closed, invitations, link, look_invitation, opened, seen, unused
from .spaces import check_person, held, projects, record
from .types import RANK, Invitation, Project, Role

DAYS = 365


@action(effect="write", fresh=True, undo="inverse:projects.revoke_invitation")
def invite(ctx: Context, role: Role = "viewer", person: str = "", days: float = 7) -> Invitation:
    """Invite somebody to this project: who opens the link becomes a member, once.

    The link is in this first answer and in the list of invitations, not in a repeated answer.

    Args:
        role: What they may do: viewer, editor or owner.
        person: The only person who may use it; whoever has the link if absent.
        days: How long it is good, up to 365.
    """
    if person:
        check_person(person)
    if not 0 < days <= DAYS:
        raise Invalid(
            f"An invitation cannot be good for {days} days.", hint=f"More than 0, at most {DAYS}."
        )
    id, now = new_id("inv"), ctx.now()
    row = {
        "id": id,
        "project": ctx.project,
        "role": role,
        "person": person,
        "made_by": ctx.actor.name,
        "made_at": now.isoformat(),
        "until": (now + timedelta(days=days)).isoformat(),
    }
    with ctx.store.read() as connection:
        title = connection.execute(
            sa.select(projects.c.title).where(projects.c.id == ctx.project)
        ).scalar()

    def write(tx: sa.Connection) -> None:
        held(tx, ctx.project)
        tx.execute(invitations.insert().values(row))

    ctx.note(invitation=id, role=role)
    ctx.stage(write)
    return Invitation.model_validate(
        row | {"title": title or "", "state": "open", "link": link(ctx.settings, id)}
    )


@action(effect="read")
def list_invitations(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Invitation]:
    """This project's invitations, newest first, with the links of those still open.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    query = seen.where(invitations.c.project == ctx.project)
    query = query.order_by(invitations.c.id.desc()).limit(limit + 1)
    if after:
        query = query.where(invitations.c.id < after)
    owner = role_of(ctx.store, ctx.actor, ctx.project) == "owner"
    with ctx.store.read() as connection:
        found = [opened(row, ctx.now()) for row in connection.execute(query)]
    items = [
        each.model_copy(update={"link": link(ctx.settings, each.id)})
        if owner and each.state == "open"
        else each
        for each in found[:limit]
    ]
    return Page(items=items, next=found[limit - 1].id if len(found) > limit else None)


@action(effect="write", undo="compensate:projects.invite", on="id")
def revoke_invitation(ctx: Context, id: str) -> Invitation:
    """Take an invitation back, so that its link lets nobody in.

    Args:
        id: The invitation's id.
    """
    with ctx.store.read() as connection:
        row = connection.execute(
            seen.where(invitations.c.id == id, invitations.c.project == ctx.project)
        ).first()
    if row is None:
        raise NotFound(f"This project has no invitation {id!r}.", hint="List the invitations.")
    found = opened(row, ctx.now())

    def write(tx: sa.Connection) -> None:
        changed = tx.execute(
            sa.update(invitations)
            .where(invitations.c.id == id, *unused)
            .values(revoked_at=ctx.now().isoformat())
        )
        if changed.rowcount != 1:
            raise Conflict(
                f"The invitation {id} is used or revoked already.",
                hint="List the invitations; whoever used it is among the members.",
            )

    ctx.note(invitation=id)
    ctx.stage(write)
    return found.model_copy(update={"state": "revoked"})


@action(effect="write", undo="compensate:projects.remove_member")
def join(ctx: Context, token: str) -> Project:
    """Become a member of the project you were invited to.

    Args:
        token: What stands after `token=` in the link.
    """
    me = ctx.actor
    found = look_invitation(ctx.store, ctx.home, token, ctx.now())
    if me.kind != "person" or me.within not in ("", found.project):
        raise Forbidden(
            f"{me} cannot accept an invitation.",
            hint="A person does it: open the link on the Studio's own pages.",
        )
    # The project's own record tells who joined, not the one the person came from.
    ctx.project = found.project
    with ctx.store.read() as connection:
        row = connection.execute(sa.select(projects).where(projects.c.id == ctx.project)).one()
        had = _granted(connection, ctx.project, str(me))
    ctx.note(project=found.project, invitation=found.id)
    if found.state == "used" and found.used_by == me.name and had is not None:
        return record(row, had)  # the same person again: a page loaded twice
    check(found, me.name)
    if row.archived_at:
        raise Refused(
            f"The project {row.title!r} is archived, so nobody joins it.",
            hint="Ask an owner to reopen it.",
        )

    def write(tx: sa.Connection) -> None:
        held(tx, found.project)
        check(look_invitation(tx, ctx.home, token, ctx.now()), me.name)
        taken = tx.execute(
            sa.update(invitations)
            .where(invitations.c.id == found.id, *unused)
            .values(used_by=me.name, used_at=ctx.now().isoformat())
        )
        if taken.rowcount != 1:
            raise closed("used by somebody else a moment ago")
        grant(tx, found.project, str(me), _higher(_granted(tx, found.project, str(me)), found.role))

    ctx.stage(write)
    return record(row, _higher(had, found.role))


def _granted(connection: sa.Connection, project: str, actor: str) -> Role | None:
    return connection.execute(
        sa.select(grants.c.role).where(grants.c.project == project, grants.c.actor == actor)
    ).scalar()


def _higher(had: Role | None, given: Role) -> Role:
    return had if had is not None and RANK[had] > RANK[given] else given
