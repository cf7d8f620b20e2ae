"""`GET metrics`: what this Studio does, in the text format of Prometheus.

For administrators by their session, and for a scraper by a token of its own. No name of a person
or a project is in it. Counters are of this process, and begin anew with it.
"""

import asyncio
import shutil
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import psutil
from fastapi import FastAPI, Request
from starlette.responses import Response

import workbench
from workbench.core import Context, Engines, Unavailable, catalogue, measures
from workbench.core.policy import policies
from workbench.core.store import stores
from workbench.operations import health
from workbench.operations.access import PREFIX, is_metrics_token
from workbench.operations.running import running
from workbench.security.guard import Guard, bearer, check_origin

from .tracing import trace_of

if TYPE_CHECKING:
    from prometheus_client import Metric

HISTOGRAMS = (measures.calls, measures.decisions, measures.transactions, measures.jobs)


def add_metrics(app: FastAPI, engines: Engines, guard: Guard) -> None:
    """The route of the metrics.

    Args:
        app: The Studio's application.
        engines: What the process has opened.
        guard: Knows who asks, where it is no scraper.
    """

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        """Everything that is measured, now."""
        check_origin(request, engines.settings.names)
        token = bearer(request)
        if not (token.startswith(PREFIX) and is_metrics_token(engines.settings, token)):
            who = await guard.identify(request)
            ctx = Context(who.actor, "", engines, trace=trace_of(request))
            ctx.engine(policies).check(ctx, catalogue["operations.check_health"], "")
        body, kind = await asyncio.to_thread(exposed, engines)
        return Response(body, headers={"content-type": kind, "cache-control": "no-store"})


def exposed(engines: Engines) -> tuple[bytes, str]:
    """The metrics and their content type.

    Raises:
        Unavailable: prometheus-client is not installed.
    """
    try:
        from prometheus_client import (
            CollectorRegistry,
            GCCollector,
            PlatformCollector,
            ProcessCollector,
        )
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
    except ImportError as error:
        raise Unavailable(
            "Metrics need the package prometheus-client, which is not installed.",
            hint="Install nexus-workbench[telemetry].",
        ) from error
    registry = CollectorRegistry()
    for each in (ProcessCollector, PlatformCollector, GCCollector):
        each(registry=registry)
    registry.register(_Collector(engines))
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Collector:
    """Reads what the process counted, and looks at the rest when it is asked."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def collect(self) -> "Iterable[Metric]":
        """The metrics."""
        from prometheus_client.core import HistogramMetricFamily

        for each in HISTOGRAMS:
            family = HistogramMetricFamily(each.name, each.doc, labels=each.labels)
            for labels, counts, total in each.read():
                family.add_metric(labels, _cumulated(each.bounds, counts), total)
            yield family
        yield from self._gauges()

    def _gauges(self) -> "Iterable[Metric]":
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        home = self._engines.settings.home
        began = time.perf_counter()
        told = health.counts(self._engines.get(stores))
        answered_s = time.perf_counter() - began
        disk = shutil.disk_usage(home)
        backup_at, _ = health.last_backup(home)
        until = health.certificate_until(self._engines.settings)
        jobs = GaugeMetricFamily("studio_jobs", "Jobs by state, of all time.", labels=["state"])
        for state, count in told.jobs.items():
            jobs.add_metric([state], count)
        yield jobs
        files = GaugeMetricFamily("studio_database_bytes", "Databases on disk.", labels=["name"])
        for name, size in health.database_bytes(home).items():
            files.add_metric([name], size)
        yield files
        values = {
            "studio_jobs_waiting": ("Jobs that wait for room.", told.jobs["queued"]),
            "studio_projects": ("Projects.", told.projects),
            "studio_people": ("People who signed in here.", told.people),
            "studio_servers": ("Projects' servers that run.", len(running(home))),
            "studio_disk_free_bytes": ("Free space on the disk of the home.", disk.free),
            "studio_disk_used_bytes": ("Used space on the disk of the home.", disk.used),
            "studio_store_answer_seconds": ("How long the database took for this.", answered_s),
            "studio_memory_available_bytes": (
                "Memory that can still be used.",
                psutil.virtual_memory().available,
            ),
        }
        if backup_at is not None:
            at = backup_at.timestamp()
            values["studio_backup_timestamp_seconds"] = ("When the last backup was made.", at)
        if until is not None:
            at = until.timestamp()
            values["studio_certificate_end_timestamp_seconds"] = ("When it ends.", at)
        for name, (doc, value) in values.items():
            yield GaugeMetricFamily(name, doc, value=value)
        yield InfoMetricFamily("studio_build", "What runs.", {"version": workbench.__version__})


def _cumulated(bounds: tuple[float, ...], counts: list[int]) -> list[tuple[str, float]]:
    """Buckets as Prometheus counts them: each holds those before it."""
    found, total = [], 0
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        total += count
        found.append((bound, float(total)))
    return found
