"""What the shell's person made before there were accounts becomes the first administrator's."""

from collections.abc import Callable

import sqlalchemy as sa

from workbench.core import Actor, Context, Engines
from workbench.core.door import commit
from workbench.core.store import stores
from workbench.security import grant, revoke

from .spaces import PERSONAL, projects


def adopt(engines: Engines, former: str, person: str) -> int:
    """Hand the projects of somebody who has no account to a person who has one.

    Each project is one transaction with its event; repeating it finds nothing left to do.

    Args:
        engines: The Studio's.
        former: Whose they were.
        person: Whose they become. Personal projects stay.

    Returns:
        How many there were.
    """
    store = engines.get(stores)
    mine = sa.select(projects.c.id).where(
        projects.c.owner == f"person:{former}", projects.c.name != PERSONAL
    )
    with store.read() as connection:
        found = list(connection.execute(mine).scalars())
    for project in found:
        ctx = Context(Actor(kind="service", name="studio"), project, engines)
        ctx.stage(_handing(project, f"person:{former}", f"person:{person}"))
        ctx.note(project=project)
        commit(ctx, "projects.transfer_project", {"person": person})
    return len(found)


def _handing(project: str, former: str, person: str) -> Callable[[sa.Connection], None]:
    def write(tx: sa.Connection) -> None:
        tx.execute(projects.update().where(projects.c.id == project).values(owner=person))
        revoke(tx, project, former)
        grant(tx, project, person, "owner")

    return write
