"""A model ready to answer: its rules for columns and its estimator, kept between calls."""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.core import Context, Unavailable

from .estimators import Estimator, load_estimator
from .features import Features
from .types import Model

KEPT = 8
"""Models held in memory by one process."""


@dataclass(frozen=True)
class Loaded:
    """Features and estimator of one version of a model."""

    features: Features
    estimator: Estimator

    def answer(self, table: pa.Table) -> np.ndarray[Any, Any]:
        """Probabilities [rows, classes] or values [rows]."""
        return self.estimator.predict(self.features.transform(table))


_kept: OrderedDict[str, Loaded] = OrderedDict()
_lock = threading.Lock()


def load_model(ctx: Context, model: Model) -> Loaded:
    """The model, read from its artifacts once per process.

    Raises:
        Unavailable: The artifacts are gone.
    """
    folder = ctx.folder / model.artifacts
    key = f"{folder}:{model.digest}"
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    try:
        features = Features(json.loads((folder / "features.json").read_text()))
        loaded = Loaded(features, load_estimator(folder))
    except FileNotFoundError as error:
        raise Unavailable(
            f"The files of {model.name}@{model.version} are gone: {error.filename} is missing.",
            hint="Restore them from a backup, or train the model again.",
        ) from error
    with _lock:
        _kept[key] = loaded
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return loaded
