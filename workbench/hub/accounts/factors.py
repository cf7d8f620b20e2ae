"""The second factor, turned on and off by the person themselves.

It is on only after a code of the new secret was right, so that nobody locks themselves out with
a secret that never reached their phone.
"""

import time

from tornado import web
from tornado.httputil import url_concat

from ..passwords import new_secret, otpauth, step_of
from .arriving import Form


class SecondFactorPage(Form):
    """`/hub/second-factor`: ask for a code besides the password, or no longer."""

    PENDING = "second-factor"

    @web.authenticated
    async def get(self) -> None:
        """The form."""
        await self.form(new_secret(), changed=self.get_query_argument("changed", ""))

    @web.authenticated
    async def post(self) -> None:
        """Turn it on with the new secret's code, or off with a code of the present one."""
        name = self.current_user.name
        if self.authenticator.factor(name) is not None:
            if not await self.is_right("password"):
                await self.form("", "The password or the code is not right.")
                return
            self.authenticator.drop_factor(name)
            self.log.info("User %s turned the second factor off", name)
        else:
            secret = self.pending()
            if not secret:
                await self.form(new_secret(), "This page was open too long: take the new secret.")
                return
            step = step_of(secret, self.field("code"), 0, time.time())
            if step is None:
                await self.form(secret, "This code is not right: take the one shown now.")
                return
            if not await self.is_right("password"):
                await self.form(secret, "The password is not right.")
                return
            self.authenticator.set_factor(name, secret, step)
            self.log.info("User %s turned the second factor on", name)
        await self.mark_fresh(self.current_user)
        self.redirect(url_concat(f"{self.hub.base_url}second-factor", {"changed": "1"}))

    def pending(self) -> str:
        """The secret that was shown to this person, on a page not older than an hour."""
        signed = self.field("pending")
        told = self.get_secure_cookie(self.PENDING, value=signed, max_age_days=1 / 24) or b""
        name, _, secret = told.decode().partition(" ")
        return secret if name == self.current_user.name else ""

    async def form(self, secret: str, problem: str = "", changed: str = "") -> None:
        """Show the form, with what is wrong."""
        name = self.current_user.name
        pending = self.create_signed_value(self.PENDING, f"{name} {secret}").decode()
        await self.show(
            "second-factor.html",
            400 if problem else 200,
            local=self.authenticator.user_exists(name),
            factor=self.authenticator.factor(name) is not None,
            secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
            otpauth=otpauth(secret, name),
            pending=pending,
            changed=changed,
            problem=problem,
        )
