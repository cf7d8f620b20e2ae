"""Signing in with a name and a password, and a code where the account asks for one.

The code is asked for on a second page, and only after a right password: whoever does not know it
learns nothing about the second factor.
"""

import hashlib
from typing import Any

from jupyterhub.handlers.login import LoginHandler

from .arriving import Arrival

HALFWAY_DAYS = 5 / (24 * 60)
"""How long somebody may take between password and code: five minutes."""


class SignIn(Arrival, LoginHandler):  # type: ignore[misc]
    """`/hub/login`: a name and a password, then a code if the account has a second factor."""

    HALFWAY = "workbench-halfway"

    def _render(self, login_error: str | None = None, **given: Any) -> Any:
        elsewhere = self.elsewhere(self.get_argument("next", ""))
        return super()._render(login_error=login_error, **elsewhere, **given)

    async def post(self) -> None:
        """Sign in, or ask for the code, or say what is wrong."""
        password = self.get_body_argument("password", "", strip=False)
        code = self.get_body_argument("code", "")
        asked = self.get_body_argument("username", "")[:128]
        if code and not password:
            await self.second_step(code)
            return
        name = str(self.authenticator.normalize_username(asked))
        if not await self.authenticator.knows(name, password):
            self.log.warning("Failed sign-in for %r", name[:32])
            await self.again("This name and this password do not belong together.", username=asked)
            return
        if self.authenticator.factor(name) is not None:
            if code and self.authenticator.use_code(name, code):
                await self.done(name)
                return
            self.keep(self.HALFWAY, f"{name} {self.fingerprint(name)}")
            await self.again("The code is not right." if code else "", username=name, code=True)
            return
        await self.done(name)

    async def second_step(self, code: str) -> None:
        """The code, from somebody whose password was right a moment ago."""
        name, _, proof = self.kept(self.HALFWAY, HALFWAY_DAYS).partition(" ")
        if not name or proof != self.fingerprint(name):
            self.drop(self.HALFWAY)
            await self.again("That took too long: give name and password again.")
            return
        if not self.authenticator.use_code(name, code):
            self.log.warning("Wrong code for %r", name)
            wrong = "This code is not right, or was used already: take the one shown now."
            await self.again(wrong, username=name, code=True)
            return
        await self.done(name)

    async def done(self, name: str) -> None:
        """Sign the browser in and go on."""
        self.drop(self.HALFWAY)
        self.authenticator.successful_login(name)
        self.redirect(self.get_next_url(await self.come_in(name)))

    async def again(self, problem: str, **values: Any) -> None:
        """Show the form once more."""
        self.set_status(403 if problem else 200)
        self.finish(await self._render(login_error=problem or None, **values))

    def fingerprint(self, name: str) -> str:
        """Changes with the password: a half of a sign-in is worth nothing after that."""
        account = self.authenticator.get_user(name)
        return hashlib.sha256(account.password).hexdigest()[:32] if account is not None else ""
