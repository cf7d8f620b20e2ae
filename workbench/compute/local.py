"""Workers that are processes of the job, with its rights and limits, gone when it ends."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from workbench import memory
from workbench.core import Context, Invalid

from .ports import Need, check_need

if TYPE_CHECKING:
    from distributed import Client

MIB = 1024 * 1024


class LocalProcesses:
    """The engine `local://?workers=2`: at most so many; as many as processors if absent.

    The workers, and nobody else, speak to the scheduler: by TLS with a certificate made for this
    one cluster, for where no sandbox keeps a job's ports from others.
    """

    def __init__(self, url: str, home: Path) -> None:
        told = dict(parse_qsl(urlsplit(url).query))
        most = told.pop("workers", "") or str(_processors())
        if told or not most.isdecimal() or int(most) < 1:
            raise Invalid(
                f"{url!r} is not how local workers are named.", hint="Write local://?workers=2."
            )
        self._most = int(most)

    @contextmanager
    def open(self, ctx: Context, need: Need) -> "Iterator[Client]":
        """See `Clusters`."""
        import dask
        from distributed import Client, LocalCluster
        from distributed.security import Security

        check_need(need)
        workers = min(need.workers, self._most)
        scratch = ctx.job.scratch or ctx.folder / "scratch"
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings = {
            "distributed.scheduler.allowed-failures": 0,
            # Dask opens these ports for everybody, and there is nothing to see there.
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
            "distributed.nanny.pre-spawn-environ": dict.fromkeys(
                ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), need.threads
            ),
        }
        with (
            dask.config.set(settings),
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                protocol="tls://",
                security=Security.temporary(),
                memory_limit=worker_memory(workers, need.memory_mb),
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                local_directory=str(scratch),
                silence_logs=50,
            ) as cluster,
            Client(cluster) as client,
        ):
            client.wait_for_workers(workers, timeout=60)
            yield client


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_memory(workers: int, most_mb: float | None = None) -> int:
    """Bytes for each worker: what a process may have, or its share of the machine's memory.

    Args:
        workers: How many there are to be.
        most_mb: What was asked for, in MiB.
    """
    _, limit = memory.used_and_limit()
    if limit:
        return int(min((most_mb or math.inf) * MIB, limit))
    import psutil

    return int(most_mb * MIB if most_mb else psutil.virtual_memory().total / (workers + 1))
