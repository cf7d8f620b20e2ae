"""Where threads, comments and mentions are kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from workbench.core import NotFound
from workbench.core.store import metadata

from .types import Anchor, Comment, Mention, Thread

threads = sa.Table(
    "comment_threads",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(24), nullable=False),
    sa.Column("document", sa.String(1024), nullable=False),
    sa.Column("part", sa.String(128), nullable=False),
    sa.Column("quote", sa.String(200), nullable=False),
    sa.Column("resolved_at", sa.String(40)),
    sa.Column("resolved_by", sa.String(128)),
    sa.Index("ix_comment_threads_document", "project", "kind", "document"),
)

comments = sa.Table(
    "comments",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False, index=True),
    sa.Column("thread", sa.String(40), nullable=False, index=True),
    sa.Column("made_by", sa.String(128), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("made_at", sa.String(40), nullable=False),
    sa.Column("edited_at", sa.String(40)),
    sa.Column("deleted_at", sa.String(40)),
)

mentions = sa.Table(
    "comment_mentions",
    metadata,
    sa.Column("comment", sa.String(40), primary_key=True),
    sa.Column("person", sa.String(128), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("seen_at", sa.String(40)),
    sa.Index("ix_comment_mentions_person", "project", "person"),
)


def thread_of(connection: sa.Connection, project: str, comment: str) -> str:
    """The thread that a comment is in, also one that was deleted and left its place.

    Raises:
        NotFound: This project has no such comment.
    """
    query = sa.select(comments.c.thread).where(
        comments.c.project == project, comments.c.id == comment
    )
    found: str | None = connection.execute(query).scalar()
    if found is None:
        raise missing("comment", comment)
    return found


def get_comment(connection: sa.Connection, project: str, id: str) -> sa.Row[Any]:
    """The row of a comment that is not deleted.

    Raises:
        NotFound: This project has none.
    """
    row = connection.execute(
        sa.select(comments).where(
            comments.c.project == project, comments.c.id == id, comments.c.deleted_at.is_(None)
        )
    ).first()
    if row is None:
        raise missing("comment", id)
    return row


def get_thread(connection: sa.Connection, project: str, id: str) -> sa.Row[Any]:
    """The row of a thread, with who began it; nobody else changes it in this transaction.

    Raises:
        NotFound: This project has none.
    """
    query = (
        sa.select(threads, comments.c.made_by)
        .join(comments, comments.c.id == threads.c.id)
        .where(threads.c.project == project, threads.c.id == id)
    )
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise missing("thread", id)
    return row


def missing(noun: str, id: str) -> NotFound:
    """The error for what is not there, or not any more."""
    return NotFound(
        f"This project has no {noun} {id[:80]!r}.",
        hint="List the comments of the document: it may be deleted.",
    )


def page(
    connection: sa.Connection, project: str, kind: str, document: str, limit: int, after: str | None
) -> list[Thread]:
    """Threads of a document with their comments, the oldest first."""
    query = (
        sa.select(threads)
        .where(threads.c.project == project, threads.c.kind == kind, threads.c.document == document)
        .order_by(threads.c.id)
        .limit(limit)
    )
    if after:
        query = query.where(threads.c.id > after)
    rows = connection.execute(query).all()
    said = said_in(connection, project, comments.c.thread.in_([row.id for row in rows]))
    return [
        Thread(
            id=row.id,
            anchor=anchor(row),
            quote=row.quote,
            comments=[each for each in said if each.thread == row.id],
            resolved_at=moment(row.resolved_at),
            resolved_by=row.resolved_by,
        )
        for row in rows
    ]


def said_in(
    connection: sa.Connection, project: str, where: sa.ColumnElement[bool]
) -> list[Comment]:
    """The comments of a project that fit, the oldest first, with whom they name."""
    rows = connection.execute(
        sa.select(comments).where(comments.c.project == project, where).order_by(comments.c.id)
    ).all()
    named: dict[str, list[str]] = {}
    for comment, person in connection.execute(
        sa.select(mentions.c.comment, mentions.c.person)
        .where(mentions.c.comment.in_([row.id for row in rows]))
        .order_by(mentions.c.person)
    ):
        named.setdefault(comment, []).append(person)
    return [
        Comment(
            id=row.id,
            thread=row.thread,
            made_by=row.made_by,
            text=row.text,
            mentions=named.get(row.id, []),
            made_at=datetime.fromisoformat(row.made_at),
            edited_at=moment(row.edited_at),
            deleted_at=moment(row.deleted_at),
        )
        for row in rows
    ]


def mentions_of(
    connection: sa.Connection,
    project: str,
    person: str,
    *,
    unseen: bool,
    limit: int,
    after: str | None,
) -> list[Mention]:
    """The comments that name somebody, the newest first."""
    query = (
        sa.select(mentions.c.comment, mentions.c.seen_at, threads)
        .join(comments, comments.c.id == mentions.c.comment)
        .join(threads, threads.c.id == comments.c.thread)
        .where(mentions.c.project == project, mentions.c.person == person)
        .order_by(mentions.c.comment.desc())
        .limit(limit)
    )
    if unseen:
        query = query.where(mentions.c.seen_at.is_(None))
    if after:
        query = query.where(mentions.c.comment < after)
    rows = connection.execute(query).all()
    named = comments.c.id.in_([row.comment for row in rows])
    said = {each.id: each for each in said_in(connection, project, named)}
    return [
        Mention(comment=said[row.comment], anchor=anchor(row), seen_at=moment(row.seen_at))
        for row in rows
    ]


def name(
    tx: sa.Connection, project: str, comment: str, people: Sequence[str], *, by: str, at: datetime
) -> None:
    """Keep whom a comment names now; who was named before has seen it or not, as before."""
    of = mentions.c.comment == comment
    tx.execute(mentions.delete().where(of, mentions.c.person.not_in(people)))
    known = set(tx.execute(sa.select(mentions.c.person).where(of)).scalars())
    for person in people:
        if person not in known:
            tx.execute(
                mentions.insert().values(
                    comment=comment,
                    person=person,
                    project=project,
                    seen_at=at.isoformat() if person == by else None,
                )
            )


def remove(tx: sa.Connection, row: sa.Row[Any], at: datetime) -> None:
    """Delete a comment; the thread goes with the last one in it, and stays while others remain."""
    tx.execute(mentions.delete().where(mentions.c.comment == row.id))
    others = tx.execute(
        sa.select(sa.func.count())
        .select_from(comments)
        .where(
            comments.c.thread == row.thread,
            comments.c.id != row.id,
            comments.c.deleted_at.is_(None),
        )
    ).scalar_one()
    if not others:
        tx.execute(comments.delete().where(comments.c.thread == row.thread))
        tx.execute(threads.delete().where(threads.c.id == row.thread))
    elif row.id == row.thread:
        tx.execute(
            sa.update(comments)
            .where(comments.c.id == row.id)
            .values(text="", edited_at=None, deleted_at=at.isoformat())
        )
    else:
        tx.execute(comments.delete().where(comments.c.id == row.id))


def moved(project: str, kind: str, document: str) -> sa.ColumnElement[bool]:
    """The threads of a document, or of every document below a folder."""
    return sa.and_(
        threads.c.project == project,
        threads.c.kind == kind,
        sa.or_(
            threads.c.document == document,
            # Not LIKE, which takes `Notes/` for `notes/` in SQLite.
            sa.func.substr(threads.c.document, 1, len(document) + 1) == f"{document}/",
        ),
    )


def anchor(row: sa.Row[Any]) -> Anchor:
    """What a thread's row is about."""
    return Anchor(kind=row.kind, document=row.document, part=row.part)


def moment(text: str | None) -> datetime | None:
    """A kept time."""
    return datetime.fromisoformat(text) if text else None
