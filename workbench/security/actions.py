"""What an actor can ask about themselves."""

from workbench.core import Actor, Context, Record, action

from .policy import role_of


class Identity(Record):
    """Who you are here."""

    actor: Actor
    project: str
    role: str | None


@action(effect="read")
def whoami(ctx: Context) -> Identity:
    """Who the Studio takes you for, and your role in the project."""
    return Identity(
        actor=ctx.actor, project=ctx.project, role=role_of(ctx.store, ctx.actor, ctx.project)
    )
