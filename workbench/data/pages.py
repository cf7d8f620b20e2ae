"""Pages: files of a web server, with every hop's address checked."""

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from pydantic import SecretStr

from workbench.core import Context, NotFound, Refused, Settings, Unavailable

from .fetching import LONGEST_S, Measured, below, words
from .places import Connection
from .reaching import TIMEOUT_S, addresses

if TYPE_CHECKING:
    import httpx

HOPS = 5
"""The most redirects that are followed."""


def try_page(ctx: Context, connection: Connection, secret: SecretStr) -> None:
    """Ask for the URL of a connection, without reading what it answers."""
    with _answer(ctx, connection, secret, "", time.monotonic() + TIMEOUT_S) as answer:
        # Many servers list no folder, and still serve the files in it.
        if answer.status_code != 404 or not connection.url.endswith("/"):
            _check_status(answer, connection.url)


def get_page(
    ctx: Context, connection: Connection, secret: SecretStr, rest: str, file: Path
) -> None:
    """What lies at a path below a connection's URL, as a file."""
    import httpx

    name = connection.name
    with _answer(ctx, connection, secret, rest, time.monotonic() + LONGEST_S) as answer:
        _check_status(answer, connection.url)
        try:
            Measured(ctx, file, name).write(answer.iter_raw(1 << 16))
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{name} broke off: {words(error) if str(error) else type(error).__name__}.",
                hint="Do it again.",
            ) from error


@contextmanager
def _answer(
    ctx: Context, connection: Connection, secret: SecretStr, rest: str, until: float
) -> Iterator["httpx.Response"]:
    """The answer of an HTTP server after redirects, each checked; its body is yet to be read."""
    import ssl

    import httpx

    path, mark, query = rest.partition("?")
    url = below(connection.url, quote(path, safe="/%:@!$&'()*+,;=~-._")) + mark
    url += quote(query, safe="/%:@!$&'()*+,;=~-._?")
    home = _origin(url)
    # No proxy, no .netrc, no cookies: what the environment of the Studio has is not for this.
    with httpx.Client(
        verify=ssl.create_default_context(), trust_env=False, timeout=TIMEOUT_S
    ) as client:
        for _ in range(HOPS + 1):
            headers = [(b"accept-encoding", b"identity"), (b"user-agent", b"nexus-workbench")]
            credentials = _authorization(connection.user, secret)
            if credentials and _origin(url) == home:
                headers.append((b"authorization", credentials))
            answer = _sent(ctx.settings, client, url, headers)
            try:
                if not answer.has_redirect_location:
                    yield answer
                    return
                url = urljoin(url, answer.headers["location"])
            finally:
                answer.close()
            if urlsplit(url).scheme not in ("http", "https"):
                raise Refused(
                    f"{connection.name} redirects to a place that is no web page.",
                    hint="Only http and https are followed.",
                )
            if time.monotonic() > until:
                break
    raise Unavailable(
        f"{connection.name} redirects more than {HOPS} times.", hint="Give the last address."
    )


def _sent(
    settings: Settings, client: "httpx.Client", url: str, headers: list[tuple[bytes, bytes]]
) -> "httpx.Response":
    """One request, to one of the host's permitted addresses and no other."""
    import httpx

    try:
        asked = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Unavailable(f"The server redirects to no URL: {words(error)}.", hint="") from error
    port = asked.port or (443 if asked.scheme == "https" else 80)
    said: Exception = OSError("no address")
    for address in addresses(settings, asked.host, port):
        request = client.build_request(
            "GET",
            asked.copy_with(host=address, userinfo=b""),
            headers=[*headers, (b"host", asked.netloc)],
            extensions={"sni_hostname": asked.host},
        )
        try:
            return client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            said = error
        except httpx.TimeoutException as error:
            raise Unavailable(
                f"{asked.host} did not answer within {TIMEOUT_S:g} s.", hint="Try again later."
            ) from error
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{asked.host} does not speak HTTP as it should: {words(error)}.",
                hint="Check the URL.",
            ) from error
    reason = "no answer" if isinstance(said, httpx.TimeoutException) else words(said)
    raise Unavailable(
        f"{asked.host}:{port} cannot be reached: {reason}.",
        hint="Check the host, the port, the firewall.",
    ) from said


def _authorization(user: str, secret: SecretStr) -> bytes:
    plain = secret.get_secret_value()
    if user:
        return b"Basic " + b64encode(f"{user}:{plain}".encode())
    return b"Bearer " + plain.encode() if plain else b""


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def _check_status(answer: "httpx.Response", url: str) -> None:
    if answer.status_code < 400:
        return
    host = urlsplit(url).hostname
    said = f"{host} answers {answer.status_code} {words(answer.reason_phrase)}"
    if answer.status_code in (401, 403, 407):
        raise Unavailable(f"{said}.", hint="Check the user and the secret.")
    if answer.status_code in (404, 410):
        raise NotFound(f"{said}.", hint="Check the path.")
    raise Unavailable(f"{said}.", hint="Try again later, or check the URL.")
