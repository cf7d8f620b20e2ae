"""Proving again who one is, before something that needs a fresh session.

A browser that was left open is not its person: what matters most asks once more.
"""

from tornado import web

from .arriving import Form


class Confirm(Form):
    """`/hub/confirm?next=…`: prove again who one is, for what needs a fresh session."""

    @web.authenticated
    async def get(self) -> None:
        """The form."""
        await self.form()

    @web.authenticated
    async def post(self) -> None:
        """Go on if password and code are right; wrong ones count as failed sign-ins."""
        if await self.is_right("password"):
            await self.mark_fresh(self.current_user)
            self.redirect(self.target())
            return
        await self.form("This is not right.")

    def target(self) -> str:
        """Where to go on: a path on this host, never another's."""
        return str(self.get_next_url(self.current_user, default=f"{self.hub.base_url}home"))

    async def form(self, problem: str = "") -> None:
        """Show the form, with what is wrong."""
        name = self.current_user.name
        await self.show(
            "confirm.html",
            403 if problem else 200,
            next=self.get_argument("next", ""),
            **self.elsewhere(self.get_argument("next", ""), again="1"),
            local=self.authenticator.user_exists(name),
            factor=self.authenticator.factor(name) is not None,
            problem=problem,
        )
