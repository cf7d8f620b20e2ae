"""How good a model that was made elsewhere is on a product of ours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.core import Context, Invalid
from workbench.data import Product, read_table

from . import metrics
from .features import Features, as_they_are
from .nearby import find_columns
from .rows import UntouchedRows
from .strangers import Brought
from .targets import Target, read_target
from .types import Figure

MOST_ROWS = 200_000


@dataclass(frozen=True)
class Measured:
    """Figures on every row of a product, if there was one."""

    rows: UntouchedRows | None
    figures: dict[str, Figure]
    verdict: str


def numbers_of(ctx: Context, product: Product, target: str) -> tuple[Features, Target]:
    """A product's numbers as they are, in its order of columns, and its target.

    Raises:
        Invalid: There is no such target, or no number besides it.
    """
    aimed_at = find_columns(product, [target], "target")[0]
    columns = [
        each for each in product.columns if each.kind in ("number", "integer") and each != aimed_at
    ]
    if not columns:
        raise Invalid(
            f"{product.name} has no numbers besides {target}.",
            hint="Import an ONNX model that this Studio exported: it brings its own rules.",
        )
    table = read_table(ctx, product, [*(each.name for each in columns), target])
    aim = read_target(aimed_at, table[target], "auto", ctx.job.log)
    return as_they_are(table, columns), aim


def measured_on(ctx: Context, brought: Brought, product: Product | None, target: str) -> Measured:
    """Ask a brought model about every row of a product that has an answer.

    Raises:
        Invalid: The product lacks the target or a column the model reads.
    """
    if product is None:
        return Measured(None, {}, "Imported, and not measured on any product yet.")
    find_columns(product, [target], "target")
    find_columns(product, brought.features.columns, "read by the model")
    table = read_table(ctx, product, [*brought.features.columns, target])
    truth, there = _truth(brought, table[target])
    rows = np.flatnonzero(there).astype(np.int64)
    if not len(rows):
        raise Invalid(
            f"No row of {product.name} has a {target} that the model knows.",
            hint=f"It knows {', '.join(brought.classes[:10])}." if brought.classes else "",
        )
    rows = rows[:MOST_ROWS]
    answers = brought.estimator.predict(brought.features.transform(table.take(rows)))
    known = truth[rows]
    if brought.task == "regression":
        told = metrics.regression(known, answers)
        held = UntouchedRows(rows, known, None, answers)
    else:
        index = known.astype(np.int64)
        place = brought.classes.index(brought.positive) if brought.positive else None
        told = metrics.classification(index, answers, place)
        held = UntouchedRows(rows, np.array(brought.classes, dtype=object)[index], answers, None)
    return Measured(
        held,
        metrics.figures(told),
        f"Imported, and measured on {len(rows):,} rows of {product.name}, "
        "which it may have learned from.",
    )


def _truth(
    brought: Brought, values: pa.ChunkedArray
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The class's index or the value of each row, and which rows have one."""
    if brought.task == "regression":
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            raise Invalid(
                f"The model answers numbers, and the target is {values.type}.",
                hint="Choose a number as the target.",
            )
        numbers = np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        return numbers, np.isfinite(numbers)
    known = pa.array(brought.classes, pa.string())
    index = pc.fill_null(pc.index_in(pc.cast(values, pa.string()), value_set=known), -1)
    places = index.to_numpy().astype(np.int64)
    return places, places >= 0
