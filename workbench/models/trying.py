"""One trial, on a worker: settings in, losses out."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workbench.core import WorkbenchError
from workbench.core.context import Quiet

from . import searching
from .estimators import Array, Lesson, answers_of, fit_estimator

CHECK_S = 0.2
"""How often a worker asks whether its trial is to stop, in seconds."""
LEAST = 1e-12
"""A probability below this counts as this one: its logarithm must be a number."""

Outcome = dict[str, Any]
"""`state`, `values`, `epochs`, `why`, and besides `settings`, `elapsed_s`: JSON."""


class Stopped(BaseException):
    """Others were better after as many passes. Not an Exception: no estimator may swallow it."""


class Trying(Quiet):
    """A Reporter that tells the search how far a trial is, and hears whether to stop."""

    def __init__(self, topic: str, number: int) -> None:
        from distributed import Event, get_worker

        self._topic, self._number = topic, number
        self._worker, self._stop = get_worker(), Event(stop_name(topic, number))
        self._checked_at = time.monotonic()

    def metric(self, **values: float) -> None:
        """See `workbench.core.Reporter`."""
        self._worker.log_event(self._topic, {"trial": self._number, **values})

    def check(self) -> None:
        """See `workbench.core.Reporter`."""
        if time.monotonic() - self._checked_at < CHECK_S:
            return
        if self._stop.is_set():
            raise Stopped
        self._checked_at = time.monotonic()


def stop_name(topic: str, number: int) -> str:
    """The name of the event that stops a trial."""
    return f"{topic}-stop-{number}"


def try_settings(
    lesson: Lesson,
    estimator: str,
    settings: dict[str, float],
    objectives: Sequence[str],
    told: tuple[str, int],
) -> Outcome:
    """Fit an estimator with these settings; what it is worth on the rows that stop the training.

    Args:
        lesson: What it learns from; its job is nobody.
        estimator: Which one.
        settings: As the search proposed them.
        objectives: What is measured: `loss`, `parameters`.
        told: The topic and the trial's number.

    Returns:
        `state`, `values`, `epochs` and `why`.
    """
    graph, own = searching.made_of(estimator, settings)
    lesson = replace(lesson, job=Trying(*told), graph=graph, settings=own)
    try:
        fitted = fit_estimator(estimator, lesson)
    except Stopped:
        return _ended("stopped", "it was behind the median of the others")
    except WorkbenchError as error:
        return _ended("failed", str(error).rstrip("."))
    values = {
        "loss": loss_of(lesson, answers_of(fitted, lesson.validation[0])),
        "parameters": float(fitted.parameters),
    }
    if not np.isfinite(values["loss"]):
        return _ended("failed", f"its loss is {values['loss']}")
    return {
        "state": "done",
        "values": [values[each] for each in objectives],
        "epochs": fitted.epochs,
        "why": "",
    }


def loss_of(lesson: Lesson, answers: Array) -> float:
    """Cross-entropy in nats (classes), or the root of the mean squared error (a value)."""
    truth = lesson.validation[1]
    if lesson.task == "regression":
        return float(np.sqrt(np.mean((answers - truth) ** 2)))
    picked = answers[np.arange(len(truth)), truth]
    return float(-np.mean(np.log(np.maximum(picked, LEAST))))


def _ended(state: str, why: str) -> Outcome:
    return {"state": state, "values": [], "epochs": 0, "why": why}
