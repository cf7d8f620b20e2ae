"""A new password for somebody who is signed in and knows the old one.

Who does not know it gets a one-time link (`links`).
"""

from typing import Any

from tornado import web
from tornado.httputil import url_concat

from ..passwords import complaint
from .arriving import Form


class ChangePassword(Form):
    """`/hub/change-password`"""

    @web.authenticated
    async def get(self) -> None:
        """The form."""
        await self.form(changed=self.get_query_argument("changed", ""))

    @web.authenticated
    async def post(self) -> None:
        """Set the new password, if the old one is right."""
        name = self.current_user.name
        problem = (
            complaint(self.field("password"), self.field("again"), name)
            if await self.is_right("old")
            else "The old password is not right."
            if self.authenticator.factor(name) is None
            else "The old password or the code is not right."
        )
        if problem:
            await self.form(400, problem=problem)
            return
        self.authenticator.set_password(name, self.field("password"))
        await self.mark_fresh(self.current_user)
        done = url_concat(f"{self.hub.base_url}change-password", {"changed": "1"})
        self.redirect(done)

    async def form(self, status: int = 200, **values: Any) -> None:
        """Show the form, with what is wrong."""
        factor = self.authenticator.factor(self.current_user.name) is not None
        await self.show("change-password.html", status, factor=factor, **values)
