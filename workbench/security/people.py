"""The people of the Studio: who has been here, who may come in."""

from datetime import datetime

import sqlalchemy as sa

from workbench.core import Context, NotFound, Page, Record, Refused, Store, action
from workbench.core.store import metadata

from .grants import grants
from .sessions import end

people = sa.Table(
    "people",
    metadata,
    sa.Column("name", sa.String(128), primary_key=True),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("admin", sa.Boolean, nullable=False),
    sa.Column("made_at", sa.String(40), nullable=False),
    sa.Column("changed_at", sa.String(40), nullable=False),
)


class Person(Record):
    """Somebody who signed in here, or has a role in a project."""

    name: str
    active: bool
    """Whether they may sign in and do anything."""
    admin: bool
    """Whether they were an administrator of the Studio when they last signed in."""
    made_at: datetime | None
    """Their first sign-in; None if they never signed in."""
    projects: int
    """In how many projects they have a role."""


def seen(tx: sa.Connection, name: str, now: datetime, *, admin: bool = False) -> None:
    """Note a sign-in, inside a write transaction; the first one makes the person's row.

    Somebody who is not active stays so.
    """
    row = _row(tx, name)
    if row is None or bool(row.admin) != admin:
        _put(tx, name, now, admin=admin)


def is_active(store: Store, name: str) -> bool:
    """Whether that person may do anything; somebody never heard of may."""
    with store.read() as connection:
        row = _row(connection, name)
    return row is None or bool(row.active)


def is_known(store: Store, name: str) -> bool:
    """Whether somebody of that name signed in here, or has a role in a project."""
    return find_person(store, name) is not None


def find_person(store: Store, name: str) -> Person | None:
    """The person of that name, if somebody of that name signed in here or has a role."""
    query = _all().where(sa.column("name") == name)
    with store.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else _record(row)


@action(effect="read")
def list_people(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Person]:
    """Everybody who signed in here or has a role in a project, by name.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    query = _all().order_by(sa.column("name")).limit(limit + 1)
    if after:
        query = query.where(sa.column("name") > after)
    with ctx.store.read() as connection:
        found = [_record(row) for row in connection.execute(query)]
    return Page(items=found[:limit], next=found[limit - 1].name if len(found) > limit else None)


@action(effect="write", undo="inverse:security.activate_person", on="name", fresh=True)
def deactivate_person(ctx: Context, name: str) -> Person:
    """Shut somebody out: they can sign in no more, and what they have open does nothing.

    Their projects, roles and files stay.

    Args:
        name: Who.
    """
    if ctx.actor.name == name:
        raise Refused(
            f"{name} cannot be shut out by {name}.", hint="Ask another administrator to do it."
        )

    def sign_out(tx: sa.Connection) -> None:
        end(tx, person=name)

    ctx.stage(sign_out)
    return _set(ctx, name, False)


@action(effect="write", undo="inverse:security.deactivate_person", on="name", fresh=True)
def activate_person(ctx: Context, name: str) -> Person:
    """Let somebody in again who was shut out, with the roles they had.

    Args:
        name: Who.
    """
    return _set(ctx, name, True)


def _set(ctx: Context, name: str, active: bool) -> Person:
    person = find_person(ctx.store, name)
    if person is None:
        raise NotFound(f"There is nobody called {name!r} here.", hint="List the people.")
    now = ctx.now()
    ctx.stage(lambda tx: _put(tx, name, now, active=active))
    ctx.note(person=name, active=active)
    return person.model_copy(update={"active": active})


def _put(tx: sa.Connection, name: str, now: datetime, **told: bool) -> None:
    changed = {**told, "changed_at": now.isoformat()}
    new = {"active": True, "admin": False, "made_at": now.isoformat(), **changed}
    if _row(tx, name) is None:
        try:
            with tx.begin_nested():
                tx.execute(people.insert().values(name=name, **new))
            return
        except sa.exc.IntegrityError:
            # Two first sign-ins at once: the second one finds the row of the first.
            if _row(tx, name) is None:
                raise
    tx.execute(sa.update(people).where(people.c.name == name).values(**changed))


def _row(connection: sa.Connection, name: str) -> "sa.Row[tuple[object, ...]] | None":
    return connection.execute(sa.select(people).where(people.c.name == name)).first()


def _all() -> "sa.Select[tuple[object, ...]]":
    start = len("person:") + 1
    held = (
        sa.select(
            sa.func.substr(grants.c.actor, start).label("name"),
            sa.func.count().label("projects"),
        )
        .where(grants.c.actor.like("person:%"))
        .group_by(grants.c.actor)
        .subquery()
    )
    names = sa.union(sa.select(people.c.name), sa.select(held.c.name)).subquery()
    return (
        sa.select(
            names.c.name.label("name"),
            people.c.active,
            people.c.admin,
            people.c.made_at,
            held.c.projects,
        )
        .select_from(
            names.outerjoin(people, people.c.name == names.c.name).outerjoin(
                held, held.c.name == names.c.name
            )
        )
        .subquery()
        .select()
    )


def _record(row: "sa.Row[tuple[object, ...]]") -> Person:
    told = row._mapping
    return Person(
        name=told["name"],
        active=told["active"] is None or bool(told["active"]),
        admin=bool(told["admin"]),
        made_at=datetime.fromisoformat(told["made_at"]) if told["made_at"] else None,
        projects=told["projects"] or 0,
    )
