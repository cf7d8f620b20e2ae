"""The keeper and a real kernel, without a server and without a hub."""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelClient
from jupyter_client.connect import write_connection_file

from workbench.hub.kernels.keeper import Keeper, Kernel
from workbench.hub.kernels.outputs import Outputs
from workbench.hub.kernels.provisioner import memory_of
from workbench.hub.kernels.runs import Run, Runs


class Kept:
    """A keeper with one kernel, and who asks it for cells."""

    def __init__(self, keeper: Keeper, client: AsyncKernelClient, runs: Runs) -> None:
        self.keeper, self.client, self.runs = keeper, client, runs

    @property
    def kernel(self) -> Kernel:
        return self.keeper._kernels["k"]

    def run(self, code: str, cell: str = "a") -> str:
        """Ask for a cell as a server does: noted first."""
        message = self.client.session.msg("execute_request", {"code": code, "silent": False})
        id = str(message["header"]["msg_id"])
        self.runs.ask(Run(id, "k", cell, code, "n.ipynb", "w", {"msg_id": id}, time.time()))
        self.client.shell_channel.send(message)
        return id

    async def ended(self, id: str, wait_s: float = 30) -> Run:
        last = time.monotonic() + wait_s
        while (run := self.runs.find(id)) is None or run.ended is None:
            assert time.monotonic() < last, run
            await asyncio.sleep(0.05)
        return run

    def text(self, id: str) -> str:
        """What the cell shows."""
        outputs = Outputs()
        for row in self.runs.rows(id):
            outputs.take(row.kind, row.content)
        return "".join(
            each.get("text", "") + "".join(each.get("traceback", [])) for each in outputs.list
        )


@pytest.fixture
async def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kept]:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("STUDIO_RUNS", raising=False)
    file, connection = write_connection_file(str(tmp_path / "kernel.json"), key=b"secret")
    keeper = Keeper([], 2**33, 60)
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, keeper._reap)
    flushing = asyncio.create_task(keeper._often(0.1, keeper._flush))
    await keeper._do(
        "launch",
        id="k",
        name="python3",
        command=[sys.executable, "-m", "ipykernel_launcher", "-f", file],
        environment=dict(os.environ),
        cwd=str(tmp_path),
        connection={**connection, "key": "secret"},
    )
    client = AsyncKernelClient(connection_file=file)
    client.load_connection_file()
    client.start_channels(hb=False)
    # It listens, and both hear each other: what is published before that is nobody's.
    heard = keeper._kernels["k"].heard_at
    while keeper._kernels["k"].heard_at == heard:
        client.kernel_info()
        await client.get_shell_msg(timeout=60)
        await asyncio.sleep(0.1)
    runs = Runs(tmp_path / "data" / "runs.db")
    yield Kept(keeper, client, runs)
    client.stop_channels()
    client.context.destroy(linger=0)
    for kernel in list(keeper._kernels.values()):
        kernel.expected = True
        os.killpg(kernel.process.pid, signal.SIGKILL)
        await keeper._finish(kernel)
    flushing.cancel()
    while keeper._tasks:
        await asyncio.sleep(0.05)
    asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)
    keeper._context.destroy(linger=0)
    keeper._runs.close()
    runs.close()


async def test_a_cell_is_kept_while_it_runs(kept: Kept) -> None:
    id = kept.run("import time\nfor i in range(5):\n    print(i, flush=True)\n    time.sleep(0.1)")
    run = await kept.ended(id)
    assert (run.count, run.how) == (1, "ok")
    assert kept.text(id) == "0\n1\n2\n3\n4\n"
    assert not kept.kernel.busy
    failed = await kept.ended(kept.run("1 / 0"))
    assert failed.how == "error" and "ZeroDivisionError" in kept.text(failed.id)


STRANGE = """\
kernel = get_ipython().kernel
for data in ([1, 2], "text", {"state": None}, {"state": {"msg_id": 3}}, None):
    content = {"comm_id": "c", "data": data}
    kernel.session.send(
        kernel.iopub_socket, "comm_msg", content, parent=kernel.get_parent(), ident=b"comm"
    )
kernel.session.send(kernel.iopub_socket, "stream", {}, parent=kernel.get_parent())
print("after")
"""


async def test_whatever_code_publishes_the_next_message_is_kept(kept: Kept) -> None:
    id = kept.run(STRANGE)
    run = await kept.ended(id)
    assert kept.text(id) == "after\n", kept.text(id)
    assert run.how == "ok"


async def test_a_flood_of_messages_holds_up_nothing_else(kept: Kept) -> None:
    """While a kernel publishes as fast as it can, others are answered."""
    gaps = [0.0]

    async def watch() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)

    watching = asyncio.create_task(watch())
    code = "for i in range(20_000):\n    get_ipython().kernel.send_response(\n"
    code += "        get_ipython().kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': 'x'})"
    id = kept.run(code)
    await kept.ended(id, 60)
    watching.cancel()
    assert len(kept.text(id)) == 20_000
    assert max(gaps) < 1.0, max(gaps)


async def test_a_file_that_cannot_be_written_for_a_while(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: it is kept when there is room again, once."""

    def full(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(kept.keeper._runs, "add", full)
        id = kept.run("print('one', flush=True); import time; time.sleep(0.5); print('two')")
        await asyncio.sleep(1.5)
        assert kept.text(id) == ""
    await kept.ended(id)
    assert kept.text(id) == "one\ntwo\n"


async def test_why_it_was_killed_is_kept(kept: Kept) -> None:
    id = kept.run(
        "import os\nprint('now', flush=True)\nimport time\ntime.sleep(0.5)\nos.kill(os.getpid(), 9)"
    )
    waits = kept.run("print('never')", cell="b")
    run = await kept.ended(id)
    assert run.how == "died"
    assert kept.text(id).startswith("now\n") and "KernelKilled" in kept.text(id)
    assert (await kept.ended(waits)).count is None and kept.text(waits) == ""
    while "k" in kept.keeper._kernels:
        await asyncio.sleep(0.05)


async def test_a_kernel_with_a_limit_of_its_own(kept: Kept, tmp_path: Path) -> None:
    """Less than the project allows: it holds, it is shown, and it is named where a cell ends."""
    launched, connection = kept.kernel.launched, kept.kernel.connection
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", str(tmp_path / "kernel.json")]
    for memory, limit in ((2**40, 2**33), (600 * 2**20, 600 * 2**20)):
        more = {**launched, "connection": connection, "memory": memory}
        await kept.keeper._do("launch", id="k", name="python3", command=command, **more)
        (use,) = await kept.keeper._do("uses")
        assert use["limit_bytes"] == limit, "the project's limit is the most"
    limits = Path(f"/proc/{kept.kernel.process.pid}/limits").read_text()
    assert limits.partition("Max data size")[2].split()[:2] == [str(600 * 2**20)] * 2


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ('{"metadata": {"studio": {"memory_mb": 2048}}}', 2048 * 2**20),
        ('{"metadata": {"studio": {"memory_mb": 1}}}', 256 * 2**20),
        ('{"metadata": {"studio": {"memory_mb": 0}}}', None),
        ('{"metadata": {"studio": {"memory_mb": true}}}', None),
        ('{"metadata": {"studio": {"memory_mb": "much"}}}', None),
        ('{"metadata": {"studio": []}}', None),
        ('{"metadata": {}}', None),
        ("[]", None),
        ("no notebook", None),
    ],
)
def test_what_a_notebook_allows_its_kernel(text: str, limit: int | None, tmp_path: Path) -> None:
    file = tmp_path / "n.ipynb"
    file.write_text(text)
    assert memory_of(file) == limit
    assert memory_of(tmp_path) is memory_of(tmp_path / "none") is None
