"""Counting groups, and the bootstrap and permutation test of what was counted."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kernels.ops import bootstrap, bootstrap_counts, count_groups, permutation, permutation_test
from kernels.ops.group_count import reference as counted

Array = np.ndarray[Any, Any]
LAWS = settings(max_examples=100, deadline=None, derandomize=True)
SIGNED = st.sampled_from(["int8", "int16", "int32", "int64"])


@LAWS
@given(
    seed=st.integers(0, 1000),
    n=st.sampled_from([0, 1, 7, 300]),
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    kinds=st.lists(SIGNED, min_size=4, max_size=4),
    missing=st.booleans(),
    values=st.sampled_from([None, "float16", "float32", "float64", "int32", "bool"]),
    holes=st.booleans(),
    step=st.sampled_from([1, 2, -1, -3]),
)
def test_groups_are_counted_as_the_twin_does(
    device: str,
    seed: int,
    n: int,
    sizes: list[int],
    kinds: list[str],
    missing: bool,
    values: str | None,
    holes: bool,
    step: int,
) -> None:
    rng = np.random.default_rng(seed)
    columns = [
        rng.integers(-missing, size, n).astype(kind)[::step]
        for size, kind in zip(sizes, kinds, strict=False)
    ]
    added = None if values is None else (9 * rng.random(n)).astype(values)[::step]
    if added is not None and holes and values in ("float16", "float32", "float64") and n > 1:
        added[rng.integers(len(added))] = np.nan
    found = count_groups(columns, sizes, added, missing, device=device)
    wanted = counted(columns, sizes, added, missing)
    np.testing.assert_array_equal(found.counts, wanted.counts)
    assert found.counts.dtype == np.int64
    assert found.counts.sum() == len(columns[0])
    if wanted.sums is None:
        assert found.sums is None
    else:
        np.testing.assert_allclose(found.sums, wanted.sums, rtol=1e-12)


def test_groups_over_several_blocks_of_rows() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, 300_000), rng.random(300_000) < 0.3
    a.flags.writeable = False
    value = rng.normal(size=300_000)
    counts, sums = count_groups([a, b], [3, 2], value)
    for i, j in np.ndindex(3, 2):
        inside = (a == i) & (b == j)
        assert counts[i, j] == inside.sum()
        assert sums is not None
        assert sums[i, j] == pytest.approx(value[inside].sum())


def test_missing_codes_have_the_last_slot() -> None:
    first, second = torch.tensor([0, -1, 1, -1]), torch.tensor([2, -1, 0, 1], dtype=torch.int8)
    counts = count_groups([first, second], [2, 3], missing=True).counts
    assert isinstance(counts, torch.Tensor)
    assert counts.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 1]]
    assert first.tolist() == [0, -1, 1, -1]


@pytest.mark.parametrize("count", [count_groups, counted])
def test_what_is_no_code_is_refused(count: Any) -> None:
    codes = np.array([0, 2, 1])
    for columns, sizes, more, says in [
        ([codes], [2], {}, "Column 0 holds 2; its codes are 0..1"),
        ([codes, codes - 1], [3, 3], {}, "Column 1 holds -1; its codes are 0..2"),
        ([codes - 2], [3], {"missing": True}, r"holds -2; its codes are -1 \(missing\)..2"),
        ([codes / 1], [3], {}, "Column 0 is float64"),
        ([codes.astype("uint64")], [3], {}, "Column 0 is uint64"),
        ([codes, codes[1:]], [3, 3], {}, r"\(3,\), \(2,\)"),
        ([codes], [3], {"values": np.zeros(2)}, r"\(3,\), \(2,\)"),
        ([codes], [3, 3], {}, "1 columns and 2 sizes"),
        ([], [], {}, "0 columns"),
        ([codes], [0], {}, "Column 0 has 0 codes"),
        ([codes] * 4, [1000] * 4, {}, "1000000000000 cells"),
    ]:
        with pytest.raises(ValueError, match=says):
            count(columns, sizes, **more)


def rate(tables: Any) -> Any:
    """The share of the first cell; 0 / 0 in an empty table."""
    with np.errstate(invalid="ignore"):
        return tables[..., 0] / tables.sum(-1)


@LAWS
@given(
    seed=st.integers(0, 1000),
    shape=st.lists(st.integers(0, 3), max_size=2),
    k=st.integers(1, 5),
    draws=st.integers(2, 60),
    level=st.sampled_from([0.5, 0.9, 0.95]),
    given_as=st.sampled_from(["int8", "int64", "float16", "float64"]),
)
def test_the_bootstrap_is_the_twins(
    device: str, seed: int, shape: list[int], k: int, draws: int, level: float, given_as: str
) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1.5, (*shape, k)).astype(given_as)
    found = bootstrap_counts(counts, rate, draws, level, seed, device=device)
    wanted = bootstrap.reference(counts, rate, draws, level, seed)
    for ours, twins in zip(found, wanted, strict=True):
        assert ours.shape == twins.shape == tuple(shape)
        np.testing.assert_allclose(ours, twins, rtol=1e-9, atol=1e-9)


def test_the_bootstrap_of_a_share_has_its_standard_error() -> None:
    found = bootstrap_counts(np.array([30, 70]), rate, draws=20_000, seed=3)
    assert float(found.estimate) == 0.3
    assert float(found.standard_error) == pytest.approx((0.3 * 0.7 / 100) ** 0.5, rel=0.03)
    assert float(found.low) == pytest.approx(0.21, abs=0.011)
    assert float(found.high) == pytest.approx(0.39, abs=0.011)
    assert int(found.undefined) == 0


def test_draws_without_an_answer_are_counted_and_left_out() -> None:
    """A share among the rows of the last two cells, which some draws do not have."""

    def among(tables: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return tables[..., 1] / tables[..., 1:].sum(-1)

    found = bootstrap_counts(np.array([8, 1, 1]), among, draws=2000)
    assert int(found.undefined) == pytest.approx(2000 * 0.8**10, rel=0.2)
    assert 0 <= found.low <= found.high <= 1
    empty = bootstrap_counts(np.array([[0, 0], [2, 2]]), rate, draws=50)
    assert np.isnan(empty.standard_error).tolist() == [True, False]
    assert empty.undefined.tolist() == [50, 0]


@pytest.mark.parametrize("call", [bootstrap_counts, bootstrap.reference])
def test_what_the_bootstrap_refuses(call: Any) -> None:
    for counts, more, says in [
        (np.array([1, -2]), {}, "-2"),
        (np.array([1.5, 2]), {}, "1.5"),
        (np.array([np.nan, 2]), {}, "nan"),
        (np.zeros((2, 0)), {}, r"\(2, 0\)"),
        (np.array([1, 2]), {"draws": 1}, "draws=1"),
        (np.array([1, 2]), {"level": 1.0}, "level=1.0"),
        (np.array([1, 2]), {"statistic": lambda t: t.sum()}, r"shape \(\)"),
    ]:
        with pytest.raises(ValueError, match=says):
            call(counts, **({"statistic": rate} | more))


@LAWS
@given(
    seed=st.integers(0, 1000),
    groups=st.integers(1, 4),
    outcomes=st.integers(1, 4),
    statistic=st.sampled_from(["chi-square", "gap"]),
    draws=st.integers(1, 60),
    given_as=st.sampled_from(["int8", "int64", "float32"]),
)
def test_the_permutation_test_is_the_twins(
    device: str,
    seed: int,
    groups: int,
    outcomes: int,
    statistic: str,
    draws: int,
    given_as: str,
) -> None:
    rng = np.random.default_rng(seed)
    table = rng.poisson(2, (groups, outcomes)).astype(given_as)
    table[0, 0] += 1
    outcome = seed % outcomes
    table = np.asfortranarray(table)
    found = permutation_test(table, statistic, outcome, draws, seed, device=device)
    wanted = permutation.reference(table, statistic, outcome, draws, seed)
    assert found.exceeding == wanted.exceeding
    assert found.p_value == wanted.p_value == (found.exceeding + 1) / (draws + 1)
    assert found.statistic == pytest.approx(wanted.statistic, abs=1e-12)
    drawn = permutation.draw_tables(table.astype(np.int64), draws, seed)
    assert (drawn >= 0).all()
    assert (drawn.sum(1) == table.sum(0)).all() and (drawn.sum(2) == table.sum(1)).all()


@pytest.mark.parametrize("table", [[[8, 2], [1, 5]], [[3, 9], [7, 6]], [[20, 30], [25, 25]]])
def test_the_p_value_is_fishers(table: list[list[int]]) -> None:
    """For two by two, chi-square orders the tables nearly as Fisher's exact test does."""
    drawn = permutation.draw_tables(np.array(table), 20_000, 1)[:, 0, 0]
    (a, b), (c, d) = table
    law = stats.hypergeom(a + b + c + d, a + c, a + b)
    for k in range(a + b + 1):
        assert (drawn == k).mean() == pytest.approx(law.pmf(k), abs=0.015)
    spread = [abs(k - law.mean()) for k in range(a + b + 1)]
    exact = sum(law.pmf(k) for k, far in enumerate(spread) if far >= spread[a] - 1e-9)
    found = permutation_test(np.array(table), draws=20_000, seed=1)
    assert found.p_value == pytest.approx(exact, abs=0.015)
    assert found.statistic == pytest.approx(stats.chi2_contingency(table, correction=False)[0])


@pytest.mark.parametrize("call", [permutation_test, permutation.reference])
def test_what_the_permutation_test_refuses(call: Any) -> None:
    table = np.ones((2, 2), np.int64)
    for given_table, more, says in [
        (table, {"statistic": "t"}, "'t' is no statistic"),
        (table, {"draws": 0}, "draws=0"),
        (table, {"outcome": 2}, "outcome=2"),
        (table[0], {}, r"shape \(2,\)"),
        (table * 0, {}, "with 0 people"),
        (table * 10**9, {}, "with 4000000000 people"),
        (table - 2, {}, "-1"),
    ]:
        with pytest.raises(ValueError, match=says):
            call(given_table, **more)
