"""Invitations to a project, opened by somebody who may have no account yet.

Who becomes a member is the Studio's service to decide; here whoever was invited gets a way in
first, one account for each invitation.
"""

import asyncio
from datetime import UTC, datetime

from tornado.httputil import url_concat

from workbench.core import Invalid, WorkbenchError
from workbench.projects.types import Invitation

from ..passwords import complaint
from ..welcome import check_name
from .arriving import Form
from .tables import Made


class Join(Form):
    """`/hub/join?token=…`: whoever opens an invitation signs in, or makes an account first.

    The token goes on to the Studio's service, which makes them a member. A cookie carries it
    over the sign-in: it stands in no address that is written down.
    """

    INVITATION = "workbench-invitation"

    async def get(self) -> None:
        """On to the invitation for somebody who is signed in; for others, two ways in."""
        token = self.get_query_argument("token", "") or self.kept(self.INVITATION)
        if self.current_user:
            self.go_on(token)
            return
        try:
            invitation = await self.look(token)
        except WorkbenchError as error:
            await self.refuse(error)
            return
        self.keep(self.INVITATION, token)
        await self.form(token, invitation)

    async def post(self) -> None:
        """Make an account for somebody who was invited, and sign in."""
        token = self.field("token")
        if self.current_user:
            self.go_on(token)
            return
        try:
            invitation = await self.look(token)
        except WorkbenchError as error:
            await self.refuse(error)
            return
        name = invitation.person or self.field("name").lower()
        problem = await self.problem(invitation, name)
        if problem:
            await self.form(token, invitation, name, problem)
            return
        self.db.add(Made(invitation=invitation.id, name=name))
        self.authenticator.set_password(name, self.field("password"))
        await self.come_in(name)
        self.log.info("User %s made an account with the invitation %s", name, invitation.id)
        self.go_on(token)

    async def look(self, token: str) -> Invitation:
        """The invitation, if it may still be used.

        Raises:
            Forbidden: It may not; the sentence says why.
        """
        from workbench.projects.links import check, look_invitation

        store, now = await self.authenticator.store(), datetime.now(UTC)
        found = await asyncio.to_thread(look_invitation, store, self.home, token, now)
        check(found, found.person)
        return found

    async def problem(self, invitation: Invitation, name: str) -> str:
        """What is wrong with the form, in one sentence; empty if nothing is."""
        try:
            check_name(name)
        except Invalid as error:
            return f"{error} {error.hint}"
        if await self.authenticator.taken(name):
            return f"There is an account {name} already: sign in with it, or choose another name."
        made = self.db.get(Made, invitation.id)
        if made is not None:
            return f"With this invitation the account {made.name} was made: sign in with it."
        return complaint(self.field("password"), self.field("again"), name)

    async def form(
        self, token: str, invitation: Invitation, name: str = "", problem: str = ""
    ) -> None:
        """Show the form, with what is wrong."""
        person = invitation.person
        await self.show(
            "join.html",
            400 if problem else 200,
            token=token,
            invitation=invitation,
            by=invitation.made_by.removeprefix("person:"),
            person=person or name,
            fixed=bool(person),
            known=bool(person) and await self.authenticator.taken(person),
            **self.elsewhere(f"{self.hub.base_url}join"),
            sign_in=url_concat(
                f"{self.hub.base_url}login",
                {"next": f"{self.hub.base_url}join", **({"username": person} if person else {})},
            ),
            problem=problem,
        )

    def go_on(self, token: str) -> None:
        """Hand the invitation to the Studio's service."""
        self.drop(self.INVITATION)
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.redirect(url_concat(f"{self.base_url}services/studio/join", {"token": token}))
