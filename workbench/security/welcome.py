"""One-time links that make an account or set its password: a first administrator's, a guest's.

Whoever may write to the Studio's home may make one, and administrators on the Studio's own pages.
Only the digest of a link is kept, in `keys/welcome.json`, readable by the owner alone.
"""

import hashlib
import json
import os
import re
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock
from pydantic import Field, field_serializer

from workbench.core import Context, Forbidden, Invalid, Record, action
from workbench.core.context import current

LIFE = timedelta(hours=24)
KEPT = 100
HINT = "Whoever runs this Studio gets a new one with `workbench welcome`."
NAME = r"[a-z0-9][a-z0-9._-]{0,31}"


class Link(Record):
    """A link that was given out."""

    sha256: str
    name: str
    """The account it is for; a first administrator may choose another."""
    admin: bool
    expires_at: datetime
    used_at: datetime | None = None
    drops_factor: bool = False
    """Whether it takes away the second factor of somebody who lost it."""


def check_name(name: str) -> str:
    """A person's name, in the form accounts have.

    Raises:
        Invalid: It has other characters than a–z, 0–9, `.`, `_` and `-`, or too many.
    """
    if re.fullmatch(NAME, name):
        return name
    raise Invalid(
        f"Nobody can be called {name[:40]!r} here.",
        hint="A name has 1 to 32 of a–z, 0–9, “.”, “_” and “-”, and begins with a letter or digit.",
    )


def issue(home: Path, name: str, *, admin: bool, now: datetime, drops_factor: bool = False) -> str:
    """A new link for that person; an earlier one that was not used stops working.

    Returns:
        The token: 32 random bytes in URL-safe base 64, kept nowhere.
    """
    check_name(name)
    if name.startswith(("prj-", "prj_")):
        raise Invalid(f"{name!r} is kept for projects.", hint="Choose another name.")
    token = secrets.token_urlsafe(32)
    new = Link(
        sha256=_digest(token),
        name=name,
        admin=admin,
        expires_at=now + LIFE,
        drops_factor=drops_factor,
    )
    with _locked(home):
        others = [one for one in _read(home) if one.name != name or one.used_at]
        _write(home, [*others, new][-KEPT:])
    return token


def look(home: Path, token: str, now: datetime) -> Link:
    """The link of that token, if it may still be used.

    Raises:
        Forbidden: There is none, it was used, or it is older than a day.
    """
    found = next((one for one in _read(home) if one.sha256 == _digest(token)), None)
    if found is None:
        raise Forbidden("This link is not one of this Studio’s, or was replaced.", hint=HINT)
    if found.used_at is not None:
        raise Forbidden(
            f"This link was used on {_said(found.used_at)}; it works once.",
            hint=f"Sign in with the name and password chosen then. {HINT}",
        )
    if now > found.expires_at:
        raise Forbidden(f"This link expired on {_said(found.expires_at)}.", hint=HINT)
    return found


def spend(home: Path, token: str, now: datetime) -> Link:
    """Use the link up. Of two who try at once, one gets it.

    Raises:
        Forbidden: As `look`.
    """
    with _locked(home):
        link = look(home, token, now)
        used = link.model_copy(update={"used_at": now})
        _write(home, [used if one.sha256 == link.sha256 else one for one in _read(home)])
    return used


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _said(when: datetime) -> str:
    return f"{when:%-d %B %Y at %H:%M} UTC"


def _file(home: Path) -> Path:
    return home / "keys" / "welcome.json"


def _locked(home: Path) -> FileLock:
    _file(home).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileLock(home / "keys" / "welcome.lock", mode=0o600)


def _read(home: Path) -> list[Link]:
    file = _file(home)
    if not file.is_file():
        return []
    return [Link.model_validate(one) for one in json.loads(file.read_text())["links"]]


def _write(home: Path, links: list[Link]) -> None:
    file = _file(home)
    new = file.with_suffix(".new")
    body = json.dumps({"links": [one.model_dump(mode="json") for one in links]}, indent=1)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)


class Welcome(Record):
    """A link for somebody, to be sent to them."""

    name: str
    link: str = Field("", repr=False)
    """Whoever opens it first chooses the password; in the answer to who asked, and kept nowhere."""
    until: datetime

    @field_serializer("link")
    def _unkept(self, link: str) -> str:
        # While a Context is current the door serialises, to keep the answer for a repeated key.
        return "" if current.get() is not None else link


@action(effect="write", undo="irreversible", on="name", fresh=True)
def welcome_person(
    ctx: Context, name: str, admin: bool = False, drop_second_factor: bool = False
) -> Welcome:
    """A one-time link that makes somebody's account, or sets a new password for it.

    An earlier link for that name stops working. Nobody is let in before it is used.

    Args:
        name: What they sign in as.
        admin: Whether a new account is an administrator's.
        drop_second_factor: Take away the second factor of somebody who lost it.
    """
    now = ctx.now()
    token = issue(ctx.home, name, admin=admin, now=now, drops_factor=drop_second_factor)
    ctx.note(person=name)
    return Welcome(
        name=name, link=f"{ctx.settings.address}hub/welcome?token={token}", until=now + LIFE
    )
