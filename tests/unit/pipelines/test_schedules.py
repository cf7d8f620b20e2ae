"""Jobs that begin by themselves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

import workbench
from workbench.core import (
    Actor,
    Context,
    Engines,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
    call_here,
    load_settings,
)
from workbench.core.events import tail
from workbench.core.jobs import runner
from workbench.pipelines import ledger, schedules
from workbench.projects import resolve

BERLIN = ZoneInfo("Europe/Berlin")
TRAIN = {"action": "models.train", "request": {"product": "things", "target": "c"}}


def times(cron: str, start: datetime, count: int, timezone: str = "Europe/Berlin") -> list[str]:
    """The next times, as the wall clock of that place shows them."""
    found, at = [], start
    for _ in range(count):
        at = schedules.next_time(cron, timezone, at)
        found.append(at.astimezone(ZoneInfo(timezone)).strftime("%d %H:%M"))
    return found


def test_a_line_is_read_on_the_places_clock() -> None:
    start = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert schedules.next_time("30 6 * * *", "Europe/Berlin", start) == datetime(
        2026, 7, 2, 4, 30, tzinfo=UTC
    )
    assert schedules.next_time("30 6 * * *", "UTC", start).hour == 6
    assert times("0 9 * * 1-5", start, 4) == ["02 09:00", "03 09:00", "06 09:00", "07 09:00"]
    exactly = datetime(2026, 7, 2, 4, 30, tzinfo=UTC)
    assert schedules.next_time("30 6 * * *", "Europe/Berlin", exactly) > exactly


def test_in_spring_a_time_that_is_left_out_comes_later_and_once() -> None:
    start = datetime(2027, 3, 27, 0, 0, tzinfo=BERLIN)
    assert times("30 2 * * *", start, 3) == ["27 02:30", "28 03:30", "29 02:30"]
    hours = times("0 * * * *", datetime(2027, 3, 28, 0, 30, tzinfo=BERLIN), 3)
    assert hours == ["28 01:00", "28 03:00", "28 04:00"]


def test_in_autumn_a_time_that_comes_twice_has_one_job_and_every_hour_has_its_own() -> None:
    start = datetime(2026, 10, 24, 12, 0, tzinfo=BERLIN)
    assert times("30 2 * * *", start, 2) == ["25 02:30", "26 02:30"]
    first = datetime(2026, 10, 25, 0, 30, tzinfo=BERLIN)
    assert times("0 * * * *", first, 4) == ["25 01:00", "25 02:00", "25 02:00", "25 03:00"]
    assert times("*/30 * * * *", datetime(2026, 10, 25, 1, 40, tzinfo=BERLIN), 5) == [
        *("25 02:00", "25 02:30", "25 02:00", "25 02:30", "25 03:00")
    ]


@settings(deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)),
    st.sampled_from(["0 * * * *", "*/7 * * * *", "30 2 * * *", "15 3 1 * *", "0 0 * * 0"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_times_go_forward(start: datetime, cron: str, timezone: str) -> None:
    at = start.replace(tzinfo=UTC)
    for _ in range(3):
        following = schedules.next_time(cron, timezone, at)
        assert following > at and following.tzinfo is not None
        assert following.second == 0
        at = following


@pytest.mark.parametrize(
    "cron", ["", "every day", "61 * * * *", "* * * *", "* * * * * *", "0 0 30 2 *"]
)
def test_a_bad_line_is_refused(cron: str) -> None:
    with pytest.raises(Invalid) as told:
        schedules.check_cron(cron)
    assert told.value.hint


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    workbench.load_rooms()
    engines = Engines(load_settings(home=tmp_path / "home"))
    ada = Actor(name="ada")
    yield Context(ada, resolve(engines, ada, None), engines)
    engines.close()


@pytest.fixture
def waiting(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are accepted, and wait."""
    monkeypatch.setattr(type(ctx.engine(runner)), "start", lambda self, job: None)


def made(ctx: Context, **more: Any) -> Any:
    return call_here(
        ctx.fresh(), "pipelines.create_schedule", {**TRAIN, "cron": "0 6 * * *", **more}
    )


def jobs(ctx: Context) -> list[str]:
    return [row.id for row in ledger.unfinished(ctx.store)]


def come(ctx: Context, id: str, ago: timedelta = timedelta(minutes=1)) -> datetime:
    """Let a schedule's time have come."""
    at = ctx.now() - ago
    with ctx.store.begin() as tx:
        table = schedules.schedules
        tx.execute(sa.update(table).where(table.c.id == id).values(next_at=at.isoformat()))
    return at


def now_of(ctx: Context, id: str) -> Any:
    return call_here(ctx.fresh(), "pipelines.get_schedule", {"id": id})


def test_a_schedule_is_made_looked_at_and_deleted(ctx: Context) -> None:
    schedule = made(ctx, timezone="Europe/Berlin", name=" Each morning ")
    assert (schedule.name, schedule.cron, schedule.paused) == ("Each morning", "0 6 * * *", False)
    assert schedule.next_at.astimezone(BERLIN).hour == 6
    assert call_here(ctx.fresh(), "pipelines.list_schedules", {}).items == [schedule]
    paused = call_here(ctx.fresh(), "pipelines.pause_schedule", {"id": schedule.id})
    assert paused.paused and now_of(ctx, schedule.id).next_at is None
    resumed = call_here(ctx.fresh(), "pipelines.resume_schedule", {"id": schedule.id})
    assert resumed.next_at == schedule.next_at
    call_here(ctx.fresh(), "pipelines.delete_schedule", {"id": schedule.id})
    with pytest.raises(NotFound):
        now_of(ctx, schedule.id)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"action": "data.query"}, "is no job"),
        ({"request": {"product": "things"}}, "target"),
        ({"timezone": "Berlin"}, "no time zone"),
        ({"cron": "daily"}, "no cron line"),
    ],
)
def test_what_makes_no_sense_is_refused(ctx: Context, more: Any, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        made(ctx, **more)


@pytest.mark.usefixtures("waiting")
def test_a_time_that_has_come_has_one_job(ctx: Context) -> None:
    schedule = made(ctx)
    assert schedules.begin_due(ctx.engines, ctx.now()) == []
    come(ctx, schedule.id)
    (job,) = schedules.begin_due(ctx.engines, ctx.now())
    assert jobs(ctx) == [job]
    now = now_of(ctx, schedule.id)
    assert (now.last_job, now.note) == (job, "") and now.next_at > ctx.now()
    assert schedules.begin_due(ctx.engines, ctx.now()) == []
    (event,) = [e for e in tail(ctx.store) if e.action == "pipelines.keep_schedule"]
    assert event.refs == {"schedule": schedule.id, "job": job}


@pytest.mark.usefixtures("waiting")
def test_a_crash_between_the_job_and_the_next_time_makes_no_second_job(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = made(ctx)
    come(ctx, schedule.id)

    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(schedules, "commit", crash)
        schedules.begin_due(ctx.engines, ctx.now())
    (job,) = jobs(ctx)
    assert now_of(ctx, schedule.id).last_job is None
    assert schedules.begin_due(ctx.engines, ctx.now()) == [job]
    assert jobs(ctx) == [job] and now_of(ctx, schedule.id).last_job == job


@pytest.mark.usefixtures("waiting")
def test_times_that_passed_while_nothing_ran_have_one_job(ctx: Context) -> None:
    schedule = made(ctx, cron="0 * * * *")
    come(ctx, schedule.id, timedelta(days=3))
    assert len(schedules.begin_due(ctx.engines, ctx.now())) == 1
    assert ctx.now() < now_of(ctx, schedule.id).next_at <= ctx.now() + timedelta(hours=1)
    assert schedules.begin_due(ctx.engines, ctx.now()) == []


def refusing(ctx: Context, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(schedules, "call_here", refuse)


def test_who_may_no_more_begins_no_more(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = made(ctx)
    come(ctx, schedule.id)
    refusing(ctx, monkeypatch, Forbidden("ada is no editor any more."))
    assert schedules.begin_due(ctx.engines, ctx.now()) == []
    now = now_of(ctx, schedule.id)
    assert now.paused and "no editor" in now.note and now.next_at is None
    assert tail(ctx.store)[-1].outcome == "paused"


def test_what_is_away_is_asked_again_the_next_time(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = made(ctx)
    come(ctx, schedule.id)
    refusing(ctx, monkeypatch, Unavailable("The scheduler does not answer."))
    assert schedules.begin_due(ctx.engines, ctx.now()) == []
    now = now_of(ctx, schedule.id)
    assert not now.paused and "does not answer" in now.note and now.next_at > ctx.now()


@pytest.mark.usefixtures("waiting")
def test_the_scheduler_begins_what_is_due(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "LOOK_S", 0.02)
    schedule = made(ctx)
    scheduler = schedules.Scheduler(ctx.engines)
    scheduler.start()
    try:
        come(ctx, schedule.id)
        end = datetime.now(UTC) + timedelta(seconds=20)
        while not jobs(ctx):
            assert datetime.now(UTC) < end
    finally:
        scheduler.stop()
    assert now_of(ctx, schedule.id).last_job == jobs(ctx)[0]
