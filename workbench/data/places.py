"""Where a connection goes: its Record, its URL in one spelling, what each kind takes."""

import re
from datetime import datetime
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from workbench.core import Invalid, Record, Shelf

ConnectionKind = Literal["s3", "postgres", "sql", "http"]

DRIVERS = {
    "sqlite": "sqlite",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mssql": "mssql+pymssql",
    "oracle": "oracle+oracledb",
}
"""Databases besides PostgreSQL, and the driver of each that goes where its URL says: others take
files, other hosts or local programs from their options."""
SCHEMES = ["s3", "postgresql", "http", "https", *DRIVERS]
OPTIONS: dict[ConnectionKind, list[str]] = {
    "s3": ["endpoint", "region"],
    "postgres": ["sslmode"],
    "sql": [],
    "http": [],
}
SSL_MODES = ["disable", "allow", "prefer", "require", "verify-full"]
HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]+\]"


class Connection(Record):
    """A place outside that a project reads data from. What opens it is never part of this."""

    id: str
    name: str
    kind: ConnectionKind
    url: str
    """Without credentials: `s3://bucket/prefix`, `postgresql://host:5432/db`, `https://host/`."""
    user: str = ""
    """The user or, for S3, the access key id."""
    options: dict[str, str] = {}
    """S3: `endpoint` and `region`. PostgreSQL: `sslmode`."""
    secret_set: bool
    """Whether a secret is kept for it."""
    made_by: str
    made_at: datetime
    tested_at: datetime
    """When it last answered."""


connections: Shelf[Connection] = Shelf("con", "connection", Connection)


def read_url(url: str) -> tuple[ConnectionKind, str]:
    """The kind of a connection and its URL in one spelling.

    The sentences never repeat the URL: somebody may have put a password into it.

    Raises:
        Invalid: It holds credentials or options, names no host, or is of no known scheme.

    Example:
        >>> read_url("postgres://db.example/sales")
        ('postgres', 'postgresql://db.example:5432/sales')
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Invalid("This is no URL.", hint="For example https://host/path.") from None
    scheme = parts.scheme.lower()
    scheme = {"postgres": "postgresql"}.get(scheme.partition("+")[0], scheme.partition("+")[0])
    if "@" in parts.netloc:
        raise Invalid(
            "The URL holds credentials.", hint="Give them as `user` and `secret`: it is shown."
        )
    if parts.query or parts.fragment or any(c in url.strip() for c in "?#\\\n\r\t\0"):
        raise Invalid(
            "The URL of a connection ends before ? and #.",
            hint="Give options as `options`, a query with the source, a token as `secret`.",
        )
    if scheme not in SCHEMES or parts.scheme.lower() not in _spellings(scheme):
        shown = re.sub(r"[^a-z0-9+.-]", "", parts.scheme.lower())[:20] or "none"
        raise Invalid(
            f"A connection cannot have the scheme {shown!r}.", hint=f"Known: {', '.join(SCHEMES)}."
        )
    path = parts.path
    if ".." in unquote(path).split("/"):
        raise Invalid("The URL's path holds `..`.", hint="Write the path itself.")
    if scheme == "sqlite":
        if parts.netloc or not path.strip("/") or path.startswith("//"):
            raise Invalid(
                "An SQLite URL names a file of the project.",
                hint="For example sqlite:///folder/file.db, below the project's files.",
            )
        return "sql", f"sqlite:///{path[1:]}"
    if not re.fullmatch(HOST, f"[{host}]" if ":" in host else host):
        raise Invalid(f"The URL of {scheme} names no host.", hint=f"For example {scheme}://host/…")
    at = f"[{host}]" if ":" in host else host
    if scheme == "s3":
        if port:
            raise Invalid("A bucket has no port.", hint="Give the server as option `endpoint`.")
        return "s3", f"s3://{at}/{path.strip('/')}".rstrip("/")
    if scheme in ("http", "https"):
        return "http", f"{scheme}://{at}{f':{port}' if port else ''}{path or '/'}"
    if scheme == "postgresql":
        if not path.strip("/"):
            raise Invalid("The URL names no database.", hint=f"postgresql://{at}/database")
        return "postgres", f"postgresql://{at}:{port or 5432}{path}"
    return "sql", f"{scheme}://{at}{f':{port}' if port else ''}{path}"


def check_options(
    kind: ConnectionKind, url: str, user: str, secret: SecretStr, options: dict[str, str]
) -> None:
    """Raise Invalid unless this kind of connection takes these options and credentials."""
    for each, value in options.items():
        if each not in OPTIONS[kind]:
            known = ", ".join(OPTIONS[kind]) or "none"
            raise Invalid(
                f"A connection to {kind} has no option {each[:40]!r}.", hint=f"Known: {known}."
            )
        if each == "sslmode" and value not in SSL_MODES:
            raise Invalid(f"{value[:40]!r} is no sslmode.", hint=f"One of {', '.join(SSL_MODES)}.")
        if each == "region" and not re.fullmatch(r"[a-z0-9-]{1,40}", value):
            raise Invalid(f"{value[:40]!r} is no region.", hint="For example eu-central-1.")
        if each == "endpoint" and not re.fullmatch(rf"(https?://)?({HOST})(:\d{{1,5}})?/?", value):
            raise Invalid(
                "The endpoint is no address of a server.", hint="For example https://host:9000."
            )
    given = secret.get_secret_value()
    if kind == "s3" and bool(user) != bool(given):
        raise Invalid(
            "S3 takes an access key id and a secret key, or neither.",
            hint="Give them as `user` and `secret`.",
        )
    if kind == "postgres" and not user:
        raise Invalid("PostgreSQL needs a user.", hint="Give it as `user`.")
    if url.startswith("sqlite:") and (user or given):
        raise Invalid("An SQLite file has no user.", hint="Leave out `user` and `secret`.")
    if any(ord(c) < 32 for c in user + given):
        raise Invalid(
            "The user or the secret holds a line break or another control character.",
            hint="Check how it was copied.",
        )


def _spellings(scheme: str) -> list[str]:
    if scheme == "postgresql":
        return ["postgresql", "postgres", "postgresql+psycopg"]
    return [scheme, *([DRIVERS[scheme]] if scheme in DRIVERS else [])]
