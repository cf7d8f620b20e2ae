"""Where the memory of a process went, when there is no more. It loads nothing to find out."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

MIB = 1024 * 1024
SHOWN = 5
LEAST = MIB
"""What is smaller is not named, in bytes."""


def told(names: Mapping[str, Any], *, own: bool = False) -> list[str]:
    """What uses the memory of this process, and what can be done, in sentences.

    Args:
        names: The variables, by name.
        own: Whether it is the notebook that says how much there may be, not the project.
    """
    used, limit = used_and_limit()
    first = f"This kernel uses {used / MIB:,.0f} MiB"
    lines = [
        f"{first} of the {limit / MIB:,.0f} MiB that "
        f"{'this notebook allows its kernel' if own else 'a process of this project may have'}."
        if limit
        else f"{first}; the machine has no more to give."
    ]
    if found := largest(names):
        lines.append("Its largest variables:")
        lines += [f"  {name}  {size / MIB:,.0f} MiB  ({kind})" for name, kind, size in found]
        lines.append(
            f"Free what you do not need (del {found[0][0]}), or work on fewer rows at a time."
        )
    else:
        lines.append("No variable is large: what did not fit is what this cell asked for at once.")
        lines.append("Work on fewer rows at a time, or in pieces.")
    more = "Kernel > Limit the Kernel’s Memory" if own else "An administrator"
    lines.append(f"The kernel goes on: variables are still there. {more} can give more.")
    return lines


def used_and_limit() -> tuple[int, int]:
    """The bytes of data this process holds, and how many it may; 0: no limit, or not known."""
    used = limit = 0
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmData:"):
                used = int(line.split()[1]) * 1024
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_DATA)
        limit = 0 if soft == resource.RLIM_INFINITY else soft
        used = used or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return used, limit


def allowed() -> int:
    """The bytes a process may hold: its limit, or what the machine has if there is none.

    The same whenever it is asked: what depends on it comes out the same again.
    """
    _, limit = used_and_limit()
    return limit or machine()


def machine() -> int:
    """The bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def largest(names: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """The variables that hold most: name, what it is, bytes.

    Args:
        names: The variables, by name; what IPython keeps in `_`, `Out` and the like counts too.
    """
    found: dict[int, tuple[str, str, int]] = {}
    for name, value in list(names.items()):
        if name.startswith("__") or isinstance(value, (ModuleType, type)) or callable(value):
            continue
        size = size_of(value)
        known = found.get(id(value))
        # Of several names for one thing, the one a person gave.
        if size >= LEAST and (known is None or known[0].startswith("_")):
            found[id(value)] = (name, type(value).__name__, size)
    return sorted(found.values(), key=lambda each: -each[2])[:SHOWN]


def size_of(value: Any, depth: int = 2) -> int:
    """The bytes a value holds, as far as it says so itself; what is in a container counts.

    Args:
        value: Anything.
        depth: How many containers in each other are looked into.
    """
    for name in ("nbytes", "estimated_size", "memory_usage"):
        try:
            said: Any = getattr(value, name, None)
            said = said() if callable(said) else said
            return int(said.sum() if hasattr(said, "sum") else said)
        except Exception:
            # A stranger's object: whatever it does when it is asked, the next way is tried.
            continue
    size = sys.getsizeof(value, 0)
    if depth and isinstance(value, (list, tuple, set, frozenset, dict)):
        parts = list(value.values()) if isinstance(value, dict) else list(value)
        step = max(1, len(parts) // 1000)
        size += step * sum(size_of(each, depth - 1) for each in parts[::step])
    return size
