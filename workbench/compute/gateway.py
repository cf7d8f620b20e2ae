"""A cluster that Dask Gateway makes for one job, and takes back when it ends."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from distributed.diagnostics.plugin import SchedulerPlugin
from distributed.utils import LoopRunner, sync

from workbench.core import Context, Invalid, Unavailable

from .elsewhere import check_versions, connected, first_line, wait_for_workers
from .ports import Need, check_need

if TYPE_CHECKING:
    from dask_gateway import Gateway, GatewayCluster
    from dask_gateway.auth import GatewayAuth
    from distributed import Client, Scheduler

START_S = 300
"""How long a cluster and its first worker may take: a pod, or a place in a queue. In seconds."""
GRACE_S = 20.0
"""How long a cluster stays whose job has gone, in seconds."""
MIB_OF_GIB = 1024
OURS = {"user", "password_file", "token_file", "scheduler"}
SHAPE = "gateway+https://host?token_file=/…, or ?user=…&password_file=/…"


class DaskGateway:
    """The engines `gateway://host:8000` and `gateway+https://host`; see docs/clusters.md.

    `token_file` names a file with a JupyterHub token, `user` and `password_file` are for a gateway
    with a password, and `scheduler=host:8786` says where its schedulers are, if not at the same
    address. The gateway speaks TLS to its schedulers by itself, with a certificate for each.
    """

    def __init__(self, url: str, home: Path) -> None:
        parts = urlsplit(url)
        told = dict(parse_qsl(parts.query))
        whole = ("user" in told) == ("password_file" in told)
        twice = "user" in told and "token_file" in told
        if not parts.hostname or parts.username or set(told) - OURS or not whole or twice:
            raise Invalid(f"{url!r} is not how a Dask Gateway is named.", hint=f"Write {SHAPE}.")
        scheme = "https" if parts.scheme.endswith("+https") else "http"
        self._address = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._told = told

    @contextmanager
    def open(self, ctx: Context, need: Need) -> "Iterator[Client]":
        """See `Clusters`. Threads and memory are asked for where the gateway lets its users."""
        check_need(need)
        auth, note = self._auth(), (ctx.job.scratch or ctx.folder / "scratch") / "gateway-cluster"
        # Their objects are used by a loop alone: others close themselves when they are collected,
        # and wait for a loop that may be the one they are collected in.
        runner = LoopRunner()
        runner.start()
        try:
            with self._asked():
                cluster = sync(runner.loop, self._made, auth, need, note)
            try:
                with self._client(cluster, need.workers) as client:
                    yield client
            finally:
                sync(runner.loop, cluster.close)
            note.unlink()
        finally:
            runner.stop()

    async def _made(self, auth: "GatewayAuth | None", need: Need, note: Path) -> "GatewayCluster":
        """A cluster with workers on their way; its name is noted for the next attempt."""
        from dask_gateway import Gateway, GatewayWarning

        async with Gateway(
            self._address, self._told.get("scheduler"), auth=auth, asynchronous=True
        ) as gateway:
            await _end_left_over(gateway, note)
            name = await gateway.submit(**await _options(gateway, need))
            note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            note.write_text(name)
            cluster = await gateway.connect(name, shutdown_on_close=True)
        with warnings.catch_warnings():
            # It gives as many as one cluster may have, and says so.
            warnings.simplefilter("ignore", GatewayWarning)
            await cluster.scale(need.workers)
        return cluster

    @contextmanager
    def _client(self, cluster: "GatewayCluster", workers: int) -> "Iterator[Client]":
        with connected(cluster.scheduler_address, cluster.security) as client:
            wait_for_workers(
                client,
                workers,
                START_S,
                f"The cluster of the Dask Gateway at {self._address} has no worker "
                f"after {START_S} seconds.",
                "Its log says why: no place for one, or none that starts.",
            )
            check_versions(client, self._address)
            client.register_plugin(EndsWithItsJob(GRACE_S))
            yield client

    @contextmanager
    def _asked(self) -> "Iterator[None]":
        """Tell in a sentence what the gateway answers to what is asked within."""
        import aiohttp
        from dask_gateway import GatewayClusterError, GatewayServerError

        try:
            yield
        except aiohttp.ClientResponseError as error:
            raise Unavailable(
                f"The Dask Gateway at {self._address} does not let the Studio in: "
                f"{error.status} {error.message}.",
                hint="Give the URL of the port compute.clusters a token_file, "
                "or user and password_file.",
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(
                f"No Dask Gateway answers at {self._address}: {first_line(error)}.",
                hint="Start it, or change the URL of the port compute.clusters.",
            ) from error
        except (GatewayClusterError, GatewayServerError, ValueError) as error:
            raise Unavailable(
                f"The Dask Gateway at {self._address} makes no cluster: {first_line(error)}.",
                hint="Its log says more; its limits are its administrator's.",
            ) from error

    def _auth(self) -> "GatewayAuth | None":
        from dask_gateway import BasicAuth, JupyterHubAuth

        if file := self._told.get("token_file"):
            return JupyterHubAuth(api_token=_secret(file))
        if file := self._told.get("password_file"):
            return BasicAuth(self._told["user"], _secret(file))
        return None


class EndsWithItsJob(SchedulerPlugin):
    """Ends a gateway's cluster whose job was killed: its client comes back no more.

    Args:
        grace_s: How long a client may be away, in seconds.
    """

    name = "ends-with-its-job"

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s

    def remove_client(self, scheduler: "Scheduler", client: str) -> None:
        """Look whether it was the last."""
        scheduler.loop.call_later(self._grace_s, self._look, scheduler)

    async def _look(self, scheduler: "Scheduler") -> None:
        if not {*scheduler.clients} - {"fire-and-forget"}:
            await scheduler.services["gateway"].gateway.shutdown()


async def _options(gateway: "Gateway", need: Need) -> dict[str, float]:
    """What is asked for, of what users may choose there, by the names of Dask Gateway's manual."""
    asked: dict[str, float] = {"worker_cores": need.threads}
    if need.memory_mb is not None:
        asked["worker_memory"] = need.memory_mb / MIB_OF_GIB
    offered = await gateway.cluster_options()
    return {name: value for name, value in asked.items() if name in offered}


async def _end_left_over(gateway: "Gateway", note: Path) -> None:
    """End the cluster of an attempt of this job that was killed."""
    if note.is_file():
        # A ValueError: it knows of none by that name, for that one has ended.
        with suppress(ValueError):
            await gateway.stop_cluster(note.read_text())


def _secret(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise Unavailable(
            f"What opens the Dask Gateway cannot be read: {file}: {error.strerror}.",
            hint="Change the URL of the port compute.clusters.",
        ) from error
