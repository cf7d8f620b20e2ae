"""The Records of models."""

from datetime import datetime
from typing import Any, Literal

from workbench.core import Record, Shelf
from workbench.graphs import Graph

Task = Literal["classification", "regression"]


class Figure(Record):
    """A measured number with its interval."""

    value: float
    low: float
    high: float
    """95 % interval, by bootstrap over the rows of the test split."""


class Field(Record):
    """An input of a model."""

    name: str
    kind: str
    categories: list[str] = []
    """Most frequent first; empty for numbers."""
    minimum: float | None = None
    maximum: float | None = None
    example: Any = None


class Split(Record):
    """How rows were set apart, by a hash of the row's position with the seed."""

    train: int
    validation: int
    test: int
    seed: int
    explained: str


class Installed(Record):
    """The packages that a project had installed for itself; `environments` keeps the whole lock."""

    environment: str
    """`env_…@1`"""
    digest: str
    """`sha256:…` over the lock and the version of Python."""
    python: str


class Model(Record):
    """A trained and registered model. `mdl_…@1` names one version."""

    id: str
    name: str
    version: int
    estimator: str
    """`network`, `logistic`, `linear`, `lightgbm`, `forest`, `majority`, `imported`."""
    task: Task
    target: str
    classes: list[str]
    """The target's classes, in the order of the probabilities; empty for regression."""
    positive: str
    """The class a decision is for (binary), else empty."""
    inputs: list[Field]
    product: str
    """`prd_…@0`: what it was trained on."""
    product_digest: str
    split: Split | None
    metrics: dict[str, Figure]
    """On the untouched test split. Classification: accuracy, balanced_accuracy, auc, log_loss,
    brier, f1. Regression: rmse, mae, r2."""
    beside: dict[str, dict[str, Figure]]
    """The same figures for `majority` (or `mean`), `logistic` (or `linear`), `lightgbm`."""
    verdict: str
    """One honest sentence: was it worth it?"""
    seed: int
    graph: Graph | None
    settings: dict[str, float] = {}
    """What was set of an estimator that is no network; what is absent had its default."""
    study: str = ""
    """`std_…`: the search that found them, or the graph; empty if there was none."""
    document: str = ""
    """`doc_…@57`: where, and when, the graph was edited together; empty if it was not."""
    parameters: int
    """Trainable parameters."""
    epochs: int
    aliases: list[str]
    run: str
    """The MLflow run's id."""
    registered: str
    """The MLflow registered model and version: `models:/name/1`."""
    artifacts: str
    """Folder relative to the project's, holding model.json and the weights."""
    digest: str
    """`sha256:` over the artifact files."""
    code: str
    """Version of the Studio and git commit that trained it."""
    environment: dict[str, str]
    """Package → version of what touched the numbers: the Studio's own."""
    installed: Installed | None = None
    """What the project's notebooks had besides; None while they use the Studio's packages."""
    made_at: datetime
    made_by: str
    elapsed_s: float

    @property
    def ref(self) -> str:
        """`mdl_…@1`"""
        return f"{self.id}@{self.version}"


class Ends(Record):
    """How large a network's ends are for a product and target."""

    product: str
    """`prd_…@0`"""
    target: str
    task: Task
    features: int
    """Numbers that a row becomes."""
    outputs: int
    """Numbers that the target needs: one for each class, or one."""
    classes: list[str]


class Trial(Record):
    """One set of settings that was tried."""

    number: int
    """From 1; the first has the usual settings."""
    state: Literal["done", "stopped", "failed"]
    """`stopped`: it was behind others after as many passes, and was not pursued."""
    settings: dict[str, float]
    values: list[float]
    """One for each objective of the study; empty if it was stopped or failed."""
    epochs: int
    why: str = ""
    """Why it failed, or was stopped."""
    elapsed_s: float


class Study(Record):
    """A search for settings: what was tried, and what was best."""

    id: str
    product: str
    """`prd_…@0`: what all of them learned from."""
    target: str
    estimator: str
    objectives: list[str]
    """What was made small, in the order of `values`: `loss`, `parameters`."""
    searched: dict[str, tuple[float, float]]
    """Setting → least and largest value."""
    trials: list[Trial]
    best: int
    """The number of the trial with the least loss, whose settings the model was trained with."""
    front: list[int]
    """Those that no other trial beats in one objective without being worse in another."""
    model: str
    """`mdl_…@0`: trained with the best settings and measured on untouched rows."""
    seed: int
    explained: str
    made_at: datetime
    made_by: str
    elapsed_s: float


class Prediction(Record):
    """One row's answer."""

    label: str | None
    """The class; None for regression."""
    value: float
    """Probability of `positive` (binary), of the label (multi-class), or the predicted value."""
    probabilities: dict[str, float] = {}


class Predictions(Record):
    """Answers, in the order of the rows."""

    model: str
    items: list[Prediction]
    warnings: list[str] = []
    """Values never seen in training, one sentence each."""


class Comparison(Record):
    """Models side by side on the same rows."""

    models: list[str]
    names: list[str]
    metrics: dict[str, list[Figure | None]]
    """Metric → a figure per model, in the order of `models`."""
    same_rows: bool
    """Whether all were measured on the same rows: only then do they compare."""
    paired: dict[str, list[Figure | None]]
    """Metric → difference to the first model with its paired bootstrap interval."""
    explained: str


models: Shelf[Model] = Shelf("mdl", "model", Model)
studies: Shelf[Study] = Shelf("std", "study", Study, named=False)
