"""The default policy: a person's role in the project, and the role's scopes (`roles.toml`)."""

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import sqlalchemy as sa

from workbench.core import Action, Actor, Context, Forbidden, Store, Unauthenticated

from .grants import Role, grants
from .people import people


@lru_cache
def scopes() -> dict[str, list[str]]:
    """Role → scopes, as written in `roles.toml`."""
    return dict(tomllib.loads((files(__package__) / "roles.toml").read_text()))


@lru_cache(maxsize=4096)
def allows(role: str, capability: str, effect: str, verb: str) -> bool:
    """Whether a role's scopes cover an action. A scope that starts with `-` takes away.

    Example:
        >>> allows("viewer", "data", "read", "preview")
        True
        >>> allows("viewer", "data", "write", "register")
        False
    """
    granted = False
    for scope in scopes().get(role, []):
        where, _, what = scope.removeprefix("-").partition(":")
        if where in ("*", capability) and what in ("*", effect, verb):
            granted = not scope.startswith("-")
    return granted


class Standing(NamedTuple):
    """What an actor is in a project now."""

    role: Role | None
    """None: no member."""
    active: bool = True
    """False: an administrator shut them out."""
    admin: bool = False
    """Whether they may act as administrator of the whole Studio here."""
    archived: bool = False
    """Whether the project is read-only."""


def standing(store: Store, actor: Actor, project: str) -> Standing:
    """The actor's standing in a project now.

    An administrator is owner of every project; only from the Studio's own pages, not from a
    page of a project, more than that. The code of a project is its editor.
    """
    with store.read() as connection:
        archived = bool(
            connection.execute(
                sa.select(_archived.c.archived_at).where(_archived.c.id == project)
            ).scalar()
        )
        if actor.within and actor.within != project:
            return Standing(None)
        if actor.kind == "project":
            return Standing("editor" if actor.name == project else None, archived=archived)
        person = connection.execute(sa.select(people).where(people.c.name == actor.name)).first()
        if person is not None and not person.active:
            return Standing(None, active=False)
        if actor.kind == "person" and (actor.admin or (person is not None and person.admin)):
            return Standing("owner", admin=not actor.within, archived=archived)
        role = connection.execute(
            sa.select(grants.c.role).where(
                grants.c.project == project, grants.c.actor == str(actor)
            )
        ).scalar()
    return Standing(role, archived=archived)


def role_of(store: Store, actor: Actor, project: str) -> Role | None:
    """The actor's role in a project now; None if they have none, or may do nothing any more."""
    return standing(store, actor, project).role


class RolePolicy:
    """Roles per project; a changed role holds from the next call on, in every process."""

    def __init__(self, url: str, home: object) -> None:
        self._token: object = None
        self._known: dict[tuple[str, str, bool, str], Standing] = {}

    def check(self, ctx: Context, act: Action, resource: str) -> None:
        """See `workbench.core.Policy`. Resources are found by project, so the role decides."""
        name = ctx.actor.name
        if not name:
            raise Unauthenticated(
                f"Nobody is signed in, so {act.name} cannot be done.", hint="Sign in."
            )
        now = self._standing(ctx)
        if not now.active:
            raise Forbidden(
                f"{name} may not use this Studio any more.", hint="Ask an administrator."
            )
        if allows("anyone", act.capability, act.effect, act.verb):
            if ctx.actor.within and act.effect == "write":
                raise Forbidden(
                    f"{act.name} cannot be done from inside a project.",
                    hint="Do it from the Studio's own pages.",
                )
            return
        if now.admin and allows("administrator", act.capability, act.effect, act.verb):
            return
        if now.role is None:
            raise Forbidden(
                f"{name} is in no project {ctx.project!r}.",
                hint="List your projects, or ask an owner of that one to invite you.",
            )
        if not allows(now.role, act.capability, act.effect, act.verb):
            what = f" on {resource}" if resource else ""
            raise Forbidden(
                f"{name} is {now.role} here and may not do {act.name}{what}.",
                hint=f"It needs the scope {act.scope}: ask an owner of the project.",
            )
        if now.archived and _changes(act) and act.capability != "projects":
            raise Forbidden(
                f"This project is archived, so {act.name} cannot be done in it.",
                hint="An owner can reopen it.",
            )

    def _standing(self, ctx: Context) -> Standing:
        token = ctx.store.token()
        if token != self._token:
            self._known, self._token = {}, token
        key = (ctx.project, str(ctx.actor), ctx.actor.admin, ctx.actor.within)
        if key not in self._known:
            self._known[key] = standing(ctx.store, ctx.actor, ctx.project)
        return self._known[key]


def _changes(act: Action) -> bool:
    """Whether an action leaves something in a project: of the blobs, what a viewer may not."""
    if act.effect == "blob":
        return not allows("viewer", act.capability, act.effect, act.verb)
    return act.effect in ("write", "job")


# The room above keeps this table; whether a project may be changed is decided here.
_archived = sa.table("projects", sa.column("id"), sa.column("archived_at"))
