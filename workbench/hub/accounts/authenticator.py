"""Who has an account, and who may come in: what the hub asks, and what the pages change.

Whatever decides about somebody's way in is here (the pause after wrong passwords, whom an
administrator has shut out, the groups at a provider): pages ask, and say what came of it.
"""

import asyncio
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from jupyterhub import orm
from jupyterhub.handlers import BaseHandler
from jupyterhub.user import User
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from tornado import web
from traitlets import Any as AnyTrait
from traitlets import Dict, List, Unicode

from workbench.core import Engines, Forbidden, Settings, Store, load_settings
from workbench.core.store import stores
from workbench.projects.adopting import adopt
from workbench.security.people import find_person, is_active, is_known, seen

from ..passwords import hashed, matches, step_of
from .arriving import PROVED
from .changing import ChangePassword
from .confirming import Confirm
from .factors import SecondFactorPage
from .joining import Join
from .links import Welcome
from .signin import SignIn
from .tables import Identity, Made, SecondFactor

if TYPE_CHECKING:
    from ..oidc import Provider

FAILURES = 5
PAUSE_S = 300
REMEMBERED = 10_000


class StudioAuthenticator(NativeAuthenticator):  # type: ignore[misc]
    """Names and bcrypt hashes in the hub's database; five wrong passwords, five minutes' pause."""

    home = Unicode(help="The Studio's home, where links are kept.").tag(config=True)
    settings: Settings | None = AnyTrait(  # type: ignore[assignment]
        None, allow_none=True, help="The Studio's settings; those of the home if absent."
    ).tag(config=True)

    oidc_issuer = Unicode(help="The identity provider's issuer; none if empty.").tag(config=True)
    oidc_client_id = Unicode(help="What the provider knows the Studio as.").tag(config=True)
    oidc_client_secret_file = Unicode(
        "keys/oidc", help="The file with the provider's secret; below the home if relative."
    ).tag(config=True)
    oidc_name = Unicode("your organisation", help="What people call the provider.").tag(config=True)
    oidc_callback = Unicode(help="Where the provider sends people back to.").tag(config=True)
    oidc_groups_claim = Unicode("groups", help="The claim with somebody's groups.").tag(config=True)
    oidc_groups = Dict(help="Group → [[project, role], …].").tag(config=True)
    oidc_admins = List(Unicode(), help="Groups whose people administrate the Studio.").tag(
        config=True
    )
    oidc_allowed = List(
        Unicode(), help="Groups whose people may sign in; everybody there if empty."
    ).tag(config=True)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.enable_signup = False
        self.allow_all = True
        self.allowed_failed_logins = FAILURES
        self.seconds_before_next_try = PAUSE_S
        self._engines: Engines | None = None
        for table in (SecondFactor, Made, Identity):
            table.__table__.create(self.db.bind, checkfirst=True)

    async def authenticate(self, handler: web.RequestHandler, data: dict[str, Any]) -> str | None:
        """The account's name if the password is its own, and the code, if it has a second factor.

        Raises:
            HTTPError: 429 after five failures in a row, for five minutes; 403 for an account
                that is not active.
        """
        name = str(self.normalize_username(data.get("username", "")))
        if data.get("proved") is PROVED:
            return name
        if not await self.knows(name, data.get("password", "")):
            return None
        if self.factor(name) is not None and not self.use_code(name, data.get("code", "")):
            return None
        self.successful_login(name)
        return name

    async def knows(self, name: str, password: str) -> bool:
        """Whether this is the password of an account that may sign in; a wrong one is counted.

        Raises:
            HTTPError: As `authenticate`.
        """
        self.check_pause(name)
        account = self.get_user(name)
        kept = account.password if account is not None and account.is_authorized else None
        # Counted before it is looked at: of many at once, five are looked at.
        self.count_failure(name)
        if not await asyncio.to_thread(matches, password, kept):
            return False
        # A right password does not make up for wrong codes.
        if name in self.login_attempts:
            self.login_attempts[name]["count"] -= 1
        try:
            await self.check_active(name)
        except Forbidden as error:
            raise web.HTTPError(403, f"{error} {error.hint}") from error
        return True

    def check_pause(self, name: str) -> None:
        """Raise 429 while that account has to wait."""
        if self.is_blocked(name):
            raise web.HTTPError(
                429,
                f"Too many wrong passwords for this name: try again in {PAUSE_S // 60} minutes.",
            )

    def count_failure(self, name: str) -> None:
        """Note a wrong password or code."""
        if len(self.login_attempts) >= REMEMBERED:
            self.login_attempts.clear()
        self.add_login_attempt(name)

    async def store(self) -> Store:
        """The Studio's database, opened once."""
        if self._engines is None:
            self._engines = Engines(self.settings or load_settings(home=self.home))
        return await asyncio.to_thread(self._engines.get, stores)

    async def take_over(self, former: str, name: str) -> None:
        """Hand to a person what was made in the shell under a name that has no account."""
        await self.store()
        if self._engines is not None and not self.user_exists(former):
            await asyncio.to_thread(adopt, self._engines, former, name)

    async def check_active(self, name: str) -> None:
        """Say that somebody an administrator has shut out cannot come in.

        Raises:
            Forbidden: They are shut out.
        """
        if not await asyncio.to_thread(is_active, await self.store(), name):
            raise Forbidden(
                f"The account {name} is not active.", hint="An administrator can let it in again."
            )

    async def note_sign_in(self, user: User) -> None:
        """Tell the Studio that this person came in, and whether they are an administrator."""
        store, name, admin = await self.store(), str(user.name), bool(user.admin)

        def write() -> None:
            with store.begin() as tx:
                seen(tx, name, datetime.now(UTC), admin=admin)

        await asyncio.to_thread(write)

    async def refresh_user(self, user: User, handler: object = None) -> bool:
        """Whether somebody who is signed in may stay so; asked every five minutes at most."""
        person = await asyncio.to_thread(find_person, await self.store(), str(user.name))
        if person is None:
            return True
        if person.made_at is not None and person.admin != bool(user.admin):
            await self.note_sign_in(user)
        return person.active

    async def taken(self, name: str) -> bool:
        """Whether an account, somebody with a role here, or a project has that name."""
        if await asyncio.to_thread(is_known, await self.store(), name):
            return True
        # What follows awaits nothing: of two who want a name at once, one gets it.
        return (
            name.startswith(("prj_", "prj-"))
            or self.user_exists(name)
            or orm.User.find(self.db, name) is not None
            or self.db.scalar(sa.select(Identity).where(Identity.name == name)) is not None
        )

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

    def factor(self, name: str) -> SecondFactor | None:
        """The account's second factor, if it has one."""
        found: SecondFactor | None = self.db.get(SecondFactor, name, populate_existing=True)
        return found

    def use_code(self, name: str, code: str) -> bool:
        """Whether the code is right now; then it is right no more. A wrong one is counted."""
        self.check_pause(name)
        factor: Any = self.factor(name)
        if factor is None:
            return False
        step = step_of(factor.secret, code, factor.last_step, time.time())
        if step is None:
            self.count_failure(name)
            return False
        factor.last_step = step
        self.db.commit()
        return True

    def set_factor(self, name: str, secret: str, step: int) -> None:
        """Ask this account for codes from now on."""
        self.db.merge(SecondFactor(name=name, secret=secret, last_step=step))
        self.db.commit()

    def drop_factor(self, name: str) -> None:
        """Ask this account for codes no more."""
        self.db.execute(sa.delete(SecondFactor).where(SecondFactor.name == name))
        self.db.commit()

    def delete_user(self, user: User) -> None:
        """Forget the account: whoever gets the name later begins without its second factor."""
        self.drop_factor(user.name)
        self.db.execute(sa.delete(Identity).where(Identity.name == user.name))
        super().delete_user(user)

    @cached_property
    def provider(self) -> "Provider":
        """The identity provider; ask only if `oidc_issuer` is set."""
        from ..oidc import Provider

        return Provider(
            self.oidc_issuer,
            self.oidc_client_id,
            Path(self.home) / self.oidc_client_secret_file,
            self.oidc_callback,
            self.oidc_groups_claim,
        )

    def check_groups(self, groups: list[str]) -> bool | None:
        """Whether groups of the provider make somebody an administrator; None: nothing is said.

        Raises:
            Forbidden: They let nobody in.
        """
        if self.oidc_allowed and not {*self.oidc_allowed, *self.oidc_admins} & {*groups}:
            raise Forbidden(
                f"Your groups at {self.oidc_name} do not let you into this Studio.",
                hint="Ask an administrator of the Studio which one does.",
            )
        return bool({*self.oidc_admins} & {*groups}) if self.oidc_admins else None

    async def give_roles(self, name: str, groups: list[str]) -> None:
        """Give somebody the roles of their groups at the provider."""
        if not self.oidc_groups:
            return
        from ..oidc import apply_groups

        store = await self.store()

        def write() -> list[str]:
            with store.begin() as tx:
                return apply_groups(tx, name, groups, self.oidc_groups, datetime.now(UTC))

        for project in await asyncio.to_thread(write):
            self.log.warning("oidc_groups names the project %r: there is none, or many", project)

    def get_handlers(self, app: object) -> list[tuple[str, type[BaseHandler]]]:
        """The pages of accounts, below `/hub`."""
        pages: list[tuple[str, type[BaseHandler]]] = [
            ("/login", SignIn),
            ("/welcome", Welcome),
            ("/join", Join),
            ("/confirm", Confirm),
            ("/change-password", ChangePassword),
            ("/second-factor", SecondFactorPage),
        ]
        if self.oidc_issuer:
            from ..oidc import ProviderReturn, ProviderSignIn

            pages += [("/oidc/login", ProviderSignIn), ("/oidc/callback", ProviderReturn)]
        return pages
