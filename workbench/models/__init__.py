"""Models: trained beside honest baselines, registered, asked, compared, exported, promoted."""

from .actions import get_model, list_layers, list_models, suggest_graph, train
from .rows import UntouchedRows, predict_table, untouched
from .types import (
    Comparison,
    Field,
    Figure,
    Model,
    Prediction,
    Predictions,
    Split,
    models,
)

__all__ = [
    "Comparison",
    "Field",
    "Figure",
    "Model",
    "Prediction",
    "Predictions",
    "Split",
    "UntouchedRows",
    "get_model",
    "list_layers",
    "list_models",
    "models",
    "predict_table",
    "suggest_graph",
    "train",
    "untouched",
]
