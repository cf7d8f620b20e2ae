"""What an administrator is told about the Studio, and nobody else."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from workbench.core import Context, Forbidden, NotFound, Unavailable, call_here
from workbench.core.events import tail
from workbench.core.ids import label_of
from workbench.hub.certificates import generated
from workbench.hub.processes import short_path
from workbench.operations import health, running

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ASKED: dict[str, dict[str, str]] = {
    "check_health": {},
    "list_servers": {},
    "stop_server": {"id": "prj_x"},
    "list_active_jobs": {},
    "find_logs": {"id": "trc_00000000000000000000000000"},
    "sweep": {},
}


def sentences(ctx: Context) -> str:
    found = call_here(ctx, "operations.check_health", {}).findings
    return " ".join(each.sentence for each in found)


@pytest.mark.parametrize("name", ASKED)
def test_the_owner_of_a_project_is_no_administrator(ctx: Context, root: Context, name: str) -> None:
    with pytest.raises(Forbidden):
        call_here(ctx, f"operations.{name}", ASKED[name])
    inside = root.actor.model_copy(update={"within": ctx.project})
    with pytest.raises(Forbidden):  # not from a page of a project either
        call_here(ctx.fresh(actor=inside), f"operations.{name}", ASKED[name])


def test_a_missing_or_old_backup_is_told(root: Context) -> None:
    ctx = root.fresh(now=lambda: NOW)
    assert "There is no backup" in sentences(ctx)
    health.note_backup(ctx.home, Path("/mnt/other/b.tar.gz"), NOW - timedelta(days=8))
    assert "8 days old" in sentences(ctx.fresh())
    health.note_backup(ctx.home, Path("/mnt/other/b.tar.gz"), NOW - timedelta(days=6))
    found = call_here(ctx.fresh(), "operations.check_health", {})
    assert "backup" not in " ".join(each.sentence for each in found.findings)
    assert (found.backup, found.backup_at) == ("/mnt/other/b.tar.gz", NOW - timedelta(days=6))


def test_a_backup_is_noted_wherever_it_goes(root: Context, tmp_path: Path) -> None:
    from workbench.cli.backup import make_backup

    assert root.store.token()
    made = make_backup(root.settings, tmp_path / "elsewhere.tar.gz")
    at, where = health.last_backup(root.home)
    assert where == made.file and at is not None
    assert datetime.now(UTC) - at < timedelta(minutes=1)


def test_a_full_disk_is_told(root: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type(shutil.disk_usage("/"))
    nearly: Any = usage(10**12, 10**12 - 10**9, 10**9)
    monkeypatch.setattr(health.shutil, "disk_usage", lambda _: nearly)
    found = call_here(root, "operations.check_health", {})
    assert not found.ok and any("1.0 GB left" in each.sentence for each in found.findings)


def test_the_end_of_the_certificate_is_told(root: Context) -> None:
    settings = root.settings.model_copy(update={"tls_certificate": "generate"})
    assert health.certificate_until(root.settings) is None
    (root.home / "keys").mkdir(parents=True, exist_ok=True)
    generated(settings)
    until = health.certificate_until(settings)
    assert until is not None
    (told,) = health._about_certificate(until, until - timedelta(days=13))
    assert f"ends on {until:%Y-%m-%d}" in told.sentence
    assert not list(health._about_certificate(until, until - timedelta(days=15)))


def test_processes_sizes_and_versions_are_told(root: Context) -> None:
    found = call_here(root, "operations.check_health", {})
    (me,) = [part for part in found.processes if part.pid == os.getpid()]
    assert me.memory_bytes > 10**7 and me.since < datetime.now(UTC)
    assert found.databases["studio.db"] > 0
    assert found.versions["jupyterhub"] and found.jobs["running"] == 0
    assert not any("does not run" in each.sentence for each in found.findings)
    (root.home / "run").mkdir(exist_ok=True)
    (root.home / "run" / "up.json").write_text(json.dumps({"pid": os.getpid(), "url": ""}))
    assert "The hub does not run." in sentences(root.fresh())


@contextmanager
def server(root: Context, project: str) -> Iterator[None]:
    """A process that is noted as that project's server, until the end of the block.

    It has a socket, at which it says nothing.
    """
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    place = running.folder_of(root.home) / f"{label_of(project)}.sock"
    try:
        with socket.socket(socket.AF_UNIX) as listening, short_path(place) as short:
            listening.bind(short)
            listening.listen()
            running.note(root.home, label_of(project), process.pid)
            yield
    finally:
        place.unlink(missing_ok=True)
        process.communicate(b"\n")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "TIMEOUT_S", 0.2)


def test_cells_that_go_on_without_a_server_are_ended(
    ctx: Context, root: Context, stopper: Any
) -> None:
    """Nobody asks the hub, for which nothing runs."""
    with server(root, ctx.project):
        (running.folder_of(root.home) / f"{label_of(ctx.project)}.sock").unlink()
        (found,) = call_here(root, "operations.list_servers", {}).items
        assert (found.serves, found.answers) == (False, False)
        call_here(root.fresh(), "operations.stop_server", {"id": ctx.project})
        assert stopper.asked == []
        assert call_here(root.fresh(), "operations.list_servers", {}).items == []


def test_a_server_that_runs_is_listed_and_stopped(
    ctx: Context, root: Context, stopper: Any
) -> None:
    assert call_here(root, "operations.list_servers", {}).items == []
    with server(root, ctx.project):
        (found,) = call_here(root.fresh(), "operations.list_servers", {}).items
        assert (found.project, found.title, found.answers) == (ctx.project, "ada's own", False)
        assert found.memory_bytes > 10**6 and found.processes == 1 and found.kernels == 0
        call_here(root.fresh(), "operations.stop_server", {"id": ctx.project})
        assert stopper.asked == [ctx.project]
        last = tail(root.store)[-1]
        assert (last.action, last.refs["project"]) == ("operations.stop_server", ctx.project)
    assert call_here(root.fresh(), "operations.list_servers", {}).items == []
    with pytest.raises(NotFound):
        call_here(root.fresh(), "operations.stop_server", {"id": ctx.project})


def test_a_server_that_could_not_be_stopped_is_not_said_to_be(
    ctx: Context, root: Context, stopper: Any
) -> None:
    def down() -> None:
        raise Unavailable("The hub does not answer.")

    stopper.then = down
    before = len(tail(root.store))
    with server(root, ctx.project), pytest.raises(Unavailable):
        call_here(root.fresh(), "operations.stop_server", {"id": ctx.project})
    assert len(tail(root.store)) == before and stopper.asked == []


def test_without_a_hub_no_server_can_be_stopped(ctx: Context, root: Context) -> None:
    with server(root, ctx.project), pytest.raises(Unavailable, match="No hub runs here"):
        call_here(root.fresh(), "operations.stop_server", {"id": ctx.project})


def test_a_later_process_with_the_same_number_is_not_the_server(root: Context) -> None:
    running.note(root.home, "prj-x", os.getpid())
    assert [each.label for each in running.running(root.home)] == ["prj-x"]
    file = running.folder_of(root.home) / "prj-x.json"
    for told in (json.dumps({"pid": os.getpid(), "created": 1.0}), "{", "{}"):
        file.write_text(told)
        assert running.running(root.home) == []


def test_when_a_server_was_used_outlives_who_noted_it_and_never_goes_back(root: Context) -> None:
    running.note(root.home, "prj-x", os.getpid())
    (found,) = running.running(root.home)
    later = datetime.now(UTC) + timedelta(hours=1)
    running.touch(root.home, "prj-x", later)
    running.touch(root.home, "prj-x", NOW)
    assert abs(running.used_at(root.home, found) - later) < timedelta(seconds=1)
    running.forget(root.home, "prj-x")
    assert running.running(root.home) == []


def test_what_a_server_says_of_its_future_is_not_believed() -> None:
    told = running._moment("2999-01-01T00:00:00Z")
    assert told is not None and told <= datetime.now(UTC)
    assert running._moment("yesterday") is None and running._moment(None) is None


def test_jobs_of_every_project_are_listed(ctx: Context, root: Context) -> None:
    from workbench.core.jobs import runner

    job = ctx.engine(runner).plan(ctx, "models.train", {})
    with ctx.store.begin() as tx:
        ctx.engine(runner).put(tx, job)
    (found,) = call_here(root, "operations.list_active_jobs", {}).items
    assert (found.id, found.project, found.state) == (job.id, ctx.project, "queued")
