"""Local accounts: nobody signs up; whoever gets a one-time link chooses a password."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyterhub._xsrf_utils import _set_xsrf_cookie
from jupyterhub.handlers import BaseHandler
from jupyterhub.handlers.login import LoginHandler
from jupyterhub.user import User
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from tornado import web
from tornado.httputil import url_concat
from traitlets import Unicode

from workbench.core import Forbidden, Invalid

from .passwords import complaint, hashed, matches
from .welcome import check_name, look, spend

FAILURES = 5
PAUSE_S = 300
REMEMBERED = 10_000


class StudioAuthenticator(NativeAuthenticator):  # type: ignore[misc]
    """Names and bcrypt hashes in the hub's database; five wrong passwords, five minutes' pause."""

    home = Unicode(help="The Studio's home, where links are kept.").tag(config=True)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.enable_signup = False
        self.allow_all = True
        self.allowed_failed_logins = FAILURES
        self.seconds_before_next_try = PAUSE_S

    async def authenticate(self, handler: web.RequestHandler, data: dict[str, str]) -> str | None:
        """The account's name if the password is its own.

        Raises:
            HTTPError: 429 after five failures in a row, for five minutes.
        """
        name = self.normalize_username(data.get("username", ""))
        if self.is_blocked(name):
            raise web.HTTPError(
                429,
                f"Too many wrong passwords for this name: try again in {PAUSE_S // 60} minutes.",
            )
        account = self.get_user(name)
        kept = account.password if account is not None and account.is_authorized else None
        if await asyncio.to_thread(matches, data.get("password", ""), kept):
            self.successful_login(name)
            return str(name)
        if len(self.login_attempts) >= REMEMBERED:
            self.login_attempts.clear()
        self.add_login_attempt(name)
        return None

    def set_password(self, name: str, password: str) -> None:
        """Make the account if there is none, and give it this password."""
        account = self.get_user(name)
        if account is None:
            account = UserInfo(username=name, password=b"")
            self.db.add(account)
        account.password = hashed(password)
        account.is_authorized = True
        self.db.commit()
        self.successful_login(name)

    def get_handlers(self, app: object) -> list[tuple[str, type[BaseHandler]]]:
        """The pages of accounts, below `/hub`."""
        return [("/login", SignIn), ("/welcome", Welcome), ("/change-password", ChangePassword)]


class SignIn(LoginHandler):  # type: ignore[misc]
    """`/hub/login`"""

    def _render(self, login_error: str | None = None, **given: Any) -> Any:
        if login_error == "Invalid username or password":
            login_error = "This name and this password do not belong together."
        return super()._render(login_error=login_error, **given)


class Form(BaseHandler):  # type: ignore[misc]
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
        return str(self.get_body_argument(name, "", strip=name in ("name", "token")))


class Welcome(Form):
    """`/hub/welcome?token=…`: choose a name and a password, and be signed in."""

    async def get(self) -> None:
        """The form, or one sentence about why the link no longer works."""
        token = self.get_query_argument("token", "")
        try:
            link = look(self.home, token, datetime.now(UTC))
        except Forbidden as error:
            await self.refuse(error)
            return
        await self.form(token, link.name, self.exists(link.name))

    async def post(self) -> None:
        """Use the link: make the account (or set its password), and sign in."""
        token, name = self.field("token"), self.field("name").lower()
        now = datetime.now(UTC)
        try:
            link = look(self.home, token, now)
            known = self.exists(link.name)
            if known or not link.admin:
                name = link.name
            problem = self.problem(name, known)
            if problem:
                await self.form(token, name, known, problem)
                return
            spend(self.home, token, now)
        except Forbidden as error:
            await self.refuse(error)
            return
        self.authenticator.set_password(name, self.field("password"))
        user: User = await self.auth_to_user({"name": name, "admin": link.admin or None})
        self.set_login_cookie(user)
        self.log.info("User %s came in by a one-time link", name)
        self.redirect(f"{self.hub.base_url}spawn")

    @property
    def home(self) -> Path:
        """The Studio's home."""
        return Path(self.authenticator.home)

    def exists(self, name: str) -> bool:
        """Whether the link renews the password of an account instead of making one."""
        return bool(self.authenticator.user_exists(name))

    def problem(self, name: str, known: bool) -> str:
        """What is wrong with the form, in one sentence; empty if nothing is."""
        try:
            check_name(name)
        except Invalid as error:
            return f"{error} {error.hint}"
        if not known and self.exists(name):
            return f"The name {name} is taken."
        return complaint(self.field("password"), self.field("again"), name)

    async def form(self, token: str, name: str, known: bool, problem: str = "") -> None:
        """Show the form, with what is wrong."""
        link = look(self.home, token, datetime.now(UTC))
        await self.show(
            "welcome.html",
            400 if problem else 200,
            token=token,
            person=name,
            known=known,
            fixed=known or not link.admin,
            problem=problem,
        )

    async def refuse(self, error: Forbidden) -> None:
        """Say why the link does not work."""
        await self.show("notice.html", 403, sentence=str(error), hint=error.hint)


class ChangePassword(Form):
    """`/hub/change-password`"""

    @web.authenticated
    async def get(self) -> None:
        """The form."""
        await self.show("change-password.html", changed=self.get_query_argument("changed", ""))

    @web.authenticated
    async def post(self) -> None:
        """Set the new password, if the old one is right."""
        name = self.current_user.name
        allowed = await self.login_allowed(name)
        problem = (
            complaint(self.field("password"), self.field("again"), name)
            if allowed
            else "The old password is not right."
        )
        if problem:
            await self.show("change-password.html", 400, problem=problem)
            return
        self.authenticator.set_password(name, self.field("password"))
        done = url_concat(f"{self.hub.base_url}change-password", {"changed": "1"})
        self.redirect(done)

    async def login_allowed(self, name: str) -> bool:
        """Whether the old password is right; wrong ones count as failed sign-ins."""
        data = {"username": name, "password": self.field("old")}
        return await self.authenticator.authenticate(self, data) is not None
