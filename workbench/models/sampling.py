"""What learns with everything in memory learns from as many rows as fit, and says so."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .room import room, told

if TYPE_CHECKING:
    from .estimators import Lesson

LEAST = 200
"""Rows that are learned from however little room there is."""

Array = np.ndarray[Any, Any]


def fitting(kind: str, lesson: "Lesson") -> "Lesson":
    """The lesson with as many of its rows as an estimator of this kind has room for.

    They are drawn by the lesson's seed, class by class, and stay in their order; the same room
    gives the same rows.
    """
    share = _share(kind, lesson)
    if share == 1:
        return lesson
    train = _part(lesson.train, share, lesson)
    if not _stops_early(kind):
        return replace(lesson, train=train)
    return replace(lesson, train=train, validation=_part(lesson.validation, share, lesson))


def fewer(kind: str, lesson: "Lesson") -> str:
    """A sentence that says from how many rows `fitting` lets it learn; empty if from all."""
    share = _share(kind, lesson)
    if share == 1:
        return ""
    return _said(f"{kind} learned", len(_rows(lesson.train[1], share, lesson)), lesson)


def carried(kind: str, lesson: "Lesson") -> tuple["Lesson", str]:
    """A lesson that can be sent to others: of rows in mapped files, as many as fit.

    Returns:
        The lesson, all of it in memory, and a sentence if it has not all the rows.
    """
    if not isinstance(lesson.train[0], np.memmap):
        return lesson, ""
    # Held here, packed for the way, and unpacked there.
    packed = 12.0 * lesson.train[0].shape[1]
    share = _share(kind, lesson, packed)
    parts = [_part(each, share, lesson) for each in (lesson.train, lesson.validation)]
    said = _said("The trials learned", len(parts[0][1]), lesson) if share < 1 else ""
    return replace(lesson, train=parts[0], validation=parts[1]), said


def _said(opening: str, rows: int, lesson: "Lesson") -> str:
    return (
        f"{opening} from {rows:,} of {len(lesson.train[1]):,} rows: more do not fit in the "
        f"{told()} a job may hold."
    )


def _share(kind: str, lesson: "Lesson", packed: float = 0.0) -> float:
    """Of the rows: how many there is room for, at most 1."""
    rows = len(lesson.train[1])
    held = rows + (len(lesson.validation[1]) if packed or _stops_early(kind) else 0)
    need = held * max(_bytes_of_a_row(kind, lesson), packed)
    return min(1.0, max(room() / need, LEAST / rows)) if need else 1.0


def _part(part: tuple[Array, Array], share: float, lesson: "Lesson") -> tuple[Array, Array]:
    features, values = part
    rows = _rows(values, share, lesson)
    return np.asarray(features[rows]), values[rows]


def _rows(values: Array, share: float, lesson: "Lesson") -> Array:
    random = np.random.default_rng(lesson.seed)
    kept = np.zeros(len(values), dtype=bool)
    for group in range(max(lesson.classes, 1)):
        member = np.flatnonzero(values == group) if lesson.classes else np.arange(len(values))
        # At least one of each: an estimator must have seen every class it can answer.
        count = min(len(member), int(np.ceil(len(member) * share)))
        kept[random.choice(member, count, replace=False, shuffle=False)] = True
    return np.flatnonzero(kept)


def _stops_early(kind: str) -> bool:
    """Whether it holds the rows that stop the training as well."""
    return kind == "lightgbm"


def _bytes_of_a_row(kind: str, lesson: "Lesson") -> float:
    """What one row costs while an estimator learns; 0 if it holds none in memory."""
    columns, outputs = int(lesson.train[0].shape[1]), max(lesson.classes, 1)
    if kind == "lightgbm":
        # The numbers, and all that its bins are made from, in float64 and twice.
        return 20.0 * columns + 40 * outputs
    if kind in ("logistic", "linear"):
        # The numbers, in float64, and centred.
        return (14.0 if kind == "logistic" else 22.0) * columns + 40 * outputs
    if kind == "forest":
        settings = {"n_estimators": 200.0, "min_samples_leaf": 3.0, **lesson.settings}
        nodes = settings["n_estimators"] / settings["min_samples_leaf"]
        return 16.0 * columns + nodes * (64 + 8 * outputs)
    return 0.0
