"""`python -m workbench.hub.logged LOG COMMAND…`: become the command, its output in a log file.

Each process has a log of its own, so that no project reads the hub's; and each ends with the hub.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from workbench.core.logfiles import LIMIT_BYTES, turn_over

from .processes import die_with_parent


def become(log: Path, command: list[str]) -> None:
    """Replace this process by the command.

    A log of more than 10 MiB is turned over: here, and by the service while it is written to.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LIMIT_BYTES:
        turn_over(log, datetime.now(UTC))
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    die_with_parent()
    os.execvp(command[0], command)


if __name__ == "__main__":
    become(Path(sys.argv[1]), sys.argv[2:])
