"""`python -m workbench.hub.logged LOG COMMAND…`: become the command, its output in a log file.

Each process has a log of its own, so that no project reads the hub's; and each ends with the hub.
"""

import os
import sys
from pathlib import Path

from .processes import die_with_parent

LIMIT_BYTES = 10 * 1024**2


def become(log: Path, command: list[str]) -> None:
    """Replace this process by the command. The log is turned over once it is 10 MiB large."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    die_with_parent()
    os.execvp(command[0], command)


if __name__ == "__main__":
    become(Path(sys.argv[1]), sys.argv[2:])
