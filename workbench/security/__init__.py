"""Who acts and what they may do: identity, roles as data, the policy behind the one door.

Also what holds where nobody asks: the sandbox of a project's processes, secrets by reference.
"""

from .actions import Identity, whoami
from .grants import Role, grant, grants, revoke
from .people import Person, activate_person, deactivate_person, list_people
from .policy import RolePolicy, Standing, role_of, standing
from .sessions import StudioSession, end_session, list_sessions
from .welcome import Welcome, welcome_person

__all__ = [
    "Identity",
    "Person",
    "Role",
    "RolePolicy",
    "Standing",
    "StudioSession",
    "Welcome",
    "activate_person",
    "deactivate_person",
    "end_session",
    "grant",
    "grants",
    "list_people",
    "list_sessions",
    "revoke",
    "role_of",
    "standing",
    "welcome_person",
    "whoami",
]
