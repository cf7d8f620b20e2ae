"""The question policy answers, for everything that has a threshold."""

from typing import Protocol

from .actions import Action
from .context import Context
from .ports import Port


class Policy(Protocol):
    """Decides whether this actor may do this to this resource."""

    def check(self, ctx: Context, act: Action, resource: str) -> None:
        """Return if `ctx.actor` may; raise Forbidden, Unauthenticated or NotFound if not.

        Args:
            ctx: The actor and the project.
            act: The action asked for.
            resource: What it is about: an id or a name, or empty.
        """


policies = Port[Policy]("core.policy", default="roles://", doc="Who may do what.")
policies.engine("roles", "workbench.security.policy:RolePolicy")
policies.engine("open", "workbench.core.policy:OpenPolicy")


class OpenPolicy:
    """Everything is allowed: for benches of the door itself, chosen by URL, never by default."""

    def __init__(self, url: str, home: object) -> None:
        pass

    def check(self, ctx: Context, act: Action, resource: str) -> None:
        """Always may."""
