"""Running a Studio calmly: its health, the projects' servers, what is kept and for how long.

For administrators alone. Nothing here is needed to work with the Studio.
"""

from .actions import (
    check_health,
    find_logs,
    list_active_jobs,
    list_servers,
    stop_server,
    sweep,
)
from .types import Finding, Health, Part, Server, Sweep

__all__ = [
    "Finding",
    "Health",
    "Part",
    "Server",
    "Sweep",
    "check_health",
    "find_logs",
    "list_active_jobs",
    "list_servers",
    "stop_server",
    "sweep",
]
