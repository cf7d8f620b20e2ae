"""Links that let somebody in: signed with a key of this home, so that none is ever stored."""

import hmac
import os
import secrets
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from workbench.core import Forbidden, Settings, Store
from workbench.core.store import metadata

from .spaces import projects
from .types import Invitation

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False, index=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("person", sa.String(128), nullable=False),
    sa.Column("made_by", sa.String(128), nullable=False),
    sa.Column("made_at", sa.String(40), nullable=False),
    sa.Column("until", sa.String(40), nullable=False),
    sa.Column("used_by", sa.String(128)),
    sa.Column("used_at", sa.String(40)),
    sa.Column("revoked_at", sa.String(40)),
)

unused = (invitations.c.used_by.is_(None), invitations.c.revoked_at.is_(None))


def look_invitation(
    store: Store | sa.Connection, home: Path, token: str, now: datetime
) -> Invitation:
    """The invitation a token was made for, whatever its state; without its link.

    Raises:
        Forbidden: No invitation of this Studio has that token, or its project is gone.
    """
    id, _, signature = token.partition(".")
    if not hmac.compare_digest(_sign(home, id).encode(), signature.encode(errors="replace")):
        raise Forbidden(
            "This is no invitation of this Studio.", hint="Use the link as it was sent."
        )
    query = seen.where(invitations.c.id == id)
    if isinstance(store, Store):
        with store.read() as connection:
            row = connection.execute(query).first()
    else:
        row = store.execute(query).first()
    if row is None:
        raise closed("for a project that was deleted")
    return opened(row, now)


def withdraw(tx: sa.Connection, project: str, actor: str, now: datetime, *, sent: bool) -> None:
    """Revoke what is open of somebody who loses a role, so that no link brings it back.

    Args:
        tx: A write transaction.
        project: The project's id.
        actor: `person:…`
        now: The moment of the revocation.
        sent: Whether only the invitations they made; else also those made for them.
    """
    name = actor.partition(":")[2]
    theirs = invitations.c.made_by == name
    tx.execute(
        sa.update(invitations)
        .where(
            invitations.c.project == project,
            theirs if sent else sa.or_(theirs, invitations.c.person == name),
            *unused,
        )
        .values(revoked_at=now.isoformat())
    )


seen = sa.select(invitations, projects.c.title).join(
    projects, projects.c.id == invitations.c.project
)


def opened(row: sa.Row[Any], now: datetime) -> Invitation:
    """A row of `seen` as an Invitation, in the state it has at that moment; without its link."""
    state: Literal["open", "used", "expired", "revoked"] = "open"
    if row.used_by is not None:
        state = "used"
    elif row.revoked_at is not None:
        state = "revoked"
    elif datetime.fromisoformat(row.until) <= now:
        state = "expired"
    return Invitation.model_validate(dict(row._mapping) | {"state": state})


def check(invitation: Invitation, person: str) -> None:
    """Raise Forbidden if an invitation lets that person in no more, or never did."""
    if invitation.state == "used":
        raise closed("used already")
    if invitation.state == "revoked":
        raise closed("taken back")
    if invitation.state == "expired":
        raise closed(f"expired since {invitation.until:%Y-%m-%d %H:%M} UTC")
    if invitation.person not in ("", person):
        raise Forbidden(
            f"This invitation is for somebody else than {person}.",
            hint="Sign in as the person who was invited, or ask for an invitation of your own.",
        )


def closed(why: str) -> Forbidden:
    """The error for an invitation that was good once."""
    return Forbidden(f"This invitation is {why}.", hint="Ask an owner of the project for another.")


def link(settings: Settings, id: str) -> str:
    """The address a person opens to accept an invitation."""
    return f"{settings.address}hub/join?token={id}.{_sign(settings.home, id)}"


def _sign(home: Path, id: str) -> str:
    return hmac.new(_key(home), id.encode(errors="replace"), sha256).hexdigest()


def _key(home: Path) -> bytes:
    """The key of this home's invitations, made on first use; only its owner can read it."""
    file = home / "keys" / "invitations"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = file.with_suffix(f".{secrets.token_hex(4)}")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(secrets.token_bytes(32))
            out.flush()
            os.fsync(out.fileno())
        try:
            file.hardlink_to(new)
        except FileExistsError:
            pass  # made by another process meanwhile; the file is the one key
        finally:
            new.unlink()
    return file.read_bytes()
