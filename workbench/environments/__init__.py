"""Environments: the Python packages a project installs for itself, apart from everybody else's."""

from .actions import get_environment, install, list_environments, locked, reset, sweep
from .places import SEEN, prepare_folder, seen
from .types import Environment, Locked

__all__ = [
    "SEEN",
    "Environment",
    "Locked",
    "get_environment",
    "install",
    "list_environments",
    "locked",
    "prepare_folder",
    "reset",
    "seen",
    "sweep",
]
