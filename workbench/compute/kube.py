"""A cluster that the Dask operator makes in Kubernetes for one job. No cluster has run this."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from distributed import Status
from distributed.utils import LoopRunner, sync
from tornado.ioloop import IOLoop

from workbench.core import Context, Invalid, Unavailable, new_id

from .elsewhere import check_versions, connected, first_line, wait_for_workers
from .ports import Need, check_need

if TYPE_CHECKING:
    from dask_kubernetes.operator import KubeCluster
    from distributed import Client

log = logging.getLogger(__name__)

START_S = 300
"""How long the pods may take to be there, in seconds."""
IDLE_S = 300
"""A cluster that has nothing to do for so long is taken away, should its job be gone."""
WORKER_MB = 2048.0
"""What a worker may hold if nobody says, in MiB."""
SCHEDULER = {"cpu": "500m", "memory": "1Gi"}
USER = 1000
"""Of the image: not root."""
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123: how a namespace is named."""


class DaskOperator:
    """The engine `kube://namespace?image=…`; see docs/clusters.md.

    `image` is the Studio's own, by which the workers have its version. `kubeconfig` names a file
    where the Studio itself is no pod of that Kubernetes.
    """

    def __init__(self, url: str, home: Path) -> None:
        parts = urlsplit(url)
        told = dict(parse_qsl(parts.query))
        named = NAME.fullmatch(parts.netloc) and not parts.path.strip("/")
        if not named or not told.get("image") or set(told) - {"image", "kubeconfig"}:
            raise Invalid(
                f"{url!r} is not how a Kubernetes namespace is named.",
                hint="Write kube://namespace?image=registry.example.org/studio:1.0.",
            )
        self._namespace, self._image = parts.netloc, told["image"]
        self._kubeconfig = told.get("kubeconfig", "")

    @contextmanager
    def open(self, ctx: Context, need: Need) -> "Iterator[Client]":
        """See `Clusters`. An attempt of a job that was killed takes up the cluster it left."""
        check_need(need)
        if self._kubeconfig:
            os.environ["KUBECONFIG"] = self._kubeconfig
        name = (ctx.job.id or new_id("job")).replace("_", "-").lower()
        runner = LoopRunner()
        runner.start()
        try:
            cluster = sync(runner.loop, self._made, self.manifest(name, need))
            try:
                with self._client(cluster.scheduler_address, name, need.workers) as client:
                    yield client
            finally:
                sync(runner.loop, cluster.close)
        finally:
            runner.stop()

    async def _made(self, manifest: dict[str, Any]) -> "KubeCluster":
        from dask_kubernetes.operator import KubeCluster

        cluster = KubeCluster(
            custom_cluster_spec=manifest,
            namespace=self._namespace,
            shutdown_on_close=True,
            resource_timeout=START_S,
            quiet=True,
            loop=IOLoop.current(),
            asynchronous=True,
        )
        try:
            # Kubernetes, its operator and the network have no error in common.
            return await cluster
        except Exception as error:
            try:
                await cluster.close()
            except Exception as again:
                log.warning("what was begun of %s may be left: %s", cluster.name, again)
            finally:
                cluster.status = Status.closed
            raise Unavailable(
                f"Kubernetes makes no cluster in {self._namespace}: {first_line(error)}.",
                hint="The Dask operator has to be installed there, and the Studio's account "
                "may make DaskCluster resources.",
            ) from error

    @contextmanager
    def _client(self, address: str, name: str, workers: int) -> "Iterator[Client]":
        with connected(address) as client:
            wait_for_workers(
                client,
                workers,
                START_S,
                f"No worker of {name} in {self._namespace} is there after {START_S} seconds.",
                f"kubectl describe pods -n {self._namespace} says why.",
            )
            check_versions(client, self._namespace)
            yield client

    def manifest(self, name: str, need: Need) -> dict[str, Any]:
        """The DaskCluster resource of a job (kubernetes.dask.org/v1).

        Args:
            name: Its name.
            need: How many workers, with what.
        """
        from dask_kubernetes.operator import make_cluster_spec

        asked = {"cpu": str(need.threads), "memory": f"{need.memory_mb or WORKER_MB:.0f}Mi"}
        made: dict[str, Any] = make_cluster_spec(
            name,
            image=self._image,
            n_workers=need.workers,
            env=dict.fromkeys(
                ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(need.threads)
            ),
            resources={"requests": asked, "limits": asked},
            worker_command=f"dask worker --nthreads 1 --memory-limit {asked['memory']}B",
            idle_timeout=IDLE_S,
        )
        spec = made["spec"]
        (scheduler,) = spec["scheduler"]["spec"]["containers"]
        scheduler["resources"] = {"requests": SCHEDULER, "limits": SCHEDULER}
        # Dask has no dask-scheduler any more.
        scheduler["args"] = ["dask", "scheduler", *scheduler["args"][1:]]
        for part in (spec["worker"], spec["scheduler"]):
            part["spec"] |= {
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": USER,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            }
            for container in part["spec"]["containers"]:
                container["securityContext"] = {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                }
        return made
