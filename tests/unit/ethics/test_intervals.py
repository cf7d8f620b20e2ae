"""The intervals: known values, laws, and that they cover what they promise."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.ethics.intervals import gap_interval, wilson

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_wilson_intervals(successes: int, n: int, low: float, high: float) -> None:
    found = wilson(successes, n)
    assert found == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10.
    [
        ([(56, 70), (48, 80)], 0.0524, 0.3339),
        ([(9, 10), (3, 10)], 0.1705, 0.8090),
        ([(5, 56), (0, 29)], 0.0, 0.1926),
        ([(10, 10), (0, 10)], 0.6075, 1.0),
    ],
)
def test_published_differences(counts: list[tuple[int, int]], low: float, high: float) -> None:
    found = gap_interval(counts)
    assert found == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.lists(counts, min_size=2, max_size=8))
def test_the_interval_holds_the_gap_and_ignores_the_order(groups: list[tuple[int, int]]) -> None:
    shares = [s / n for s, n in groups]
    low, high = gap_interval(groups)
    gap = max(shares) - min(shares)
    assert 0 <= low <= gap + 1e-12 and gap - 1e-12 <= high <= 1
    assert gap_interval(groups[::-1]) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("true", [[0.3, 0.3], [0.2, 0.35], [0.5] * 5, [0.1, 0.2, 0.3], [0.4] * 10])
def test_coverage_is_what_is_promised(true: list[float]) -> None:
    rng, rounds, held = random.Random(7), 600, 0
    gap = max(true) - min(true)
    for _ in range(rounds):
        groups = [(sum(rng.random() < share for _ in range(60)), 60) for share in true]
        low, high = gap_interval(groups)
        held += low <= gap <= high
    # 600 rounds at 95 % have a standard error of 0.9 points.
    assert held / rounds >= 0.93
