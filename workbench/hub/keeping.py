"""A project's sandbox as the hub holds it: the keeper in it is told to serve, and to leave.

What the keeper says is believed about this project alone: its people may change it as they like.
"""

import json
import logging
import socket
import subprocess
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

LARGEST = 4096
"""The longest message of a keeper that is read, in bytes."""
AT_ONCE = 16
"""How many of them are read at a time."""


class Kept:
    """A sandbox that runs.

    Args:
        start: Starts it; is given the descriptor that the keeper finds the hub by.
    """

    def __init__(self, start: "Callable[[int], subprocess.Popen[bytes]]") -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = start(theirs.fileno())
        self._control.setblocking(False)
        self._serves = self._complained = False
        self.kernels = 0
        """How many kernels it keeps, as it said last."""

    def serve(self, listening: socket.socket) -> None:
        """Have it start JupyterLab's server on that socket, unless one runs."""
        self._hear()
        socket.send_fds(self._control, [b"serve"], [listening.fileno()])
        self._serves = True

    def leave(self) -> None:
        """Have it end the server and the kernels that do nothing; the others go on."""
        try:
            self._control.send(b"leave")
        except OSError as error:
            log.info("a keeper cannot be told to leave: %s", error)

    @property
    def lives(self) -> bool:
        """Whether the sandbox is there."""
        return self.process.poll() is None

    @property
    def serves(self) -> bool:
        """Whether the server runs in it."""
        self._hear()
        return self._serves and self.lives

    def _hear(self) -> None:
        # Few at a time: nobody in there can keep the hub busy by talking.
        for _ in range(AT_ONCE):
            try:
                message = self._control.recv(LARGEST)
            except OSError:
                return
            if not message:
                return
            try:
                told: Any = json.loads(message)
                self._serves, self.kernels = bool(told["serves"]), int(told["kernels"])
            except Exception as error:
                # Whatever a stranger sends, the hub goes on; it is said once.
                if not self._complained:
                    self._complained = True
                    log.warning("a keeper said what cannot be read: %s", type(error).__name__)

    def close(self) -> None:
        """Let go of it, when it has ended."""
        self._control.close()
