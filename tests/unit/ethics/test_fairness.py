"""Group fairness of decisions."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.core import Invalid
from workbench.ethics.fairness import MISSING, assess_attribute, banded


def people(*groups: tuple[str, int, int]) -> tuple[list[str], list[bool]]:
    """(name, favourable, rows) of each group, as rows."""
    names, decisions = [], []
    for name, favourable, rows in groups:
        names += [name] * rows
        decisions += [True] * favourable + [False] * (rows - favourable)
    return names, decisions


def test_a_large_gap_fails_and_says_so() -> None:
    names, decisions = people(("a", 90, 100), ("b", 50, 100))
    found = assess_attribute("sex", names, decisions, decisions, 0.1)
    assert found.verdict == "fail"
    assert found.gap == pytest.approx(0.4)
    assert found.ratio == pytest.approx(50 / 90)
    assert "favourable decisions are 40 points rarer for b than for a" in found.sentence


def test_no_gap_on_many_rows_passes() -> None:
    names, decisions = people(("a", 2500, 5000), ("b", 2510, 5000))
    assert assess_attribute("sex", names, decisions, decisions, 0.1).verdict == "pass"


def test_few_rows_cannot_pass() -> None:
    names, decisions = people(("a", 8, 15), ("b", 8, 15))
    assert assess_attribute("sex", names, decisions, decisions, 0.1).verdict == "too few to tell"


def test_tiny_groups_are_shown_not_compared() -> None:
    names, decisions = people(("a", 50, 100), ("b", 50, 100), ("c", 0, 3))
    found = assess_attribute("sex", names, decisions, decisions, 0.3)
    assert [each.name for each in found.groups] == ["a", "b", "c"]
    assert found.gap == 0
    assert "1 group under 10 rows not compared" in found.sentence


def test_rates_by_truth() -> None:
    truth = [True] * 20 + [False] * 20
    decisions = [True] * 10 + [False] * 10 + [True] * 5 + [False] * 15
    found = assess_attribute("g", ["a"] * 40 + ["b"] * 40, decisions * 2, truth * 2, 0.1)
    group = found.groups[0]
    assert group.true_positive_rate == pytest.approx(0.5)
    assert group.false_positive_rate == pytest.approx(0.25)
    assert found.equalized_odds == pytest.approx(0.0)


@pytest.mark.parametrize("groups", [["a"] * 20, [f"g{i}" for i in range(100)]])
def test_one_group_or_too_many_is_invalid(groups: list[str]) -> None:
    with pytest.raises(Invalid, match="divides these rows into"):
        assess_attribute("g", groups, [True] * len(groups), [True] * len(groups), 0.1)


@given(st.lists(st.one_of(st.none(), st.integers(0, 99)), min_size=1, max_size=200))
@settings(max_examples=50)
def test_bands_keep_every_row_and_the_order(values: list[int | None]) -> None:
    names = banded(values, "integer")
    assert len(names) == len(values)
    assert all(
        (name == MISSING) == (value is None) for name, value in zip(names, values, strict=True)
    )
    by_name: dict[str, list[int]] = {}
    for name, value in zip(names, values, strict=True):
        if value is not None:
            by_name.setdefault(name, []).append(value)
    spans = sorted((min(v), max(v)) for v in by_name.values())
    assert all(a[1] < b[0] for a, b in pairwise(spans))
