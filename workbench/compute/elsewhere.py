"""What every cluster that runs elsewhere is asked before it is given work."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import workbench
from workbench.core import Refused, Unavailable

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security


WAIT_S = 10.0
"""How long a scheduler may take to answer, in seconds."""
MORE_S = 10
"""How long the other workers are waited for, once there is one, in seconds."""


def connected(address: str, security: "Security | None" = None) -> "Client":
    """A client of a scheduler.

    Raises:
        Unavailable: Nobody answers there.
    """
    from distributed import Client

    try:
        return Client(address, security=security, timeout=WAIT_S)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"No Dask scheduler answers at {address}: {first_line(error)}.",
            hint="Start it, or change the URL of the port compute.clusters.",
        ) from error


def wait_for_workers(client: "Client", workers: int, first_s: float, why: str, hint: str) -> None:
    """Wait for the first worker, and a moment for the others: late ones still get work.

    Args:
        client: Of the cluster.
        workers: How many were asked for.
        first_s: How long the first one may take, in seconds.
        why: What is said if there is none by then.
        hint: And what to do.

    Raises:
        Unavailable: There is none.
    """
    try:
        client.wait_for_workers(1, timeout=first_s)
    except TimeoutError as error:
        raise Unavailable(why, hint=hint) from error
    with suppress(TimeoutError):
        client.wait_for_workers(workers, timeout=MORE_S)


def check_versions(client: "Client", where: str) -> None:
    """Refused if a worker has another Python or another Studio than this process."""
    ours, hint = _versions(), "Start workers from the Studio's own environment."
    try:
        found = client.run(_versions)
    except ImportError as error:
        raise Refused(
            f"A worker at {where} has no Studio: {first_line(error)}.", hint=hint
        ) from error
    for address, theirs in found.items():
        if theirs != ours:
            raise Refused(
                f"The worker {address} has Python {theirs[0]} and the Studio {theirs[1]}; "
                f"here are {ours[0]} and {ours[1]}.",
                hint=hint,
            )


def _versions() -> tuple[str, str]:
    """Python's and the Studio's version, here or on a worker."""
    return ".".join(map(str, sys.version_info[:2])), workbench.__version__


def first_line(error: BaseException) -> str:
    """What an error of somebody else's library says, short enough for a sentence."""
    return str(error).partition("\n")[0][:200] or type(error).__name__
