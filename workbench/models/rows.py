"""A model's answers beside the truth: on the rows it never saw, or on a whole product."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core import Conflict, Context, Invalid

from .types import Model

if TYPE_CHECKING:
    import pyarrow

FILE = "test.parquet"


@dataclass(frozen=True)
class UntouchedRows:
    """Rows with what is true and what the model says.

    Attributes:
        rows: Positions in `read_table`'s order, int64 [rows].
        truth: The class (str) or the value (float64); None where a table has no target.
        probabilities: float64 [rows, classes] in the order of `Model.classes`, or None.
        values: float64 [rows] for a regression, or None.
    """

    rows: Any
    truth: Any
    probabilities: Any | None
    values: Any | None


def untouched(ctx: Context, model: Model) -> UntouchedRows:
    """The test rows of a model, which neither training nor early stopping saw.

    Raises:
        Conflict: The model was imported without a product, so it has none.
    """
    import numpy as np
    import pyarrow.parquet as pq

    file = ctx.folder / model.artifacts / FILE
    if not file.is_file():
        raise Conflict(
            f"{model.name}@{model.version} has no untouched rows.",
            hint="Give a product to look at, or train it here.",
        )
    table = pq.read_table(file)
    truth = table["truth"].to_numpy(zero_copy_only=False)
    if model.task == "regression":
        return UntouchedRows(
            table["row"].to_numpy(), truth, None, table["value"].to_numpy().astype(np.float64)
        )
    columns = [table[f"p:{each}"].to_numpy() for each in model.classes]
    return UntouchedRows(table["row"].to_numpy(), truth, np.stack(columns, axis=1), None)


def write_untouched(file: Any, model_classes: list[str], rows: UntouchedRows) -> None:
    """Write what `untouched` reads."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays: dict[str, Any] = {"row": pa.array(rows.rows, pa.int64())}
    if rows.probabilities is not None:
        arrays["truth"] = pa.array(list(rows.truth), pa.string())
        for place, name in enumerate(model_classes):
            arrays[f"p:{name}"] = pa.array(rows.probabilities[:, place], pa.float64())
    else:
        arrays["truth"] = pa.array(rows.truth, pa.float64())
        arrays["value"] = pa.array(rows.values, pa.float64())
    pq.write_table(pa.table(arrays), file)


def predict_table(ctx: Context, model: Model, table: "pyarrow.Table") -> UntouchedRows:
    """A model's answers for every row of a table, with the truth if the table holds the target.

    Args:
        ctx: The project that has the model.
        model: Who is asked.
        table: It has the columns the model reads.

    Raises:
        Invalid: A column is missing.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from .loaded import load_model

    found = load_model(ctx, model)
    missing = [name for name in found.features.columns if name not in table.column_names]
    if missing:
        raise Invalid(
            f"The table lacks what {model.name} reads: {', '.join(missing[:5])}.",
            hint=f"It has: {', '.join(table.column_names[:20])}.",
        )
    answers = found.answer(table)
    truth = None
    if model.target in table.column_names:
        kind = pa.float64() if model.task == "regression" else pa.string()
        truth = pc.cast(table[model.target], kind, safe=False).to_numpy(zero_copy_only=False)
    rows = np.arange(table.num_rows, dtype=np.int64)
    if model.task == "regression":
        return UntouchedRows(rows, truth, None, answers)
    return UntouchedRows(rows, truth, answers, None)
