"""The default policy: a person's role in the project, and the role's scopes (`roles.toml`)."""

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import sqlalchemy as sa

from workbench.core import Action, Actor, Context, Forbidden, Store, Unauthenticated
from workbench.core.store import metadata

Role = Literal["viewer", "editor", "owner"]

grants = sa.Table(
    "grants",
    metadata,
    sa.Column("project", sa.String(64), primary_key=True),
    sa.Column("actor", sa.String(128), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
)


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


def grant(tx: sa.Connection, project: str, actor: str, role: Role) -> None:
    """Give an actor a role in a project, inside a write transaction."""
    revoke(tx, project, actor)
    tx.execute(grants.insert().values(project=project, actor=actor, role=role))


def revoke(tx: sa.Connection, project: str, actor: str) -> None:
    """Take an actor's role in a project away, inside a write transaction."""
    tx.execute(grants.delete().where(grants.c.project == project, grants.c.actor == actor))


def role_of(store: Store, actor: Actor, project: str) -> Role | None:
    """The actor's role in a project now; None if they have none."""
    if actor.admin and actor.kind == "person":
        return "owner"
    with store.read() as connection:
        return connection.execute(
            sa.select(grants.c.role).where(
                grants.c.project == project, grants.c.actor == str(actor)
            )
        ).scalar()


class RolePolicy:
    """Roles per project; a changed role holds from the next call on, in every process."""

    def __init__(self, url: str, home: object) -> None:
        self._token: object = None
        self._roles: dict[tuple[str, str, bool], Role | None] = {}

    def check(self, ctx: Context, act: Action, resource: str) -> None:
        """See `workbench.core.Policy`. Resources are found by project, so the role decides."""
        if not ctx.actor.name:
            raise Unauthenticated(
                f"Nobody is signed in, so {act.name} cannot be done.", hint="Sign in."
            )
        if allows("anyone", act.capability, act.effect, act.verb):
            return
        role = self._role(ctx)
        if role is None:
            raise Forbidden(
                f"{ctx.actor.name} is in no project {ctx.project!r}.",
                hint="List your projects, or ask an owner of that one to invite you.",
            )
        if not allows(role, act.capability, act.effect, act.verb):
            what = f" on {resource}" if resource else ""
            raise Forbidden(
                f"{ctx.actor.name} is {role} here and may not do {act.name}{what}.",
                hint=f"It needs the scope {act.scope}: ask an owner of the project.",
            )

    def _role(self, ctx: Context) -> Role | None:
        token = ctx.store.token()
        if token != self._token:
            self._roles, self._token = {}, token
        key = (ctx.project, str(ctx.actor), ctx.actor.admin)
        if key not in self._roles:
            self._roles[key] = role_of(ctx.store, ctx.actor, ctx.project)
        return self._roles[key]
