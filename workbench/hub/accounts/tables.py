"""What the hub's database keeps of accounts, besides names and hashes.

They stand in JupyterHub's own database, beside the accounts they speak of: whoever moves or
restores the one has the other.
"""

import sqlalchemy as sa
from jupyterhub import orm


class SecondFactor(orm.Base):  # type: ignore[misc]
    """The secret an account's codes are made from."""

    __tablename__ = "studio_second_factors"
    name = sa.Column(sa.String(128), primary_key=True)
    secret = sa.Column(sa.String(64), nullable=False)
    last_step = sa.Column(sa.Integer, nullable=False)
    """The step whose code was used last; a code works once."""


class Made(orm.Base):  # type: ignore[misc]
    """The account that was made with an invitation: one each."""

    __tablename__ = "studio_made_accounts"
    invitation = sa.Column(sa.String(64), primary_key=True)
    name = sa.Column(sa.String(128), nullable=False)


class Identity(orm.Base):  # type: ignore[misc]
    """Whom an identity provider means by a subject: see `oidc`."""

    __tablename__ = "studio_identities"
    issuer = sa.Column(sa.String(400), primary_key=True)
    subject = sa.Column(sa.String(255), primary_key=True)
    name = sa.Column(sa.String(128), nullable=False, unique=True)
