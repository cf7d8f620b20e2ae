"""What spreads work: a Dask cluster for as long as a job runs, and one beside the notebooks."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from workbench.core import Context, Invalid, Port, Record
from workbench.wire import MOST_WORKERS

from .types import Cluster

if TYPE_CHECKING:
    from distributed import Client

LEAST_MB = 64.0
"""Below this no worker starts."""


class Need(Record):
    """What the work asks for. A worker does one task at a time."""

    workers: int
    """At least 1."""
    threads: int = 1
    """Of each worker, for the libraries that its task calls."""
    memory_mb: float | None = None
    """The most a worker may hold, in MiB; None: an equal share of what the job may."""


def check_need(need: Need) -> None:
    """Invalid if the need makes no sense."""
    if need.workers < 1 or need.threads < 1:
        raise Invalid(
            f"{need.workers} workers with {need.threads} threads each make no sense.",
            hint="At least one of each.",
        )
    if need.memory_mb is not None and need.memory_mb < LEAST_MB:
        raise Invalid(
            f"A worker cannot work with {need.memory_mb:g} MiB.",
            hint=f"At least {LEAST_MB:g}.",
        )


def check_workers(workers: int) -> None:
    """Invalid if nobody may ask for so many workers."""
    if not 1 <= workers <= MOST_WORKERS:
        raise Invalid(f"{workers} workers make no sense.", hint=f"1 to {MOST_WORKERS}.")


class Clusters(Protocol):
    """Makes or finds a cluster. Every engine passes tests/ports/test_clusters.py."""

    def open(self, ctx: Context, need: Need) -> "AbstractContextManager[Client]":
        """A client of a cluster with as many workers as were asked for, or as there are.

        A task whose worker is killed has the error KilledWorker: at once on processes of the job,
        after `distributed.scheduler.allowed-failures` elsewhere. Durability is the job's, by its
        steps. Nothing of what was started is left afterwards.

        Args:
            ctx: Whose job it is.
            need: What is asked for.

        Raises:
            Invalid: The need makes no sense.
            Unavailable: There is no such cluster, or nobody answers there.
            Refused: Its workers have another version of the Studio, or of Python.
        """


clusters = Port[Clusters](
    "compute.clusters",
    default="local://",
    doc="Where a job's tasks run: its own processes, a Dask scheduler, a cluster made for it.",
)
clusters.engine(
    "local", "workbench.compute.local:LocalProcesses", hint="Install nexus-workbench[compute]."
)
for scheme in ("tcp", "tls"):
    clusters.engine(
        scheme, "workbench.compute.scheduler:Scheduler", hint="Install nexus-workbench[compute]."
    )
for scheme in ("gateway", "gateway+https"):
    clusters.engine(
        scheme, "workbench.compute.gateway:DaskGateway", hint="Install nexus-workbench[compute]."
    )
clusters.engine(
    "kube",
    "workbench.compute.kube:DaskOperator",
    hint="Install nexus-workbench[compute,kubernetes].",
)


class Notebooks(Protocol):
    """Who has the cluster of a project's notebooks."""

    def find(self, project: str) -> Cluster | None:
        """What it is now; None where there is none.

        Raises:
            Unavailable: The project's server does not answer for it.
        """

    def scale(self, project: str, least: int, most: int) -> Cluster:
        """Start it, make it larger or smaller, or end it: with `most` 0.

        Raises:
            Unavailable: The project's server does not run, or could not do it.
        """


notebooks = Port[Notebooks](
    "compute.notebooks",
    default="project://",
    doc="Where the Dask cluster of a project's notebooks is: beside its kernels.",
)
notebooks.engine("project", "workbench.operations.clusters:ProjectClusters")
