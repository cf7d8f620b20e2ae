"""Signing in with an OpenID Connect provider, beside local accounts.

Whoever comes from the provider is known by its issuer and subject, which never change. The first
sign-in binds them to a name that nobody has here: no account, nobody with a role, no project. If
the name is taken the sign-in is refused, so neither kind of account takes over the other.
"""

import re
import secrets
import time
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from oauthenticator.generic import GenericOAuthenticator  # type: ignore[import-untyped]
from oauthenticator.oauth2 import (  # type: ignore[import-untyped]
    STATE_COOKIE_NAME,
    OAuthCallbackHandler,
    OAuthLoginHandler,
    _deserialize_state,
    _serialize_state,
)
from tornado import web
from tornado.httpclient import HTTPClientError
from tornado.httputil import url_concat

from workbench.core import (
    Forbidden,
    Invalid,
    Record,
    Unavailable,
    WorkbenchError,
    new_id,
)
from workbench.core.events import append
from workbench.core.records import digest
from workbench.projects.links import withdraw
from workbench.projects.spaces import projects
from workbench.projects.types import RANK, Role
from workbench.security import grant, grants, revoke
from workbench.security.sessions import end

from .accounts import Form, Identity
from .welcome import check_name

if TYPE_CHECKING:
    from .accounts import StudioAuthenticator

Mapped = Mapping[str, Sequence[tuple[str, Role]]]
"""Group → the projects (by id or name) it is in, and its role there."""

TIMEOUT_S = 10
KEPT_S = 3600
"""How long what the provider says of itself is believed, in seconds."""
LEEWAY_S = 60
SCOPES = ("openid", "profile", "email")


class Proof(Record):
    """What the provider says about somebody who signed in there."""

    issuer: str
    subject: str
    name: str
    groups: list[str]
    auth_time: float
    """When they proved who they are, in seconds since the epoch; 0 if it does not say."""


class Provider:
    """An OpenID Connect provider, known by its issuer.

    Args:
        issuer: The provider's address; https, or this machine.
        client_id: What it knows the Studio as.
        secret: The file with the secret it gave the Studio.
        callback: The address it sends people back to.
        groups_claim: The claim that lists somebody's groups.
    """

    def __init__(
        self, issuer: str, client_id: str, secret: Path, callback: str, groups_claim: str = "groups"
    ) -> None:
        address = urlsplit(issuer)
        near = address.hostname in ("127.0.0.1", "localhost", "::1")
        if address.scheme != "https" and not (address.scheme == "http" and near):
            raise Invalid(
                f"The setting oidc_issuer cannot be {issuer!r}.", hint="It begins with https://."
            )
        self.issuer, self.client_id, self.secret = issuer, client_id, secret
        self.callback, self.groups_claim = callback, groups_claim
        self._client: GenericOAuthenticator | None = None
        self._until = 0.0

    async def client(self) -> GenericOAuthenticator:
        """What talks to the provider, made from its own description.

        Raises:
            Unavailable: It does not answer, describes somebody else, or there is no secret.
        """
        if self._client is not None and time.monotonic() < self._until:
            return self._client
        new = GenericOAuthenticator(
            allow_all=True,
            client_id=self.client_id,
            client_secret=self._secret(),
            oauth_callback_url=self.callback,
            scope=list(SCOPES),
            username_claim="sub",
            enable_pkce=True,
            http_request_kwargs={"request_timeout": TIMEOUT_S, "connect_timeout": TIMEOUT_S},
        )
        there = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            told = await new.httpfetch(there, "asking the provider about itself", method="GET")
        except (HTTPClientError, OSError, ValueError) as error:
            raise self._silent(error) from error
        if told.get("issuer") != self.issuer:
            raise Unavailable(
                f"{there} describes the issuer {told.get('issuer')!r}.",
                hint="Set oidc_issuer to exactly what the provider calls itself.",
            )
        new.authorize_url = told["authorization_endpoint"]
        new.token_url = told["token_endpoint"]
        new.userdata_url = told["userinfo_endpoint"]
        methods = told.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        new.basic_auth = "client_secret_basic" in methods
        self._client, self._until = new, time.monotonic() + KEPT_S
        return new

    async def prove(self, handler: web.RequestHandler, nonce: str) -> Proof:
        """Who the browser that came back is.

        The tokens come straight from the provider, so TLS stands for their signature (OpenID
        Connect Core 3.1.3.7); issuer, audience, time, nonce and subject are checked.

        Raises:
            Forbidden: The code is not right, or the tokens are not for this sign-in.
            Unavailable: The provider does not answer.
        """
        import jwt

        client = await self.client()
        asked = client.build_access_tokens_request_params(handler)
        asked.pop("data")
        try:
            tokens = await client.get_token_info(handler, asked)
            claims = jwt.decode(
                tokens.get("id_token", ""),
                audience=self.client_id,
                issuer=self.issuer,
                leeway=LEEWAY_S,
                options={
                    "verify_signature": False,
                    "verify_aud": True,
                    "verify_iss": True,
                    "verify_exp": True,
                    "require": ["iss", "sub", "aud", "exp", "nonce"],
                },
            )
            told = await client.token_to_user(tokens)
        except HTTPClientError as error:
            if error.code < 500:
                raise self._refused() from error
            raise self._silent(error) from error
        except OSError as error:
            raise self._silent(error) from error
        except (jwt.InvalidTokenError, web.HTTPError) as error:
            raise self._refused() from error
        if claims["nonce"] != nonce or told.get("sub") != claims["sub"]:
            raise self._refused()
        merged = {**claims, **told}
        groups = merged.get(self.groups_claim) or []
        return Proof(
            issuer=self.issuer,
            subject=str(claims["sub"]),
            name=name_of(merged),
            groups=[str(one) for one in groups] if isinstance(groups, list) else [],
            auth_time=float(claims.get("auth_time") or 0),
        )

    def _secret(self) -> str:
        if not self.secret.is_file():
            raise Unavailable(
                f"There is no file {self.secret.name!r} with the provider's secret.",
                hint="See the setting oidc_client_secret_file.",
            )
        return self.secret.read_text().strip()

    def _silent(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"{urlsplit(self.issuer).netloc} does not answer: {type(error).__name__}.",
            hint="Try again in a minute, or sign in with a password.",
        )

    def _refused(self) -> Forbidden:
        return Forbidden(
            f"{urlsplit(self.issuer).netloc} did not let this sign-in through.",
            hint="Begin again from the sign-in page.",
        )


def name_of(claims: Mapping[str, Any]) -> str:
    """The name somebody gets here: what they are called there, in the form names have.

    Example:
        >>> name_of({"preferred_username": "Zoë Müller"})
        'zoe-muller'
        >>> name_of({"email": "ada.l@example.org"})
        'ada.l'
        >>> name_of({"preferred_username": "_"})
        ''
    """
    told = str(claims.get("preferred_username") or claims.get("email") or "").partition("@")[0]
    plain = unicodedata.normalize("NFKD", told.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9._-]+", "-", plain).lstrip("._-")[:32].rstrip("-")


async def account_of(authenticator: "StudioAuthenticator", proof: Proof) -> str:
    """The name this person has here; the first time, a name that nobody has is bound to them.

    Raises:
        Forbidden: The name they have there is somebody else's here, or can be nobody's.
    """
    bound = authenticator.db.get(Identity, (proof.issuer, proof.subject))
    if bound is not None:
        return str(bound.name)
    try:
        check_name(proof.name)
    except Invalid as error:
        raise Forbidden(f"You cannot be called {proof.name!r} here.", hint=error.hint) from error
    taken = await authenticator.taken(proof.name)
    bound = authenticator.db.get(Identity, (proof.issuer, proof.subject))
    if bound is not None:
        # Bound meanwhile, by the same person in another window.
        return str(bound.name)
    if taken:
        raise Forbidden(
            f"The name {proof.name} belongs to another account of this Studio.",
            hint="If it is yours, sign in with its password; else ask for another name at the "
            "provider.",
        )
    authenticator.db.add(Identity(issuer=proof.issuer, subject=proof.subject, name=proof.name))
    authenticator.db.commit()
    return proof.name


def apply_groups(
    tx: sa.Connection, person: str, groups: Sequence[str], mapping: Mapped, now: datetime
) -> list[str]:
    """Give a person the roles of their groups, and take those away that no group backs any more.

    In a project the mapping names, a role it names is the mapping's; other roles, and whoever
    the project belongs to, are left alone. Runs inside a write transaction, with its events.

    Args:
        tx: The transaction.
        person: Their name.
        groups: The groups they are in now.
        mapping: Group → projects and roles.
        now: The moment.

    Returns:
        The projects of the mapping that do not exist, or whose name several have.
    """
    actor = f"person:{person}"
    unknown: list[str] = []
    wanted: dict[Any, list[tuple[str, Role]]] = {}
    for group, pairs in mapping.items():
        for named, role in pairs:
            found = _find(tx, named)
            if found is None:
                unknown.append(named)
            else:
                wanted.setdefault(found, []).append((group, role))
    for found, given in wanted.items():
        if found.owner == actor:
            continue
        have = tx.execute(
            sa.select(grants.c.role).where(grants.c.project == found.id, grants.c.actor == actor)
        ).scalar()
        backed = [role for group, role in given if group in groups]
        want = max(backed, key=RANK.__getitem__, default=None)
        ours = have in {role for _, role in given}
        if want is not None and (have is None or ours or RANK[want] > RANK[have]):
            new: Role | None = want
        else:
            new = None if ours else have
        if new == have:
            continue
        if new is None:
            revoke(tx, found.id, actor)
            withdraw(tx, found.id, actor, now, sent=False)
            end(tx, person=person, project=found.id)
        else:
            grant(tx, found.id, actor, new)
            if have is not None and RANK[new] < RANK[have]:
                withdraw(tx, found.id, actor, now, sent=True)
        append(
            tx,
            at=now,
            trace=new_id("trc"),
            project=found.id,
            actor="service:hub",
            action="security.apply_groups",
            outcome="done",
            request=digest({"person": person, "groups": sorted(groups)}),
            refs={"member": actor, "role": new},
        )
    return unknown


def _find(tx: sa.Connection, named: str) -> Any:
    rows = tx.execute(
        sa.select(projects.c.id, projects.c.owner).where(
            sa.or_(projects.c.id == named, projects.c.name == named)
        )
    ).all()
    exact = [row for row in rows if row.id == named]
    return (exact or rows)[0] if len(exact or rows) == 1 else None


class ProviderSignIn(Form, OAuthLoginHandler):  # type: ignore[misc]
    """`/hub/oidc/login`: to the provider, and back to `next`; `again=1` makes it ask anew."""

    async def get(self) -> None:
        """Send the browser there."""
        try:
            client = await self.authenticator.provider.client()
        except WorkbenchError as error:
            await self.refuse(error)
            return
        verifier, challenge = self._generate_pkce_params()
        state = {
            "state_id": secrets.token_urlsafe(24),
            "next_url": self._validate_next_url(self.get_query_argument("next", "")),
            "code_verifier": verifier,
            "nonce": secrets.token_urlsafe(24),
            "began": time.time(),
        }
        again = {"prompt": "login", "max_age": "0"} if self.get_query_argument("again", "") else {}
        self._set_cookie(
            STATE_COOKIE_NAME,
            _serialize_state(state),
            encrypted=True,
            path=self.hub.base_url,
            expires_days=None,
            samesite="Lax",
        )
        asked = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.oauth_callback_url,
            "scope": " ".join(client.scope),
            "state": _serialize_state({"state_id": state["state_id"]}),
            "nonce": state["nonce"],
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **again,
        }
        self.redirect(url_concat(client.authorize_url, asked))


class ProviderReturn(Form, OAuthCallbackHandler):  # type: ignore[misc]
    """`/hub/oidc/callback`: where the provider sends the browser back to."""

    async def get(self) -> None:
        """Sign the browser in, or say why not."""
        try:
            await self.arrive()
        except WorkbenchError as error:
            await self.refuse(error)

    async def arrive(self) -> None:
        """Sign the browser in.

        Raises:
            Forbidden: The provider or the Studio does not let this person in.
        """
        state = _state(self.get_state_cookie())
        told = _state(self.get_query_argument("state", ""))
        if not state.get("state_id") or state["state_id"] != told.get("state_id"):
            raise Forbidden(
                "This sign-in was not begun in this browser.",
                hint="Begin again from the sign-in page.",
            )
        code = self.get_query_argument("code", "")
        if not code:
            said = self.get_query_argument("error", "")[:60]
            raise Forbidden(
                f"{self.authenticator.oidc_name} did not let this sign-in through ({said}).",
                hint="Begin again from the sign-in page.",
            )
        authenticator = self.authenticator
        proof = await authenticator.provider.prove(self, state["nonce"])
        admin = authenticator.check_groups(proof.groups)
        name = await account_of(authenticator, proof)
        await authenticator.check_active(name)
        await authenticator.give_roles(name, proof.groups)
        fresh = proof.auth_time >= float(state["began"]) - 1
        user = await self.come_in(name, admin=admin, fresh=fresh)
        self.redirect(state["next_url"] or self.get_next_url(user))

    def get_state_cookie(self) -> str:
        """The state this browser went away with; it is worth something once."""
        if "state" not in vars(self):
            self.state = self.kept(STATE_COOKIE_NAME, 1 / 24)
            self.drop(STATE_COOKIE_NAME)
        return self.state


def _state(told: str) -> dict[str, Any]:
    found = _deserialize_state(told) if told else {}
    return found if isinstance(found, dict) else {}
