"""The Records of compute."""

from datetime import datetime

from workbench.core import Record


class Used(Record):
    """What the jobs of one action have used."""

    action: str
    jobs: int
    """How many ended, however they did."""
    cpu_s: float
    """Processor seconds of all their processes."""
    peak_mb: float
    """The most that one process held, in MiB."""


class Usage(Record):
    """What a project's jobs have used since a time."""

    since: datetime
    jobs: int
    cpu_s: float
    peak_mb: float
    actions: list[Used]
    """The one with most processor seconds first."""


class Cluster(Record):
    """The Dask cluster of a project's notebooks."""

    id: str
    address: str
    """Of its scheduler, inside the project; empty when it has ended."""
    dashboard: str
    """The path of its pages, at the Studio's address."""
    workers: int
    """How many there are now."""
    threads: int
    memory_mb: float
    """What all workers together may hold, in MiB."""
    least: int
    """It has so many workers at any time."""
    most: int
    """And so many where there is work for them."""
