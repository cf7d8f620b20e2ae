"""One request for a page: who asks, what they sent, and how it is answered."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from workbench.core import Conflict, Context, Engines, Invalid, Limited, WorkbenchError, call
from workbench.security.guard import Asker, xsrf_for

from ..tracing import trace_of
from .rendering import render

FORM_LIMIT = 64 * 1024
NOTICE = "studio-notice"
"""The cookie that carries a sentence over a redirect."""

View = Callable[[str, str, str], str]
"""The address at which a project's origin shows a notebook: project id, path and commit (empty:
as it was saved) → address."""


@dataclass
class Visit:
    """Who looks at which page.

    Attributes:
        request: The browser's request.
        who: Who asks, and by which cookie.
        engines: What the process has opened.
        prefix: The path the Studio is served under, without a slash at the end.
        view: Where a notebook's content is shown.
        form: What a form sent; empty for a page that is only looked at.
        problem: What went wrong with the form, shown on the page it came from.
    """

    request: Request
    who: Asker
    engines: Engines
    prefix: str
    view: View
    form: dict[str, str] = field(default_factory=dict)
    problem: WorkbenchError | None = None

    async def ask(self, name: str, request: dict[str, Any] | None = None, project: str = "") -> Any:
        """Ask the door for something that changes nothing, or for a change, with the form's key."""
        ctx = Context(self.who.actor, project, self.engines, trace=trace_of(self.request))
        try:
            return await call(ctx, name, request or {}, key=self.form.get("key", ""))
        except Conflict as error:
            if "idempotency key" not in str(error):
                raise
            raise Conflict(
                "This form was sent before, with something else in it.",
                hint="Look at what is there now, then send it once more.",
            ) from error

    async def tried(
        self, name: str, request: dict[str, Any] | None = None, project: str = ""
    ) -> Any:
        """What the door answers, or the error it raises, to be shown in its place on the page."""
        try:
            return await self.ask(name, request, project)
        except WorkbenchError as error:
            return error

    def asked(self, name: str, default: str = "") -> str:
        """A word of the form, or of the address."""
        return self.form.get(name, self.request.query_params.get(name, default)).strip()

    def number(self, name: str, kind: type[int] | type[float] = int) -> Any:
        """A number of the form; None if it was left empty."""
        given = self.asked(name)
        if not given:
            return None
        try:
            return kind(given)
        except ValueError as error:
            raise Invalid(
                f"{given[:40]!r} is not a number.", hint="Write digits only, or leave it empty."
            ) from error

    def page(
        self,
        template: str,
        status: int = 200,
        *,
        frames: str = "",
        follows: bool = False,
        **values: Any,
    ) -> Response:
        """A page; the sentence that a redirect carried stands on it, once."""
        notice = unsealed(self.who, self.request.cookies.get(NOTICE, ""))
        answer = page(
            template,
            self.problem.status if self.problem else status,
            frames=frames,
            follows=follows,
            prefix=self.prefix,
            actor=self.who.actor,
            xsrf=xsrf_for(self.who.cookie) if self.who.cookie else "",
            new_key=lambda: secrets.token_hex(16),
            problem=self.problem,
            notice=notice,
            given=self.asked,
            path=self.request.url.path,
            **values,
        )
        if NOTICE in self.request.cookies:
            answer.delete_cookie(NOTICE, path=f"{self.prefix}/")
        return answer

    def go(self, path: str, told: str = "") -> Response:
        """To another page of the Studio, with a sentence that it shows."""
        answer = RedirectResponse(f"{self.prefix}/{path}", 303)
        answer.headers["cache-control"] = "no-store"
        if told:
            answer.set_cookie(
                NOTICE,
                sealed(self.who, told),
                max_age=60,
                path=f"{self.prefix}/",
                httponly=True,
                samesite="lax",
                secure=self.request.url.scheme == "https",
            )
        return answer

    def confirm(self, *kept: str) -> Response:
        """Where a person proves who they are, and comes back with these words of the form."""
        words = {name: self.form[name] for name in kept if self.form.get(name)}
        here = self.request.url.path + (f"?{urlencode(words)}" if words else "")
        return self.page("confirm.html", 403, next=f"/hub/confirm?{urlencode({'next': here})}")


def page(
    template: str,
    status: int = 200,
    *,
    frames: str = "",
    follows: bool = False,
    **values: Any,
) -> HTMLResponse:
    """A rendered template with the headers every page has.

    Args:
        template: Its file.
        status: The HTTP status.
        frames: The one origin the page may frame; none if empty.
        follows: Whether its script may ask the Studio what is new.
        values: What the template shows.
    """
    answer = HTMLResponse(render(template, **values), status)
    answer.headers["content-security-policy"] = "; ".join(
        [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "img-src 'self' data:",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "frame-src " + (frames or "'none'"),
            "connect-src " + ("'self'" if follows else "'none'"),
        ]
    )
    answer.headers["x-content-type-options"] = "nosniff"
    # Not `no-referrer`: browsers then send forms with the origin `null`.
    answer.headers["referrer-policy"] = "same-origin"
    answer.headers["cross-origin-opener-policy"] = "same-origin"
    answer.headers["cache-control"] = "no-store"
    return answer


async def read_form(request: Request) -> dict[str, str]:
    """What a form sent.

    Raises:
        Limited: It is larger than a form of ours can be.
        Invalid: It is no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Invalid(f"A page cannot take {kind[:60]!r}.", hint="Send the page's own form.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_LIMIT:
            raise Limited("This form is too large.", hint=f"At most {FORM_LIMIT:,} bytes.")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise Invalid("This form cannot be read.", hint="Load the page again.") from error


def with_token(request: Request, token: str) -> Request:
    """The request with a form's hidden token where a script's stands: in the header."""
    kept = [each for each in request.scope["headers"] if each[0] != b"x-xsrftoken"]
    headers = [*kept, (b"x-xsrftoken", token.encode("latin-1", errors="replace"))]
    return Request({**request.scope, "headers": headers})


def sealed(who: Asker, told: str) -> str:
    """A sentence as a cookie that only this session's pages can have set."""
    text = base64.urlsafe_b64encode(told.encode()).decode()
    return f"{text}.{_seal(who, text)}"


def unsealed(who: Asker, given: str) -> str:
    """The sentence of such a cookie; empty if somebody else made it."""
    text, _, seal = given.partition(".")
    if not text or not hmac.compare_digest(
        seal.encode(errors="replace"), _seal(who, text).encode()
    ):
        return ""
    try:
        return base64.urlsafe_b64decode(text).decode()
    except (binascii.Error, ValueError):
        return ""


def _seal(who: Asker, text: str) -> str:
    key = f"{who.cookie} {who.actor}".encode()
    return hmac.new(key, b"notice " + text.encode(errors="replace"), sha256).hexdigest()


Shown = Callable[[Visit], Awaitable[Response]]
"""A page: what answers a visit."""
