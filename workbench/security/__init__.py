"""Who acts and what they may do: identity, roles as data, the policy behind the one door."""

from .actions import Identity, whoami
from .policy import RolePolicy, grant, grants, revoke, role_of

__all__ = ["Identity", "RolePolicy", "grant", "grants", "revoke", "role_of", "whoami"]
