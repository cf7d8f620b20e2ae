"""What jobs have used is summed from the events of their end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workbench.compute import usage
from workbench.core import Context, Invalid
from workbench.core.events import append

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def end(ctx: Context, action: str, outcome: str, days_ago: float, **refs: Any) -> None:
    with ctx.store.begin() as tx:
        append(
            tx,
            at=NOW - timedelta(days=days_ago),
            trace="trc_1",
            project=refs.pop("project", ctx.project),
            actor="person:ada",
            action=action,
            outcome=outcome,
            request="sha256:0",
            refs=refs,
        )


@pytest.fixture
def then(ctx: Context) -> Context:
    return Context(ctx.actor, ctx.project, ctx.engines, now=lambda: NOW)


def test_usage_is_summed_by_action(then: Context) -> None:
    end(then, "models.train", "done", 1, job="a", cpu_s=10.5, peak_mb=300)
    end(then, "models.train", "failed", 2, job="b", cpu_s=1.25, peak_mb=900)
    end(then, "models.tune", "cancelled", 3, job="c", cpu_s=60, peak_mb=500)
    end(then, "models.train", "done", 31, job="d", cpu_s=1000, peak_mb=9000)
    end(then, "models.train", "done", 1, project="prj_other", cpu_s=1000, peak_mb=9000)
    end(then, "models.train", "queued", 1, job="e")
    end(then, "data.register", "done", 1, product="prd_1@0")
    found = usage(then)
    assert (found.jobs, found.cpu_s, found.peak_mb) == (3, 71.75, 900)
    assert [(each.action, each.jobs, each.cpu_s) for each in found.actions] == [
        ("models.tune", 1, 60.0),
        ("models.train", 2, 11.75),
    ]
    assert found.since == datetime(2026, 10, 27, tzinfo=UTC)
    assert usage(then, days=2).jobs == 2


def test_nothing_was_used(then: Context) -> None:
    found = usage(then)
    assert (found.jobs, found.cpu_s, found.peak_mb, found.actions) == (0, 0.0, 0.0, [])


@pytest.mark.parametrize("days", [0, -1, 3_651])
def test_days_that_make_no_sense(then: Context, days: int) -> None:
    with pytest.raises(Invalid, match=f"{days} days make no sense"):
        usage(then, days=days)
