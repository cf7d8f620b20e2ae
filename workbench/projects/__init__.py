"""Projects: the spaces people share."""

from .actions import create_project, get_project, list_projects
from .spaces import home_project, resolve
from .types import Member, Project, Role

__all__ = [
    "Member",
    "Project",
    "Role",
    "create_project",
    "get_project",
    "home_project",
    "list_projects",
    "resolve",
]
