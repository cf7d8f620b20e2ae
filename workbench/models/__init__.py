"""Models: trained beside honest baselines, registered, asked, compared, exported, promoted."""

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
    "models",
]
