"""What a project may use: its own limits, or what the Studio gives everybody.

The room of projects keeps them; they hold where something is started or stored.
"""

import json
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from workbench.core import Context, Limited, Store

Limit = Literal["disk_mb", "memory_mb", "cpus", "jobs"]
MIB = 1024 * 1024

_projects = sa.table("projects", sa.column("id"), sa.column("limits"))


def limit_of(store: Store, project: str, name: Limit, usual: float | None) -> float | None:
    """A limit of a project; `usual` if it has none of its own; None: no limit."""
    with store.read() as connection:
        kept = connection.execute(
            sa.select(_projects.c.limits).where(_projects.c.id == project)
        ).scalar()
    own = (json.loads(kept) if isinstance(kept, str) else kept or {}) or {}
    found = own.get(name)
    return usual if found is None else float(found)


def used_bytes(folder: Path) -> int:
    """The bytes of a project's files and tables on disk; no link is followed."""
    total = 0
    for entry in folder.rglob("*"):
        try:
            status = entry.lstat()
        except FileNotFoundError:
            continue
        total += status.st_blocks * 512
    return total


def check_disk(ctx: Context, more: int = 0) -> None:
    """Raise Limited if the project would hold more than it may.

    Args:
        ctx: The project.
        more: How many bytes are to come.
    """
    usual = ctx.settings.project_disk_mb or None
    limit = limit_of(ctx.store, ctx.project, "disk_mb", usual)
    if limit is None:
        return
    used = used_bytes(ctx.folder) if ctx.folder.is_dir() else 0
    if used + more > limit * MIB:
        raise Limited(
            f"This project holds {used // MIB:,} MiB of at most {limit:,.0f}; "
            f"{more // MIB:,} more do not fit.",
            hint="Delete what is not needed, or ask an administrator for more.",
        )
