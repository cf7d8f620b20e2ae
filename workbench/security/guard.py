"""Who asks: the person behind a cookie or token of the hub, or the owner of this home."""

import hmac
import re
import secrets
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response

from workbench.core import Actor, Forbidden, Store, Unauthenticated
from workbench.core.context import utc_now

from .sessions import PREFIX, Kind, confirmation, find

COOKIE = "workbench-studio"
STATE_COOKIE = "workbench-studio-state"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SOCKET = "socket"
"""The host of a client on the Studio's socket; its port is the number of its process."""


class Asker(NamedTuple):
    """An actor and how they proved it."""

    actor: Actor
    cookie: str
    """The session cookie, if it was one: such requests need the xsrf header too."""


class Guard(Protocol):
    """Turns a request into an actor."""

    async def identify(self, request: HTTPConnection) -> Asker:
        """Who asks; Unauthenticated if nobody we know."""


class LocalGuard:
    """Knows whoever can read this home's key: the person who runs the Studio, as administrator.

    And whoever has a session of the Studio's: a person at a project's origin, or a project's code.

    Args:
        home: Where its key is.
        person: Who runs it.
        store: Where sessions are kept.
        within: A process → the project in whose sandbox it runs, empty if in none; None where
            there is no sandbox.
        pods_port: Where projects' pods call, behind a network policy; 0: nowhere.
    """

    def __init__(
        self,
        home: Path,
        person: str,
        store: Store,
        within: Callable[[int], str] | None = None,
        pods_port: int = 0,
    ) -> None:
        self._pods_port = pods_port
        self._key = local_key(home)
        self._actor = Actor(name=person, admin=True, fresh=True)
        self._store = store
        self._within = within

    async def identify(self, request: HTTPConnection) -> Asker:
        """See `Guard`."""
        token = bearer(request)
        if self.of_pods(request):
            return Asker(self._project(token, "project"), "")
        if hmac.compare_digest(token.encode(), self._key.encode()):
            return Asker(self._actor, "")
        if token.startswith(PREFIX):
            client = request.client
            peer = client.port if client is not None and client.host == SOCKET else None
            return Asker(self._inside(token, peer), "")
        raise Unauthenticated("You are not signed in.", hint="Sign in to the Studio, then repeat.")

    def of_pods(self, request: HTTPConnection) -> bool:
        """Whether it came to the port that projects' pods reach: nobody but they comes by it."""
        server = request.scope.get("server")
        return bool(self._pods_port and server and server[1] == self._pods_port)

    def confirmed(self, person: str, session: str) -> bool:
        """Whether that person proved who they are in this browser, a moment ago."""
        found = (
            find(self._store, confirmation(session), "confirmed", utc_now()) if session else None
        )
        return found is not None and found.person == person

    def _inside(self, token: str, peer: int | None) -> Actor:
        """Who has this session. A project's own holds in its sandbox alone: a stolen one is none.

        Another project's sandbox sees the same socket, so that is not enough.
        """
        found = find(self._store, token, "person", utc_now())
        if found is not None:
            return Actor(name=found.person, within=found.project)
        if peer is not None:
            project = self._project(token, "project", "job")
            if self._is_at_home(project.within, peer):
                return project
        raise Unauthenticated("This session has ended.", hint="Open the project again.")

    def _project(self, token: str, *kinds: Kind) -> Actor:
        for kind in kinds:
            found = find(self._store, token, kind, utc_now())
            if found is not None:
                return Actor(kind="project", name=found.project, within=found.project)
        raise Unauthenticated("This session has ended.", hint="Open the project again.")

    def _is_at_home(self, project: str, peer: int) -> bool:
        return self._within is None or self._within(peer) == project


class HubGuard:
    """Asks JupyterHub: a cookie from its OAuth (PKCE), or a token it issued. Local key as well."""

    def __init__(self, local: LocalGuard, prefix: str) -> None:
        from jupyterhub.services.auth import HubOAuth

        self._local = local
        self._prefix = prefix
        self._hub = HubOAuth(cache_max_age=30)

    async def identify(self, request: HTTPConnection) -> Asker:
        """See `Guard`."""
        if self._local.of_pods(request):
            return await self._local.identify(request)
        token, cookie = bearer(request), ""
        if not token:
            token = cookie = request.cookies.get(COOKIE, "")
        elif token.startswith(("local-", PREFIX)):
            return await self._local.identify(request)
        user: dict[str, Any] | None = None
        if token:
            user = await self._hub.user_for_token(token, sync=False)
        if not user:
            raise Unauthenticated(
                "You are not signed in.", hint="Sign in to the Studio, then repeat."
            )
        if not self._hub.check_scopes(self._hub.access_scopes, user):
            raise Forbidden(
                f"{user['name']} may not use this Studio.", hint="Ask an administrator."
            )
        name, session = user["name"], user.get("session_id") or ""
        fresh = bool(cookie) and self._local.confirmed(name, session)
        return Asker(Actor(name=name, admin=bool(user.get("admin")), fresh=fresh), cookie)

    def sign_in(self, next_url: str) -> Response:
        """Send a browser to the hub's sign-in and back to `next_url`."""
        verifier, challenge, _ = self._hub.generate_pkce_code_challenge()
        state = self._hub.generate_state(next_url=next_url, code_verifier=verifier)
        asked = urlencode(
            {"state": state, "code_challenge": challenge, "code_challenge_method": "S256"}
        )
        answer = RedirectResponse(f"{self._hub.login_url}&{asked}")
        answer.set_cookie(
            STATE_COOKIE, state, path=self._prefix, httponly=True, samesite="lax", max_age=600
        )
        return answer

    async def signed_in(self, request: HTTPConnection) -> Response:
        """The hub's answer to a sign-in: keep the token as a cookie, go where one wanted to."""
        state = request.query_params.get("state", "")
        if not state or request.cookies.get(STATE_COOKIE) != state:
            raise Forbidden(
                "This sign-in was not started in this browser.", hint="Open the Studio again."
            )
        code = request.query_params.get("code", "")
        if not code:
            raise Forbidden(
                "The hub did not let this sign-in through.", hint="Open the Studio again."
            )
        token = await self._hub.token_for_code(
            code, code_verifier=self._hub.get_code_verifier(state), sync=False
        )
        answer = RedirectResponse(self._hub.get_next_url(state) or self._prefix)
        answer.delete_cookie(STATE_COOKIE, path=self._prefix)
        answer.set_cookie(COOKIE, token, path=self._prefix, httponly=True, samesite="lax")
        return answer


def bearer(request: HTTPConnection) -> str:
    """The token of the Authorization header, or empty."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() in ("bearer", "token") else ""


def xsrf_for(cookie: str) -> str:
    """The xsrf token of a session: another site can send the cookie, but cannot know this."""
    return hmac.new(cookie.encode(), b"workbench xsrf", sha256).hexdigest()


def check_xsrf(method: str, headers: Any, asker: Asker) -> None:
    """Raise Forbidden for a change asked by cookie without the session's xsrf header."""
    if method in SAFE or not asker.cookie:
        return
    given = headers.get("x-xsrftoken", "")
    if not hmac.compare_digest(given, xsrf_for(asker.cookie)):
        raise Forbidden(
            "This request carries no valid xsrf token.",
            hint="Ask GET api/v1/session for `xsrf`, and send it as X-XSRFToken.",
        )


def check_origin(request: HTTPConnection, hosts: list[str]) -> None:
    """Raise Forbidden for a foreign Host (DNS rebinding) or Origin (another site)."""
    host = request.headers.get("host", "")
    if re.sub(r":\d+$", "", host) not in hosts:
        raise Forbidden(
            f"This Studio does not answer to the host {host!r}.",
            hint="Add it to the setting `hosts`, if it is yours.",
        )
    origin = request.headers.get("origin")
    if origin and origin.partition("://")[2] != host:
        raise Forbidden(
            f"A page of {origin} may not call this Studio.", hint="Call it from its own pages."
        )


def local_key(home: Path) -> str:
    """The key of this home, made on first use; only its owner can read it."""
    file = home / "keys" / "local"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        new = file.with_suffix(f".{secrets.token_hex(4)}")
        new.touch(mode=0o600)
        new.write_text(f"local-{secrets.token_urlsafe(32)}")
        try:
            file.hardlink_to(new)
        except FileExistsError:
            return file.read_text()
        finally:
            new.unlink()
    return file.read_text()
