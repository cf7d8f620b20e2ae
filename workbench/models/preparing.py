"""What a model learns from: a product's rows set apart, its columns as numbers, a target."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from workbench.core import Context, Invalid, Reporter
from workbench.data import Product, data_files, products, read_columns
from workbench.graphs import Graph, check, suggest

from .estimators import CLASSIFIERS, REGRESSORS, Array, Lesson
from .features import Features, fit
from .matrices import Matrices, make_matrices
from .nearby import find_columns
from .reading import Columns
from .settings import Settings
from .splits import Parts, split_rows
from .targets import Target, read_target
from .types import Ends

TaskChoice = Literal["auto", "classification", "regression"]


@dataclass(frozen=True)
class Given:
    """What was asked for, as the actions `train` and `tune` say it."""

    product: str
    target: str
    estimator: str
    seed: int
    name: str
    exclude: Sequence[str]
    task: TaskChoice


@dataclass(frozen=True)
class Prepared:
    """Rows set apart and made numbers, by rules learned from the rows to train on.

    Attributes:
        given: What was asked for; the name is the model's.
        product: The version that is read.
        aim: The target.
        parts: Which rows are for what.
        features: How columns become numbers.
        matrices: The numbers of each part's rows.
    """

    given: Given
    product: Product
    aim: Target
    parts: Parts
    features: Features
    matrices: Matrices

    def lesson(
        self,
        job: Reporter,
        graph: Graph | None = None,
        epochs: int | None = None,
        settings: Settings = {},  # noqa: B006
    ) -> Lesson:
        """The rows to train on and those that stop the training, for `fit_estimator`."""
        return Lesson(
            task=self.aim.task,
            classes=len(self.aim.classes),
            train=(self.matrices.train, self._targets(self.parts.train)),
            validation=(self.matrices.validation, self._targets(self.parts.validation)),
            seed=self.given.seed & 0x7FFFFFFF,
            job=job,
            graph=graph,
            epochs=epochs,
            settings=settings,
        )

    def untouched(self) -> tuple[Array, Array]:
        """Features and targets of the rows that nobody saw."""
        return self.matrices.test, self._targets(self.parts.test)

    def graph(self, job: Reporter, graph: Graph | None = None) -> Graph | None:
        """The graph of a network: the one that is given, or one sized to the table."""
        if graph is not None or self.given.estimator != "network":
            return graph
        graph = suggest(len(self.features.columns), len(self.aim.rows), self.aim.task)
        job.log(f"The graph was suggested: {len(graph.nodes)} nodes.")
        return graph

    def _targets(self, rows: Array) -> Array:
        found: Array = self.aim.values[np.searchsorted(self.aim.rows, rows)]
        return found


@dataclass(frozen=True)
class _Read:
    """A product as far as it is read before its rows are made numbers."""

    product: Product
    files: list[str]
    aim: Target
    parts: Parts
    features: Features


def prepare(ctx: Context, given: Given) -> Prepared:
    """Read a product, column by column, set its rows apart and make them numbers.

    Raises:
        Invalid: The request makes no sense for this product.
        Limited: The disk has no room for its numbers.
    """
    # A later attempt reads what the first one read.
    ref = ctx.job.step("product", lambda: products.get(ctx.store, ctx.project, given.product).ref)
    found = products.get(ctx.store, ctx.project, ref)
    name = checked_name(given.name or f"{found.name}-{given.target}")
    read = _read(ctx, found, given)
    matrices = make_matrices(ctx, found, read.files, read.features, read.parts)
    return Prepared(replace(given, name=name), found, read.aim, read.parts, read.features, matrices)


def measured_ends(ctx: Context, given: Given) -> Ends:
    """See the action `models.measure_ends`."""
    found = products.get(ctx.store, ctx.project, given.product)
    read = _read(ctx, found, given)
    return Ends(
        product=found.ref,
        target=given.target,
        task=read.aim.task,
        features=len(read.features.names),
        outputs=len(read.aim.classes) or 1,
        classes=list(read.aim.classes),
    )


def _read(ctx: Context, found: Product, given: Given) -> _Read:
    wanted = _asked(found, given)
    ctx.job.progress(0.02, f"reading {found.rows:,} rows")
    files = data_files(ctx, found)
    aimed_at = find_columns(found, [given.target], "target")[0]
    task = given.task
    if task == "auto" and given.estimator in ("linear", "mean"):
        task = "regression"
    elif task == "auto" and given.estimator in ("logistic", "majority"):
        task = "classification"
    values = read_columns(files, [given.target])[given.target]
    aim = read_target(aimed_at, values, task, ctx.job.log)
    del values
    known = CLASSIFIERS if aim.task == "classification" else REGRESSORS
    if given.estimator not in known:
        raise Invalid(
            f"{given.estimator!r} cannot learn {given.target}, which is a {aim.task}.",
            hint=f"Use one of {', '.join(known)}.",
        )
    parts = split_rows(aim.rows, given.seed, aim.values if aim.classes else None)
    ctx.job.log(parts.split.explained)
    ctx.job.check()
    read = [column.name for column in wanted if column.kind != "text"]
    features = fit(Columns(ctx.job, files, read, parts.train), wanted)
    for column, why in features.left_out.items():
        ctx.job.log(f"{column} is not used: {why}.")
    if not features.names:
        why = "; ".join(f"{each}: {told}" for each, told in list(features.left_out.items())[:5])
        raise Invalid(
            f"No column of {found.name} is left to learn {given.target} from "
            f"({why or 'all excluded'}).",
            hint="Exclude less, or register the columns as numbers or categories.",
        )
    return _Read(found, files, aim, parts, features)


def checked_name(name: str) -> str:
    """A model's name, if it can be one.

    Raises:
        Invalid: It is too long, or has a sign that means something elsewhere.
    """
    if not 1 <= len(name) <= 100 or re.search(r"[/:@'\"%\x00-\x1f]", name) or name != name.strip():
        raise Invalid(
            f"A model cannot be named {name!r}.",
            hint="1 to 100 characters, without / : @ % or quotes, no space at the ends.",
        )
    return name


def check_architecture(given: Given, graph: Graph | None, epochs: int | None) -> None:
    """Invalid if the graph or the number of epochs makes no sense."""
    if epochs is not None and not 1 <= epochs <= 10_000:
        raise Invalid(f"{epochs} epochs make no sense.", hint="1 to 10,000.")
    if graph is not None:
        if given.estimator != "network":
            raise Invalid(
                f"{given.estimator!r} has no graph.",
                hint="Use estimator='network', or leave graph out.",
            )
        check(graph)


def _asked(product: Product, given: Given) -> list[Any]:
    """The columns to learn from; Invalid if the request makes no sense for this product."""
    kinds = sorted({*CLASSIFIERS, *REGRESSORS})
    if given.estimator not in kinds:
        raise Invalid(
            f"There is no estimator {given.estimator!r}.", hint=f"Known: {', '.join(kinds)}."
        )
    target, exclude = given.target, given.exclude
    find_columns(product, [target], "target")
    find_columns(product, exclude, "exclude")
    if target in exclude:
        raise Invalid(f"{target!r} cannot be both target and excluded.", hint="Drop one of them.")
    return [each for each in product.columns if each.name != target and each.name not in exclude]
