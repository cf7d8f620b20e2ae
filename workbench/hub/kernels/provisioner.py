"""Jupyter's kernels at the keeper: the provisioner that asks it, and the line to it."""

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_server.utils import url_path_join

from .. import given
from .cluster import State, client_environment

EXTENSION = ("--InteractiveShellApp.extra_extensions=workbench",)
"""What a kernel of IPython's is given besides: see `workbench.magics`."""
ANSWER_S = 60.0
"""How long the keeper may take to answer, in seconds."""
CLUSTER, CONNECTED = "studio_cluster", "STUDIO_DASK"
"""In the metadata of a kernel's description: it is connected to the project's cluster. And how it
is told so, in its environment: see `workbench.magics.cluster`."""
NOTEBOOK = "JPY_SESSION_NAME"
"""The variable of a kernel's environment that has its notebook's path: Jupyter's."""
LIMITED = "STUDIO_MEMORY"
"""How a kernel is told that its limit is the notebook's: see `workbench.magics.running_out`."""
LEAST_MB, MIB = 256, 1024 * 1024
"""Below this no kernel starts."""


def memory_of(notebook: Path) -> int | None:
    """How many bytes a notebook allows each process of its kernel; None: as many as there are.

    It says so in its metadata: `"studio": {"memory_mb": 2048}`.

    Args:
        notebook: The file; it may be none.
    """
    try:
        metadata = json.loads(notebook.read_text())["metadata"]
        asked = metadata["studio"]["memory_mb"]
    except (OSError, ValueError, KeyError, TypeError):
        # It is no notebook, or says nothing.
        return None
    whole = isinstance(asked, int) and not isinstance(asked, bool)
    return max(asked, LEAST_MB) * MIB if whole and asked > 0 else None


class Keeper:
    """The keeper, as JupyterLab's server reaches it.

    Attributes:
        codes: How kernels ended, by their process numbers.
    """

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._opening = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None

    async def ask(self, do: str, **asked: Any) -> Any:
        """Have it do something, and wait until it is done.

        Raises:
            OSError: It could not, or is gone.
        """
        writer = await self._open()
        self._number += 1
        number = self._number
        self._waiting[number] = asyncio.get_running_loop().create_future()
        writer.write(json.dumps({"number": number, "do": do, **asked}).encode() + b"\n")
        try:
            return await asyncio.wait_for(self._waiting[number], ANSWER_S)
        finally:
            del self._waiting[number]

    async def cluster(self) -> State | None:
        """The cluster of the project's notebooks; None if there is none."""
        state: State | None = await self.ask("cluster")
        return state

    async def scale(self, least: int = 0, most: int | None = None) -> State | None:
        """Have it use so many workers, started if need be; none at most ends it.

        Args:
            least: It has so many at any time.
            most: And so many where there is work for them; as many as processors if absent.

        Raises:
            OSError: It cannot be started.
        """
        if most is None:
            most = max(least, len(os.sched_getaffinity(0)), 1)
        state: State | None = await self.ask("scale", least=least, most=most)
        return state

    async def _open(self) -> asyncio.StreamWriter:
        async with self._opening:
            if self._line is None:
                line = socket.socket(fileno=int(os.environ.pop(given.KEEPER)))
                line.set_inheritable(False)
                self._line = await asyncio.open_unix_connection(sock=line, limit=1 << 26)
                self._reading = asyncio.create_task(self._read(self._line[0]))
            return self._line[1]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            told = json.loads(line)
            if "ended" in told:
                self.codes[told["pid"]] = told["code"]
                continue
            waiting = self._waiting.get(told["number"])
            if waiting is None or waiting.done():
                continue
            if "problem" in told:
                waiting.set_exception(OSError(told["problem"]))
            else:
                waiting.set_result(told["answer"])
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(OSError("the keeper is gone"))


class KeeperProvisioner(LocalProvisioner):
    """A kernel that the keeper starts, and that outlives this process."""

    _launched = False

    @property
    def _keeper(self) -> Keeper:
        keeper: Keeper = self.parent.parent.keeper  # type: ignore[union-attr]
        return keeper

    @property
    def _root(self) -> Path:
        """The project's files."""
        return Path(self.parent.parent.root_dir)  # type: ignore[union-attr]

    @property
    def has_process(self) -> bool:
        """Whether it was started, and nobody waited for its end yet."""
        return self._launched

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Have the keeper start it."""
        self.cwd = kwargs.get("cwd") or Path.cwd()
        environment = dict(kwargs.get("env") or os.environ) | await self._dask()
        notebook = self._root / environment.get(NOTEBOOK, "")
        memory = await asyncio.to_thread(memory_of, notebook)
        if memory is not None:
            # Its usual allocator takes a GiB beforehand, and the limit counts what is taken.
            environment.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
            environment[LIMITED] = "own"
        connection = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in self.connection_info.items()
        }
        self.pid = self.pgid = await self._keeper.ask(
            "launch",
            id=self.kernel_id,
            name=self.parent.kernel_name,  # type: ignore[union-attr]
            command=[*cmd, *EXTENSION] if "ipykernel_launcher" in cmd else cmd,
            environment=environment,
            cwd=str(self.cwd),
            connection=connection,
            memory=memory,
        )
        self._keeper.codes.pop(self.pid, None)  # Of a former process with this number.
        self._launched = True
        return self.connection_info

    async def _dask(self) -> dict[str, str]:
        """What lets it use the project's cluster; some are to be connected, and have it started.

        Raises:
            OSError: The cluster cannot be started.
        """
        kernels: Any = self.parent.parent  # type: ignore[union-attr]
        environment = client_environment(url_path_join(kernels.parent.base_url, "proxy"))
        if self.kernel_spec.metadata.get(CLUSTER):
            state = await self._keeper.cluster() or await self._keeper.scale()
            assert state is not None
            environment |= {"DASK_SCHEDULER_ADDRESS": state["address"], CONNECTED: "1"}
        return environment

    async def take_up(self, pid: int, cwd: str) -> None:
        """Go on with one that an earlier server started."""
        self.pid = self.pgid = pid
        self.cwd = Path(cwd)
        self.ports_cached = True  # Started anew, it has the same.
        self._launched = True

    async def poll(self) -> int | None:
        """How it ended; None while it runs."""
        if not self._launched or self.pid is None:
            return 0
        return self._keeper.codes.get(self.pid)

    async def wait(self) -> int | None:
        """Wait until it ended."""
        while (code := await self.poll()) is None:
            await asyncio.sleep(0.02)
        self._launched = False
        return code

    async def send_signal(self, signum: int) -> None:
        """Send a signal to it and what it started."""
        if self._launched:
            await self._keeper.ask("signal", id=self.kernel_id, signal=int(signum))

    async def kill(self, restart: bool = False) -> None:
        """End it at once."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """Ask it to end."""
        await self.send_signal(signal.SIGTERM)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Say that it will end because somebody wanted it to."""
        await self._keeper.ask("expect", id=self.kernel_id)
