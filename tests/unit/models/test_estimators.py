"""Estimators: the same seed, the same weights; what is read back answers the same; no pickle."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.core import Invalid, Refused
from workbench.core.context import Quiet
from workbench.graphs import suggest
from workbench.models.estimators import (
    CLASSIFIERS,
    REGRESSORS,
    Lesson,
    fit_estimator,
    load_estimator,
)

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(240, 5)).astype(np.float32)
VALUES = FEATURES[:, 0] * 3 - FEATURES[:, 1] + RANDOM.normal(0, 0.3, 240)


class Heard(Quiet):
    def __init__(self) -> None:
        self.told: list[dict[str, float]] = []

    def metric(self, **values: float) -> None:
        self.told.append(values)


def lesson(classes: int, **given: Any) -> Lesson:
    edges = np.quantile(VALUES, np.linspace(0, 1, classes + 1)[1:-1]) if classes else []
    target = np.digitize(VALUES, edges) if classes else VALUES
    task: Any = "classification" if classes else "regression"
    chosen: dict[str, Any] = {"graph": suggest(5, 240, task), "epochs": 12, "job": Quiet()} | given
    return Lesson(
        task=task,
        classes=classes,
        train=(FEATURES[:160], target[:160]),
        validation=(FEATURES[160:], target[160:]),
        seed=3,
        **chosen,
    )


class Killed(Exception):
    pass


class Attempt(Quiet):
    """A job's attempt that is killed when an epoch has been told."""

    def __init__(self, scratch: Path, killed_in: int = 0) -> None:
        self.scratch, self.killed_in = scratch, killed_in
        self.lines: list[str] = []
        self.epochs: list[int] = []

    def log(self, line: str) -> None:
        self.lines.append(line)

    def metric(self, **values: float) -> None:
        self.epochs.append(int(values["epoch"]))
        if values["epoch"] == self.killed_in:
            raise Killed


@pytest.mark.parametrize("classes", [0, 3])
def test_a_training_goes_on_after_its_last_checkpoint(
    classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.checkpoints.EVERY_S", 0.0)
    whole = fit_estimator("network", lesson(classes))
    for killed_in in (1, 5, 9):
        with pytest.raises(Killed):
            fit_estimator("network", lesson(classes, job=Attempt(tmp_path, killed_in)))
    last = Attempt(tmp_path)
    fitted = fit_estimator("network", lesson(classes, job=last))
    assert last.lines[0] == "Goes on after epoch 8, where a checkpoint was."
    assert last.epochs[0] == 9
    assert np.array_equal(fitted.predict(FEATURES), whole.predict(FEATURES))
    assert fitted.history == whole.history and fitted.epochs == whole.epochs
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_something_else_or_a_torn_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.checkpoints.EVERY_S", 0.0)
    with pytest.raises(Killed):
        fit_estimator("network", lesson(3, job=Attempt(tmp_path, 4)))
    other = Attempt(tmp_path)
    fit_estimator("network", lesson(0, job=other))
    assert other.epochs[0] == 1
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    last = Attempt(tmp_path)
    fit_estimator("network", lesson(3, job=last))
    assert last.epochs[0] == 1
    assert last.lines[0].startswith("The checkpoint cannot be read, and is not used")


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("workbench.models.checkpoints.EVERY_S", 0.0)
    monkeypatch.setattr("os.fsync", full)
    job = Attempt(tmp_path)
    assert fit_estimator("network", lesson(3, job=job)).epochs
    assert job.lines[0] == "No checkpoint could be written: No space left on device."
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("kind", sorted({*CLASSIFIERS, *REGRESSORS}))
def test_what_is_read_back_answers_the_same(kind: str, classes: int, tmp_path: Path) -> None:
    if kind not in (CLASSIFIERS if classes else REGRESSORS):
        with pytest.raises(Invalid, match=repr(kind)):
            fit_estimator(kind, lesson(classes))
        return
    fitted = fit_estimator(kind, lesson(classes))
    fitted.save(tmp_path)
    answers = fitted.predict(FEATURES)
    assert np.array_equal(load_estimator(tmp_path).predict(FEATURES), answers)
    if classes:
        assert answers.shape == (240, classes)
        assert np.allclose(answers.sum(axis=1), 1)
    else:
        assert answers.shape == (240,)
    assert fitted.parameters > 0
    for file in tmp_path.iterdir():
        assert file.read_bytes()[:1] != b"\x80", f"{file.name} is a pickle"
        if zipfile.is_zipfile(file):
            assert not [each for each in zipfile.ZipFile(file).namelist() if "pkl" in each]


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    one, two = (fit_estimator("network", lesson(2)) for _ in range(2))
    first, second = (each.module.state_dict() for each in (one, two))  # type: ignore[attr-defined]
    assert all(bool((first[name] == second[name]).all()) for name in first)
    import dataclasses

    other = fit_estimator("network", dataclasses.replace(lesson(2), seed=4))
    assert not np.array_equal(other.predict(FEATURES), one.predict(FEATURES))


def test_training_stops_early_and_keeps_the_best_weights() -> None:
    heard = Heard()
    graph = suggest(5, 240, "classification")
    graph = graph.model_copy(update={"training": {**graph.training, "patience": 3}})
    asked = lesson(2, graph=graph, epochs=300, job=heard)
    fitted = fit_estimator("network", asked)
    assert 3 < len(heard.told) < 300
    losses = [each["validation_loss"] for each in heard.told]
    assert fitted.epochs == pytest.approx(int(np.argmin(losses)) + 1, abs=3)
    held, target = asked.validation
    loss = -np.log(fitted.predict(held)[np.arange(len(target)), target]).mean()
    assert loss == pytest.approx(losses[fitted.epochs - 1], abs=1e-5)
    assert loss == pytest.approx(min(losses), abs=1e-4)


def test_a_loss_that_explodes_says_so() -> None:
    graph = suggest(5, 240, "regression")
    graph = graph.model_copy(
        update={"training": {**graph.training, "learning_rate": 10.0, "weight_decay": 10.0}}
    )
    with pytest.raises(Invalid, match="loss is") as caught:
        fit_estimator("network", lesson(0, graph=graph, epochs=200))
    assert "learning_rate" in caught.value.hint


@pytest.mark.parametrize("classes", [0, 3])
def test_onnx_answers_what_torch_answers(classes: int) -> None:
    import onnxruntime

    from workbench.models.exports import answer_of, network_to_onnx

    fitted = fit_estimator("network", lesson(classes))
    proto = network_to_onnx(fitted, 5)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for rows in (1, 7, 240):
        theirs = answer_of(session, FEATURES[:rows])
        assert np.allclose(theirs, fitted.predict(FEATURES[:rows]), atol=1e-5)


def test_skops_with_types_of_somebody_is_refused(tmp_path: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    from workbench.models.estimators import load_skops

    skops.io.dump(FunctionTransformer(func=print), tmp_path / "bad.skops")
    with pytest.raises(Refused, match="print"):
        load_skops(tmp_path / "bad.skops", ())
