"""The cluster of a project's notebooks, a process of its sandbox: `python -m …compute.standing`.

On standard input it is told how many workers there are to be, a JSON object a line: `{"asked": 1,
"least": 0, "most": 4}`. Between the two it has as many as there is work for. It answers by what it
is then, with the number of what it was asked last, and tells by itself when that changes. It ends
with its standard input.

Who may connect has the certificate that is made for it and lies in the folder it is given: on a
machine without sandboxes others could reach its port.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import dask
from distributed import LocalCluster
from distributed.security import Security

from .local import worker_memory

LOOK_S = 0.5
"""How often it looks at itself, in seconds."""
IDLE_S = 60
"""How long a worker that is not needed stays, in seconds: the next cell may need it."""


async def stand(folder: Path, scratch: Path) -> None:
    """Work until standard input ends.

    Args:
        folder: Where the files of the certificate are written: ca.pem, cert.pem, key.pem.
        scratch: Where workers put what does not fit into memory.
    """
    security = Security.temporary()
    for name, text in (
        ("ca", security.tls_ca_file),
        ("cert", security.tls_client_cert),
        ("key", security.tls_client_key),
    ):
        _write(folder / f"{name}.pem", text)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    first = json.loads(await orders.readline())
    settings = {
        "distributed.worker.http.routes": [],
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1
        ),
    }
    with dask.config.set(settings):
        async with LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=True,
            protocol="tls://",
            security=security,
            memory_limit=worker_memory(first["most"]),
            dashboard_address="127.0.0.1:0",
            local_directory=str(scratch),
            silence_logs=50,
            asynchronous=True,
        ) as cluster:
            await _obey(cluster, orders, first)


async def _obey(cluster: LocalCluster, orders: asyncio.StreamReader, order: dict[str, Any]) -> None:
    while True:
        cluster.adapt(
            minimum=order["least"], maximum=order["most"], interval="1s", wait_count=IDLE_S
        )
        told: dict[str, Any] = {}
        while True:
            now = _seen(cluster, order)
            if now != told:
                print(json.dumps(told := now), flush=True)
            try:
                line = await asyncio.wait_for(orders.readline(), LOOK_S)
            except TimeoutError:
                continue
            if not line:
                return
            order = json.loads(line)
            break


def _seen(cluster: LocalCluster, order: dict[str, Any]) -> dict[str, Any]:
    scheduler = cluster.scheduler
    assert scheduler is not None
    workers = list(scheduler.workers.values())
    return {
        **order,
        "address": cluster.scheduler_address,
        "dashboard_port": scheduler.services["dashboard"].port,
        "workers": len(workers),
        "threads": sum(each.nthreads for each in workers),
        "memory_bytes": sum(each.memory_limit for each in workers),
    }


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)


if __name__ == "__main__":
    asyncio.run(stand(Path(sys.argv[1]), Path(sys.argv[2])))
