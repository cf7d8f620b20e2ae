"""The processes of a running Studio, and those a former one left behind."""

import errno
import json
from collections.abc import Iterable
from pathlib import Path

import psutil


class Family:
    """A process and all that it started, kept account of in a file.

    A process stays in the account while it lives, even when its parent has ended. The number
    and the time of its start tell it from a later process with the same number.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: set[psutil.Process] = set()
        self._written: set[psutil.Process] = set()

    def look(self, root: int) -> None:
        """Take account of what runs below this process, and write it down if it changed.

        A disk that is full must not end the Studio: the account is written when there is room.
        """
        try:
            first = psutil.Process(root)
            found = {first, *first.children(recursive=True)}
        except psutil.NoSuchProcess:
            found = set()
        self._known = {process for process in self._known | found if process.is_running()}
        if self._known != self._written:
            self._write()

    def recall(self) -> None:
        """Take over what a former Studio wrote down and what still runs of it."""
        if not self._file.is_file():
            return
        for pid, created in json.loads(self._file.read_text() or "[]"):
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - created) < 0.1:
                    self._known |= {process, *process.children(recursive=True)}
            except psutil.NoSuchProcess:
                continue

    def alive(self) -> list[psutil.Process]:
        """Those that still run."""
        return [
            process
            for process in self._known
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        ]

    def stop(self, grace_s: float) -> int:
        """Ask them to end, kill what has not after `grace_s`; how many there were."""
        found = self.alive()
        _each(found, "terminate")
        _, left = psutil.wait_procs(found, grace_s)
        _each(left, "kill")
        psutil.wait_procs(left, 5)
        self._known = set(self.alive())
        self._write()
        return len(found)

    def _write(self) -> None:
        new = self._file.with_suffix(".new")
        try:
            new.write_text(json.dumps([[p.pid, p.create_time()] for p in self._known]))
            new.replace(self._file)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        else:
            self._written = set(self._known)


def listener(port: int) -> str:
    """What listens on a port, e.g. `python3 (process 4711)`; empty if that cannot be seen."""
    try:
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid:
                # Some programs rename their first thread, which is what `name()` tells.
                command = psutil.Process(each.pid).cmdline() or ["a process"]
                return f"{Path(command[0]).name} (process {each.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return ""
    return ""


def _each(processes: Iterable[psutil.Process], act: str) -> None:
    for process in processes:
        try:
            getattr(process, act)()
        except psutil.NoSuchProcess:
            continue
