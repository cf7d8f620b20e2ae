"""Projects: the spaces people share. Members, invitations, archive, deletion."""

from .actions import (
    archive_project,
    create_project,
    get_project,
    list_projects,
    reopen_project,
    set_limits,
)
from .deletion import delete_project, get_deletion, sweep
from .invitations import invite, join, list_invitations, revoke_invitation
from .links import look_invitation
from .members import list_members, remove_member, set_role, transfer_project
from .spaces import archived, closed, prepare_folder, resolve
from .types import Deletion, Invitation, Limits, Member, Project, Role

__all__ = [
    "Deletion",
    "Invitation",
    "Limits",
    "Member",
    "Project",
    "Role",
    "archive_project",
    "archived",
    "closed",
    "create_project",
    "delete_project",
    "get_deletion",
    "get_project",
    "invite",
    "join",
    "list_invitations",
    "list_members",
    "list_projects",
    "look_invitation",
    "prepare_folder",
    "remove_member",
    "reopen_project",
    "resolve",
    "revoke_invitation",
    "set_limits",
    "set_role",
    "sweep",
    "transfer_project",
]
