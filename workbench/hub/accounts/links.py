"""One-time links: the first account of a home, and a password that somebody forgot.

The Studio sends no mail. Whoever administrates it hands a link over, and never knows the password
that is chosen with it.
"""

from datetime import UTC, datetime

from tornado.httputil import url_concat

from workbench.core import Forbidden, Invalid

from ..passwords import complaint
from ..welcome import Link, check_name, look, spend
from .arriving import Form


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
            await self.authenticator.check_active(name)
            problem = await self.problem(link, name)
            if problem:
                await self.form(token, name, known, problem)
                return
            spend(self.home, token, now)
        except Forbidden as error:
            await self.refuse(error)
            return
        self.authenticator.set_password(name, self.field("password"))
        if link.admin and name != link.name:
            await self.authenticator.take_over(link.name, name)
        if link.drops_factor:
            self.authenticator.drop_factor(name)
        self.log.info("User %s used a one-time link", name)
        if self.authenticator.factor(name) is not None:
            # The link stands for the password, not for the second factor.
            self.redirect(url_concat(f"{self.hub.base_url}login", {"username": name}))
            return
        await self.come_in(name, admin=link.admin or None)
        self.redirect(f"{self.hub.base_url}spawn")

    def exists(self, name: str) -> bool:
        """Whether the link renews the password of an account instead of making one."""
        return bool(self.authenticator.user_exists(name))

    async def problem(self, link: Link, name: str) -> str:
        """What is wrong with the form, in one sentence; empty if nothing is."""
        try:
            check_name(name)
        except Invalid as error:
            return f"{error} {error.hint}"
        if name != link.name and await self.authenticator.taken(name):
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
