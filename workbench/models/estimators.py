"""Estimators behind one interface: majority, linear models, forests, LightGBM, networks, ONNX.

Weights are kept in formats that hold no code: JSON, skops, LightGBM's text, safetensors, ONNX.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from workbench.core import Invalid, Refused, Reporter
from workbench.graphs import Graph

from .room import MIB, room
from .sampling import fewer, fitting
from .settings import Settings
from .types import Task

Array = np.ndarray[Any, Any]

CLASSIFIERS = ("network", "logistic", "lightgbm", "forest", "majority")
REGRESSORS = ("network", "linear", "lightgbm", "forest", "mean")
TRUSTED = ("sklearn.tree._tree.Tree",)
"""Types beyond skops' own list that files of ours may hold; what is imported may hold none."""

ANSWERED = 2_000_000
"""Numbers that are looked at in one go when answering: 16 MB of float64."""
WORTH_THREADS = 5_000_000
"""Numbers to learn from above which several threads pay on a machine with others on it."""


@dataclass(frozen=True)
class Lesson:
    """What an estimator learns from.

    Attributes:
        task: What is predicted.
        classes: How many classes; 0 for a regression.
        train: Features float32 [rows, columns] and targets (class index, or value) [rows].
        validation: The same of the rows that stop the training.
        seed: Of everything random.
        job: Who is told, and who may cancel.
        graph: The architecture, for a network.
        epochs: The most passes over the training rows, for a network; the graph's if None.
        settings: What is set of an estimator that is no network.
        weights: What a network begins with, by the names of its `state_dict`; those that fit.
    """

    task: Task
    classes: int
    train: tuple[Array, Array]
    validation: tuple[Array, Array]
    seed: int
    job: Reporter
    graph: Graph | None = None
    epochs: int | None = None
    settings: Settings = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)


class Estimator(Protocol):
    """Something that was fitted."""

    kind: str
    parameters: int
    """How many numbers were learned."""
    epochs: int
    """Passes over the training rows that the kept weights have seen; 0 if it makes none."""
    history: list[dict[str, float]]
    """The figures of each pass; empty if it makes none, or was read from a file."""

    def predict(self, features: Array) -> Array:
        """Probabilities float64 [rows, classes], or values float64 [rows]."""

    def save(self, folder: Path) -> None:
        """Write the weights and `estimator.json` into an existing folder."""


def fit_estimator(kind: str, lesson: Lesson) -> Estimator:
    """Fit an estimator of a kind, from as many rows as it has room for; the job's log says so.

    Raises:
        Invalid: There is no such kind for the task.
        Cancelled: The job was.
    """
    known = CLASSIFIERS if lesson.task == "classification" else REGRESSORS
    if kind not in known:
        raise Invalid(
            f"There is no estimator {kind!r} for a {lesson.task}.",
            hint=f"Known: {', '.join(known)}.",
        )
    lesson.job.check()
    if said := fewer(kind, lesson):
        lesson.job.log(said)
        lesson = fitting(kind, lesson)
    if kind in ("majority", "mean"):
        return Constant.fit(kind, lesson)
    if kind == "lightgbm":
        return Boosted.fit(lesson)
    if kind == "network":
        from .networks import Network

        return Network.fit(lesson)
    return Learned.fit(kind, lesson)


def answers_of(fitted: Estimator, features: Array) -> Array:
    """What an estimator predicts, block by block: it copies each block, and not the whole.

    Args:
        fitted: Who is asked.
        features: float32 [rows, columns], in memory or mapped.
    """
    block = max(1, ANSWERED // max(1, features.shape[1]))
    found = [
        fitted.predict(np.asarray(features[start : start + block]))
        for start in range(0, max(len(features), 1), block)
    ]
    return found[0] if len(found) == 1 else np.concatenate(found)


def load_estimator(folder: Path) -> Estimator:
    """The estimator that `save` wrote into a folder.

    Raises:
        Refused: The folder holds a kind this Studio does not know.
    """
    told = json.loads((folder / "estimator.json").read_text())
    kind = told["format"]
    if kind == "constant":
        return Constant(told["kind"], told["answer"])
    if kind == "lightgbm":
        import lightgbm

        booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
        return Boosted(booster, told["classes"], told["epochs"])
    if kind == "network":
        from .networks import Network

        return Network.load(folder, told)
    if kind == "skops":
        return Learned(told["kind"], load_skops(folder / "model.skops", TRUSTED), told["task"])
    if kind == "onnx":
        from .imported import Imported

        return Imported.load(folder, told)
    raise Refused(
        f"The model was written as {kind!r}, which this Studio does not read.",
        hint="Upgrade the Studio.",
    )


def write_told(folder: Path, told: dict[str, Any]) -> None:
    """Write `estimator.json`: what `load_estimator` needs besides the weights."""
    (folder / "estimator.json").write_text(json.dumps(told, indent=1))


class Constant:
    """The same answer for every row: the classes' shares, or the mean. What to beat."""

    epochs = 0
    history: list[dict[str, float]] = []

    def __init__(self, kind: str, answer: list[float] | float) -> None:
        self.kind, self.answer = kind, answer
        self.parameters = len(answer) if isinstance(answer, list) else 1

    @classmethod
    def fit(cls, kind: str, lesson: Lesson) -> "Constant":
        target = lesson.train[1]
        if lesson.task == "regression":
            return cls(kind, float(target.mean()))
        counts = np.bincount(target, minlength=lesson.classes)
        return cls(kind, [float(each) for each in counts / counts.sum()])

    def predict(self, features: Array) -> Array:
        shape = (
            (len(features), len(self.answer))
            if isinstance(self.answer, list)
            else features[:, :1].shape[:1]
        )
        return np.broadcast_to(np.asarray(self.answer, dtype=np.float64), shape).copy()

    def save(self, folder: Path) -> None:
        write_told(folder, {"format": "constant", "kind": self.kind, "answer": self.answer})


class Learned:
    """Linear models and forests of scikit-learn."""

    epochs = 0
    history: list[dict[str, float]] = []

    def __init__(self, kind: str, model: Any, task: Literal["classification", "regression"]):
        self.kind, self.model, self.task = kind, model, task
        trees = getattr(model, "estimators_", None)
        self.parameters = (
            sum(int(each.tree_.node_count) for each in trees)
            if kind == "forest" and trees is not None
            else int(np.size(getattr(model, "coef_", ())))
            + int(np.size(getattr(model, "intercept_", ())))
        )

    @classmethod
    def fit(cls, kind: str, lesson: Lesson) -> "Learned":
        from sklearn import ensemble, linear_model
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        own = dict(lesson.settings)
        forest: dict[str, Any] = {"n_estimators": 200, "min_samples_leaf": 3, "n_jobs": 2, **own}
        model: Any
        if kind == "logistic":
            model = linear_model.LogisticRegression(max_iter=2_000, random_state=lesson.seed, **own)
        elif kind == "linear":
            model = linear_model.Ridge(**own)
        elif lesson.task == "classification":
            model = ensemble.RandomForestClassifier(random_state=lesson.seed, **forest)
        else:
            model = ensemble.RandomForestRegressor(random_state=lesson.seed, **forest)
        # float64: the solvers stop early on float32, with weights that depend on the machine.
        given = lesson.train[0].astype(np.float64)
        with threadpool_limits(1 if given.size < WORTH_THREADS else None):
            model.fit(given, lesson.train[1])
        if kind == "forest":
            # scikit-learn's forests answer in one thread from here on: same sums everywhere.
            model.n_jobs = 1
        return cls(kind, model, lesson.task)

    def predict(self, features: Array) -> Array:
        given = features.astype(np.float64)
        found = (
            self.model.predict_proba(given)
            if self.task == "classification"
            else self.model.predict(given)
        )
        return np.asarray(found, dtype=np.float64)

    def save(self, folder: Path) -> None:
        import skops.io

        skops.io.dump(self.model, folder / "model.skops")
        write_told(folder, {"format": "skops", "kind": self.kind, "task": self.task})


class Boosted:
    """Gradient boosted trees of LightGBM, stopped early on the validation rows."""

    kind = "lightgbm"
    history: list[dict[str, float]] = []

    def __init__(self, booster: Any, classes: int, epochs: int) -> None:
        self.booster, self.classes, self.epochs = booster, classes, epochs
        # From the text: what `dump_model` makes of a thousand trees takes a hundred times as much.
        text = booster.model_to_string()
        self.parameters = sum(map(int, re.findall(r"^num_leaves=(\d+)$", text, re.MULTILINE)))

    @classmethod
    def fit(cls, lesson: Lesson) -> "Boosted":
        import lightgbm

        if lesson.task == "regression":
            objective: dict[str, Any] = {"objective": "regression"}
        elif lesson.classes == 2:
            objective = {"objective": "binary"}
        else:
            objective = {"objective": "multiclass", "num_class": lesson.classes}
        train = lightgbm.Dataset(*lesson.train)
        leaves = lesson.settings.get("num_leaves", 31 if len(lesson.train[1]) >= 2_000 else 7)
        # A sum of gradients and one of their slopes in each of 255 bins.
        counted = leaves * lesson.train[0].shape[1] * 255 * 16
        fewer_kept = {"histogram_pool_size": room() / 4 / MIB} if counted > room() / 4 else {}
        booster = lightgbm.train(
            {
                **objective,
                "learning_rate": 0.05,
                "num_leaves": leaves,
                **fewer_kept,
                **lesson.settings,
                "seed": lesson.seed,
                "deterministic": True,
                "force_row_wise": True,
                "num_threads": 1 if lesson.train[0].size < WORTH_THREADS else 4,
                "verbosity": -1,
            },
            train,
            num_boost_round=1_000,
            valid_sets=[lightgbm.Dataset(*lesson.validation, reference=train)],
            callbacks=[
                lightgbm.early_stopping(40, verbose=False),
                lambda env: lesson.job.check(),
            ],
        )
        # As text, so that what is measured is what is kept.
        text = booster.model_to_string(num_iteration=booster.best_iteration)
        return cls(lightgbm.Booster(model_str=text), lesson.classes, booster.best_iteration)

    def predict(self, features: Array) -> Array:
        found = np.asarray(self.booster.predict(features), dtype=np.float64)
        return np.stack([1 - found, found], axis=1) if self.classes == 2 else found

    def save(self, folder: Path) -> None:
        self.booster.save_model(folder / "model.txt")
        write_told(
            folder,
            {"format": "lightgbm", "classes": self.classes, "epochs": self.epochs},
        )


def load_skops(file: Path, trusted: tuple[str, ...]) -> Any:
    """The object in a skops file.

    Raises:
        Refused: It holds types beyond skops' own list and the trusted ones.
    """
    import skops.io

    unknown = sorted(set(skops.io.get_untrusted_types(file=file)) - set(trusted))
    if unknown:
        raise Refused(
            f"The skops file holds types we do not trust: {', '.join(unknown[:5])}.",
            hint="Save a plain scikit-learn model without code of your own; trees go by ONNX.",
        )
    return skops.io.load(file, trusted=list(trusted))
