"""How the Studio is: its processes, its disk, its databases, its backups, its certificate."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil
import sqlalchemy as sa

import workbench
from workbench.core import Context, Settings, Store
from workbench.core.snapshot import BACKUPS
from workbench.pipelines import ledger
from workbench.projects.spaces import projects
from workbench.security import sandbox
from workbench.security.people import people

from .running import running
from .types import Finding, Health, Part

LEAST_FREE = 2 * 10**9
"""bytes; below it an administrator is told."""
LEAST_SHARE = 0.05
BACKUP_AGE = timedelta(days=7)
CERTIFICATE_LEFT = timedelta(days=14)
DATABASES = ("studio.db", "jobs.db", "hub.sqlite")
LAST = "last.json"
"""In the folder of backups: where the last one went."""
PARTS = {
    "workbench.hub.gateway": "gateway",
    "workbench.hub.kernels.keeper": "kernel keeper",
    "workbench.hub.inside": "project server",
    "workbench.hub": "hub",
    "configurable-http-proxy": "proxy",
    "workbench.api.serve": "service",
    "workbench.publishing.serve": "dashboards",
    "workbench.pipelines.attempt": "job",
    "workbench.pipelines.forking": "job starter",
    "spawn_main": "worker",
    "workbench up": "launcher",
    "workbench.cli.main up": "launcher",
}
"""What stands in a process's command → what it is; the first that fits."""
NEEDED = ("hub", "proxy", "gateway", "service")
PACKAGES = ("jupyterhub", "jupyterlab", "dbos", "sqlalchemy", "duckdb", "deltalake", "mlflow")


def health(ctx: Context) -> Health:
    """See `operations.check_health`."""
    home, now = ctx.home, ctx.now()
    disk = shutil.disk_usage(home)
    at, where = last_backup(home)
    until = certificate_until(ctx.settings)
    parts = processes(home)
    found = [
        *_about_parts(home, parts),
        *_about_disk(disk.free, disk.total),
        *_about_backup(at, now),
        *_about_certificate(until, now),
    ]
    if why := sandbox.why_not():
        found.append(
            Finding(
                wrong=False,
                sentence=f"Projects are not kept apart. {why}",
                hint="Trusted people only: a project's terminal reaches all that the Studio can.",
            )
            if ctx.settings.servers == "local"
            else Finding(
                wrong=True,
                sentence=f"Projects' servers run in pods, but no job can run. {why}",
                hint="Let the Studio's pod make user namespaces: see docs/deployment.md.",
            )
        )
    return Health(
        at=now,
        ok=not any(each.wrong for each in found),
        findings=found,
        processes=parts,
        sandbox=why,
        disk_free_bytes=disk.free,
        disk_used_bytes=disk.used,
        databases=database_bytes(home),
        backup=where,
        backup_at=at,
        certificate_until=until,
        servers=len(running(home)),
        versions={"workbench": workbench.__version__, **_versions()},
        **counts(ctx.store)._asdict(),
    )


class Counts(NamedTuple):
    """How many there are."""

    people: int
    projects: int
    jobs: dict[str, int]


def counts(store: Store) -> Counts:
    """How many people, projects and jobs by state there are."""
    states: dict[str, int] = dict.fromkeys(("queued", "running", "done", "failed", "cancelled"), 0)
    with store.read() as connection:
        by_state = sa.select(ledger.jobs.c.state, sa.func.count()).group_by(ledger.jobs.c.state)
        states |= {row[0]: row[1] for row in connection.execute(by_state)}
        return Counts(_count(connection, people), _count(connection, projects), states)


def processes(home: Path) -> list[Part]:
    """The Studio's own processes; this one alone where no launcher runs."""
    found = [part for each in _family(home) if (part := _part(each)) is not None]
    return sorted(found, key=lambda part: (part.name, part.pid))


def database_bytes(home: Path) -> dict[str, int]:
    """The databases of the home and what they take on disk, their journals included."""
    found = {}
    for name in DATABASES:
        files = [file for suffix in ("", "-wal") if (file := home / f"{name}{suffix}").is_file()]
        if files:
            found[name] = sum(file.stat().st_size for file in files)
    return found


def last_backup(home: Path) -> tuple[datetime | None, str]:
    """When the last backup was made, and where it is; None and empty if none was."""
    with suppress(OSError, ValueError, KeyError):
        told = json.loads((home / BACKUPS / LAST).read_text())
        return datetime.fromisoformat(told["made_at"]), str(told["file"])
    return None, ""


def note_backup(home: Path, file: Path, made_at: datetime) -> None:
    """Remember the last backup, which may lie on another disk."""
    place = home / BACKUPS / LAST
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = place.with_suffix(".new")
    new.write_text(json.dumps({"file": str(file), "made_at": made_at.isoformat()}))
    new.replace(place)


def certificate_until(settings: Settings) -> datetime | None:
    """When the certificate that the Studio is served with ends."""
    if not settings.tls_certificate:
        return None
    from cryptography import x509

    made = settings.tls_certificate == "generate"
    own = settings.home / "keys" / "tls-certificate.pem"
    try:
        content = (own if made else Path(settings.tls_certificate)).read_bytes()
        return x509.load_pem_x509_certificate(content).not_valid_after_utc
    except (OSError, ValueError):
        return None


def _about_parts(home: Path, parts: list[Part]) -> Iterator[Finding]:
    if not (home / "run" / "up.json").is_file():
        return
    for name in NEEDED:
        if not any(part.name == name for part in parts):
            yield Finding(
                wrong=True,
                sentence=f"The {name} does not run.",
                hint=f"It is started again within seconds; if not, see logs/{name}.log.",
            )


def _about_disk(free: int, total: int) -> Iterator[Finding]:
    if free < LEAST_FREE:
        yield Finding(
            wrong=True,
            sentence=f"The Studio's disk has {free / 10**9:.1f} GB left.",
            hint="Free space: when it is full, nothing can be written.",
        )
    elif free < LEAST_SHARE * total:
        yield Finding(
            wrong=False,
            sentence=f"The Studio's disk is {1 - free / total:.0%} full.",
            hint="See which projects hold most.",
        )


def _about_backup(at: datetime | None, now: datetime) -> Iterator[Finding]:
    hint = "`workbench backup /another/disk` makes one while people work."
    if at is None:
        yield Finding(wrong=True, sentence="There is no backup of this Studio.", hint=hint)
    elif now - at > BACKUP_AGE:
        days = (now - at).days
        yield Finding(wrong=True, sentence=f"The last backup is {days} days old.", hint=hint)


def _about_certificate(until: datetime | None, now: datetime) -> Iterator[Finding]:
    if until is not None and until - now < CERTIFICATE_LEFT:
        ends = f"on {until:%Y-%m-%d}"
        yield Finding(
            wrong=True,
            sentence=f"The certificate {'ends' if until > now else 'ended'} {ends}.",
            hint="Put a new one in its place, then start the Studio again.",
        )


def _family(home: Path) -> list[psutil.Process]:
    first = psutil.Process()
    with suppress(OSError, ValueError, KeyError, psutil.Error):
        launcher = psutil.Process(int(json.loads((home / "run" / "up.json").read_text())["pid"]))
        if launcher in first.parents():
            first = launcher
    with suppress(psutil.Error):
        return [first, *first.children(recursive=True)]
    return []


def _part(process: psutil.Process) -> Part | None:
    with suppress(psutil.Error):
        command = " ".join(process.cmdline())
        usual = "shell" if process.pid == os.getpid() else ""
        name = next((told for mark, told in PARTS.items() if mark in command), usual)
        if process.name() == "attempt":
            name = "job"  # It was forked by a job starter, and has its command.
        if not name or name == "project server" or process.name() == "bwrap":
            return None
        return Part(
            name=name,
            pid=process.pid,
            since=datetime.fromtimestamp(process.create_time(), UTC),
            memory_bytes=int(process.memory_info().rss),
        )
    return None


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
