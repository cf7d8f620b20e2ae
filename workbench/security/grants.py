"""Who has which role in which project."""

from typing import Literal

import sqlalchemy as sa

from workbench.core.store import metadata

Role = Literal["viewer", "editor", "owner"]

grants = sa.Table(
    "grants",
    metadata,
    sa.Column("project", sa.String(64), primary_key=True),
    sa.Column("actor", sa.String(128), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
)


def grant(tx: sa.Connection, project: str, actor: str, role: Role) -> None:
    """Give an actor a role in a project, inside a write transaction."""
    revoke(tx, project, actor)
    tx.execute(grants.insert().values(project=project, actor=actor, role=role))


def revoke(tx: sa.Connection, project: str, actor: str) -> None:
    """Take an actor's role in a project away, inside a write transaction."""
    tx.execute(grants.delete().where(grants.c.project == project, grants.c.actor == actor))
