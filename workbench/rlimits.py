"""Limits that hold for a process and all it starts."""

import resource

_KNOWN = {"data": resource.RLIMIT_DATA, "processes": resource.RLIMIT_NPROC}


def confine(limits: str) -> dict[str, int]:
    """Take limits, and leave no core files; what they are.

    Args:
        limits: `data=BYTES,processes=N`, each of them or none.
    """
    taken = {}
    for each in filter(None, limits.split(",")):
        name, _, value = each.partition("=")
        resource.setrlimit(_KNOWN[name], (int(value), int(value)))
        taken[name] = int(value)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return taken
