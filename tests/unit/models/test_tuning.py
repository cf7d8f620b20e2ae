"""Searches for settings: through the real engine, with workers of its own and a registry."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench
from tests.ports.test_clusters import gateway, scheduler
from tests.running import attempts
from workbench.core import (
    Actor,
    Context,
    Engines,
    Invalid,
    Job,
    blobs,
    call_here,
    commit,
    load_settings,
)
from workbench.core.context import Quiet
from workbench.models import Trial, models, searching, studies
from workbench.models.estimators import Lesson
from workbench.models.preparing import Given
from workbench.models.searching import SEARCHED, distributions, made_of, space
from workbench.models.settings import checked_settings
from workbench.models.trying import loss_of
from workbench.models.tuning import front, tune_model
from workbench.pipelines import ledger
from workbench.projects import resolve


@contextmanager
def made(folder: Path, urls: dict[str, str]) -> Iterator[Context]:
    """A home with the table `t`."""
    workbench.load_rooms()
    engines = Engines(load_settings(home=folder / "home", urls=urls))
    ada = Actor(name="ada")
    ctx = Context(ada, resolve(engines, ada, None), engines)
    random = np.random.default_rng(3)
    x = random.normal(size=(400, 3))
    y = np.where(x[:, 0] - x[:, 1] ** 2 + random.normal(0, 0.3, 400) > -0.5, "yes", "no")
    file = folder / "t.csv"
    z = x[:, 0] * 2 + x[:, 2]
    lines = [",".join(map(str, row)) for row in zip(*x.T, y, z, strict=True)]
    file.write_text("\n".join(["a,b,c,y,z", *lines]) + "\n")
    blob = engines.get(blobs).link(ctx.project, file)
    call_here(ctx.fresh(), "data.register", {"source": f"blob:{blob.id}", "name": "t"})
    yield ctx
    engines.close()


SLOW = {
    "layers": 4,
    "width": 512,
    "dropout": 0.5,
    "learning_rate": 1e-4,
    "weight_decay": 0.01,
    "batch_size": 32,
}
"""Settings whose training is far from its end when a worker asks whether it is to stop."""


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with made(tmp_path_factory.mktemp("tuning"), {}) as ctx:
        yield ctx


def begun(ctx: Context, **asked: Any) -> str:
    request = {"product": "t", "target": "y", "exclude": ["z"], "trials": 4, **asked}
    return str(call_here(ctx.fresh(), "models.tune", request).id)


def ended(ctx: Context, id: str) -> Job:
    until = time.monotonic() + 150
    while (job := ledger.get(ctx.store, ctx.project, id)).state in ("queued", "running"):
        assert time.monotonic() < until, job
        time.sleep(0.1)
    return job


def told(ctx: Context, id: str, kind: str) -> list[Any]:
    return [each for each in ledger.lines_after(ctx.store, id, 0) if each.kind == kind]


def runs_of(ctx: Context, study: str) -> list[Any]:
    from workbench.models.ports import registries

    client = ctx.engine(registries)._client()  # type: ignore[attr-defined]
    where = client.get_experiment_by_name(ctx.project).experiment_id
    return list(client.search_runs([where], f"tags.`workbench.study` = '{study}'"))


def test_a_search_ends_with_a_model_of_the_best_settings(ctx: Context) -> None:
    id = begun(ctx, estimator="lightgbm", trials=3)
    job = ended(ctx, id)
    assert job.state == "done", job.error
    assert job.result is not None
    study = studies.get(ctx.store, ctx.project, job.result["study"])
    model = models.get(ctx.store, ctx.project, job.result["model"])
    assert study.model == model.ref and model.study == study.id
    assert [each.number for each in study.trials] == [1, 2, 3]
    done = [each for each in study.trials if each.state == "done"]
    best = min(done, key=lambda each: each.values[0])
    assert study.best == best.number and study.front == [best.number]
    assert model.settings == pytest.approx(best.settings) and model.metrics["auc"].value > 0.8
    assert study.trials[0].settings == {
        "learning_rate": 0.05,
        "num_leaves": 7,
        "min_data_in_leaf": 20,
        "feature_fraction": 1.0,
        "lambda_l2": 1e-6,
    }
    for each in study.trials:
        for setting in space("lightgbm"):
            setting.check(each.settings[setting.name])
    assert len(told(ctx, id, "metric")) == len(done)
    runs = runs_of(ctx, study.id)
    assert sorted(each.data.tags["workbench.trial"] for each in runs) == list("123")
    assert {each.data.tags["mlflow.parentRunId"] for each in runs} == {model.run}
    losses = {int(each.data.tags["workbench.trial"]): each.data.metrics["loss"] for each in runs}
    assert losses == {each.number: each.values[0] for each in done}
    listed = call_here(ctx.fresh(), "models.list_studies", {"limit": 1})
    assert listed.items == [study]


def test_what_was_tried_stays_tried_when_the_process_is_killed(ctx: Context) -> None:
    id = begun(ctx, trials=4, workers=1, epochs=20)
    until = time.monotonic() + 100
    while len(told(ctx, id, "metric")) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    (process,) = attempts()
    process.kill()
    job = ended(ctx, id)
    assert job.state == "done", job.error
    assert job.attempt == 2 and job.result is not None
    first = {each.values["tried"]: each.values["loss"] for each in told(ctx, id, "metric")[:2]}
    study = studies.get(ctx.store, ctx.project, job.result["study"])
    assert [each.number for each in study.trials] == [1, 2, 3, 4]
    kept = {each.number: each.values[0] for each in study.trials[:2]}
    assert kept == pytest.approx(first)
    assert study.trials[0].elapsed_s > 0


def trial(number: int, *values: float) -> Trial:
    return Trial(
        number=number,
        state="done" if values else "failed",
        settings={},
        values=list(values),
        epochs=0,
        elapsed_s=0,
    )


def test_the_front_is_what_no_other_beats() -> None:
    tried = [trial(0, 2, 5), trial(1), trial(2, 1, 9), trial(3, 2, 4), trial(4, 3, 4)]
    assert front(tried) == [2, 3]
    assert front([trial(0, 2, 5), trial(1, 2, 5)]) == [0, 1]
    assert front([trial(0, 2), trial(1, 1)]) == [1]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_who_is_not_on_the_front_is_beaten_by_somebody_on_it(values: list[tuple[int, int]]) -> None:
    on = front([trial(number, *each) for number, each in enumerate(values)])
    for number, (loss, size) in enumerate(values):
        beaten = [
            each
            for each in (values[other] for other in on)
            if each[0] <= loss and each[1] <= size and each != (loss, size)
        ]
        assert (number in on) != bool(beaten)


@pytest.mark.soak
def test_two_objectives_have_a_front(ctx: Context) -> None:
    asked = {"target": "z", "exclude": ["y"], "estimator": "lightgbm", "trials": 6}
    job = ended(ctx, begun(ctx, **asked, objectives=["loss", "parameters"]))
    assert job.state == "done", job.error
    assert job.result is not None
    study = studies.get(ctx.store, ctx.project, job.result["study"])
    assert [len(each.values) for each in study.trials] == [2] * 6
    assert study.best in study.front


def test_a_network_behind_the_others_is_stopped(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a pruner that stops everything: what the search decides reaches the worker."""
    import optuna

    class Always(optuna.pruners.BasePruner):
        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            return trial.last_step is not None

    monkeypatch.setattr(optuna.pruners, "MedianPruner", lambda **_: Always())
    monkeypatch.setattr(searching, "proposed", lambda *_: SLOW)
    asked_for = Given("t", "y", "network", 0, "", ("z",), "auto")
    with pytest.raises(Invalid, match="None of 2 trials could be trained: it was behind the med"):
        tune_model(ctx.fresh(), asked_for, 2, 1, ["loss"], None)


def test_a_search_in_a_large_table_tries_on_some_rows_and_says_so(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.memory.allowed", lambda: 64 * 1024)
    monkeypatch.setattr("workbench.models.sampling.LEAST", 60)
    doing = ctx.fresh()
    asked_for = Given("t", "y", "network", 0, "", ("z",), "auto")
    result = tune_model(doing, asked_for, 2, 1, ["loss"], 3)
    commit(doing, "models.tune", {})
    study = studies.get(ctx.store, ctx.project, result["study"])
    assert [each.state for each in study.trials] == ["done"] * 2
    assert "The trials learned from 61 of 240 rows: more do not fit" in study.explained
    model = models.get(ctx.store, ctx.project, result["model"])
    assert model.split is not None and "learned from" not in model.split.explained


def test_a_search_is_cancelled_and_leaves_no_process(ctx: Context) -> None:
    before = len(models.page(ctx.store, ctx.project, limit=100, after=None).items)
    id = begun(ctx, trials=500, epochs=200)
    until = time.monotonic() + 100
    while not told(ctx, id, "metric"):
        assert time.monotonic() < until
        time.sleep(0.05)
    mine = psutil.Process().children(recursive=True)
    call_here(ctx.fresh(), "pipelines.cancel", {"id": id})
    assert ended(ctx, id).state == "cancelled"
    _, left = psutil.wait_procs(mine, timeout=15)
    assert not [each for each in left if "attempt" in " ".join(each.cmdline())]
    assert len(models.page(ctx.store, ctx.project, limit=100, after=None).items) == before


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"trials": 1}, "1 trials make no search"),
        ({"trials": 1_001}, "1001 trials make no search"),
        ({"workers": 0}, "0 workers make no sense"),
        ({"estimator": "majority"}, "'majority' has nothing to search"),
        ({"estimator": "oracle"}, "'oracle' has nothing to search"),
        ({"objectives": ["parameters"]}, r"\['parameters'\] cannot be made small"),
        ({"target": "no"}, "t has no column 'no'"),
        ({"estimator": "linear"}, "'linear' cannot learn y"),
        ({"epochs": 0}, "0 epochs make no sense"),
    ],
)
def test_a_search_that_makes_no_sense(ctx: Context, asked: dict[str, Any], sentence: str) -> None:
    said = {
        "target": "y",
        "estimator": "network",
        "trials": 4,
        "workers": 2,
        "objectives": ["loss"],
        "epochs": None,
        "task": "auto",
    } | asked
    task: Any = "classification" if said["estimator"] == "linear" else said["task"]
    asked_for = Given("t", str(said["target"]), str(said["estimator"]), 0, "", (), task)
    with pytest.raises(Invalid, match=sentence):
        tune_model(ctx.fresh(), asked_for, *(said[each] for each in list(said)[2:6]))  # type: ignore[arg-type]


@pytest.mark.parametrize("estimator", SEARCHED)
def test_every_point_of_the_space_can_be_made(estimator: str) -> None:
    import optuna

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        settings = study.ask(distributions(estimator)).params
        graph, own = made_of(estimator, settings)
        assert (graph is None) == (estimator != "network")
        if graph is None:
            assert checked_settings(estimator, own) == own == settings


@pytest.mark.parametrize(
    ("estimator", "settings", "sentence"),
    [
        ("lightgbm", {"leaves": 3}, "'lightgbm' has no setting 'leaves'"),
        ("lightgbm", {"num_leaves": 1}, "num_leaves cannot be 1"),
        ("lightgbm", {"num_leaves": 3.5}, "num_leaves cannot be 3.5"),
        ("forest", {"max_features": float("nan")}, "max_features cannot be nan"),
        ("logistic", {"C": True}, "C cannot be True"),
        ("network", {"width": 8}, "'network' has no setting 'width'"),
        ("majority", {"x": 1}, "'majority' has no setting 'x'"),
    ],
)
def test_settings_that_make_no_sense(
    estimator: str, settings: dict[str, float], sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        checked_settings(estimator, settings)


def test_the_loss_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import log_loss, root_mean_squared_error

    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 50)
    answers = random.dirichlet(np.ones(3), 50)
    empty = (np.zeros((0, 1), np.float32), np.zeros(0))
    features = np.zeros((50, 1), np.float32)
    lesson = Lesson("classification", 3, empty, (features, truth), 0, Quiet())
    assert loss_of(lesson, answers) == pytest.approx(log_loss(truth, answers))
    lesson = Lesson("regression", 0, empty, (features, truth.astype(float)), 0, Quiet())
    assert loss_of(lesson, answers[:, 0]) == pytest.approx(
        root_mean_squared_error(truth, answers[:, 0])
    )


def test_a_model_trained_with_settings_says_them(ctx: Context, tmp_path: Path) -> None:
    asked = {"product": "t", "target": "y", "estimator": "forest", "name": "set"}
    id = call_here(ctx.fresh(), "models.train", {**asked, "settings": {"n_estimators": 11}}).id
    job = ended(ctx, id)
    assert job.state == "done", job.error
    assert job.result is not None
    model = models.get(ctx.store, ctx.project, job.result["model"])
    assert model.settings == {"n_estimators": 11}


@pytest.mark.soak
@pytest.mark.parametrize("other", [partial(scheduler, scheme="tls"), gateway])
def test_a_search_on_workers_elsewhere(tmp_path: Path, other: Any) -> None:
    """Behind the veil: by TLS, with files that lie outside the home."""
    with other(tmp_path) as url, made(tmp_path, {"compute.clusters": url}) as ctx:
        job = ended(ctx, begun(ctx, estimator="logistic", trials=4))
        assert job.state == "done", job.error
        assert job.result is not None
        study = studies.get(ctx.store, ctx.project, job.result["study"])
        assert [each.state for each in study.trials] == ["done"] * 4


@pytest.mark.soak
def test_a_scheduler_that_goes_away_in_the_middle(tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(scheduler(tmp_path, "tcp"))
        with made(tmp_path, {"compute.clusters": url}) as ctx:
            id = begun(ctx, trials=500, epochs=200)
            until = time.monotonic() + 100
            while not told(ctx, id, "metric"):
                assert time.monotonic() < until
                time.sleep(0.05)
            stack.close()
            job = ended(ctx, id)
            assert job.state == "failed" and job.error is not None
            assert job.error["title"] == "Unavailable", job.error
            assert "The cluster went away while trial" in job.error["detail"]
