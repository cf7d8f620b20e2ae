"""Figures with honest intervals: 1,000 bootstrap resamples of the test rows, all at once.

A resample is a weight per row (how often it was drawn), so every metric is a weighted one, and
two models measured with the same rows and seed share their resamples: their difference is
paired. Definitions are those of scikit-learn, with which tests/unit/models compares them.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .types import Figure

RESAMPLES = 1_000
LARGER_IS_BETTER = {
    "accuracy": True,
    "balanced_accuracy": True,
    "auc": True,
    "f1": True,
    "r2": True,
    "log_loss": False,
    "brier": False,
    "rmse": False,
    "mae": False,
}

Array = np.ndarray[Any, Any]
Resampled = dict[str, Array]
"""Metric → its value on the rows themselves, then on each resample."""


def classification(
    truth: Array, probabilities: Array, positive: int | None, seed: int = 0
) -> Resampled:
    """accuracy, balanced_accuracy, auc, log_loss, brier, f1 and their resamples.

    Args:
        truth: The index of each row's class, int [rows].
        probabilities: float [rows, classes]; rows sum to 1.
        positive: The class that f1 and auc are about; None with more than two classes, where
            f1 is the mean over the classes and auc the mean of one class against the rest.
        seed: Of the resamples.
    """
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    right = (predicted == truth).astype(np.float64)
    one_hot = (truth[:, None] == np.arange(classes)).astype(np.float64)
    given = np.clip(probabilities, np.finfo(np.float64).eps, 1.0)
    losses = -np.log(given[np.arange(len(truth)), truth])
    squares = ((probabilities - one_hot) ** 2).sum(axis=1) / (2 if classes == 2 else 1)
    curves = [
        _auc_of(truth == each, probabilities[:, each])
        for each in (range(classes) if positive is None else [positive])
    ]
    guessed = (predicted[:, None] == np.arange(classes)).astype(np.float64)
    told: dict[str, list[Array]] = {}
    for weights in _weights(len(truth), seed):
        drawn = weights.sum(axis=1)
        members = weights @ one_hot
        hits = weights @ (one_hot * guessed)
        with np.errstate(invalid="ignore", divide="ignore"):
            recalls = np.where(members > 0, hits / members, np.nan)
            f1s = np.where(
                members + weights @ guessed > 0, 2 * hits / (members + weights @ guessed), 0.0
            )
        aucs = np.stack([curve(weights) for curve in curves], axis=1)
        for name, value in (
            ("accuracy", weights @ right / drawn),
            ("balanced_accuracy", _mean(recalls)),
            ("auc", _mean(aucs)),
            ("log_loss", weights @ losses / drawn),
            ("brier", weights @ squares / drawn),
            ("f1", f1s.mean(axis=1) if positive is None else f1s[:, positive]),
        ):
            told.setdefault(name, []).append(value)
    return {name: np.concatenate(parts) for name, parts in told.items()}


def regression(truth: Array, values: Array, seed: int = 0) -> Resampled:
    """The figures rmse and mae (in the target's unit) and r2, and their resamples.

    Args:
        truth: float [rows].
        values: What was predicted, float [rows].
        seed: Of the resamples.
    """
    error = values - truth
    centred = truth - truth.mean()
    told: dict[str, list[Array]] = {}
    for weights in _weights(len(truth), seed):
        drawn = weights.sum(axis=1)
        squared = weights @ error**2
        spread = weights @ centred**2 - (weights @ centred) ** 2 / drawn
        with np.errstate(invalid="ignore", divide="ignore"):
            r2 = np.where(spread > 0, 1 - squared / spread, np.nan)
        for name, value in (
            ("rmse", np.sqrt(squared / drawn)),
            ("mae", weights @ np.abs(error) / drawn),
            ("r2", r2),
        ):
            told.setdefault(name, []).append(value)
    return {name: np.concatenate(parts) for name, parts in told.items()}


def figures(resampled: Resampled) -> dict[str, Figure]:
    """Each metric with its 95 % percentile interval (Efron 1979); undefined ones are left out."""
    return {name: _figure(values) for name, values in resampled.items() if np.isfinite(values[0])}


def difference(first: Resampled, second: Resampled) -> dict[str, Figure]:
    """Second minus first, metric by metric, on the same resamples.

    Both must come from the same rows and seed.
    """
    return {
        name: _figure(second[name] - values)
        for name, values in first.items()
        if name in second and np.isfinite(values[0]) and np.isfinite(second[name][0])
    }


def _figure(values: Array) -> Figure:
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (values[0], values[0])
    return Figure(value=float(values[0]), low=float(low), high=float(high))


def _weights(rows: int, seed: int) -> Iterator[Array]:
    """Weights float [resamples, rows], a block at a time; the very first row is all ones.

    Above 50,000 rows fewer resamples (100 at least): the intervals are narrow by then.
    """
    yield np.ones((1, rows))
    random = np.random.default_rng(seed)
    left = int(np.clip(50_000_000 // rows, 100, RESAMPLES))
    block = max(1, 500_000 // rows)
    while left > 0:
        count = min(block, left)
        drawn = random.integers(0, rows, size=(count, rows))
        drawn += np.arange(count)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(float)
        left -= count


def _auc_of(member: Array, score: Array) -> Callable[[Array], Array]:
    """The area under the ROC curve as a function of weights: Mann-Whitney U, ties count half."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    inside = member[order].astype(np.float64)

    def area(weights: Array) -> Array:
        drawn = weights[:, order]
        positives = np.add.reduceat(drawn * inside, starts, axis=1)
        negatives = np.add.reduceat(drawn * (1 - inside), starts, axis=1)
        below = np.cumsum(negatives, axis=1) - negatives / 2
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (positives * below).sum(axis=1) / pairs
        return np.where(pairs > 0, found, np.nan)

    return area


def _mean(values: Array) -> Array:
    """The mean of each row over what is defined; NaN where nothing is."""
    there = np.isfinite(values)
    total, count = np.where(there, values, 0.0).sum(axis=1), there.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
