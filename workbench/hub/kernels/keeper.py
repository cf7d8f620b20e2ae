"""The first process of a project's sandbox: `python -m workbench.hub.kernels.keeper`.

It owns the project's kernels and starts JupyterLab's server beside them, with the arguments it was
given. The hub tells it by one descriptor when to start and to end the server; the server asks it
for kernels by another. Without a hub that commands (in a pod) it starts the server at once, and
ends with it. The Dask cluster of the project's notebooks is its own, too, and lasts as long.

The server may be stopped or killed: kernels stay. Asked to leave, the keeper ends the kernels that
do nothing and keeps the others until they have done nothing for as long as it was told; without
kernels it ends. When it is killed, everything in the sandbox ends with it; what cells had printed
is in the file of runs.
"""

import asyncio
import json
import logging
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil
import zmq
import zmq.asyncio
from jupyter_client.launcher import launch_kernel
from jupyter_client.session import Session

from workbench.rlimits import confine

from .. import given
from ..processes import die_with_parent
from .cluster import ProjectCluster
from .explaining import explained, left_over
from .outputs import KINDS, captured, fits
from .runs import MOST, own_runs

log = logging.getLogger(__name__)

FLUSH_S = 0.2
"""The longest that something a cell printed is not yet kept, in seconds."""
LOOK_S = 1.0
"""How often the memory of kernels is looked at, in seconds."""
TURN_S = 0.02
"""How long one kernel's messages may hold up everything else, in seconds."""
QUIET_S, DRAIN_S = 0.3, 30.0
"""A kernel that ended and published nothing for so long has said all; how long it may take."""
UNHEARD_S = 10.0
"""What a kernel did not begin while it did nothing for so long never reached it, in seconds."""
GRACE_S = 5.0
"""How long a kernel that is asked to end may take, in seconds."""
LARGEST = 64 * 1024**2
"""The longest line that the server may send, in bytes: an environment is in it."""


@dataclass
class Kernel:
    """A kernel's process, and what is known of it."""

    id: str
    name: str
    process: "subprocess.Popen[bytes]"
    connection: dict[str, Any]
    launched: dict[str, Any]
    listening: "asyncio.Task[None]"
    busy: set[str] = field(default_factory=set)
    """The requests that it works on."""
    active_at: float = field(default_factory=time.monotonic)
    heard_at: float = field(default_factory=time.monotonic)
    """When it last published something."""
    limit: int | None = None
    """How many bytes each of its processes may have; None: as many as there are."""
    memory: int = 0
    """What it and all it started hold now, in bytes."""
    peak: int = 0
    """The most that one process of it was seen to hold, in bytes."""
    cpu_s: float = 0.0
    cpu: float = 0.0
    """How many processors it uses: 1.0 is one of them, all the time."""
    looked_at: float = field(default_factory=time.monotonic)
    expected: bool = False
    """Whether it was told to end."""

    def told(self) -> dict[str, Any]:
        """What a server that takes it up wants to know."""
        return {
            "id": self.id,
            "name": self.name,
            "pid": self.process.pid,
            "connection": self.connection,
            "launched": self.launched,
            "busy": bool(self.busy),
        }

    def look(self) -> None:
        """See what it uses."""
        memory, cpu_s, now = 0, 0.0, time.monotonic()
        for process in _tree(self.process.pid):
            try:
                with process.oneshot():
                    held = int(process.memory_info().rss)
                    times = process.cpu_times()
            except psutil.Error:
                continue
            memory += held
            self.peak = max(self.peak, held)
            cpu_s += times.user + times.system
        self.cpu = max(0.0, cpu_s - self.cpu_s) / max(now - self.looked_at, 0.01)
        self.memory, self.cpu_s, self.looked_at = memory, cpu_s, now


class Keeper:
    """See the module.

    Args:
        command: What starts the server.
        memory: How many bytes a process may have; None: as many as it likes.
        keep_s: How long a kernel that does nothing is kept without a server, in seconds.
    """

    def __init__(self, command: list[str], memory: int | None, keep_s: float) -> None:
        self._command, self._memory, self._keep_s = command, memory, keep_s
        self._kernels: dict[str, Kernel] = {}
        self._server: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._control: socket.socket | None = None
        self._leaving = False
        self._alone_since = time.monotonic()
        """When the last server ended."""
        self._ending: set[str] = set()
        self._done = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._context = zmq.asyncio.Context()
        self._cluster = ProjectCluster()
        self._runs = own_runs()
        self._rows: list[tuple[str, str, Any]] = []
        self._begun: dict[str, int] = {}
        self._ended: dict[str, str] = {}
        self._cells: set[str] = set()
        """The runs of cells that go on."""
        self._sizes: dict[str, int] = {}
        self._flushed_at = 0.0

    async def work(self, control: socket.socket | None) -> None:
        """Work until nothing is left to keep."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._done.set)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        # Whatever an earlier keeper left behind ended with it.
        for run in self._runs.unended():
            if run.count is not None:
                self._rows.append((run.id, "explained", left_over()))
            self._ended[run.id] = "stopped"
        self._flush()
        self._control = control
        if control is None:
            self._serve(None)
        else:
            control.setblocking(False)
            loop.add_reader(control.fileno(), self._on_control)
        background = [
            asyncio.create_task(self._often(FLUSH_S, self._flush)),
            asyncio.create_task(self._often(LOOK_S, self._look)),
        ]
        await self._done.wait()
        for task in background:
            task.cancel()
        await self._end()

    # ---- the hub --------------------------------------------------------------------------------

    def _on_control(self) -> None:
        assert self._control is not None
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
        except BlockingIOError:
            return
        except ConnectionError:
            message, descriptors = b"", []
        if not message:
            # The hub is gone: the sandbox ends with it.
            self._done.set()
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            return
        asked = message.decode()
        if asked == "serve" and descriptors:
            self._serve(descriptors[0])
        elif asked == "leave":
            self._leaving = True
            if self._server is not None:
                self._server.terminate()
            else:
                self._settle()
                self._tell_hub()

    def _tell_hub(self) -> None:
        if self._control is not None:
            kept = [kernel for kernel in self._kernels.values() if not kernel.expected]
            told = {"serves": self._server is not None, "kernels": len(kept)}
            try:
                self._control.send(json.dumps(told).encode())
            except OSError as error:
                log.warning("the hub does not listen: %s", error)

    # ---- the server -----------------------------------------------------------------------------

    def _serve(self, listening: int | None) -> None:
        if self._server is not None:
            if listening is not None:
                os.close(listening)
            return
        self._leaving = False
        ours, theirs = socket.socketpair()
        environment = {**os.environ, given.KEEPER: str(theirs.fileno())}
        passed = [theirs.fileno()]
        if listening is not None:
            environment[given.SOCKET] = str(listening)
            passed.append(listening)
        try:
            with theirs:
                self._server = subprocess.Popen(
                    self._command, env=environment, pass_fds=passed, stdin=subprocess.DEVNULL
                )
            self._begin(self._answer(ours))
        except OSError as error:
            # Too many processes, say: the hub tries again, kernels go on.
            log.error("the server cannot be started: %s", error)
            ours.close()
        finally:
            if listening is not None:
                os.close(listening)
            self._tell_hub()

    async def _answer(self, ours: socket.socket) -> None:
        """Do what the server asks for: one JSON object a line, answered by one with its number."""
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LARGEST)
        self._writer = writer
        try:
            while line := await reader.readline():
                asked = json.loads(line)
                if asked["do"] == "scale":
                    # A cluster takes seconds to start: others are answered meanwhile.
                    self._begin(self._reply(**asked))
                else:
                    await self._reply(**asked)
        except (ConnectionError, ValueError) as error:
            log.warning("the server said what cannot be read: %s", error)
        finally:
            if self._writer is writer:
                self._writer = None
            writer.close()

    async def _reply(self, number: int, do: str, **asked: Any) -> None:
        try:
            self._say({"number": number, "answer": await self._do(do, **asked)})
        except Exception as error:
            log.exception("%s could not be done", do)
            self._say({"number": number, "problem": str(error)})

    def _say(self, told: dict[str, Any]) -> None:
        if self._writer is not None:
            self._writer.write(json.dumps(told).encode() + b"\n")

    async def _do(self, do: str, **asked: Any) -> Any:
        if do == "list":
            return [kernel.told() for kernel in self._kernels.values()]
        if do == "uses":
            return [
                {
                    "id": kernel.id,
                    "memory_bytes": kernel.memory,
                    "limit_bytes": kernel.limit,
                    "cpu": round(kernel.cpu, 2),
                }
                for kernel in self._kernels.values()
            ]
        if do == "launch":
            return await self._launch(**asked)
        if do == "cluster":
            return self._cluster.state
        if do == "scale":
            return await self._cluster.scale(**asked)
        kernel = self._kernels.get(asked["id"])
        if kernel is None:
            return None
        if do == "signal":
            kernel.expected = kernel.expected or asked["signal"] != signal.SIGINT
            self._send(kernel, asked["signal"])
        elif do == "expect":
            kernel.expected = True
        return None

    # ---- kernels --------------------------------------------------------------------------------

    async def _launch(
        self,
        id: str,
        name: str,
        command: list[str],
        environment: dict[str, str],
        cwd: str,
        connection: dict[str, Any],
        memory: int | None = None,
    ) -> int:
        """Start a kernel, or start it anew; its process number.

        Args:
            id: Its own.
            name: Of what kind it is.
            command: What starts it.
            environment: Of its process.
            cwd: Where it begins.
            connection: Where it listens.
            memory: How many bytes each of its processes may have, at most what all may.

        Raises:
            OSError: Its program cannot be started.
        """
        if former := self._kernels.pop(id, None):
            self._send(former, signal.SIGKILL)
            await self._finish(former)
        # The kernel looks for this process, and ends when it is gone.
        process = launch_kernel(command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL)
        limit = min(filter(None, (memory, self._memory)), default=None)
        if limit is not None and limit != self._memory:
            # In its first moment: it has imported nothing yet. The project's it has from us.
            _confine(process.pid, limit)
        self._kernels[id] = Kernel(
            id=id,
            name=name,
            process=process,
            connection=connection,
            launched={"environment": environment, "cwd": cwd},
            limit=limit,
            listening=self._begin(self._listen(id, connection)),
        )
        return process.pid

    async def _listen(self, id: str, connection: dict[str, Any]) -> None:
        """Take in what the kernel publishes."""
        session = Session(
            key=connection["key"].encode(), signature_scheme=connection["signature_scheme"]
        )
        with self._context.socket(zmq.SUB) as published:
            # Whatever a kernel prints is kept, however fast it prints.
            published.rcvhwm = 0
            published.linger = 0
            published.subscribe(b"")
            published.connect(_address(connection, "iopub_port"))
            began = time.monotonic()
            while True:
                parts = await published.recv_multipart()
                try:
                    _, fed = session.feed_identities(parts)
                    self._take(id, session.deserialize(fed))
                except Exception:
                    # Code of anybody's publishes what it likes: the next message is another one.
                    log.exception("a message of kernel %s is left out", id)
                if time.monotonic() > began + TURN_S:
                    # Messages that wait already are had without waiting.
                    await asyncio.sleep(0)
                    began = time.monotonic()

    def _take(self, id: str, message: dict[str, Any]) -> None:
        kernel = self._kernels.get(id)
        kind, content = message["header"]["msg_type"], message["content"]
        parent = message["parent_header"]
        run = str(parent.get("msg_id", ""))
        if kernel is not None:
            kernel.heard_at = time.monotonic()
        if kind == "status" and parent.get("msg_type") == "execute_request":
            state = content["execution_state"]
            if kernel is not None:
                kernel.active_at = time.monotonic()
                (kernel.busy.add if state == "busy" else kernel.busy.discard)(run)
            if state == "idle":
                # What never began was left out: a cell before it failed.
                self._ended.setdefault(run, "ok" if run in self._cells else "aborted")
                self._cells.discard(run)
                self._flush()
        elif kind == "execute_input":
            if self._is_cells(run):
                self._begun[run] = int(content["execution_count"])
                self._cells.add(run)
        elif run in self._cells and kind in KINDS and fits(kind, content):
            if kind == "comm_msg" and captured(content) is None:
                return
            self._row(run, kind, content)
            if kind == "error":
                self._ended[run] = "error"

    def _is_cells(self, run: str) -> bool:
        try:
            return self._runs.knows(run)
        except sqlite3.Error as error:
            log.error("whether a cell runs cannot be looked up: %s", error)
            return True

    def _row(self, run: str, kind: str, content: dict[str, Any]) -> None:
        last = self._rows[-1] if self._rows else None
        if (
            last
            and kind == "stream"
            and last[:2] == (run, kind)
            and last[2]["name"] == content["name"]
        ):
            last[2]["text"] += content["text"]
        else:
            self._rows.append((run, kind, dict(content)))
        if time.monotonic() > self._flushed_at + FLUSH_S:
            self._flush()

    def _send(self, kernel: Kernel, number: int) -> None:
        # Its group is its own: what it started is in it, too.
        for send in (os.killpg, os.kill):
            try:
                send(kernel.process.pid, number)
                return
            except ProcessLookupError:
                continue

    def _reap(self) -> None:
        if self._server is not None and self._server.poll() is not None:
            log.info("the server ended with %s", self._server.returncode)
            self._server, self._alone_since = None, time.monotonic()
            for kernel in self._kernels.values():
                if kernel.expected:
                    # It was being ended, and nobody is left who would see to it.
                    self._begin(self._ask_to_end(kernel))
            if self._control is None:
                self._done.set()
            self._settle()
            self._tell_hub()
        for kernel in list(self._kernels.values()):
            if kernel.process.poll() is not None and kernel.id not in self._ending:
                self._ending.add(kernel.id)
                self._begin(self._gone(kernel))

    async def _gone(self, kernel: Kernel) -> None:
        """A kernel ended by itself, or because the server told it to."""
        try:
            await self._finish(kernel)
        except Exception:
            log.exception("what kernel %s said last is lost", kernel.id)
        finally:
            self._ending.discard(kernel.id)
            if self._kernels.get(kernel.id) is kernel:
                del self._kernels[kernel.id]
        self._say(
            {"ended": kernel.id, "pid": kernel.process.pid, "code": kernel.process.returncode}
        )
        self._settle()

    async def _finish(self, kernel: Kernel) -> None:
        """Take in its last messages, and say why the cells it leaves have ended."""
        await asyncio.to_thread(kernel.process.wait)
        ended = time.monotonic()
        while time.monotonic() < min(max(ended, kernel.heard_at) + QUIET_S, ended + DRAIN_S):
            await asyncio.sleep(QUIET_S / 4)
        kernel.listening.cancel()
        self._flush()
        own = kernel.limit != self._memory
        code = kernel.process.returncode
        why = explained(code, kernel.expected, kernel.peak, kernel.limit, own=own)
        for run in self._runs.unended(kernel.id):
            if run.count is not None:
                self._rows.append((run.id, "explained", why))
            self._ended[run.id] = "stopped" if kernel.expected else "died"
            self._cells.discard(run.id)
        self._flush()

    # ---- what is kept ---------------------------------------------------------------------------

    async def _often(self, every_s: float, work: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                work()
            except Exception:
                log.exception("it is tried again in %s s", every_s)

    def _flush(self) -> None:
        ended = {run: how for run, how in self._ended.items() if run not in self._cells}
        rows, begun = self._rows, self._begun
        if not rows and not ended and not begun:
            return
        self._flushed_at = time.monotonic()
        try:
            self._runs.add(rows, begun=begun, ended=ended)
        except sqlite3.Error as error:
            # A full disk, say: it is tried again, and what is too much is left out.
            log.error("what cells print cannot be kept: %s", error)
            self._shorten()
            return
        self._rows, self._begun = [], {}
        for run in ended:
            del self._ended[run]
            self._sizes.pop(run, None)
        for run in {run for run, _, _ in rows} - ended.keys():
            self._sizes[run] = self._sizes.get(run, 0) + sum(
                _size(content) for one, _, content in rows if one == run
            )
            if self._sizes[run] > MOST:
                self._sizes[run] = self._compacted(run)

    def _compacted(self, run: str) -> int:
        try:
            return self._runs.compact(run)
        except sqlite3.Error as error:
            log.error("what a cell printed cannot be shortened: %s", error)
            return 0

    def _shorten(self) -> None:
        total = sum(_size(content) for _, _, content in self._rows)
        while self._rows and total > MOST:
            total -= _size(self._rows.pop(0)[2])

    def _look(self) -> None:
        """Look what kernels use, and whether any is to be ended."""
        for kernel in list(self._kernels.values()):
            kernel.look()
        self._settle()

    def _works(self, kernel: Kernel) -> bool:
        if kernel.busy:
            return True
        waiting = self._runs.unended(kernel.id)
        if waiting and self._idle_s(kernel) > UNHEARD_S:
            # They were asked for when the server was killed, and never came here.
            self._ended |= {run.id: "aborted" for run in waiting}
            return False
        return bool(waiting)

    def _idle_s(self, kernel: Kernel) -> float:
        """How long it has done nothing while nobody could have asked for anything."""
        return time.monotonic() - max(kernel.active_at, self._alone_since)

    def _settle(self) -> None:
        """Without a server: end the kernels that do nothing, and end where there are none."""
        if self._server is not None or self._control is None:
            return
        for kernel in self._kernels.values():
            if kernel.expected or self._works(kernel):
                continue
            if self._idle_s(kernel) >= self._keep_s or self._leaving:
                kernel.expected = True
                self._begin(self._ask_to_end(kernel))
        self._leaving = False
        if not self._kernels:
            self._done.set()

    async def _ask_to_end(self, kernel: Kernel) -> None:
        self._send(kernel, signal.SIGTERM)
        await asyncio.sleep(GRACE_S)
        if self._kernels.get(kernel.id) is kernel:
            self._send(kernel, signal.SIGKILL)

    async def _end(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.terminate()
        for kernel in self._kernels.values():
            kernel.expected = True
            self._send(kernel, signal.SIGTERM)
        last = time.monotonic() + GRACE_S
        while (self._kernels or self._server) and time.monotonic() < last:
            await asyncio.sleep(0.02)
        for kernel in list(self._kernels.values()):
            self._send(kernel, signal.SIGKILL)
        if self._server is not None:
            self._server.kill()
        await self._cluster.end()
        self._flush()
        self._runs.close()

    def _begin(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _address(connection: dict[str, Any], channel: str) -> str:
    if connection["transport"] == "ipc":
        return f"ipc://{connection['ip']}-{connection[channel]}"
    return f"{connection['transport']}://{connection['ip']}:{connection[channel]}"


def _size(content: Any) -> int:
    return len(content["text"]) if "text" in content else len(json.dumps(content))


def _tree(pid: int) -> Iterator[psutil.Process]:
    try:
        process = psutil.Process(pid)
        yield process
        yield from process.children(recursive=True)
    except psutil.Error:
        return


def _confine(pid: int, data: int) -> None:
    """Limit the bytes of data of a process. macOS cannot, and would not hold to it."""
    if hasattr(resource, "prlimit"):
        resource.prlimit(pid, resource.RLIMIT_DATA, (data, data))


def main() -> None:
    """Keep until there is nothing to keep."""
    die_with_parent()
    logging.basicConfig(level=logging.INFO, format="keeper: %(message)s")
    os.umask(0o077)
    # The sandbox ends with its parent by SIGKILL; asked by SIGTERM first, kernels end in order.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    limits = confine(os.environ.pop(given.LIMITS, ""))
    number = os.environ.pop(given.CONTROL, "")
    control = socket.socket(fileno=int(number)) if number else None
    if control is not None:
        control.set_inheritable(False)
    keep_s = float(os.environ.pop(given.KEEP, "0"))
    command = [sys.executable, "-m", "workbench.hub.inside", *sys.argv[1:]]

    async def work() -> None:
        await Keeper(command, limits.get("data"), keep_s).work(control)

    asyncio.run(work())


if __name__ == "__main__":
    main()
