"""The rows a report is about: a model's decisions, what was true, and everybody's groups."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core import Context, Invalid
from workbench.data import Product, products, read_table
from workbench.models import Model
from workbench.models.rows import UntouchedRows, predict_table, untouched

from .fairness import banded

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class AssessedRows:
    """Decisions about people, shape (n,), and their groups by attribute."""

    decisions: list[bool]
    truth: list[bool]
    groups: dict[str, list[str]]
    product: str
    on: str
    favourable: str


def assessed_rows(
    ctx: Context,
    model: Model,
    product: str | None,
    sensitive: list[str],
    favourable: str,
    threshold: float | None,
) -> AssessedRows:
    """The decisions of a model and the groups of the people decided about.

    Raises:
        Invalid: A column or class is not there, or nobody said what is sensitive.
    """
    table_of = products.get(ctx.store, ctx.project, product or model.product)
    wanted = sensitive or table_of.sensitive
    if not wanted:
        raise Invalid(
            f"Nobody said which columns of {table_of.name} are sensitive.",
            hint=f"Give `sensitive`; it has: {', '.join(c.name for c in table_of.columns)}.",
        )
    kinds = {each.name: each.kind for each in table_of.columns}
    for name in wanted:
        if name not in kinds:
            raise Invalid(
                f"{table_of.name} has no column {name!r}.", hint=f"It has: {', '.join(kinds)}."
            )
    table = read_table(ctx, table_of)
    own = table_of.ref == model.product and model.split is not None
    found = untouched(ctx, model) if own else predict_table(ctx, model, table)
    if found.truth is None:
        raise Invalid(
            f"{table_of.name} does not hold {model.target}, what {model.name} predicts.",
            hint="Assess on a product that has it: what was true is needed to compare.",
        )
    found, table = _with_truth(found, table)
    decisions, truth, said = _decided(model, found, favourable, threshold)
    return AssessedRows(
        decisions=decisions,
        truth=truth,
        groups={name: banded(table[name].to_pylist(), kinds[name]) for name in wanted},
        product=table_of.ref,
        on=_on(table_of, len(decisions), own),
        favourable=said,
    )


def _on(product: Product, rows: int, own: bool) -> str:
    if own:
        return f"the {rows:,} rows of {product.name} that the model never saw"
    return f"all {rows:,} rows of {product.name} with a known answer"


def _with_truth(
    found: UntouchedRows, table: "pyarrow.Table"
) -> tuple[UntouchedRows, "pyarrow.Table"]:
    """Only the rows whose answer is known; what is missing cannot be compared."""
    import pandas as pd

    known = ~pd.isna(found.truth)
    rows = found.rows[known]
    if not len(rows):
        raise Invalid("No row has a known answer.", hint="Assess on a product that has some.")
    kept = UntouchedRows(
        rows,
        found.truth[known],
        None if found.probabilities is None else found.probabilities[known],
        None if found.values is None else found.values[known],
    )
    return kept, table.take(rows)


def _decided(
    model: Model, found: UntouchedRows, favourable: str, threshold: float | None
) -> tuple[list[bool], list[bool], str]:
    import numpy as np

    decided: Any
    if found.probabilities is None:
        values = np.asarray(found.values)
        limit = float(np.median(values)) if threshold is None else threshold
        decided, true = values >= limit, found.truth >= limit
        return decided.tolist(), true.tolist(), f"{model.target} of at least {limit:g}"
    if threshold is not None:
        raise Invalid(
            f"{model.name} predicts classes, so a threshold of {threshold:g} means nothing.",
            hint=f"Give `favourable` instead, one of: {', '.join(model.classes)}.",
        )
    wanted = favourable or model.positive or model.classes[-1]
    if wanted not in model.classes:
        raise Invalid(
            f"{model.target} has no class {wanted!r}.", hint=f"It has: {', '.join(model.classes)}."
        )
    chosen = np.asarray(model.classes, dtype=object)[found.probabilities.argmax(axis=1)]
    return (chosen == wanted).tolist(), (found.truth == wanted).tolist(), f"{model.target} {wanted}"
