"""Comment on a part of a document, answer, settle; see who named you."""

import posixpath

import sqlalchemy as sa

from workbench.core import (
    Conflict,
    Context,
    Forbidden,
    Invalid,
    Limited,
    NotFound,
    Page,
    action,
    new_id,
)
from workbench.security import grants, role_of

from . import threads as kept
from .mentions import mentioned
from .types import Anchor, Kind, Mention, Moved, Seen, Thread, ThreadState, Written

LONGEST = 10_000
"""Characters of a comment."""
MOST = 500
"""Comments in a thread."""
AT_ONCE = 200
QUOTED = 200


@action(effect="read")
def list_comments(
    ctx: Context,
    document: str,
    kind: Kind = "notebook",
    limit: int = 50,
    after: str | None = None,
) -> Page[Thread]:
    """The threads about a document with all their replies, the oldest first.

    Args:
        document: Its path in the project's files.
        kind: What kind of document it is.
        limit: At most how many threads, up to 200.
        after: The `next` of the page before.
    """
    size = max(1, min(limit, AT_ONCE))
    with ctx.store.read() as connection:
        found = kept.page(connection, ctx.project, kind, document, size + 1, after)
    return Page(items=found[:size], next=found[size - 1].id if len(found) > size else None)


@action(effect="write", undo="inverse:comments.delete_comment")
def create_comment(
    ctx: Context,
    text: str,
    anchor: Anchor | None = None,
    reply_to: str = "",
    quote: str = "",
) -> Written:
    """Begin a thread about a part of a document, or reply in one; a reply opens it again.

    Members named by `@name` find it among their mentions.

    Args:
        text: Plain text, at most 10,000 characters; nothing in it is markup.
        anchor: What it is about, `{"document": "01-tour.ipynb", "part": "<cell id>"}`.
        reply_to: Instead of an anchor: a comment of the thread to reply in.
        quote: How that part begins, for whoever reads the thread when it is gone.
    """
    who = _person(ctx)
    said = _said(text)
    if (anchor is None) == (not reply_to):
        raise Invalid(
            "A comment is about something, or replies to somebody: one of the two.",
            hint="Give `anchor` or `reply_to`.",
        )
    id, now = new_id("cmt"), ctx.now()
    if anchor is not None:
        _check(anchor)
        thread = id
    else:
        with ctx.store.read() as connection:
            thread = kept.thread_of(connection, ctx.project, reply_to)
    people = _named(ctx, said)

    def write(tx: sa.Connection) -> None:
        if anchor is not None:
            tx.execute(
                kept.threads.insert().values(
                    id=id,
                    project=ctx.project,
                    quote=" ".join(quote.split())[:QUOTED],
                    **anchor.model_dump(),
                )
            )
        else:
            _reopened(tx, ctx.project, thread)
        tx.execute(
            kept.comments.insert().values(
                id=id,
                project=ctx.project,
                thread=thread,
                made_by=str(ctx.actor),
                text=said,
                made_at=now.isoformat(),
            )
        )
        kept.name(tx, ctx.project, id, people, by=who, at=now)

    ctx.note(comment=id, thread=thread)
    ctx.stage(write)
    return Written(id=id, thread=thread, mentions=people)


@action(effect="write", undo="irreversible", on="id")
def update_comment(ctx: Context, id: str, text: str) -> Written:
    """Change what you wrote; what stood there before is not kept.

    Args:
        id: The comment.
        text: Plain text, at most 10,000 characters.
    """
    who = _person(ctx)
    said = _said(text)
    with ctx.store.read() as connection:
        row = kept.get_comment(connection, ctx.project, id)
    if row.made_by != str(ctx.actor):
        raise Forbidden(
            f"This comment is {_name(row.made_by)}'s, so {who} may not change it.",
            hint="Reply to it instead.",
        )
    people, now = _named(ctx, said), ctx.now()

    def write(tx: sa.Connection) -> None:
        kept.get_comment(tx, ctx.project, id)
        tx.execute(
            sa.update(kept.comments)
            .where(kept.comments.c.id == id)
            .values(text=said, edited_at=now.isoformat())
        )
        kept.name(tx, ctx.project, id, people, by=who, at=now)

    ctx.note(comment=id, thread=row.thread)
    ctx.stage(write)
    return Written(id=id, thread=row.thread, mentions=people)


@action(effect="write", undo="irreversible", on="id")
def delete_comment(ctx: Context, id: str) -> Written:
    """Delete a comment of yours; an owner of the project may delete anybody's.

    A thread goes with its last comment. If others have replied, the first leaves its place.

    Args:
        id: The comment.
    """
    who = _person(ctx)
    with ctx.store.read() as connection:
        row = kept.get_comment(connection, ctx.project, id)
    if row.made_by != str(ctx.actor) and role_of(ctx.store, ctx.actor, ctx.project) != "owner":
        raise Forbidden(
            f"This comment is {_name(row.made_by)}'s, so {who} may not delete it.",
            hint="Its author may, and an owner of the project.",
        )
    now = ctx.now()

    def write(tx: sa.Connection) -> None:
        kept.get_thread(tx, ctx.project, row.thread)
        kept.remove(tx, kept.get_comment(tx, ctx.project, id), now)

    ctx.note(comment=id, thread=row.thread)
    ctx.stage(write)
    return Written(id=id, thread=row.thread, mentions=[])


@action(effect="write", undo="inverse:comments.reopen", on="id")
def resolve(ctx: Context, id: str) -> ThreadState:
    """Settle a thread: whoever began it may, editors and owners.

    Args:
        id: The thread: the id of its first comment.
    """
    who = _person(ctx)

    def check(connection: sa.Connection) -> None:
        row = kept.get_thread(connection, ctx.project, id)
        if row.resolved_at is not None:
            raise Conflict("This thread is resolved already.", hint="There is nothing to do.")
        if row.made_by != str(ctx.actor) and viewer:
            raise Forbidden(
                f"{_name(row.made_by)} began this thread, so {who}, a viewer, may not resolve it.",
                hint="Reply in it, or ask an editor.",
            )

    viewer = role_of(ctx.store, ctx.actor, ctx.project) == "viewer"
    with ctx.store.read() as connection:
        check(connection)
    state = ThreadState(id=id, resolved_at=ctx.now(), resolved_by=str(ctx.actor))

    def write(tx: sa.Connection) -> None:
        check(tx)
        _settle(tx, state)

    ctx.note(thread=id)
    ctx.stage(write)
    return state


@action(effect="write", undo="inverse:comments.resolve", on="id")
def reopen(ctx: Context, id: str) -> ThreadState:
    """Open a resolved thread again; whoever may comment may.

    Args:
        id: The thread: the id of its first comment.
    """
    _person(ctx)

    def check(connection: sa.Connection) -> None:
        if kept.get_thread(connection, ctx.project, id).resolved_at is None:
            raise Conflict("This thread is open.", hint="There is nothing to do.")

    with ctx.store.read() as connection:
        check(connection)
    state = ThreadState(id=id)

    def write(tx: sa.Connection) -> None:
        check(tx)
        _settle(tx, state)

    ctx.note(thread=id)
    ctx.stage(write)
    return state


@action(effect="write", undo="inverse:comments.move")
def move(ctx: Context, document: str, to: str, kind: Kind = "notebook") -> Moved:
    """Let the threads of a document follow it to a new path; of a folder, all below it.

    JupyterLab does so when a notebook is renamed there.

    Args:
        document: The path it had.
        to: The path it has now.
        kind: What kind of document it is.
    """
    _person(ctx)
    for path in (document, to):
        _check_path(path)
    where = kept.moved(ctx.project, kind, document)
    of = kept.threads.c.document
    count = sa.select(sa.func.count(), sa.func.max(sa.func.length(of))).where(where)
    with ctx.store.read() as connection:
        found, longest = connection.execute(count).one()
    if not found or document == to:
        raise NotFound(
            f"There is no comment on {document[:200]!r} to move.",
            hint="Give the path that the document had when people commented on it.",
        )
    if longest - len(document) + len(to) > 1024:
        raise Invalid(f"The path {to[:80]!r}… is too long.", hint="At most 1,024 characters.")

    def write(tx: sa.Connection) -> None:
        below = sa.func.substr(of, len(document) + 1)
        tx.execute(
            sa.update(kept.threads).where(where).values(document=sa.literal(to).concat(below))
        )

    ctx.note(threads=found)
    ctx.stage(write)
    return Moved(threads=found)


@action(effect="read")
def list_mentions(
    ctx: Context, unseen: bool = True, limit: int = 50, after: str | None = None
) -> Page[Mention]:
    """The comments of this project that name you, the newest first.

    Args:
        unseen: Only those you have not marked as seen.
        limit: At most how many, up to 200.
        after: The `next` of the page before.
    """
    who, size = _person(ctx), max(1, min(limit, AT_ONCE))
    with ctx.store.read() as connection:
        found = kept.mentions_of(
            connection, ctx.project, who, unseen=unseen, limit=size + 1, after=after
        )
    more = len(found) > size
    return Page(items=found[:size], next=found[size - 1].comment.id if more else None)


@action(effect="write", undo="irreversible")
def see_mentions(ctx: Context, comments: list[str]) -> Seen:
    """Mark mentions of you as seen.

    Args:
        comments: The comments that name you, at most 200.
    """
    who, now = _person(ctx), ctx.now()
    if len(comments) > AT_ONCE:
        raise Limited(f"{len(comments)} comments at once are too many.", hint="At most 200.")
    new = (
        kept.mentions.c.project == ctx.project,
        kept.mentions.c.person == who,
        kept.mentions.c.comment.in_(comments),
        kept.mentions.c.seen_at.is_(None),
    )
    with ctx.store.read() as connection:
        count = connection.execute(
            sa.select(sa.func.count()).select_from(kept.mentions).where(*new)
        ).scalar_one()

    def write(tx: sa.Connection) -> None:
        tx.execute(sa.update(kept.mentions).where(*new).values(seen_at=now.isoformat()))

    ctx.stage(write)
    return Seen(mentions=count)


def _person(ctx: Context) -> str:
    """The person who asks; a comment is somebody's word, not a program's.

    Raises:
        Forbidden: A project's own key or an assistant asks.
    """
    if ctx.actor.kind != "person":
        raise Forbidden(
            f"Only people comment, and {ctx.actor} is none.",
            hint="Write it in JupyterLab's Comments panel or on the notebook's page.",
        )
    return ctx.actor.name


def _said(text: str) -> str:
    said = text.strip()
    if not said or "\0" in said:
        raise Invalid("A comment needs some text.", hint="Write a sentence.")
    if len(said) > LONGEST:
        raise Invalid(
            f"A comment of {len(said):,} characters is too long.",
            hint=f"At most {LONGEST:,}: put the rest into the notebook.",
        )
    return said


def _check(anchor: Anchor) -> None:
    _check_path(anchor.document)
    if len(anchor.part) > 128 or "\0" in anchor.part:
        raise Invalid(
            f"No part of a document is called {anchor.part[:80]!r}.", hint="Give the cell's id."
        )


def _check_path(path: str) -> None:
    plain = posixpath.normpath(path) == path and not path.startswith(("/", "../"))
    if not plain or path in (".", "..") or "\0" in path or len(path) > 1024:
        raise Invalid(
            f"{path[:80]!r} is no path of a document.",
            hint="Give it from the project's folder on, such as notes/01-tour.ipynb.",
        )


def _named(ctx: Context, text: str) -> list[str]:
    """The members of the project whom a text names."""
    query = sa.select(grants.c.actor).where(
        grants.c.project == ctx.project, grants.c.actor.startswith("person:")
    )
    with ctx.store.read() as connection:
        members = {_name(actor) for actor in connection.execute(query).scalars()}
    return mentioned(text, members)


def _reopened(tx: sa.Connection, project: str, thread: str) -> None:
    kept.get_thread(tx, project, thread)
    count = tx.execute(
        sa.select(sa.func.count()).where(kept.comments.c.thread == thread)
    ).scalar_one()
    if count >= MOST:
        raise Limited(
            f"This thread holds {count:,} comments and takes no more.", hint="Begin another one."
        )
    _settle(tx, ThreadState(id=thread))


def _settle(tx: sa.Connection, state: ThreadState) -> None:
    at = state.resolved_at
    tx.execute(
        sa.update(kept.threads)
        .where(kept.threads.c.id == state.id)
        .values(resolved_at=at.isoformat() if at else None, resolved_by=state.resolved_by)
    )


def _name(actor: str) -> str:
    return actor.partition(":")[2]
