"""Connections: where a project's data lies outside, kept without the secret that opens it."""

import re

import sqlalchemy as sa
from pydantic import SecretStr

from workbench.core import (
    Conflict,
    Context,
    Invalid,
    Page,
    action,
    new_id,
)
from workbench.core.shelf import records
from workbench.security.secrets import secrets

from .places import Connection, check_options, connections, read_url

NO_SECRET = SecretStr("")


@action(effect="write", undo="inverse:data.delete_connection", on="name", heavy=True)
def create_connection(
    ctx: Context,
    name: str,
    url: str,
    user: str = "",
    secret: SecretStr = NO_SECRET,
    options: dict[str, str] = {},  # noqa: B006
) -> Connection:
    """Keep a place outside to read data from; it is tried first, and kept only if it answers.

    Then `register(source="connection:<name>/<path>")`, or `connection:<name>?SELECT …` where it
    is a database.

    Args:
        name: Letters, digits, `_` and `-`, at most 64.
        url: `s3://bucket/prefix`, `postgresql://host:port/database`, `mysql://host/database`,
            `sqlite:///file.db` (in the project's files) or `https://host/path`; no credentials.
        user: The user, or the access key id of S3; none if absent.
        secret: The password, secret key or token; kept encrypted and never shown again.
        options: S3: `endpoint` and `region`; PostgreSQL: `sslmode`.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", name):
        raise Invalid(
            f"A connection cannot be called {name[:80]!r}.",
            hint="Letters, digits, _ and -, at most 64.",
        )
    if connections.find(ctx.store, ctx.project, name) is not None:
        raise Conflict(
            f"There is a connection {name!r} already.", hint="Delete it first, or choose another."
        )
    kind, plain = read_url(url)
    check_options(kind, plain, user, secret, options)
    connection = Connection(
        id=new_id("con"),
        name=name,
        kind=kind,
        url=plain,
        user=user,
        options=dict(options),
        secret_set=bool(secret.get_secret_value()),
        made_by=str(ctx.actor),
        made_at=ctx.now(),
        tested_at=ctx.now(),
    )
    from .fetching import tried

    tried(ctx, connection, secret)
    if connection.secret_set:
        kept = ctx.engine(secrets)
        ctx.on_abort(lambda: kept.delete(ctx.project, connection.id))
        kept.put(ctx.project, connection.id, secret)
    ctx.stage(lambda tx: connections.put(tx, ctx.project, connection))
    ctx.note(connection=connection.id)
    return connection


@action(effect="read")
def list_connections(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Connection]:
    """This project's connections, newest first, without their secrets.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    return connections.page(ctx.store, ctx.project, limit=limit, after=after)


@action(effect="read", on="id")
def get_connection(ctx: Context, id: str) -> Connection:
    """One connection, without its secret.

    Args:
        id: Its id or name.
    """
    return connections.get(ctx.store, ctx.project, id)


@action(effect="read", on="id", heavy=True)
def test_connection(ctx: Context, id: str) -> Connection:
    """Try a connection now; the answer says when it answered.

    Args:
        id: Its id or name.
    """
    from .fetching import tried

    found = connections.get(ctx.store, ctx.project, id)
    tried(ctx, found, secret_of(ctx, found))
    return found.model_copy(update={"tested_at": ctx.now()})


@action(effect="write", undo="compensate:data.create_connection", on="id")
def delete_connection(ctx: Context, id: str) -> Connection:
    """Forget a connection and its secret; what was registered from it stays.

    Args:
        id: Its id or name.
    """
    found = connections.get(ctx.store, ctx.project, id)

    def write(tx: sa.Connection) -> None:
        done = tx.execute(
            sa.delete(records).where(
                records.c.kind == connections.kind,
                records.c.project == ctx.project,
                records.c.id == found.id,
            )
        )
        if done.rowcount != 1:
            raise Conflict(
                f"The connection {found.name!r} was deleted meanwhile.", hint="Nothing to do."
            )

    ctx.stage(write)
    # A crash in between leaves a secret that nothing names.
    ctx.after_commit(lambda: ctx.engine(secrets).delete(ctx.project, found.id))
    ctx.note(connection=found.id)
    return found


def secret_of(ctx: Context, connection: Connection) -> SecretStr:
    """What opens a connection; empty if it needs nothing."""
    if not connection.secret_set:
        return NO_SECRET
    return ctx.engine(secrets).get(ctx.project, connection.id)
