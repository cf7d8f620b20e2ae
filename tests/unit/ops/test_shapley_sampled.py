"""Sampled Shapley values: the twin's, additive to rounding, and near the exact ones."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kernels.ops import exact_shapley, sampled_shapley
from kernels.ops.shapley_sampled import permutations, reference

Array = np.ndarray[Any, Any]
LAWS = settings(max_examples=100, deadline=None, derandomize=True)


def f(x: torch.Tensor) -> torch.Tensor:
    """Two outputs with interactions of every pair of neighbours."""
    return torch.stack([torch.sin(x).sum(1) + (x[:, 1:] * x[:, :-1]).sum(1), x.max(1).values], 1)


def on_arrays(rows: Array) -> Array:
    return np.asarray(f(torch.tensor(rows, dtype=torch.float64)).numpy())


@LAWS
@given(
    seed=st.integers(0, 1000),
    n=st.integers(0, 4),
    m=st.integers(1, 4),
    d=st.integers(1, 9),
    pairs=st.integers(2, 7),
    given_as=st.sampled_from(["float16", "float32", "float64", "int16"]),
    memory=st.sampled_from([None, 600, 3000, 20_000]),
)
def test_the_twin_and_torch_agree(
    device: str, seed: int, n: int, m: int, d: int, pairs: int, given_as: str, memory: int | None
) -> None:
    rng = np.random.default_rng(seed)
    rows, background = ((3 * rng.normal(size=(k, d))).astype(given_as) for k in (n, m))
    found = sampled_shapley(f, rows, background, pairs, seed, device=device, memory=memory)
    wanted = reference(on_arrays, rows, background, pairs, seed)
    loose = 1e-4 if given_as in ("float16", "float32") else 1e-9
    for ours, twins in zip(found, wanted, strict=True):
        assert ours.shape == twins.shape and ours.dtype == np.float64
        # A standard error of 0 is a root of what rounding leaves.
        np.testing.assert_allclose(ours, twins, atol=max(loose, 1e-7), rtol=loose)


@LAWS
@given(seed=st.integers(0, 1000), d=st.integers(1, 30), pairs=st.integers(2, 4))
def test_every_number_of_pairs_is_additive(seed: int, d: int, pairs: int) -> None:
    rng = np.random.default_rng(seed)
    rows, background = torch.tensor(rng.normal(size=(3, d))), torch.tensor(rng.normal(size=(5, d)))
    phi, _, base = sampled_shapley(f, rows, background, pairs, seed)
    assert isinstance(phi, torch.Tensor) and isinstance(base, torch.Tensor)
    torch.testing.assert_close(phi.sum(1), f(rows) - base, atol=1e-12, rtol=1e-12)


def test_they_are_near_the_exact_ones_by_their_own_standard_error() -> None:
    rng = np.random.default_rng(1)
    rows, background = rng.normal(size=(20, 8)), rng.normal(size=(6, 8))
    exact = exact_shapley(f, rows, background).phi
    phi, error, _ = sampled_shapley(f, rows, background, pairs=200, seed=2)
    apart = np.abs(phi - exact)
    assert (apart < 5 * np.asarray(error) + 1e-9).all()
    assert 0.5 < np.sqrt(np.mean(apart**2) / np.mean(np.asarray(error) ** 2)) < 1.5


def test_a_linear_model_is_exact_and_certain() -> None:
    model = nn.Linear(50, 1).double()
    rng = np.random.default_rng(0)
    rows, background = rng.normal(size=(4, 50)), rng.normal(size=(9, 50))
    phi, error, _ = sampled_shapley(model, rows, background, pairs=2)
    weight = model.weight.detach().numpy()[0]
    np.testing.assert_allclose(phi[:, :, 0], weight * (rows - background.mean(0)), atol=1e-12)
    np.testing.assert_allclose(error, 0, atol=1e-12)


def test_the_seed_makes_the_permutations() -> None:
    assert permutations(6, 3, 4).tolist() == permutations(6, 3, 4).tolist()
    assert permutations(6, 3, 4).tolist() != permutations(6, 3, 5).tolist()
    assert np.sort(permutations(6, 3, 4)).tolist() == [list(range(6))] * 3


def test_nan_stays_in_its_row() -> None:
    rows, background = np.ones((2, 4)), np.zeros((2, 4))
    rows[0, 1] = np.nan
    phi, error, _ = sampled_shapley(lambda x: x.sum(1), rows, background, pairs=3)
    assert np.isnan(phi[0, 1]) and np.isnan(error[0, 1])
    np.testing.assert_allclose(phi[1], 1)


def test_what_is_refused() -> None:
    rows = np.zeros((2, 3))
    for more, says in [
        ({"pairs": 1}, "pairs=1"),
        ({"seed": -1}, "seed=-1"),
        ({"memory": 8}, "memory=8"),
    ]:
        with pytest.raises(ValueError, match=says):
            sampled_shapley(f, rows, rows, **more)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"shape \(2, 4\)"):
        reference(on_arrays, rows, np.zeros((2, 4)))
