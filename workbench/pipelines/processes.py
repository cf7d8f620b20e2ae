"""The processes of attempts: forked behind their project's veil, or started by themselves."""

import json
import logging
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO, Protocol

from workbench.core import Settings, catalogue
from workbench.security import sandbox
from workbench.security.bounds import Bounds
from workbench.security.veil import start_veiled, veiled

log = logging.getLogger(__name__)

START_S = 60.0
"""How long a process may take to begin, in seconds."""
IDLE_S = 300.0
"""How long a project's attempts can begin at once after its last one, in seconds."""
MOST_IDLE = 2
"""For how many projects that have no attempt now."""
FREE_S = 60.0
"""How long a process that was quick waits for another attempt, in seconds."""
LARGEST = 4096


class Process(Protocol):
    """The process of an attempt."""

    pid: int
    """Its number on this machine."""

    @property
    def code(self) -> int | None:
        """How it ended: an exit code, or a signal's number, negative; None while it runs."""

    @property
    def free(self) -> bool:
        """Whether the attempt is over and it waits for another one."""

    def say(self, line: bytes) -> None:
        """Write to it, unless it has ended."""

    def wait(self, timeout_s: float) -> int | None:
        """Wait until the attempt is over; `code`, or 0 if it is free."""

    def kill(self) -> None:
        """End it at once, with all it started."""

    def close(self) -> None:
        """Let go of it: an attempt that nobody watches ends itself."""


class Spawned:
    """A process that was started for one attempt."""

    free = False

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process, self.pid = process, process.pid

    @property
    def code(self) -> int | None:
        """See `Process`."""
        return self._process.poll()

    def say(self, line: bytes) -> None:
        """See `Process`."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def wait(self, timeout_s: float) -> int | None:
        """See `Process`."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.code

    def kill(self) -> None:
        """See `Process`."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """See `Process`."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()


class Forked:
    """A process that a fork server forked. One that was quick may serve the next attempt, too."""

    def __init__(self, server: "ForkServer", line: socket.socket, inner: int, pid: int) -> None:
        self._server, self._line, self._inner, self.pid = server, line, inner, pid
        self._code: int | None = None
        self._ended = threading.Event()
        self._readable = select.poll()
        self._readable.register(line, select.POLLIN)
        self.free = False
        self.free_at = 0.0

    @property
    def code(self) -> int | None:
        """See `Process`."""
        return self._code

    def begin(self, order: bytes, out: BinaryIO) -> None:
        """Give it an attempt, which writes to that file; OSError if it has ended."""
        self.free = False
        socket.send_fds(self._line, [order], [out.fileno()])

    def say(self, line: bytes) -> None:
        """See `Process`."""
        with suppress(OSError):
            self._line.sendall(line)

    def wait(self, timeout_s: float) -> int | None:
        """See `Process`."""
        if self.free:
            return 0
        if self._line.fileno() < 0:
            self._ended.wait(timeout_s)
        elif self._readable.poll(timeout_s * 1000):
            self._hear(timeout_s)
        return 0 if self.free else self._code

    def _hear(self, timeout_s: float) -> None:
        try:
            self.free = bool(self._line.recv(LARGEST))
        except OSError:
            self.free = False
        self.free_at = time.monotonic()
        if not self.free and self._ended.wait(timeout_s):
            # How it ended, its fork server told.
            self._line.close()

    def kill(self) -> None:
        """See `Process`."""
        self._server.kill(self._inner)

    def close(self) -> None:
        """See `Process`."""
        self._line.close()

    def end(self, code: int) -> None:
        """Note how it ended."""
        self._code = code
        self._ended.set()


class ForkServer:
    """A process behind a project's veil that forks attempts: see `forking`.

    Args:
        process: It.
        control: What it is told by.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", control: socket.socket) -> None:
        self._process, self._control = process, control
        self._turn = threading.Lock()
        self._answers: queue.Queue[tuple[int, int] | None] = queue.Queue()
        self._forked: dict[int, Forked] = {}
        self._early: dict[int, int] = {}
        self._gone = False
        self._known = threading.Lock()
        self._reserved = 0
        self.used_at = time.monotonic()
        self._listening = threading.Thread(target=self._listen, name="attempts", daemon=True)
        self._listening.start()

    @property
    def lives(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    @property
    def idle(self) -> bool:
        """Whether none of what it forked runs, and nobody is about to ask it."""
        return not self._forked and not self._reserved

    def reserve(self) -> "ForkServer":
        """Itself, kept until the next `fork`."""
        with self._known:
            self._reserved += 1
        return self

    def fork(self, out: BinaryIO) -> Forked:
        """A new attempt, which writes to that file; after `reserve`.

        Raises:
            OSError: It could not.
        """
        ours, theirs = socket.socketpair()
        try:
            with self._turn, theirs:
                socket.send_fds(self._control, [b"fork"], [theirs.fileno(), out.fileno()])
                told = self._answers.get(timeout=START_S)
            if told is None:
                raise OSError("the process that starts attempts has ended")
            inner, pid = told
            with self._known:
                made = self._forked[inner] = Forked(self, ours, inner, pid)
                if inner in self._early:
                    self._end(inner, self._early.pop(inner))
                elif self._gone:
                    self._end(inner, -signal.SIGKILL)
            return made
        except queue.Empty as error:
            ours.close()
            raise OSError("the process that starts attempts does not answer") from error
        except OSError:
            ours.close()
            raise
        finally:
            with self._known:
                self._reserved -= 1
                self.used_at = time.monotonic()

    def kill(self, inner: int) -> None:
        """End one of them, with all it started."""
        with suppress(OSError):
            self._control.send(f"kill {inner}".encode())

    def _listen(self) -> None:
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
            except OSError:
                message, descriptors = b"", []
            if not message:
                break
            told = json.loads(message)
            if descriptors:
                self._answers.put((told["pid"], _number_of(descriptors[0])))
                os.close(descriptors[0])
                continue
            with self._known:
                self._end(told["pid"], told["code"])
        # It is gone, and what it forked with it.
        self._answers.put(None)
        with self._known:
            self._gone = True
            for inner in list(self._forked):
                self._end(inner, -signal.SIGKILL)

    def _end(self, inner: int, code: int) -> None:
        if (forked := self._forked.pop(inner, None)) is None:
            self._early[inner] = code
            return
        self.used_at = time.monotonic()
        forked.end(code)

    def close(self) -> None:
        """End it, and what it forked."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listening.join()
        self._control.close()


class Processes:
    """Starts the processes of attempts, and keeps what forks them for a while.

    Args:
        settings: The Studio's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # What is behind a veil ends with the thread that started it: this one stays.
        self._starting = ThreadPoolExecutor(1, thread_name_prefix="veils")
        self._servers: dict[tuple[str, Bounds], ForkServer] = {}
        self._free: dict[tuple[str, Bounds], list[Forked]] = {}
        self._turn = threading.Lock()

    def start(
        self, project: str, action: str, bounds: Bounds, order: bytes, out: BinaryIO
    ) -> Process:
        """The process of an attempt: veiled, unless its action has to reach more or nothing can be.

        Args:
            project: Whose job it is.
            action: What it is to do.
            bounds: Within what it stays.
            order: What it is told, a line.
            out: Where it writes what it prints.
        """
        act = catalogue.get(action)
        if (act is None or act.reach == "project") and not sandbox.why_not():
            return self._veiled(project, bounds, order, out)
        process = Spawned(
            subprocess.Popen(
                [sys.executable, "-m", "workbench.pipelines.attempt"],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=_without_tokens(),
                preexec_fn=bounds.take if bounds else None,
            )
        )
        process.say(order)
        return process

    def _veiled(self, project: str, bounds: Bounds, order: bytes, out: BinaryIO) -> Process:
        while (free := self._taken(project, bounds)) is not None:
            try:
                free.begin(order, out)
                return free
            except OSError:
                # It was killed while it waited.
                free.close()
        server = self._starting.submit(self._server_of, project, bounds).result()
        forked: Forked | None = None
        try:
            forked = server.fork(out)
            forked.begin(order, out)
            return forked
        except OSError as error:
            log.warning("an attempt is started, not forked: %s", error)
            if forked is not None:
                forked.close()
            self._starting.submit(self._drop, server).result()
        spawned = self._starting.submit(self._spawn, project, bounds, out).result()
        spawned.say(order)
        return spawned

    def _taken(self, project: str, bounds: Bounds) -> Forked | None:
        with self._turn:
            free = self._free.get((project, bounds))
            return free.pop() if free else None

    def leave(self, project: str, bounds: Bounds, process: Process) -> None:
        """Let go of the process of an attempt that is over, or keep it for the next one."""
        if isinstance(process, Forked) and process.free:
            with self._turn:
                self._free.setdefault((project, bounds), []).append(process)
        else:
            process.close()

    def _spawn(self, project: str, bounds: Bounds, out: BinaryIO) -> Process:
        return Spawned(
            start_veiled(
                [sys.executable, "-m", "workbench.pipelines.attempt"],
                veiled(self._settings, project, bounds),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        )

    def _server_of(self, project: str, bounds: Bounds) -> ForkServer:
        server = self._servers.pop((project, bounds), None)
        if server is not None and not server.lives:
            server.close()
            server = None
        self._servers[project, bounds] = server or self._serving(project, bounds)
        return self._servers[project, bounds].reserve()

    def _drop(self, server: ForkServer) -> None:
        self._servers = {key: each for key, each in self._servers.items() if each is not server}
        server.close()

    def _serving(self, project: str, bounds: Bounds) -> ForkServer:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, open(os.devnull, "wb") as nothing:
            process = start_veiled(
                [sys.executable, "-m", "workbench.pipelines.forking"],
                veiled(self._settings, project, bounds),
                stdin=theirs,
                stdout=nothing,
                stderr=None,
                start_new_session=True,
            )
        # Under a limit each job has what it imports itself, and no more.
        order = {"rooms": self._settings.rooms, "ahead": not bounds.memory_mb}
        control.send(json.dumps(order).encode())
        return ForkServer(process, control)

    def sweep(self) -> None:
        """End what was not needed for long."""
        self._starting.submit(self._sweep, IDLE_S, MOST_IDLE).result()

    def _sweep(self, idle_s: float, most: int) -> None:
        self._end_free(min(idle_s, FREE_S))
        idle = [key for key, each in self._servers.items() if each.idle]
        idle.sort(key=lambda key: self._servers[key].used_at, reverse=True)
        now = time.monotonic()
        for place, key in enumerate(idle):
            if place >= most or now - self._servers[key].used_at > idle_s:
                self._servers.pop(key).close()

    def _end_free(self, idle_s: float) -> None:
        """End those that wait for longer, and those of a fork server that has ended."""
        now = time.monotonic()
        with self._turn:
            for key, free in list(self._free.items()):
                stay = [p for p in free if p.code is None and now - p.free_at <= idle_s]
                for each in free:
                    if each not in stay:
                        each.close()
                self._free[key] = stay
                if not stay:
                    del self._free[key]

    def close(self) -> None:
        """End all of them."""
        self._end_free(-1.0)
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        self._starting.shutdown()


def _number_of(handle: int) -> int:
    """The number on this machine of the process of a pidfd, 0 if it ended: proc(5), fdinfo."""
    with open(f"/proc/self/fdinfo/{handle}") as told:
        return max(0, next(int(line.split()[1]) for line in told if line.startswith("Pid:")))


def _without_tokens() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("JUPYTERHUB_") and name != "WORKBENCH_TOKEN"
    }
