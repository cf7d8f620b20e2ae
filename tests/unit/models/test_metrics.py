"""Figures are scikit-learn's, with intervals that cover and differences that are paired."""

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.models import metrics
from workbench.models.splits import split_rows
from workbench.models.verdicts import judge


def drawn(classes: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    # Rounded: scores with many ties.
    given = random.dirichlet(np.ones(classes), rows).round(1) + 0.01
    given /= given.sum(axis=1, keepdims=True)
    noise = random.integers(0, classes, rows)
    truth = np.where(random.random(rows) < 0.5, given.argmax(axis=1), noise)
    return np.r_[np.arange(classes), truth[classes:]], given


@pytest.mark.parametrize("seed", range(4))
def test_two_classes_agree_with_scikit_learn(seed: int) -> None:
    truth, given = drawn(2, 150, seed)
    said = given.argmax(axis=1)
    found = {
        k: v.value for k, v in metrics.figures(metrics.classification(truth, given, 1)).items()
    }
    assert found == pytest.approx(
        {
            "accuracy": reference.accuracy_score(truth, said),
            "balanced_accuracy": reference.balanced_accuracy_score(truth, said),
            "auc": reference.roc_auc_score(truth, given[:, 1]),
            "log_loss": reference.log_loss(truth, given),
            "brier": reference.brier_score_loss(truth, given[:, 1]),
            "f1": reference.f1_score(truth, said),
        }
    )


@pytest.mark.parametrize("seed", range(4))
def test_more_classes_agree_with_scikit_learn(seed: int) -> None:
    truth, given = drawn(4, 150, seed)
    said = given.argmax(axis=1)
    found = metrics.figures(metrics.classification(truth, given, None))
    assert {k: v.value for k, v in found.items()} == pytest.approx(
        {
            "accuracy": reference.accuracy_score(truth, said),
            "balanced_accuracy": reference.balanced_accuracy_score(truth, said),
            "auc": reference.roc_auc_score(truth, given, multi_class="ovr"),
            "log_loss": reference.log_loss(truth, given),
            "brier": reference.brier_score_loss(truth, given),
            "f1": reference.f1_score(truth, said, average="macro"),
        }
    )


def test_regressions_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(50, 9, 100)
    given = truth + random.normal(0, 3, 100)
    found = {k: v.value for k, v in metrics.figures(metrics.regression(truth, given)).items()}
    assert found == pytest.approx(
        {
            "rmse": reference.root_mean_squared_error(truth, given),
            "mae": reference.mean_absolute_error(truth, given),
            "r2": reference.r2_score(truth, given),
        }
    )


def test_intervals_are_the_same_each_time_and_near_the_textbook() -> None:
    truth, given = drawn(2, 400, 1)
    first = metrics.figures(metrics.classification(truth, given, 1))["accuracy"]
    again = metrics.figures(metrics.classification(truth, given, 1))["accuracy"]
    assert first == again
    spread = 1.96 * np.sqrt(first.value * (1 - first.value) / 400)
    assert first.high - first.value == pytest.approx(spread, rel=0.15)
    assert first.value - first.low == pytest.approx(spread, rel=0.15)


def test_a_paired_difference_is_narrower_than_its_parts() -> None:
    truth, given = drawn(2, 400, 2)
    near = np.clip(given + 0.01, 0, 1) / np.clip(given + 0.01, 0, 1).sum(axis=1, keepdims=True)
    one, two = (metrics.classification(truth, each, 1) for each in (given, near))
    gap = metrics.difference(one, two)["log_loss"]
    alone = metrics.figures(one)["log_loss"]
    assert gap.high - gap.low < (alone.high - alone.low) / 5


def test_the_verdict_is_honest() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=500)
    good, bad = truth + random.normal(0, 0.1, 500), truth + random.normal(0, 0.5, 500)
    told = {"network": metrics.regression(truth, bad), "linear": metrics.regression(truth, good)}
    assert "linear is better by" in judge("network", told, 500)
    assert "linear is better by" in judge("linear", told, 500)
    alike = good + random.normal(0, 1e-4, 500)
    told["network"] = metrics.regression(truth, alike)
    assert "could be chance, so the simpler linear would do" in judge("network", told, 500)


@settings(max_examples=50, deadline=None)
@given(st.integers(3, 400), st.integers(-(2**40), 2**70), st.integers(1, 4))
def test_each_row_is_in_one_part_and_the_seed_decides(rows: int, seed: int, groups: int) -> None:
    positions = np.arange(rows) * 3
    classes = np.arange(rows) % groups
    parts = split_rows(positions, seed, classes)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together) == positions.tolist()
    again = split_rows(positions, seed, classes)
    assert np.array_equal(parts.test, again.test)
    for group in range(groups):
        members = int((classes == group).sum())
        if members >= 3:
            held = int((classes[parts.test // 3] == group).sum())
            assert held == (round(members * 0.2) or 1)


def test_another_seed_is_another_split() -> None:
    positions = np.arange(1000)
    one, two = split_rows(positions, 0), split_rows(positions, 1)
    shared = len(set(one.test.tolist()) & set(two.test.tolist()))
    assert 10 < shared < 80, "about 40 of 200 by chance"
