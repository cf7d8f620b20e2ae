"""Sessions: who came in where. The key is given out once; its digest alone is kept.

A `person` session belongs to one project's origin; a `project` session is what the code of a
project's server calls the Studio with, a `job` session what a notebook does that a job runs; a
`ticket` takes a browser from the Studio's own host to
a project's origin, once; a `confirmed` session says that somebody proved who they are.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from workbench.core import Context, NotFound, Page, Record, Store, action, new_id
from workbench.core.store import metadata

Kind = Literal["person", "project", "job", "ticket", "confirmed"]

LIFE: dict[Kind, timedelta] = {
    "person": timedelta(hours=12),
    "project": timedelta(days=30),
    "job": timedelta(days=30),
    "ticket": timedelta(seconds=30),
    "confirmed": timedelta(minutes=15),
}
PREFIX = "session-"

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("digest", sa.String(80), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("person", sa.String(128), nullable=False, index=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(200), nullable=False),
    sa.Column("made_at", sa.String(40), nullable=False),
    sa.Column("until", sa.String(40), nullable=False),
)


class StudioSession(Record):
    """A browser that is signed in to a project."""

    id: str
    kind: Kind
    person: str
    project: str
    agent: str
    """What the browser calls itself."""
    made_at: datetime
    until: datetime


def issue(
    store: Store,
    kind: Kind,
    *,
    person: str = "",
    project: str = "",
    agent: str = "",
    now: datetime,
    key: str = "",
) -> str:
    """A new session.

    Args:
        store: Where it is kept.
        kind: What it is for.
        person: Whose it is; empty for a project's own.
        project: The only project it opens.
        agent: What the browser calls itself.
        now: The time.
        key: The key to know it by, where something else is its proof; a new one if empty.

    Returns:
        The key, kept nowhere.
    """
    key = key or new_key()
    with store.begin() as tx:
        tx.execute(sessions.delete().where(sessions.c.until < now.isoformat()))
        tx.execute(sessions.delete().where(sessions.c.digest == _digest(key)))
        tx.execute(
            sessions.insert().values(
                id=new_id("ses"),
                digest=_digest(key),
                kind=kind,
                person=person,
                project=project,
                agent=agent[:200],
                made_at=now.isoformat(),
                until=(now + LIFE[kind]).isoformat(),
            )
        )
    return key


def new_key() -> str:
    """32 random bytes in URL-safe base 64, after a mark that says what it is."""
    return PREFIX + secrets.token_urlsafe(32)


def find(store: Store, key: str, kind: Kind, now: datetime) -> StudioSession | None:
    """The session of that key, if it may still be used."""
    query = sa.select(sessions).where(
        sessions.c.digest == _digest(key),
        sessions.c.kind == kind,
        sessions.c.until > now.isoformat(),
    )
    with store.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else _record(row)


def spend(store: Store, key: str, now: datetime) -> StudioSession | None:
    """Use a ticket up. Of two who try at once, one gets it."""
    found = find(store, key, "ticket", now)
    if found is None:
        return None
    with store.begin() as tx:
        done = tx.execute(sessions.delete().where(sessions.c.id == found.id))
    return found if done.rowcount == 1 else None


def end(tx: sa.Connection, *, person: str = "", project: str = "", kind: Kind | None = None) -> int:
    """End every session of a person, of a project, or of a person in a project.

    Returns:
        How many there were.
    """
    if not person and not project:
        raise ValueError("whose sessions?")
    where = [sessions.c.person == person] if person else []
    where += [sessions.c.project == project] if project else []
    where += [sessions.c.kind == kind] if kind else []
    return tx.execute(sessions.delete().where(*where)).rowcount


def revoke(store: Store, key: str) -> None:
    """End the session of that key, if it goes on."""
    with store.begin() as tx:
        tx.execute(sessions.delete().where(sessions.c.digest == _digest(key)))


def confirmation(session: str) -> str:
    """The key by which it is known that somebody proved who they are in a session of the hub's."""
    return f"confirmed:{session}"


@action(effect="read")
def list_sessions(ctx: Context, limit: int = 100, after: str | None = None) -> Page[StudioSession]:
    """Where you are signed in to projects, newest first.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    query = (
        sa.select(sessions)
        .where(
            sessions.c.person == ctx.actor.name,
            sessions.c.kind == "person",
            sessions.c.until > ctx.now().isoformat(),
        )
        .order_by(sessions.c.id.desc())
        .limit(limit + 1)
    )
    if after:
        query = query.where(sessions.c.id < after)
    with ctx.store.read() as connection:
        rows = [_record(row) for row in connection.execute(query)]
    return Page(items=rows[:limit], next=rows[limit - 1].id if len(rows) > limit else None)


@action(effect="write", undo="irreversible", on="id")
def end_session(ctx: Context, id: str) -> StudioSession:
    """Sign a browser of yours out of a project, at once.

    Args:
        id: The session's id.
    """
    mine = [sessions.c.id == id, sessions.c.person == ctx.actor.name, sessions.c.kind == "person"]
    with ctx.store.read() as connection:
        row = connection.execute(sa.select(sessions).where(*mine)).first()
    if row is None:
        raise NotFound(f"You have no session {id!r}.", hint="List your sessions.")
    ctx.note(session=id)

    def gone(tx: sa.Connection) -> None:
        tx.execute(sessions.delete().where(*mine))

    ctx.stage(gone)
    return _record(row)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _record(row: sa.Row[tuple[object, ...]]) -> StudioSession:
    body = dict(row._mapping)
    times = {name: datetime.fromisoformat(body[name]) for name in ("made_at", "until")}
    return StudioSession.model_validate({k: v for k, v in body.items() if k != "digest"} | times)
