"""What is thrown away, by a clock that the tests set."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from workbench.core import Context, Engines, call_here, load_settings, logfiles
from workbench.core.door import answers
from workbench.core.events import tail
from workbench.core.jobs import runner
from workbench.operations import sweeping
from workbench.operations.sweeping import Sweeper
from workbench.pipelines import ledger
from workbench.security import sessions

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def finished(ctx: Context, at: datetime) -> str:
    job = ctx.engine(runner).plan(ctx, "models.train", {})
    log = ctx.home / "logs" / "jobs" / f"{job.id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("said")
    with ctx.store.begin() as tx:
        ctx.engine(runner).put(tx, job)
        ledger.tell(tx, job.id, at, [("log", "a line", {})])
        ledger.finish(tx, job.id, at, "failed")
    return job.id


def at(ctx: Context, now: datetime) -> Context:
    return ctx.fresh(now=lambda: now)


def test_what_an_old_job_told_goes_and_the_job_stays(ctx: Context, root: Context) -> None:
    old, young = finished(ctx, NOW - 181 * DAY), finished(ctx, NOW - 179 * DAY)
    waiting = ctx.engine(runner).plan(ctx, "models.train", {})
    with ctx.store.begin() as tx:
        ctx.engine(runner).put(tx, waiting)
    done = call_here(at(root, NOW), "operations.sweep", {})
    assert (done.job_logs, done.more) == (1, False)
    assert ledger.lines_after(ctx.store, old, 0) == []
    assert ledger.lines_after(ctx.store, young, 0) and ledger.lines_after(ctx.store, waiting.id, 0)
    kept = [file.stem for file in (ctx.home / "logs" / "jobs").iterdir()]
    assert kept == [young] and ledger.get(ctx.store, ctx.project, old).state == "failed"
    assert call_here(at(root, NOW), "operations.sweep", {}).job_logs == 0


def test_an_answer_is_remembered_for_as_long_as_was_said(ctx: Context, root: Context) -> None:
    asked = {"name": "once"}
    first = call_here(at(ctx, NOW), "projects.create_project", asked, key="k")
    call_here(at(root, NOW + 13 * DAY), "operations.sweep", {})
    assert call_here(at(ctx, NOW + 13 * DAY), "projects.create_project", asked, key="k") == first
    done = call_here(at(root, NOW + 15 * DAY), "operations.sweep", {})
    with ctx.store.read() as connection:
        assert connection.execute(sa.select(answers)).all() == [] and done.answers == 1


def test_a_session_that_ended_goes(ctx: Context, root: Context) -> None:
    sessions.issue(ctx.store, "person", person="ada", now=NOW)
    assert call_here(at(root, NOW + timedelta(hours=11)), "operations.sweep", {}).sessions == 0
    assert call_here(at(root, NOW + timedelta(hours=13)), "operations.sweep", {}).sessions == 1


def test_former_logs_go_and_what_is_written_to_is_turned_over(root: Context) -> None:
    folder = root.home / "logs"
    folder.mkdir(parents=True)
    log = folder / "hub.log"
    log.write_text(f"{NOW - 5 * DAY:%Y-%m-%dT%H:%M:%SZ} INFO a line\n")
    (folder / "studio.log").write_text(f"{NOW:%Y-%m-%dT%H:%M:%SZ} INFO a line\n")
    (folder / "proxy.log").write_text("nothing that tells its day\n")
    assert call_here(at(root, NOW), "operations.sweep", {}).log_files == 0
    ((_, former),) = logfiles.former_logs(folder)
    assert former.name.startswith("hub.log.") and log.read_text() == ""
    assert "a line" in former.read_text() and former.stat().st_mode & 0o077 == 0
    assert call_here(at(root, NOW + 31 * DAY), "operations.sweep", {}).log_files == 1
    assert not former.exists()


def test_the_newest_backups_stay(root: Context, engines: Engines) -> None:
    folder = root.home / "backups"
    folder.mkdir(parents=True)
    names = [f"workbench-backup-2026110{n}T000000.0Z.tar.gz" for n in range(1, 6)]
    for name in [*names, "studio-0001.db"]:
        (folder / name).touch()
    assert call_here(root, "operations.sweep", {}).backups == 0  # all are kept unless said
    engines.settings = load_settings(home=root.home, keep_backups=2)
    assert call_here(root.fresh(), "operations.sweep", {}).backups == 3
    assert sorted(each.name for each in folder.iterdir()) == ["studio-0001.db", *names[-2:]]


def test_nothing_is_removed_where_it_is_kept_for_ever(ctx: Context, root: Context) -> None:
    finished(ctx, NOW - 5000 * DAY)
    root.engines.settings = load_settings(home=root.home, keep_jobs_days=0, keep_logs_days=0)
    assert call_here(at(root, NOW), "operations.sweep", {}).job_logs == 0


def test_the_record_stays_whole_and_each_sweep_is_on_it(ctx: Context, root: Context) -> None:
    finished(ctx, NOW - 400 * DAY)
    before = len(tail(ctx.store))
    call_here(at(root, NOW), "operations.sweep", {})
    events = tail(ctx.store)
    assert len(events) == before + 1
    assert (events[-1].action, events[-1].refs) == ("operations.sweep", {"job_logs": 1})
    call_here(at(root, NOW + 4000 * DAY), "operations.sweep", {})
    assert [each.id for each in tail(ctx.store)][: before + 1] == [each.id for each in events]
    assert call_here(root.fresh(), "audit.verify", {}).ok


def test_more_than_is_removed_at_once_is_removed_in_parts(
    ctx: Context, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "JOBS_AT_ONCE", 2)
    for _ in range(5):
        finished(ctx, NOW - 400 * DAY)
    Sweeper(engines, now=lambda: NOW).step()
    refs = [event.refs for event in tail(ctx.store) if event.action == "operations.sweep"]
    assert refs == [{"job_logs": 2}, {"job_logs": 2}, {"job_logs": 1}]
    assert not list((ctx.home / "logs" / "jobs").iterdir())


def test_the_service_sweeps_at_its_start_and_once_a_day(root: Context, engines: Engines) -> None:
    clock = [NOW]
    sweeper = Sweeper(engines, now=lambda: clock[0])
    for after, count in ((0, 1), (1, 1), (23, 1), (24, 2), (30, 2), (49, 3)):
        clock[0] = NOW + timedelta(hours=after)
        sweeper.step()
        found = [event for event in tail(root.store) if event.action == "operations.sweep"]
        assert [event.actor for event in found] == ["service:studio"] * count


def test_a_large_log_is_turned_over_while_it_is_written_to(engines: Engines) -> None:
    folder = engines.settings.home / "logs"
    folder.mkdir(parents=True)
    log = folder / "prj-x.log"
    clock = [NOW]
    sweeper = Sweeper(engines, now=lambda: clock[0])
    turns = logfiles.KEPT + 3
    with open(log, "ab", buffering=0) as held:
        for turn in range(turns):
            clock[0] = NOW + timedelta(minutes=turn)
            held.write(b"x" * (logfiles.LIMIT_BYTES + 1))
            sweeper.step()
            held.write(f"after {turn}".encode())
    assert log.read_text() == f"after {turns - 1}"
    former = [file for _, file in logfiles.former_logs(folder)]
    assert len(former) == logfiles.KEPT
    assert former[-1].read_text().startswith(f"after {turns - 2}x")


def test_what_is_in_the_way_does_not_end_the_sweeper(engines: Engines, tmp_path: Path) -> None:
    folder = engines.settings.home / "logs"
    folder.mkdir(parents=True)
    (folder / "hub.log").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(b"x" * (logfiles.LIMIT_BYTES + 1))
    Sweeper(engines, now=lambda: NOW).step()
    assert (tmp_path / "elsewhere").stat().st_size > logfiles.LIMIT_BYTES


def test_the_sweeper_ends_when_it_is_told_to(engines: Engines) -> None:
    sweeper = Sweeper(engines, now=lambda: NOW, look_s=0.01)
    sweeper.start()
    sweeper.stop()
    assert not sweeper.is_alive()
