"""The log of a document: every edit, numbered, on the disk before anybody is told of it.

A document is what its log says. Rows are appended in the store's write transaction, so numbers
are given by one at a time, in every process; a snapshot spares reading the whole log. Long-past
rows of one sitting are made one (`compact`), which keeps what the document was at its end.
"""

import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from pycrdt import Doc

from workbench.core import Context, NotFound
from workbench.core.events import append as append_event
from workbench.core.ids import new_id
from workbench.core.store import metadata

from .shared import changed, graph_of, hash_of, opened

PAUSE_S = 300
"""Edits of one actor that are closer to each other are one sitting, in seconds."""
WORTH_PACKING = 256
"""Bytes from which on compressing them pays."""
ROOM = "room"
"""How an edit came that somebody made in an editor."""


class Packed(sa.TypeDecorator[bytes]):
    """Bytes, compressed where that pays."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Any) -> bytes | None:
        """As they are stored: a byte says how."""
        if value is None or len(value) < WORTH_PACKING:
            return value if value is None else b"\0" + value
        return b"\1" + zlib.compress(value)

    def process_result_value(self, value: bytes | None, dialect: Any) -> bytes | None:
        """As they were."""
        if not value:
            return value
        return zlib.decompress(value[1:]) if value[:1] == b"\1" else bytes(value[1:])


updates = sa.Table(
    "document_updates",
    metadata,
    sa.Column("document", sa.String(40), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("first", sa.Integer, nullable=False),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("via", sa.String(80), nullable=False),
    sa.Column("body", Packed, nullable=False),
    sa.Index("ix_document_updates_project", "project"),
)
heads = sa.Table(
    "document_heads",
    metadata,
    sa.Column("document", sa.String(40), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("recorded", sa.Integer, nullable=False),
    sa.Column("compacted", sa.Integer, nullable=False),
    sa.Index("ix_document_heads_project", "project"),
)
snapshots = sa.Table(
    "document_snapshots",
    metadata,
    sa.Column("document", sa.String(40), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("state", Packed, nullable=False),
    sa.Index("ix_document_snapshots_project", "project"),
)


class Entry(NamedTuple):
    """An edit that is to be written."""

    actor: str
    via: str
    body: bytes


class Row(NamedTuple):
    """An edit as it is kept; one that `compact` made of several has them all from `first` on."""

    seq: int
    first: int
    at: str
    actor: str
    via: str
    body: bytes


class Sitting(NamedTuple):
    """What one actor changed without a pause."""

    first: int
    seq: int
    at: str
    actor: str
    via: str


def begin(tx: sa.Connection, project: str, document: str, state: bytes) -> None:
    """Begin a log with a first state, whose number is 0."""
    tx.execute(
        heads.insert().values(document=document, project=project, seq=0, recorded=0, compacted=0)
    )
    tx.execute(snapshots.insert().values(document=document, seq=0, project=project, state=state))


def append(
    tx: sa.Connection, project: str, document: str, entries: Sequence[Entry], at: datetime
) -> int:
    """Write edits at the end of the log, in a write transaction.

    Returns:
        The number of the last edit before them; they have those that follow.

    Raises:
        NotFound: There is no such document, or not any more.
    """
    before = tx.execute(
        sa.select(heads.c.seq).where(heads.c.document == document, heads.c.project == project)
    ).scalar()
    if before is None:
        raise gone(document)
    tx.execute(
        updates.insert(),
        [
            {
                "document": document,
                "seq": before + place,
                "first": before + place,
                "project": project,
                "at": at.isoformat(),
                **entry._asdict(),
            }
            for place, entry in enumerate(entries, 1)
        ],
    )
    tx.execute(
        sa.update(heads).where(heads.c.document == document).values(seq=before + len(entries))
    )
    return int(before)


def head(connection: sa.Connection, project: str, document: str) -> int:
    """The number of the newest edit.

    Raises:
        NotFound: There is no such document.
    """
    found = connection.execute(
        sa.select(heads.c.seq).where(heads.c.document == document, heads.c.project == project)
    ).scalar()
    if found is None:
        raise gone(document)
    return int(found)


def read(
    connection: sa.Connection, document: str, after: int, upto: int | None = None
) -> list[Row]:
    """The edits after a number, up to another, in their order."""
    query = sa.select(*(updates.c[name] for name in Row._fields)).where(
        updates.c.document == document, updates.c.seq > after
    )
    if upto is not None:
        query = query.where(updates.c.seq <= upto)
    return [Row(*row) for row in connection.execute(query.order_by(updates.c.seq))]


def past(connection: sa.Connection, document: str) -> list[Sitting]:
    """The edits as sittings, in their order, without what they changed."""
    rows = connection.execute(
        sa.select(*(updates.c[name] for name in Sitting._fields))
        .where(updates.c.document == document)
        .order_by(updates.c.seq)
    )
    return sittings(Sitting(*row) for row in rows)


def newest(connection: sa.Connection, documents: Iterable[str]) -> dict[str, int]:
    """The number of the newest edit of each of these that is there."""
    query = sa.select(heads.c.document, heads.c.seq).where(heads.c.document.in_(list(documents)))
    return {row.document: row.seq for row in connection.execute(query)}


def load(
    connection: sa.Connection, project: str, document: str, upto: int | None = None
) -> tuple["Doc[Any]", int]:
    """The document as it was at a number (or is), and that number.

    Raises:
        NotFound: There is no such document, or it never was at that number.
    """
    last = head(connection, project, document)
    wanted = last if upto is None else upto
    if not 0 <= wanted <= last:
        raise NotFound(
            f"This document has no edit {upto}.", hint=f"Its newest is {last}: see its history."
        )
    snapshot = connection.execute(
        sa.select(snapshots.c.seq, snapshots.c.state)
        .where(snapshots.c.document == document, snapshots.c.seq <= wanted)
        .order_by(snapshots.c.seq.desc())
        .limit(1)
    ).one()
    rows = read(connection, document, snapshot.seq, wanted)
    reached = rows[-1].seq if rows else snapshot.seq
    return opened([snapshot.state, *(row.body for row in rows)]), int(reached)


def keep_snapshot(tx: sa.Connection, project: str, document: str, seq: int, state: bytes) -> None:
    """Spare later readers the log up to a number; of the snapshots before, only the first stays."""
    tx.execute(
        snapshots.delete().where(
            snapshots.c.document == document, snapshots.c.seq > 0, snapshots.c.seq <= seq
        )
    )
    tx.execute(snapshots.insert().values(document=document, seq=seq, project=project, state=state))


def sittings(rows: Iterable[Row | Sitting]) -> list[Sitting]:
    """Rows, in their order, as sittings: each by one actor, in one way, without a pause."""
    found: list[Sitting] = []
    for row in rows:
        last = found[-1] if found else None
        if last is not None and (last.actor, last.via) == (row.actor, row.via):
            apart = datetime.fromisoformat(row.at) - datetime.fromisoformat(last.at)
            if row.via == ROOM and apart < timedelta(seconds=PAUSE_S):
                found[-1] = last._replace(seq=row.seq, at=row.at)
                continue
        found.append(Sitting(row.first, row.seq, row.at, row.actor, row.via))
    return found


def record(ctx: Context, document: str) -> None:
    """Put on the record what was edited in rooms since it was last put there.

    An event for each actor says how many edits were theirs, and what the graph came to: its hash at
    an edit, which the log can be asked for at any time. A log that was changed does not fit it.
    """
    with ctx.store.read() as connection:
        at = connection.execute(sa.select(heads).where(heads.c.document == document)).first()
        if at is None or at.recorded == at.seq:
            return
        rows = read(connection, document, at.recorded, at.seq)
        doc, _ = load(connection, at.project, document, at.seq)
    reached = hash_of(graph_of(doc))
    mine: dict[str, list[Row]] = {}
    for row in rows:
        if row.via == ROOM:
            mine.setdefault(row.actor, []).append(row)
    with ctx.store.begin() as tx:
        done = tx.execute(
            sa.update(heads)
            .where(heads.c.document == document, heads.c.recorded == at.recorded)
            .values(recorded=at.seq)
        )
        if done.rowcount != 1:
            return  # Another process was quicker, or the document is gone.
        for actor, theirs in mine.items():
            append_event(
                tx,
                at=ctx.now(),
                trace=new_id("trc"),
                project=ctx.project,
                actor=actor,
                action="documents.edit",
                outcome="done",
                request=reached,
                refs={
                    "document": document,
                    "seq": at.seq,
                    "edits": len(theirs),
                    "graph": reached,
                },
            )


def compact(ctx: Context, document: str) -> None:
    """Make one row of each sitting that is on the record and over.

    What was overwritten within a sitting is dropped. A snapshot is kept at the end.
    """
    with ctx.store.read() as connection:
        at = connection.execute(sa.select(heads).where(heads.c.document == document)).first()
        if at is None or at.recorded <= at.compacted:
            return
        doc, reached = load(connection, at.project, document, at.compacted)
        rows = read(connection, document, reached, at.recorded)
    merged: list[Row] = []
    left = deque(rows)
    for sitting in sittings(rows):
        own = []
        while left and left[0].seq <= sitting.seq:
            own.append(left.popleft().body)
        # What the transaction changed, not what a state lacks: that has all that was ever deleted.
        body = changed(doc, partial(_apply, doc, own))
        merged.append(Row(sitting.seq, sitting.first, sitting.at, sitting.actor, sitting.via, body))
    with ctx.store.begin() as tx:
        done = tx.execute(
            sa.update(heads)
            .where(heads.c.document == document, heads.c.compacted == at.compacted)
            .values(compacted=at.recorded)
        )
        if done.rowcount != 1:
            return  # Another process was quicker, or the document is gone.
        tx.execute(
            updates.delete().where(
                updates.c.document == document,
                updates.c.seq > at.compacted,
                updates.c.seq <= at.recorded,
            )
        )
        if merged:
            tx.execute(
                updates.insert(),
                [{"document": document, "project": at.project, **row._asdict()} for row in merged],
            )
        keep_snapshot(tx, at.project, document, at.recorded, doc.get_update())


def _apply(doc: "Doc[Any]", bodies: Sequence[bytes]) -> None:
    for body in bodies:
        doc.apply_update(body)


def unrecorded(connection: sa.Connection) -> list[tuple[str, str]]:
    """Documents that were edited in rooms, which nobody put on the record: (project, document)."""
    query = sa.select(heads.c.project, heads.c.document).where(heads.c.recorded < heads.c.seq)
    return [(row.project, row.document) for row in connection.execute(query)]


def forget(tx: sa.Connection, project: str, document: str) -> None:
    """Delete the whole log."""
    for table in (updates, snapshots, heads):
        tx.execute(table.delete().where(table.c.project == project, table.c.document == document))


def gone(document: str) -> NotFound:
    """That there is no such document."""
    return NotFound(
        f"This project has no document {document!r}.",
        hint="List the documents to see what is there.",
    )
