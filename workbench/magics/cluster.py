"""`client` in a kernel "Studio Dask": connected to the project's cluster, no address typed."""

import os
from typing import Any

WAIT_S = 20.0
"""How long the cluster may take to answer, in seconds."""


def connect(shell: Any) -> None:
    """Connect, where the kernel was started to be; `client` of somebody else's stays theirs."""
    if not os.environ.get("STUDIO_DASK") or "client" in shell.user_ns:
        return
    from distributed import Client

    try:
        shell.user_ns["client"] = Client(timeout=WAIT_S)
    except (OSError, TimeoutError) as error:
        print(
            f"The project's cluster does not answer ({type(error).__name__}). Start it in the Dask "
            "panel, then restart the kernel."
        )
