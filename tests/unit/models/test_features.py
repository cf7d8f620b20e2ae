"""Tables become numbers by plain rules, learned from the training rows only."""

import datetime as dt
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core import Invalid
from workbench.data.types import Column
from workbench.models.features import CLIP, Features, as_they_are, fit


def columns(**kinds: str) -> list[Column]:
    return [Column(name=name, kind=kind, type="") for name, kind in kinds.items()]  # type: ignore[arg-type]


numbers = st.lists(
    st.none() | st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=40
)
words = st.lists(st.none() | st.text(max_size=6), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(numbers, words, st.data())
def test_any_table_becomes_finite_numbers_in_range(
    xs: list[Any], ws: list[Any], data: st.DataObject
) -> None:
    rows = min(len(xs), len(ws))
    table = pa.table(
        {"x": pa.array(xs[:rows], pa.float64()), "w": pa.array(ws[:rows], pa.string())}
    )
    features = fit(table.column, columns(x="number", w="category"))
    out = features.transform(table)
    assert out.shape == (rows, len(features.names))
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert (np.abs(out) <= CLIP).all()
    # The rules are JSON and mean the same when they come back; rows do not see each other.
    again = Features(json.loads(json.dumps(features.state)))
    picked = data.draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=5))
    assert np.array_equal(again.transform(table.take(picked)), out[picked])


def test_numbers_are_standardised_and_missing_ones_are_marked() -> None:
    table = pa.table({"x": [1.0, 2.0, 3.0, None]})
    features = fit(table.column, columns(x="number"))
    out = features.transform(table)
    assert features.names == ["x", "x:missing"]
    assert out[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert out[:, 0].std() == pytest.approx(1, abs=1e-6)
    assert out[:, 1].tolist() == [0, 0, 0, 1]
    assert out[3, 0] == out[1, 0], "missing is taken for the median"


def test_categories_are_most_frequent_first_and_the_unknown_is_apart() -> None:
    table = pa.table({"c": ["b"] * 3 + ["a"] * 2 + ["rare", None, " "]})
    features = fit(table.column, columns(c="category"))
    assert features.names == ["c=b", "c=a", "c:other", "c:missing"]
    out = features.transform(pa.table({"c": ["a", "never seen", None]}))
    assert out.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_times_become_numbers() -> None:
    times = [dt.datetime(2024, 1 + each % 12, 1, each % 24) for each in range(40)]
    features = fit(pa.table({"t": times}).column, columns(t="time"))
    assert features.names == ["t:day", "t:month", "t:weekday", "t:hour"]
    byhand, told = features.table([{"t": times[3].isoformat()}, {"t": times[3].isoformat() + "Z"}])
    assert told == []
    expected = features.transform(pa.table({"t": [times[3]] * 2}))
    assert np.allclose(features.transform(byhand), expected)


def test_what_teaches_nothing_is_left_out_and_said() -> None:
    rows = 40
    table = pa.table(
        {
            "id": list(range(100, 100 + rows)),
            "always": ["x"] * rows,
            "note": [f"note {each}" for each in range(rows)],
            "prose": ["words"] * rows,
            "x": [float(each % 7) for each in range(rows)],
        }
    )
    kinds = columns(id="integer", always="category", note="category", prose="text", x="number")
    features = fit(table.column, kinds)
    assert features.columns == ["x"]
    assert set(features.left_out) == {"id", "always", "note", "prose"}


@pytest.fixture
def people() -> Features:
    table = pa.table(
        {"age": [20, 30, 40, None] * 5, "sex": ["f", "m"] * 10, "member": [True, False] * 10}
    )
    return fit(table.column, columns(age="integer", sex="category", member="boolean"))


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ({"age": "abc"}, "'abc'"),
        ({"age": True}, "True"),
        ({"age": [3]}, "[3]"),
        ({"age": float("inf")}, "inf"),
        ({"sex": {"a": 1}}, "{'a': 1}"),
        ({"member": "perhaps"}, "'perhaps'"),
    ],
)
def test_a_value_of_the_wrong_kind_names_field_and_value(
    people: Features, row: dict[str, Any], value: str
) -> None:
    with pytest.raises(Invalid) as caught:
        people.table([row])
    assert next(iter(row)) in str(caught.value)
    assert value in str(caught.value)
    assert caught.value.hint


def test_what_was_never_seen_is_told(people: Features) -> None:
    _, told = people.table([{"age": 400, "sex": "x", "member": 1, "shoe": 42}])
    assert any("400" in each for each in told)
    assert any("'x'" in each for each in told)
    assert any("'shoe'" in each for each in told)
    assert people.table([{"age": 25, "sex": "f", "member": True}])[1] == []
    assert people.table([{"sex": "f", "member": None}])[1] == [
        "Not given, so taken as missing: age."
    ]


def test_rows_by_hand_are_what_the_table_says(people: Features) -> None:
    rows = [{"age": 20, "sex": "f", "member": True}, {"age": None, "sex": "m", "member": False}]
    byhand, _ = people.table(rows)
    table = pa.table({"age": [20, None], "sex": ["f", "m"], "member": [True, False]})
    assert np.array_equal(people.transform(byhand), people.transform(table))


def test_a_strangers_model_gets_numbers_unchanged() -> None:
    table = pa.table({"x": [1.0, 1000.0, None]})
    assert as_they_are(table, columns(x="number")).transform(table).ravel().tolist() == [
        1.0,
        1000.0,
        500.5,
    ]
