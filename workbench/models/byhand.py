"""Values that people write, as the columns a model reads."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from workbench.core import Invalid


def given_values(
    column: dict[str, Any], rows: Sequence[dict[str, Any]], told: dict[str, None]
) -> pa.Array:
    """One column of rows given by hand.

    Args:
        column: The column's rules (see `features`).
        rows: A dictionary per row.
        told: Gets a sentence for each value never seen in training.

    Raises:
        Invalid: A value is of a kind the column cannot have.
    """
    name, kind = column["name"], column["kind"]
    values: list[Any] = []
    for row in rows:
        value = row.get(name)
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            values.append(None)
        elif kind in ("number", "integer"):
            number = _number(name, value)
            if not column["minimum"] <= number <= column["maximum"]:
                told[
                    f"{name} {number:g} is outside the {column['minimum']:g} to "
                    f"{column['maximum']:g} seen in training."
                ] = None
            values.append(number)
        elif kind == "time":
            values.append(_time(name, value))
        else:
            text = _category(column, value)
            if text not in column["categories"]:
                told[f"{name} {text!r} was never (or hardly) seen in training."] = None
            values.append(text)
    types = {"number": pa.float64(), "integer": pa.float64(), "time": pa.timestamp("us")}
    if (
        kind == "time"
        and list(column["parts"]) == ["hour"]
        and any(isinstance(value, datetime) and value.year == 1 for value in values)
    ):
        return pa.array([v.time() if v else None for v in values], pa.time64("us"))
    return pa.array(values, types.get(kind, pa.string()))


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
    except (TypeError, ValueError):
        raise Invalid(f"{name} cannot be {value!r}.", hint=f"{name} is a number.") from None
    return number


def _category(column: dict[str, Any], value: Any) -> str:
    if isinstance(value, dict | list):
        raise Invalid(
            f"{column['name']} cannot be {value!r}.", hint=f"{column['name']} is one value."
        )
    if column["kind"] == "boolean":
        said = str(value).strip().lower()
        if said not in ("true", "false", "1", "0", "yes", "no"):
            raise Invalid(
                f"{column['name']} cannot be {value!r}.", hint=f"{column['name']} is true or false."
            )
        return "true" if said in ("true", "1", "yes") else "false"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and str(int(value)) in column["categories"]:
        return str(int(value))
    return str(value)


def _time(name: str, value: Any) -> datetime:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    try:
        text = str(value)
        timeless = text[2:3] == ":"
        moment = datetime.fromisoformat(f"0001-01-01T{text}" if timeless else text)
    except ValueError:
        raise Invalid(
            f"{name} cannot be {value!r}.", hint=f"{name} is a time such as 2024-05-31T14:00."
        ) from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
