"""List, follow, verify and prove the record."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime

import sqlalchemy as sa

from workbench.core import Context, Event, NotFound, Page, Record, action
from workbench.core.events import GENESIS, event_hash, events, tail

from .merkle import inclusion_path, leaf_hash, root_hash

FOLLOW_S = 0.5


class Verification(Record):
    """Whether the record is whole: every event hashes to what it says, each follows the last."""

    ok: bool
    events: int
    head: str
    """The hash of the newest event."""
    broken_at: int | None = None
    """The sequence number of the first event that does not fit."""
    sentence: str


class Checkpoint(Record):
    """The whole record in one hash: the Merkle root (RFC 9162) over its first `size` events."""

    size: int
    root: str
    head: str
    at: datetime


class Proof(Record):
    """That one event is in the record: its hash, its place and the path to the root."""

    event: Event
    index: int
    size: int
    path: list[str]
    root: str


@action(effect="read")
def list_events(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Event]:
    """What happened in this project, newest first.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    query = (
        sa.select(events)
        .where(events.c.project == ctx.project)
        .order_by(events.c.seq.desc())
        .limit(limit + 1)
    )
    if after:
        query = query.where(events.c.seq < int(after))
    with ctx.store.read() as connection:
        items = [Event.model_validate(row._mapping) for row in connection.execute(query)]
    more = len(items) > limit
    return Page(items=items[:limit], next=str(items[limit - 1].seq) if more else None)


@action(effect="read")
def verify(ctx: Context) -> Verification:
    """Check the whole record: that no event was changed, removed or put in between."""
    before, count = GENESIS, 0
    for row in _all(ctx):
        count += 1
        body = dict(row)
        if row["seq"] != count or row["before"] != before or row["hash"] != event_hash(body):
            return Verification(
                ok=False,
                events=count,
                head=before,
                broken_at=row["seq"],
                sentence=f"Event {row['seq']} is not what was written: the record was changed.",
            )
        before = row["hash"]
    return Verification(
        ok=True,
        events=count,
        head=before,
        sentence=f"All {count:,} events are as they were written, in their order.",
    )


@action(effect="read")
def checkpoint(ctx: Context) -> Checkpoint:
    """The record in one hash, to be kept elsewhere: any later change shows against it."""
    leaves, head = _leaves(ctx)
    return Checkpoint(
        size=len(leaves), root=f"sha256:{root_hash(leaves).hex()}", head=head, at=ctx.now()
    )


@action(effect="read", on="id")
def prove(ctx: Context, id: str) -> Proof:
    """Proof that an event of this project is in the record.

    Args:
        id: The event's id.
    """
    with ctx.store.read() as connection:
        row = connection.execute(
            sa.select(events).where(events.c.id == id, events.c.project == ctx.project)
        ).first()
    if row is None:
        raise NotFound(f"This project has no event {id!r}.", hint="List the events.")
    leaves, _ = _leaves(ctx)
    index = row.seq - 1
    return Proof(
        event=Event.model_validate(row._mapping),
        index=index,
        size=len(leaves),
        path=[f"sha256:{each.hex()}" for each in inclusion_path(leaves, index)],
        root=f"sha256:{root_hash(leaves).hex()}",
    )


@action(effect="stream")
async def follow(ctx: Context, after: int = -1) -> AsyncIterator[Event]:
    """Every event of this project as it happens; never ends by itself.

    Args:
        after: Start after this sequence number; -1 for only what is new.
    """
    token: object = None
    if after < 0:
        newest = sa.select(sa.func.max(events.c.seq))
        with ctx.store.read() as connection:
            after = connection.execute(newest).scalar() or 0
    while True:
        now = ctx.store.token()
        if now != token:
            token = now
            for event in await asyncio.to_thread(tail, ctx.store, after=after, project=ctx.project):
                after = event.seq
                yield event
        await asyncio.sleep(FOLLOW_S)


def _all(ctx: Context) -> Iterator[sa.RowMapping]:
    with ctx.store.read() as connection:
        yield from connection.execute(sa.select(events).order_by(events.c.seq)).mappings()


def _leaves(ctx: Context) -> tuple[list[bytes], str]:
    query = sa.select(events.c.hash).order_by(events.c.seq)
    with ctx.store.read() as connection:
        hashes = [row.hash for row in connection.execute(query)]
    leaves = [leaf_hash(each.encode()) for each in hashes]
    return leaves, hashes[-1] if hashes else GENESIS
