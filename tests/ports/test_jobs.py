"""What every engine of `pipelines.jobs` must do. A new one adds a URL, no test."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

import workbench
from tests.jobs import climb, demo_room, ended, job_of, outcomes, start, told, until
from tests.postgres import Postgres
from workbench.core import (
    Actor,
    Conflict,
    Context,
    Engines,
    Invalid,
    Job,
    blobs,
    call_here,
    load_settings,
)
from workbench.core.events import tail
from workbench.core.jobs import runner
from workbench.pipelines import Line, ledger
from workbench.projects import resolve


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with demo_room(tmp_path, monkeypatch) as module:
        yield module


@pytest.fixture(params=["sqlite:///", "postgresql://"], ids=["sqlite", "postgresql"])
def ctx(request: pytest.FixtureRequest, tmp_path: Path, room: str) -> Iterator[Context]:
    workbench.load_rooms([room])
    url = str(request.param)
    if url.startswith("postgresql"):
        server: Postgres = request.getfixturevalue("postgres")
        url = server.database()
    urls = {"core.store": url, "pipelines.jobs": f"dbos+{url}"}
    engines = Engines(load_settings(home=tmp_path / "home", urls=urls, rooms=[room]))
    ada = Actor(name="ada")
    yield Context(ada, resolve(engines, ada, None), engines)
    engines.close()


def test_a_job_runs_and_tells_what_came_of_it(ctx: Context, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = "".join(f"{i},{i % 7},{'yes' if i % 7 > 3 else 'no'}\n" for i in range(120))
    table.write_text("a,b,c\n" + rows)
    blob = ctx.engine(blobs).link(ctx.project, table)
    product = call_here(
        ctx.fresh(), "data.register", {"source": f"blob:{blob.id}", "name": "things"}
    )
    asked = {"product": product.id, "target": "c"}
    job = call_here(ctx.fresh(), "models.train", asked, key="one")
    assert call_here(ctx.fresh(), "models.train", asked, key="one").id == job.id
    until = time.monotonic() + 300
    while (now := call_here(ctx.fresh(), "pipelines.get_job", {"id": job.id})).state in (
        "queued",
        "running",
    ):
        assert time.monotonic() < until, now
        time.sleep(0.2)
    assert now.state == "done", now.error
    assert str(now.result["model"]).startswith("mdl_")


def test_what_a_step_answered_is_kept_for_the_next_attempt(ctx: Context) -> None:
    job, effects = climb(ctx, die_in=[1, 3])
    assert job.state == "done", job.error
    assert job.result == {"attempts": [1, 2, 2, 3, 3]} and effects == list("01234")
    assert told(ctx, job.id)[:1] == ["nothing kept"]
    assert [x for x in told(ctx, job.id) if x.startswith("kept")] == [
        "kept after 0",
        "kept after 2",
    ]
    until(lambda: not (ctx.folder / "scratch" / job.id).exists())
    with ctx.store.read() as connection:
        assert not connection.execute(sa.select(ledger.steps)).all()


def test_a_step_whose_answer_was_not_yet_kept_is_done_again_by_the_same_key(ctx: Context) -> None:
    job, effects = climb(ctx, die_in=[2], after=True)
    assert job.state == "done" and sorted(set(effects)) == list("01234")
    assert effects == ["0", "1", "2", "2", "3", "4"]


def test_a_fenced_off_attempt_keeps_no_step(ctx: Context) -> None:
    id = start(ctx, steps=200)
    until(lambda: job_of(ctx, id).state == "running")
    now = ctx.now()
    with ctx.store.begin() as tx:
        assert not ledger.keep_step(tx, id, 0, "old", now, {})
        assert ledger.keep_step(tx, id, 1, "new", now, None)
    assert ledger.step_of(ctx.store, id, "old") is None
    row = ledger.step_of(ctx.store, id, "new")
    assert row is not None and row.answer is None
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"
    assert ledger.step_of(ctx.store, id, "new") is None


def test_a_job_runs_tells_and_ends(ctx: Context) -> None:
    id = start(ctx, steps=4)
    assert job_of(ctx, id).state in ("queued", "running")
    done = ended(ctx, id)
    assert (done.state, done.progress, done.result) == ("done", 1.0, {"thing": "thg_1"})
    told = ledger.lines_after(ctx.store, id, 0)
    assert [each.seq for each in told] == list(range(1, len(told) + 1))
    assert [x.values["loss"] for x in told if x.kind == "metric"] == [1, 1 / 2, 1 / 3, 1 / 4]
    assert [x.text for x in told if x.kind == "state"] == ["queued", "running", "done"]
    assert outcomes(ctx, id) == ["queued", "done"]


@pytest.mark.parametrize(
    ("then", "title", "sentence"),
    [
        ("invalid", "Invalid", "The steps 7 make no sense."),
        ("bug", "Bug", "demo.work failed in a way we did not foresee"),
        ("die", "Unavailable", "demo.work was killed after 'step 3 of 3'"),
        ("answer itself", "Refused", "demo.work answered what cannot be kept: Object of type Con"),
        ("answer nan", "Refused", "demo.work answered what cannot be kept: Out of range float"),
        ("answer nothing", "Refused", "demo.work answered what cannot be kept: it is a NoneType"),
        ("keep itself", "Refused", "The step 'all of it' answered what cannot be kept: Object of"),
    ],
)
def test_a_job_that_fails_says_why(ctx: Context, then: str, title: str, sentence: str) -> None:
    id = start(ctx, then=then, pause_s=0.3)
    failed = ended(ctx, id)
    assert failed.state == "failed" and failed.error is not None
    assert failed.error["title"] == title and sentence in failed.error["detail"]
    assert failed.error["hint"]
    assert outcomes(ctx, id) == ["queued", "failed"]


def test_a_job_whose_process_is_killed_is_tried_again(ctx: Context) -> None:
    """By another attempt, and what comes of it comes once."""
    id = start(ctx, then="die once")
    done = ended(ctx, id)
    assert (done.state, done.attempt, done.result) == ("done", 2, {"thing": "thg_1"})
    assert told(ctx, id) == ["the process was killed; it is tried again in 1 s"]
    states = [x.text for x in ledger.lines_after(ctx.store, id, 0) if x.kind == "state"]
    assert states == ["queued", "running", "running", "done"]
    assert outcomes(ctx, id) == ["queued", "done"]


def test_a_job_that_is_killed_each_time_fails_at_last(ctx: Context) -> None:
    id = start(ctx, then="die", steps=1)
    failed = ended(ctx, id)
    assert failed.state == "failed" and failed.error is not None and failed.attempt == 3
    assert "3 times" in failed.error["detail"] and "MiB" in failed.error["detail"]


def test_what_a_job_used_is_on_the_record(ctx: Context) -> None:
    id = start(ctx, steps=2)
    ended(ctx, id)
    (event,) = [
        e
        for e in tail(ctx.store, project=ctx.project)
        if e.refs.get("job") == id and e.outcome == "done"
    ]
    assert 0 < event.refs["cpu_s"] < 60
    assert 10 < event.refs["peak_mb"] < 4000


def test_what_attempts_used_that_were_killed_is_on_the_record(ctx: Context) -> None:
    """As far as it was seen, twice a second."""
    asked = {"leave": "time then death"}
    job = ended(ctx, str(call_here(ctx.fresh(), "demo.mark", asked).id))
    assert job.state == "failed" and job.attempt == 3
    (event,) = [e for e in tail(ctx.store, project=ctx.project) if e.outcome == "failed"]
    assert 3 * 1.0 < event.refs["cpu_s"] < 3 * 4.0
    assert event.refs["peak_mb"] > 10


def test_one_job_does_not_wait_for_the_many_of_another_project(ctx: Context) -> None:
    many = [start(ctx, steps=2) for _ in range(6)]
    bob = Actor(name="bob")
    other = Context(bob, resolve(ctx.engines, bob, None), ctx.engines)
    one = call_here(other, "demo.work", {"steps": 1}).id
    done = until(
        lambda: (j := ledger.get(ctx.store, other.project, one)).state == "done" and j.finished_at,
        60,
    )
    until(lambda: all(job_of(ctx, id).state == "done" for id in many), 120)
    later = [id for id in many if job_of(ctx, id).finished_at > done]
    assert len(later) >= len(many) - 2


def waiting(ctx: Context, project: str, count: int = 1, **more: Any) -> list[str]:
    """Jobs that are stored, and that nobody begins."""
    ids = []
    for _ in range(count):
        job = ctx.engine(runner).plan(ctx, "demo.work", {})
        ids.append(job.id)
        with ctx.store.begin() as tx:
            ctx.engine(runner).put(tx, job.model_copy(update={"project": project, **more}))
    # Those of one millisecond are in no order.
    return sorted(ids)


def next_jobs(ctx: Context, count: int, taken: Sequence[str] = ()) -> list[str]:
    return ledger.next_jobs(ctx.store, count, taken, ctx.now())


def test_the_oldest_of_the_project_with_fewest_at_work_is_next(ctx: Context) -> None:
    a, b, c = waiting(ctx, "a", 1000), waiting(ctx, "b", 2), waiting(ctx, "c")
    assert next_jobs(ctx, 1) == a[:1]
    assert next_jobs(ctx, 1, a[:1]) == b[:1]
    assert next_jobs(ctx, 5) == [a[0], b[0], c[0], a[1], b[1]]
    assert next_jobs(ctx, 2, [*a[:2], b[0]]) == [c[0], b[1]]
    assert next_jobs(ctx, 3, [*a, *b, *c]) == []
    # With room for one at a time, turns go round.
    for expected in (a[0], b[0], c[0], a[1], b[1], a[2], a[3]):
        (id,) = next_jobs(ctx, 1)
        assert id == expected
        with ctx.store.begin() as tx:
            ledger.begin_attempt(tx, id, ctx.now(), "")


def test_what_is_urgent_comes_first_in_its_own_project_alone(ctx: Context) -> None:
    a, b = waiting(ctx, "a", 2), waiting(ctx, "b")
    low, high = waiting(ctx, "a", priority="low"), waiting(ctx, "a", priority="high")
    assert next_jobs(ctx, 5) == [b[0], high[0], *a, low[0]]
    with ctx.store.begin() as tx:
        tx.execute(sa.delete(ledger.jobs).where(ledger.jobs.c.project.in_(["a", "b"])))
    first, second = waiting(ctx, ctx.project, 2)
    raised = update(ctx, second, priority="high")
    assert raised.priority == job_of(ctx, second).priority == "high"
    assert next_jobs(ctx, 2) == [second, first]


def update(ctx: Context, id: str, **terms: Any) -> Job:
    job: Job = call_here(ctx.fresh(), "pipelines.update_job", {"id": id, **terms})
    return job


def test_a_job_that_runs_too_long_is_stopped_and_says_so(ctx: Context) -> None:
    id = start(ctx, steps=1000)
    update(ctx, id, timeout_s=1)
    failed = ended(ctx, id)
    assert failed.state == "failed" and failed.error is not None
    assert failed.error["detail"] == "demo.work ran longer than 1 s and was stopped."
    assert failed.attempt == 1 and outcomes(ctx, id)[-1] == "failed"
    again = call_here(ctx.fresh(), "pipelines.retry", {"id": id})
    assert again.timeout_s == 1
    assert ended(ctx, again.id).state == "failed"


def test_a_job_that_runs_too_long_and_does_not_hear_is_killed(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.pipelines.engine.GRACE_S", 0.5)
    id = start(ctx, steps=1, then="hang")
    update(ctx, id, timeout_s=1)
    failed = ended(ctx, id)
    assert failed.state == "failed" and failed.error is not None
    assert failed.error["detail"] == "demo.work ran longer than 1 s and was stopped."


def test_what_fails_for_a_reason_that_may_pass_is_tried_again(ctx: Context) -> None:
    id = start(ctx, then="bug once", steps=10)
    update(ctx, id, retries=3)
    done = ended(ctx, id)
    assert (done.state, done.attempt, done.failures) == ("done", 2, 1)
    assert told(ctx, id)[0].startswith("it failed, and is tried again in 1 s: demo.work failed in")
    states = [x.text for x in ledger.lines_after(ctx.store, id, 0) if x.kind == "state"]
    assert states == ["queued", "running", "queued", "running", "done"]
    assert outcomes(ctx, id) == ["queued", "done"]


def test_it_is_tried_again_as_often_as_was_said_and_later_each_time(ctx: Context) -> None:
    id = start(ctx, then="bug", steps=10)
    update(ctx, id, retries=2)
    failed = ended(ctx, id)
    assert (failed.state, failed.attempt, failed.failures) == ("failed", 3, 2)
    waits = [x.text.partition(" s: ")[0].rpartition(" ")[2] for x in log_of(ctx, id)]
    assert waits == ["1", "2"]


def log_of(ctx: Context, id: str) -> list[Line]:
    return [x for x in ledger.lines_after(ctx.store, id, 0) if x.kind == "log"]


def test_what_makes_no_sense_is_not_tried_again(ctx: Context) -> None:
    id = start(ctx, then="invalid", steps=10)
    update(ctx, id, retries=3)
    failed = ended(ctx, id)
    assert (failed.state, failed.attempt, failed.failures) == ("failed", 1, 0)


def test_one_that_waits_to_be_tried_again_can_be_stopped(ctx: Context) -> None:
    id = start(ctx, then="bug", steps=10)
    update(ctx, id, retries=3)
    until(lambda: job_of(ctx, id).failures == 2)
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"
    time.sleep(2.5)
    assert job_of(ctx, id).attempt == 2


def test_a_clock_that_is_set_back_makes_nothing_wait_for_it(ctx: Context) -> None:
    (id,), now = waiting(ctx, "a"), ctx.now()
    for seconds, due in ((-1, True), (0, True), (1, False), (299, False), (3600, True)):
        later = (now + timedelta(seconds=seconds)).isoformat()
        with ctx.store.begin() as tx:
            tx.execute(sa.update(ledger.jobs).values(begin_after=later))
        assert ledger.next_jobs(ctx.store, 1, [], now) == ([id] if due else [])
        assert ledger.next_due(ctx.store, now) == (None if due else seconds)


def test_one_that_waits_to_be_tried_again_outlives_the_studio(ctx: Context) -> None:
    id = start(ctx, then="bug once", steps=10)
    update(ctx, id, retries=1)
    until(lambda: job_of(ctx, id).failures == 1)
    ctx.engine(runner).close()
    assert job_of(ctx, id).state == "queued"
    ctx.engine(runner).launch(ctx.engines)
    done = ended(ctx, id)
    assert (done.state, done.attempt) == ("done", 2)


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        ({"retries": -1}, "-1 retries make no sense"),
        ({"retries": 21}, "21 retries"),
        ({"timeout_s": 0}, "may run for 0 s"),
        ({"timeout_s": 1e9}, r"may run for 1e\+09 s"),
        ({"timeout_s": float("nan")}, "may run for nan s"),
        ({"priority": "most"}, "priority 'most'"),
    ],
)
def test_terms_that_make_no_sense(ctx: Context, terms: dict[str, Any], sentence: str) -> None:
    (id,) = waiting(ctx, ctx.project)
    with pytest.raises(Invalid, match=sentence):
        update(ctx, id, **terms)
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    with pytest.raises(Conflict, match="has ended"):
        update(ctx, id, retries=1)


def test_cancelling_ends_the_process(ctx: Context, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    id = start(ctx, steps=1000, pause_s=0.05, file=str(file))
    pid = int(until(lambda: file.exists() and file.read_text()).split()[0])
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"
    until(lambda: not psutil.pid_exists(pid), 15)
    with pytest.raises(Conflict, match="is cancelled already"):
        call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    again = call_here(ctx.fresh(), "pipelines.retry", {"id": id})
    call_here(ctx.fresh(), "pipelines.cancel", {"id": again.id})
    assert ended(ctx, again.id).state == "cancelled"


def test_a_job_that_ignores_the_request_to_stop_is_killed(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.pipelines.engine.GRACE_S", 0.5)
    id = start(ctx, then="hang")
    until(lambda: job_of(ctx, id).progress == 1.0)
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"


def test_an_older_attempt_cannot_commit(ctx: Context) -> None:
    id = start(ctx, steps=40)
    until(lambda: job_of(ctx, id).attempt == 1)
    with ctx.store.begin() as tx:
        tx.execute(sa.update(ledger.jobs).where(ledger.jobs.c.id == id).values(attempt=2))
    with pytest.raises(Conflict), ctx.store.begin() as tx:
        ledger.finish(tx, id, ctx.now(), "done", attempt=1, result={})
    with ctx.store.begin() as tx:
        ledger.ask_to_stop(tx, id)
