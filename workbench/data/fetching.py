"""Fetching: what lies behind a connection becomes a file of ours, which the readers then read."""

import re
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from workbench.core import Context, Invalid, Limited, NotFound, Refused, Unavailable

from .connections import secret_of
from .places import Connection, connections
from .sources import Source

LONGEST_S = 3600.0
"""The longest one fetch may take."""


def tried(ctx: Context, connection: Connection, secret: SecretStr) -> None:
    """Make one real request.

    Raises:
        Unavailable: It failed; the sentence has the server's words, never the secret.
        Refused: The host is one that a connection may not reach.
    """
    from .reaching import TIMEOUT_S

    with told(connection, secret):
        try:
            if connection.kind == "http":
                from .pages import try_page

                try_page(ctx, connection, secret)
            elif connection.kind == "s3":
                from .buckets import try_bucket

                try_bucket(ctx, connection, secret)
            else:
                from .databases import opened

                with opened(ctx, connection, secret, limit_s=TIMEOUT_S) as database:
                    database.answer(
                        "SELECT 1 FROM dual" if "oracle" in connection.url else "SELECT 1"
                    )
        except NotFound as error:
            raise Unavailable(str(error), hint=error.hint) from error


def fetched(ctx: Context, source: str) -> Source:
    """What `connection:<name>/<path>` or `connection:<name>?SELECT …` names, as a file of ours.

    Raises:
        NotFound: There is no such connection, object or page.
        Invalid: The path or the query cannot be.
        Limited: More than `upload_limit_bytes` came.
        Unavailable: The other side failed.
    """
    found = re.fullmatch(r"([^/?]+)(.*)", source, re.DOTALL)
    if found is None:
        raise Invalid("The source names no connection.", hint="connection:<name>/<path>")
    connection = connections.get(ctx.store, ctx.project, found[1])
    rest = found[2]
    secret = secret_of(ctx, connection)
    database = connection.kind in ("postgres", "sql")
    if database and not rest.startswith("?"):
        raise Invalid(
            f"{connection.name} is a database: the source names no query.",
            hint=f"Write connection:{connection.name}?SELECT … FROM a_table.",
        )
    if connection.kind == "s3" and not rest.strip("/"):
        raise Invalid(
            f"The source names no object of {connection.name}.",
            hint=f"Write connection:{connection.name}/folder/file.csv.",
        )
    if not database and ".." in unquote(rest.partition("?")[0]).split("/"):
        raise Invalid("The path holds `..`.", hint="Write a path below the connection's.")
    folder = TemporaryDirectory(prefix="workbench-")
    try:
        with told(connection, secret):
            file = Path(folder.name) / "fetched"
            if database:
                from .databases import query_to

                query_to(ctx, connection, secret, rest[1:], file)
                name = connection.name
            elif connection.kind == "s3":
                from .buckets import get_object

                key = below(connection.url.partition("://")[2], rest)
                get_object(ctx, connection, secret, key, file)
                name = key.rpartition("/")[2]
            else:
                from .pages import get_page

                get_page(ctx, connection, secret, rest, file)
                path = rest.partition("?")[0].strip("/") or urlsplit(connection.url).path
                name = unquote(path.strip("/").rpartition("/")[2]) or connection.name
    except BaseException:
        folder.cleanup()
        raise
    ctx.note(connection=connection.id)
    return Source(name, file=file, folder=folder)


@contextmanager
def told(connection: Connection, secret: SecretStr) -> Iterator[None]:
    """Errors of ours pass, without the secret; the disk's become Limited."""
    try:
        yield
    except (Unavailable, Invalid, NotFound, Refused, Limited) as error:
        plain = scrubbed(str(error), secret)
        if plain == str(error):
            raise
        # Without the cause, which still has it.
        raise type(error)(plain, hint=scrubbed(error.hint, secret)) from None


def scrubbed(text: str, secret: SecretStr) -> str:
    """A server's words without the secret, as it is or as it travels."""
    plain = secret.get_secret_value()
    if len(plain) >= 4:  # shorter ones stand in any sentence
        for each in (plain, quote(plain, safe=""), b64encode(plain.encode()).decode()):
            text = text.replace(each, "…")
    return text


def words(error: object) -> str:
    """The first line somebody else's software said, short and printable."""
    first = next((line for line in str(error).strip().splitlines() if line.strip()), "no reason")
    return "".join(c if c.isprintable() else " " for c in first).strip().rstrip(".")[:300]


class Measured:
    """Writes what comes into a file, until it is too much, too late or not wanted any more."""

    def __init__(self, ctx: Context, file: Path, name: str) -> None:
        self._ctx, self._file, self._name = ctx, file, name
        self._until = time.monotonic() + LONGEST_S
        self.size = 0

    def check(self, more: int) -> None:
        """Count bytes.

        Raises:
            Limited: They are too many, or it takes too long.
            Cancelled: The job that fetches was cancelled.
        """
        self._ctx.job.check()
        self.size += more
        limit = self._ctx.settings.upload_limit_bytes
        if self.size > limit:
            raise Limited(
                f"{self._name} has more than {limit:,} bytes.",
                hint="Take a part of it; the limit is `upload_limit_bytes`.",
            )
        if time.monotonic() > self._until:
            raise Limited(
                f"{self._name} was not there after {LONGEST_S:g} s.", hint="Take a part of it."
            )

    def write(self, parts: Iterator[bytes]) -> None:
        """All of it, to the file."""
        with open(self._file, "wb") as out:
            for part in parts:
                self.check(len(part))
                on_disk(lambda part=part: out.write(part), self._name)  # type: ignore[misc]


def on_disk(write: Callable[[], object], name: str) -> None:
    """Write; a full disk is Limited."""
    try:
        write()
    except OSError as error:
        raise Limited(
            f"The disk cannot take {name}: {error.strerror or words(error)}.", hint="Free space."
        ) from error


def below(base: str, rest: str) -> str:
    """A path below another one."""
    return f"{base.rstrip('/')}/{rest.lstrip('/')}" if rest.strip("/") else base
