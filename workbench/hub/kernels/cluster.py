"""The Dask cluster of a project's notebooks, as the keeper holds it: one, started when wanted."""

import asyncio
import json
import logging
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_runtime_dir

log = logging.getLogger(__name__)

ANSWER_S = 50.0
"""How long the cluster may take to start, or to heed what it is told, in seconds."""
GRACE_S = 5.0
"""How long it may take to end, in seconds."""

State = dict[str, Any]
"""What `workbench.compute.standing` tells of itself."""


class ProjectCluster:
    """See the module."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._state: State | None = None
        self._asked = 0
        self._reading: asyncio.Task[None] | None = None
        self._told = asyncio.Condition()
        self._turn = asyncio.Lock()

    @property
    def state(self) -> State | None:
        """What it is now; None while there is none."""
        return self._state

    async def scale(self, least: int, most: int) -> State | None:
        """Have it use so many workers, started if need be; none at most ends it.

        Raises:
            OSError: It cannot be started, or does not answer.
        """
        async with self._turn:
            if most < 1:
                await self._end()
                return None
            self._asked += 1
            asked = {"asked": self._asked, "least": least, "most": most}
            if self._process is None:
                self._process = await self._started()
                self._reading = asyncio.create_task(self._read(self._process))
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            try:
                async with asyncio.timeout(ANSWER_S), self._told:
                    await self._told.wait_for(lambda: self._heeded() or self._process is None)
            except TimeoutError as error:
                raise OSError(f"the cluster does not answer within {ANSWER_S:.0f} s") from error
            if self._state is None:
                raise OSError("the cluster ended before it was ready: its log says why")
            return self._state

    def _heeded(self) -> bool:
        return self._state is not None and self._state["asked"] == self._asked

    async def _started(self) -> Process:
        scratch = Path.home() / ".cache" / "dask"
        command = (sys.executable, "-m", "workbench.compute.standing", str(_folder()), str(scratch))
        return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                async with self._told:
                    self._state = json.loads(line)
                    self._told.notify_all()
            log.info("the cluster ended with %s", await process.wait())
        finally:
            async with self._told:
                self._process = self._state = None
                self._told.notify_all()

    async def end(self) -> None:
        """End it, with its workers."""
        async with self._turn:
            await self._end()

    async def _end(self) -> None:
        process, reading = self._process, self._reading
        if process is None or reading is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(asyncio.shield(reading), GRACE_S)
        except TimeoutError:
            process.kill()
            await reading


def client_environment(proxy: str) -> dict[str, str]:
    """What a kernel has to know so that `Client(address)` is let in, and its pages are reached.

    Args:
        proxy: The path below which JupyterLab's server passes requests on, by a port's number.
    """
    named = {"CA_FILE": "ca", "CLIENT__CERT": "cert", "CLIENT__KEY": "key"}
    files = {
        f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(_folder() / f"{file}.pem")
        for name, file in named.items()
    }
    return {**files, "DASK_DISTRIBUTED__DASHBOARD__LINK": f"{proxy}/{{port}}/status"}


def _folder() -> Path:
    return Path(jupyter_runtime_dir()) / "dask"
