"""The cluster of a project's notebooks: real processes, without a server and without a hub."""

import asyncio
import os
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client
from distributed.security import Security
from tornado.web import HTTPError

from workbench.hub.kernels import dask
from workbench.hub.kernels.cluster import ProjectCluster, client_environment


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProjectCluster]:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HOME", str(tmp_path))
    made = ProjectCluster()
    yield made
    await made.end()


def connected(address: str) -> Any:
    """As a kernel connects: by the files that it is told of."""
    told = client_environment("/user/prj-x/proxy")
    files = {name: told[f"DASK_DISTRIBUTED__COMM__TLS__{name}"] for name in told_names(told)}
    security = Security(
        tls_ca_file=files["CA_FILE"],
        tls_client_cert=files["CLIENT__CERT"],
        tls_client_key=files["CLIENT__KEY"],
        require_encryption=True,
    )
    return Client(address, security=security, asynchronous=True, timeout=20)


def told_names(told: dict[str, str]) -> list[str]:
    return [name.rpartition("TLS__")[2] for name in told if "TLS__" in name]


async def stranger(address: str) -> None:
    """Connect without a certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, _, port = address.rpartition("/")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    try:
        await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.transport.abort()


def process_of(cluster: ProjectCluster) -> psutil.Process:
    assert cluster._process is not None
    return psutil.Process(cluster._process.pid)


async def test_it_starts_when_it_is_wanted_and_can_be_used(cluster: ProjectCluster) -> None:
    assert cluster.state is None
    state = await cluster.scale(0, 2)
    assert state is not None and (state["least"], state["most"], state["workers"]) == (0, 2, 0)
    async with connected(state["address"]) as client:
        numbers = await client.gather(client.map(lambda n: n + 1, range(5), pure=False))
        assert numbers == [1, 2, 3, 4, 5]
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate"):
        await stranger(state["address"])
    first = process_of(cluster)
    fixed = await cluster.scale(1, 1)
    assert fixed is not None and fixed["address"] == state["address"]
    below = first.children(recursive=True)
    assert await cluster.scale(0, 0) is None
    assert cluster.state is None
    _, alive = psutil.wait_procs([first, *below], timeout=10)
    assert not alive


async def test_several_ask_at_once(cluster: ProjectCluster) -> None:
    states = await asyncio.gather(*(cluster.scale(0, most) for most in (1, 2, 3)))
    assert len({state["address"] for state in states if state}) == 1
    assert cluster.state is not None and cluster.state["most"] in (1, 2, 3)


async def test_killed_it_is_gone_and_can_be_started_again(cluster: ProjectCluster) -> None:
    before = await cluster.scale(1, 1)
    assert before is not None
    process = process_of(cluster)
    while len(below := process.children(recursive=True)) < 1:
        await asyncio.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    while cluster.state is not None:
        await asyncio.sleep(0.02)
    _, alive = await asyncio.to_thread(psutil.wait_procs, below, 15)
    assert not alive
    after = await cluster.scale(0, 1)
    assert after is not None and after["asked"] == 2


async def test_one_that_cannot_start_says_so(
    cluster: ProjectCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "run").write_text("a file where a folder is to be")
    with pytest.raises(OSError, match="ended before it was ready"):
        await cluster.scale(0, 1)
    assert cluster.state is None


@pytest.mark.parametrize(
    ("body", "least", "most"),
    [
        ({"workers": 2}, 2, 2),
        ({"workers": 3, "adapt": {"minimum": 0, "maximum": 4}}, 0, 4),
        ({"workers": 1, "adapt": None}, 1, 1),
    ],
)
def test_what_the_panel_asks_for(body: dict[str, Any], least: int, most: int) -> None:
    assert dask._asked(body) == (least, most)


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"workers": "x"}, {"workers": -1}, {"workers": 65}),
        *({"adapt": {"minimum": 2}}, {"adapt": {"minimum": 3, "maximum": 2}}, {"adapt": 3}),
    ],
)
def test_what_makes_no_sense_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(HTTPError, match="400"):
        dask._asked(body)
