"""Models: trained beside honest baselines, registered, asked, compared, exported, promoted."""

from .actions import (
    compare,
    export,
    get_model,
    import_model,
    list_layers,
    list_models,
    predict,
    promote,
    suggest_graph,
    train,
)
from .ports import gates, registries
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
    "compare",
    "export",
    "gates",
    "get_model",
    "import_model",
    "list_layers",
    "list_models",
    "models",
    "predict",
    "predict_table",
    "promote",
    "registries",
    "suggest_graph",
    "train",
    "untouched",
]
