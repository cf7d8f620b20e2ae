"""Several workers train one network: the same as one would, and what happens when one is lost."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from tests.ports.test_clusters import context
from tests.unit.models.test_tuning import ended, made, told
from workbench.compute import Need, clusters
from workbench.core import Cancelled, Context, Invalid, Unavailable, call_here
from workbench.core.context import Quiet
from workbench.graphs import Graph
from workbench.graphs.suggest import plain
from workbench.models import models, together
from workbench.models.estimators import Lesson
from workbench.models.networks import Network
from workbench.models.training import train_model

ROWS, COLUMNS = 512, 6


class Heard(Quiet):
    """A Reporter that keeps what it is told."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.lines: list[str] = []
        self.epochs: list[dict[str, float]] = []
        self.stop = False

    def log(self, line: str) -> None:
        self.lines.append(line)

    def metric(self, **values: float) -> None:
        self.epochs.append(values)

    def check(self) -> None:
        if self.stop:
            raise Cancelled


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    made = context(tmp_path, "local://?workers=2")
    made.job = Heard(tmp_path / "scratch")
    (tmp_path / "scratch").mkdir()
    yield made


def lesson(
    job: Any, *, task: str = "classification", rows: int = ROWS, epochs: int = 6, **training: Any
) -> Lesson:
    chance = np.random.default_rng(5)
    x = chance.normal(size=(rows, COLUMNS)).astype(np.float32)
    z = x[:, 0] - x[:, 1] * x[:, 2]
    y = (z > 0).astype(np.int64) if task == "classification" else (z * 9 + 100).astype(np.float64)
    graph: Graph = plain(2, 16, 0.0, {"batch_size": 65_536, "learning_rate": 0.01, **training})
    part = rows // 2
    return Lesson(
        task="classification" if task == "classification" else "regression",
        classes=2 if task == "classification" else 0,
        train=(x[:part], y[:part]),
        validation=(x[part:], y[part:]),
        seed=3,
        job=job,
        graph=graph,
        epochs=epochs,
    )


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_two_come_to_what_one_comes_to(ctx: Context, task: str) -> None:
    """Where a batch is all rows, their order does not matter: every figure is the same."""
    given = lesson(ctx.job, task=task)
    alone = Network.fit(replace(given, job=Quiet()))
    both = together.fit_together(ctx, given, 2)
    for name in ("loss", "validation_loss"):
        found, wanted = ([each[name] for each in net.history] for net in (both, alone))
        np.testing.assert_allclose(found, wanted, rtol=1e-4)
    features = given.validation[0]
    np.testing.assert_allclose(
        both.predict(features), alone.predict(features), rtol=1e-3, atol=1e-4
    )
    assert isinstance(ctx.job, Heard)
    told = [{k: v for k, v in each.items() if ":" not in k} for each in ctx.job.epochs]
    assert told == both.history
    assert "gradient:dense1" in ctx.job.epochs[0]
    assert not list(Path(str(ctx.job.scratch)).glob("*.checkpoint"))


def test_batches_are_shared_and_the_same_each_time(ctx: Context) -> None:
    given = lesson(ctx.job, batch_size=32, epochs=3)
    first, again = (together.fit_together(ctx, given, 2) for _ in range(2))
    assert first.history == again.history
    assert first.history[-1]["loss"] < first.history[0]["loss"]


def test_one_is_enough_where_there_are_no_more(ctx: Context, tmp_path: Path) -> None:
    single = context(tmp_path, "local://?workers=1")
    single.job = ctx.job
    fitted = together.fit_together(single, lesson(ctx.job, epochs=2), 2)
    assert fitted.history == Network.fit(lesson(Quiet(), epochs=2)).history
    assert isinstance(ctx.job, Heard) and "One worker trains it" in ctx.job.lines[0]


def test_a_worker_is_killed_and_the_next_attempt_goes_on(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last checkpoint, and it comes to what it would have come to."""
    monkeypatch.setattr("workbench.models.checkpoints.EVERY_S", 0.0)
    given = lesson(ctx.job, batch_size=8, epochs=40, patience=100)
    whole = together.fit_together(ctx, given, 2)
    heard = ctx.job = Heard(Path(str(ctx.job.scratch)))
    given = replace(given, job=heard)
    threading.Thread(target=_kill_one, args=(heard,), daemon=True).start()
    with pytest.raises(Unavailable, match="was killed"):
        together.fit_together(ctx, given, 2)
    reached = len(heard.epochs)
    assert 0 < reached < 40 and list(Path(str(heard.scratch)).glob("*.checkpoint"))
    found = together.fit_together(ctx, given, 2)
    assert any(line.startswith("Goes on after epoch") for line in heard.lines)
    assert found.history == whole.history
    assert len(heard.epochs) < reached + 40


def _kill_one(heard: Heard) -> None:
    while len(heard.epochs) < 3:
        time.sleep(0.01)
    workers = [
        each
        for each in psutil.Process().children(recursive=True)
        if "spawn_main" in " ".join(each.cmdline())
    ]
    os.kill(workers[0].pid, signal.SIGKILL)


def test_it_is_stopped(ctx: Context) -> None:
    heard = ctx.job
    assert isinstance(heard, Heard)
    given = lesson(heard, batch_size=2, epochs=5_000, patience=5_000)

    def stop() -> None:
        while not heard.epochs:
            time.sleep(0.01)
        heard.stop = True

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Cancelled):
        together.fit_together(ctx, given, 2)
    assert len(heard.epochs) < 5_000


def test_what_makes_no_sense_is_said_by_the_job(ctx: Context) -> None:
    given = lesson(ctx.job, learning_rate=10.0, epochs=50)
    given.train[0][0, 0] = np.inf
    with pytest.raises(Invalid, match="The network's loss is"):
        together.fit_together(ctx, given, 2)


def test_rows_that_do_not_fit_on_the_workers(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "ROOM", 1e-9)
    with pytest.raises(Invalid, match="Each of 2 workers would hold"):
        together.fit_together(ctx, lesson(ctx.job), 2)


def test_workers_stop_when_nobody_asks(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's process was killed, and its cluster is somebody else's."""
    monkeypatch.setattr(together, "ALONE_S", -1.0)
    saying = together.Asked()
    with pytest.raises(together.Stopped):
        saying.check()
    together.Saying().check()


@pytest.mark.parametrize(
    ("estimator", "workers", "sentence"),
    [("network", 0, "0 workers"), ("network", 65, "65 workers"), ("forest", 2, "'forest' is none")],
)
def test_workers_that_make_no_sense(
    ctx: Context, estimator: str, workers: int, sentence: str
) -> None:
    from workbench.models.preparing import Given

    given = Given("t", "y", estimator, 0, "", [], "auto")
    with pytest.raises(Invalid, match=sentence):
        train_model(ctx, given, None, None, {}, workers)


def test_a_job_behind_the_veil(tmp_path: Path) -> None:
    with made(tmp_path, {"compute.clusters": "local://?workers=2"}) as ctx:
        asked = {"product": "t", "target": "y", "workers": 2, "epochs": 3}
        job = ended(ctx, call_here(ctx.fresh(), "models.train", asked).id)
        assert job.state == "done" and job.result is not None, job.error
        model = models.get(ctx.store, ctx.project, job.result["model"])
        assert model.epochs == 3
        assert sum(bool(each.values) for each in told(ctx, job.id, "metric")) == 3
        kinds = [each.text for each in told(ctx, job.id, "progress")]
        assert any(text.startswith("epoch 3 of at most 3") for text in kinds)


def test_with_sixteen_bits(ctx: Context) -> None:
    """On a processor by bfloat16: it learns, weights have 32 bits, a checkpoint goes on."""
    given = lesson(Quiet(), epochs=30)
    exact = Network.fit(given)
    given = replace(given, graph=lesson(Quiet(), mixed_precision=1).graph)
    mixed = Network.fit(given)
    assert {each.dtype for each in mixed.module.parameters()} == {torch.float32}
    assert mixed.history != exact.history
    np.testing.assert_allclose(
        [each["loss"] for each in mixed.history],
        [each["loss"] for each in exact.history],
        rtol=0.05,
    )
    with ctx.engine(clusters).open(ctx, Need(workers=1)) as client:
        there = client.submit(Network.fit, given).result(timeout=60)
    assert there.history == mixed.history
