"""Events: what happened, in an append-only log that is also the outbox.

An event is appended in the transaction of the write it tells of; listeners (panels, metrics,
audit) follow the log by sequence number, so nothing is announced that did not happen and
nothing that happened stays unannounced. Each event carries the hash of the one before it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from .ids import new_id
from .records import Record, canonical
from .store import Store, metadata

GENESIS = "sha256:" + "0" * 64

events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(40), nullable=False, unique=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("project", sa.String(64), nullable=False, index=True),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("action", sa.String(80), nullable=False),
    sa.Column("outcome", sa.String(40), nullable=False),
    sa.Column("request", sa.String(80), nullable=False),
    sa.Column("refs", sa.JSON, nullable=False),
    sa.Column("trace", sa.String(40), nullable=False),
    sa.Column("before", sa.String(80), nullable=False),
    sa.Column("hash", sa.String(80), nullable=False, unique=True),
)


class Event(Record):
    """Something that happened; never a payload or personal data beyond the actor's name."""

    seq: int
    id: str
    at: datetime
    project: str
    actor: str
    action: str
    outcome: str
    request: str
    """`sha256:` of the request's canonical JSON."""
    refs: dict[str, Any]
    """What came of it: `{"product": "prd_…@0"}`."""
    trace: str
    before: str
    """The hash of the event before this one."""
    hash: str


def event_hash(body: dict[str, Any]) -> str:
    """The hash of an event: SHA-256 over the canonical JSON of everything else in it."""
    return f"sha256:{sha256(canonical({k: v for k, v in body.items() if k != 'hash'})).hexdigest()}"


def append(tx: sa.Connection, *, at: datetime, trace: str, **body: Any) -> int:
    """Append an event inside a write transaction; its sequence number."""
    last = tx.execute(
        sa.select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)
    ).first()
    row = {
        "seq": last.seq + 1 if last else 1,
        "id": new_id("evt"),
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "trace": trace,
        "before": last.hash if last else GENESIS,
        **body,
    }
    row["hash"] = event_hash(row)
    tx.execute(events.insert().values(row))
    return int(row["seq"])


def tail(
    store: Store, *, after: int = 0, project: str | None = None, limit: int = 500
) -> Sequence[Event]:
    """The events after a sequence number, oldest first; of one project if named."""
    query = sa.select(events).where(events.c.seq > after).order_by(events.c.seq).limit(limit)
    if project is not None:
        query = query.where(events.c.project == project)
    with store.read() as connection:
        return [Event.model_validate(row._mapping) for row in connection.execute(query)]
