"""What the pages of accounts share: letting somebody in, and forms that prove they are ours.

However somebody proved who they are (password, link, invitation, provider), they come in the
same way, so that the Studio hears of every arrival.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyterhub._xsrf_utils import _set_xsrf_cookie
from jupyterhub.handlers import BaseHandler
from jupyterhub.user import User
from tornado.httputil import url_concat

from workbench.core import WorkbenchError
from workbench.security.sessions import confirmation, issue

PASSWORDS = frozenset({"password", "again", "old"})
"""Fields whose spaces count."""
PROVED = object()
"""Stands in what `authenticate` is given for somebody who has proved who they are. No form and
no JSON can hold it."""


class Arrival(BaseHandler):  # type: ignore[misc]
    """What every page does that lets somebody in."""

    async def come_in(self, name: str, *, admin: bool | None = None, fresh: bool = True) -> User:
        """Sign the browser in as somebody who proved who they are; `fresh`: just now."""
        user: User = await self.login_user({"username": name, "proved": PROVED})
        if admin is not None and admin != bool(user.admin):
            user = await self.auth_to_user({"name": name, "admin": admin}, user)
        await self.authenticator.note_sign_in(user)
        if fresh:
            await self.mark_fresh(user)
        return user

    def elsewhere(self, target: str, **more: str) -> dict[str, str]:
        """What a page says about signing in with the provider, if there is one."""
        if not self.authenticator.oidc_issuer:
            return {}
        there = url_concat(f"{self.hub.base_url}oidc/login", {"next": target, **more})
        return {"provider": self.authenticator.oidc_name, "provider_url": there}

    async def mark_fresh(self, user: User) -> None:
        """Note that this browser's person proved a moment ago who they are."""
        store, name = await self.authenticator.store(), str(user.name)
        key, now = confirmation(self.get_session_cookie()), datetime.now(UTC)
        await asyncio.to_thread(issue, store, "confirmed", person=name, now=now, key=key)

    def keep(self, cookie: str, value: str) -> None:
        """Set a signed cookie for the hub's pages, until the browser is closed."""
        self._set_cookie(
            cookie,
            value,
            encrypted=True,
            path=self.hub.base_url,
            expires_days=None,
            samesite="Lax",
        )

    def kept(self, cookie: str, days: float = 1) -> str:
        """What such a cookie holds; empty if it is absent, too old or not ours."""
        return (self.get_secure_cookie(cookie, max_age_days=days) or b"").decode()

    def drop(self, cookie: str) -> None:
        """Take such a cookie away."""
        self.clear_cookie(cookie, path=self.hub.base_url)


class Form(Arrival):
    """A page with a form of ours."""

    async def show(self, template: str, status: int = 200, **values: Any) -> None:
        """Answer with a page; the form in it carries the token that proves it is ours."""
        if self.request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate":
            _set_xsrf_cookie(
                self,
                self._xsrf_token_id,
                cookie_path=self.hub.base_url,
                xsrf_token=self.xsrf_token,
            )
        self.set_status(status)
        # A one-time token stands in this address.
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        xsrf = self.xsrf_token.decode("ascii")
        self.finish(await self.render_template(template, xsrf=xsrf, **values))

    def field(self, name: str) -> str:
        """What was typed into a field; passwords keep their spaces."""
        return str(self.get_body_argument(name, "", strip=name not in PASSWORDS))

    async def is_right(self, password: str) -> bool:
        """Whether that field holds the signed-in person's password, and `code` their code.

        Wrong ones count as failed sign-ins.
        """
        name = self.current_user.name
        data = {"username": name, "password": self.field(password), "code": self.field("code")}
        return await self.authenticator.authenticate(self, data) is not None

    @property
    def home(self) -> Path:
        """The Studio's home."""
        return Path(self.authenticator.home)

    async def refuse(self, error: WorkbenchError) -> None:
        """Say why something does not work."""
        await self.show("notice.html", error.status, sentence=str(error), hint=error.hint)
