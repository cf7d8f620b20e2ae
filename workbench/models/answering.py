"""What models say: rows given by hand, rows of a product, and models beside each other."""

from typing import Any

import numpy as np

from workbench.core import Context, Invalid, Limited
from workbench.data import products, read_table

from . import metrics
from .loaded import load_model
from .rows import UntouchedRows, untouched
from .types import Comparison, Figure, Model, Prediction, Predictions, models

MOST_ROWS = 10_000
MOST_MODELS = 20


def answer(
    ctx: Context, model: str, rows: list[dict[str, Any]] | None, product: str | None, limit: int
) -> Predictions:
    """See the action `models.predict`."""
    if (rows is None) == (product is None):
        raise Invalid(
            "models.predict needs rows or a product, and not both."
            if rows is None
            else f"models.predict was given {len(rows)} rows and the product {product}.",
            hint='For example rows=[{"age": 41}], or product="customers".',
        )
    if not 1 <= limit <= MOST_ROWS:
        raise Invalid(f"A limit of {limit} rows makes no sense.", hint=f"1 to {MOST_ROWS:,}.")
    found = models.get(ctx.store, ctx.project, model)
    loaded = load_model(ctx, found)
    warnings: list[str] = []
    if rows is not None:
        if not rows:
            return Predictions(model=found.ref, items=[])
        if len(rows) > MOST_ROWS:
            raise Limited(
                f"{len(rows):,} rows are too many at once.",
                hint=f"At most {MOST_ROWS:,}; register them as a product for more.",
            )
        table, warnings = loaded.features.table(rows)
        # The target in a row is not used, and nothing to warn about.
        unused = f"The model does not use {found.target!r}."
        warnings = [each for each in warnings if each != unused]
    else:
        source = products.get(ctx.store, ctx.project, str(product))
        known = {column.name for column in source.columns}
        lacking = [each for each in loaded.features.columns if each not in known]
        if lacking:
            raise Invalid(
                f"{source.name} lacks what {found.name} reads: {', '.join(lacking[:5])}.",
                hint="Choose a product with the columns the model was trained on.",
            )
        table = read_table(ctx, source, loaded.features.columns)
        if table.num_rows > limit:
            warnings.append(f"Only the first {limit:,} of {table.num_rows:,} rows were asked.")
        table = table.slice(0, limit)
        if not table.num_rows:
            return Predictions(model=found.ref, items=[], warnings=warnings)
    return Predictions(
        model=found.ref, items=_predictions(found, loaded.answer(table)), warnings=warnings
    )


def _predictions(model: Model, answers: np.ndarray[Any, Any]) -> list[Prediction]:
    if model.task == "regression":
        return [Prediction(label=None, value=float(each)) for each in answers]
    items = []
    positive = model.classes.index(model.positive) if model.positive else None
    for row in answers:
        best = int(row.argmax())
        items.append(
            Prediction(
                label=model.classes[best],
                value=float(row[best if positive is None else positive]),
                probabilities={name: float(p) for name, p in zip(model.classes, row, strict=True)},
            )
        )
    return items


def side_by_side(ctx: Context, names: list[str]) -> Comparison:
    """See the action `models.compare`."""
    if not 2 <= len(names) <= MOST_MODELS:
        raise Invalid(
            f"{len(names)} model{'' if len(names) == 1 else 's'} cannot be compared.",
            hint=f"Name 2 to {MOST_MODELS}.",
        )
    found = [models.get(ctx.store, ctx.project, name) for name in names]
    known = [name for name in metrics.LARGER_IS_BETTER if any(name in m.metrics for m in found)]
    first = found[0]
    differs = next(
        (
            f"{each.name}@{each.version} {why}"
            for each in found[1:]
            for why, same in (
                (f"predicts {each.target}, not {first.target}", each.target == first.target),
                (f"is a {each.task}", each.task == first.task),
                ("has other classes", each.classes == first.classes),
                (
                    "learned from another version of the data",
                    each.product_digest == first.product_digest,
                ),
            )
            if not same
        ),
        "",
    )
    held = None if differs else [_held(ctx, each) for each in found]
    if held is not None and not differs:
        base = held[0]
        for model, each in zip(found, held, strict=True):
            if base is None or each is None:
                differs = f"{model.name}@{model.version} has no untouched rows"
            elif not np.array_equal(each.rows, base.rows):
                differs = f"{model.name}@{model.version} set other rows apart (another seed)"
            if differs:
                break
    paired: dict[str, list[Figure | None]] = {}
    if not differs and held is not None:
        told = [
            _resampled(model, each, first.seed)
            for model, each in zip(found, held, strict=True)
            if each
        ]
        gaps = [metrics.difference(told[0], each) for each in told]
        paired = {name: [gap.get(name) for gap in gaps] for name in known}
    same = not differs
    return Comparison(
        models=[each.ref for each in found],
        names=[f"{each.name}@{each.version}" for each in found],
        metrics={name: [each.metrics.get(name) for each in found] for name in known},
        same_rows=same,
        paired=paired,
        explained=(
            f"All were measured on the same {len(held[0].rows):,} untouched rows; differences "
            f"are to {first.name}@{first.version}, with paired 95 % bootstrap intervals."
            if same and held is not None and held[0] is not None
            else f"These figures do not compare: {differs}."
        ),
    )


def _held(ctx: Context, model: Model) -> UntouchedRows | None:
    return untouched(ctx, model) if model.split is not None else None


def _resampled(model: Model, held: UntouchedRows, seed: int) -> metrics.Resampled:
    seed &= 0x7FFFFFFF
    if model.task == "regression":
        return metrics.regression(held.truth, np.asarray(held.values), seed)
    place = {name: index for index, name in enumerate(model.classes)}
    truth = np.array([place[str(each)] for each in held.truth], dtype=np.int64)
    positive = model.classes.index(model.positive) if model.positive else None
    return metrics.classification(truth, np.asarray(held.probabilities), positive, seed)
