"""Where a project's attempts come from: a process behind its veil that forks one when it is asked.

Each attempt is a process of its own still, killed and limited by itself, and begins in
milliseconds: what it would import is there. `python -m workbench.pipelines.forking` has one socket,
its standard input. It is told first what to load; then `fork`, with the descriptors of the
attempt's own line (`attempt`) and of its log, or `kill` and a number. It answers by the attempt's
number, with a descriptor of the process, and by how it ended. It ends with its socket, and all it
forked with it.
"""

import ctypes
import importlib
import json
import logging
import os
import random
import selectors
import signal
import socket
import sys
from contextlib import suppress

import psutil

import workbench

from . import attempt

log = logging.getLogger(__name__)

FIRST = ("sqlalchemy.dialects.sqlite", "workbench.core.store", "workbench.core.logs")
"""What every attempt imports."""
AHEAD = (
    *("numpy", "pandas", "pyarrow.parquet", "deltalake", "sklearn.linear_model"),
    *("lightgbm", "torch"),
)
"""What most jobs import. It is there before they ask where nothing else is to be done; none of it
begins a thread that a fork would lose (see `os.fork`), or is told by its environment what to do."""
PATIENCE_S = 0.5
"""How long it has nothing to do before it loads the next of them, in seconds."""
LARGEST = 1 << 16
SUBREAPER, NAME = 36, 15
"""PR_SET_CHILD_SUBREAPER, PR_SET_NAME: see prctl(2)."""


class ForkServer:
    """See the module.

    Args:
        control: Its socket.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._live: set[int] = set()
        self._wake, waking = os.pipe()
        for end in (self._wake, waking):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self, ahead: list[str]) -> None:
        """Work until the socket ends.

        Args:
            ahead: Modules to load meanwhile.
        """
        with selectors.DefaultSelector() as ready:
            for each in (self._control, self._wake):
                ready.register(each, selectors.EVENT_READ)
            while True:
                waits = PATIENCE_S if ahead and not self._live else None
                found = {key.fileobj for key, _ in ready.select(waits)}
                if self._wake in found:
                    with suppress(BlockingIOError):
                        os.read(self._wake, LARGEST)
                    self._reap()
                if self._control in found and not self._obey():
                    return
                if not found and ahead:
                    _load(ahead.pop(0))

    def _obey(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, LARGEST, 2)
        if not message:
            for pid in self._live:
                _end(pid)
            return False
        what, _, number = message.decode().partition(" ")
        if what == "kill" and int(number) in self._live:
            _end(int(number))
        elif what == "fork":
            pid = os.fork()
            if pid == 0:
                self._become(*descriptors)
            self._live.add(pid)
            for each in descriptors:
                os.close(each)
            handle = os.pidfd_open(pid)
            socket.send_fds(self._control, [json.dumps({"pid": pid}).encode()], [handle])
            os.close(handle)
        return True

    def _become(self, line: int, out: int) -> None:
        """Be an attempt, and never return."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            os.dup2(line, 0)
            os.dup2(out, 1)
            os.dup2(out, 2)
            for each in (line, out):
                os.close(each)
            _prctl(NAME, ctypes.c_char_p(b"attempt"))
            _seed()
            attempt.main()
            code = 0
        except BaseException:
            # Not further: above is what serves others.
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        ended = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._live:
                ended.append((pid, os.waitstatus_to_exitcode(status)))
        for pid, code in ended:
            self._live.discard(pid)
            _end_group(pid)
            self._end_orphans()
            self._control.send(json.dumps({"pid": pid, "code": code}).encode())

    def _end_orphans(self) -> None:
        """End what an attempt left behind: it became a child of this process."""
        for each in psutil.Process().children():
            with suppress(psutil.Error, ProcessLookupError):
                if each.pid not in self._live and os.getsid(each.pid) not in self._live:
                    each.kill()


def _end(pid: int) -> None:
    """End an attempt that was not waited for, and what is in its group."""
    _end_group(pid)
    # One that was forked a moment ago leads no group yet.
    os.kill(pid, signal.SIGKILL)


def _end_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _load(module: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        # An extra that is not installed: who needs it says so.
        log.info("%s is not loaded ahead: %s", module, error)


def _seed() -> None:
    """Have what draws without a seed draw something else than its siblings."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if torch := sys.modules.get("torch"):
        torch.seed()


def _prctl(option: int, value: object) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main() -> None:
    """Serve what is on standard input."""
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _prctl(SUBREAPER, 1)
    order = json.loads(control.recv(LARGEST))
    workbench.load_rooms(order["rooms"])
    for module in FIRST:
        importlib.import_module(module)
    ForkServer(control).serve([*AHEAD] if order["ahead"] else [])


if __name__ == "__main__":
    main()
