"""Exact Shapley values: the twin's, their axioms, and those of shap's exact explainer."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kernels.ops import DeviceUnavailable, exact_shapley
from kernels.ops.shapley import reference

Array = np.ndarray[Any, Any]
LAWS = settings(max_examples=100, deadline=None, derandomize=True)


def network(widths: list[int], activation: str, seed: int, dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), getattr(nn, activation)()]
    return nn.Sequential(*layers[:-1]).to(dtype)


def on_arrays(model: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Array], Array]:
    """The same model in float64 NumPy, for the twin."""
    if isinstance(model, nn.Module):
        import copy

        model = copy.deepcopy(model).double().cpu()

    def f(rows: Array) -> Array:
        with torch.no_grad():
            return np.asarray(model(torch.tensor(rows, dtype=torch.float64)).numpy())

    return f


@LAWS
@given(
    seed=st.integers(0, 1000),
    widths=st.lists(st.integers(1, 7), min_size=2, max_size=5),
    activation=st.sampled_from(["ReLU", "Tanh", "GELU", "SiLU"]),
    n=st.integers(0, 4),
    m=st.integers(1, 5),
    given_as=st.sampled_from(["float16", "float32", "float64", "int8", "int64", "bool"]),
    computed=st.sampled_from([torch.float32, torch.float64]),
    plain=st.booleans(),
    memory=st.sampled_from([None, 512, 1500, 5000]),
)
def test_the_twin_and_torch_agree(
    device: str,
    seed: int,
    widths: list[int],
    activation: str,
    n: int,
    m: int,
    given_as: str,
    computed: torch.dtype,
    plain: bool,
    memory: int | None,
) -> None:
    rng = np.random.default_rng(seed)
    rows, background = ((3 * rng.normal(size=(k, widths[0]))).astype(given_as) for k in (n, m))
    model = network(widths, activation, seed, computed).to(device)
    f = model if plain else nn.ModuleList([model])[0].forward
    if not plain:
        rows, background = rows.astype(str(computed)[6:]), background.astype(str(computed)[6:])
    found = exact_shapley(f, rows, background, device=device, memory=memory)
    wanted = reference(on_arrays(model), rows, background)
    loose = 1e-4 if computed == torch.float32 else 1e-10
    np.testing.assert_allclose(found.phi, wanted.phi, atol=loose, rtol=loose)
    np.testing.assert_allclose(found.base, wanted.base, atol=loose, rtol=loose)
    assert found.phi.shape == (n, widths[0], widths[-1])
    assert found.phi.dtype == np.float64


@LAWS
@given(seed=st.integers(0, 1000), d=st.integers(1, 7), memory=st.sampled_from([512, 4096, None]))
def test_the_axioms_hold(seed: int, d: int, memory: int | None) -> None:
    """Efficiency, dummy, symmetry and linearity, for a function without an axis of outputs."""
    rng = np.random.default_rng(seed)
    rows, background = torch.tensor(rng.normal(size=(3, d))), torch.tensor(rng.normal(size=(4, d)))
    weight = torch.tensor(rng.normal(size=d))
    weight[0] = 0

    def f(x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x @ weight) + (x[:, 1:] * weight[1:]).prod(1)

    phi, base = exact_shapley(f, rows, background, memory=memory)
    assert isinstance(phi, torch.Tensor) and isinstance(base, torch.Tensor)
    assert phi.shape == (3, d) and base.shape == ()
    torch.testing.assert_close(phi.sum(1), f(rows) - base)
    torch.testing.assert_close(phi[:, 0], torch.zeros(3, dtype=torch.float64))
    twice = exact_shapley(lambda x: 2 * f(x) + x.sum(1), rows, background).phi
    torch.testing.assert_close(twice, 2 * phi + rows - background.mean(0))
    if d > 2:
        weight[2] = weight[1]
        rows[:, 2], background[:, 2] = rows[:, 1], background[:, 1]
        alike = exact_shapley(f, rows, background).phi
        torch.testing.assert_close(alike[:, 1], alike[:, 2])


def test_by_hand() -> None:
    """A product of two features over a background of zeros is shared in equal parts."""
    phi, base = exact_shapley(lambda x: x[:, 0] * x[:, 1], np.array([[3.0, 4.0]]), np.zeros((1, 2)))
    assert isinstance(phi, np.ndarray)
    assert phi.tolist() == [[6.0, 6.0]]
    assert base == 0


@pytest.mark.filterwarnings("ignore")
def test_as_shap_has_it() -> None:
    import shap

    rng = np.random.default_rng(3)
    rows, background = rng.normal(size=(6, 8)), rng.normal(size=(10, 8))
    model = network([8, 16, 9, 3], "ReLU", 5, torch.float64)
    explainer = shap.explainers.Exact(
        on_arrays(model), shap.maskers.Independent(background, max_samples=10)
    )
    theirs = explainer(rows)
    ours = exact_shapley(model, rows, background)
    np.testing.assert_allclose(ours.phi, theirs.values, atol=1e-9)
    np.testing.assert_allclose(np.broadcast_to(ours.base, (6, 3)), theirs.base_values, atol=1e-9)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_reaches_the_model_and_its_row_alone(bad: float) -> None:
    model = network([5, 4, 1], "Tanh", 0, torch.float64)
    rows, background = np.ones((2, 5)), np.zeros((3, 5))
    rows[1, 2] = bad
    found = exact_shapley(model, rows, background)
    wanted = reference(on_arrays(model), rows, background)
    np.testing.assert_allclose(found.phi, wanted.phi, atol=1e-12)
    assert np.isfinite(found.phi[0]).all()
    assert np.isnan(found.phi[1]).all() == math.isnan(bad)


def test_views_of_any_strides_are_taken_and_not_written_to() -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(8, 12)).astype(">f4")
    wide.flags.writeable = False
    kept = wide.copy()
    rows, background = wide[::-2, ::3], wide.T[:4].T[1:, ::-1]
    model = network([4, 6, 2], "ReLU", 1, torch.float32)
    found = exact_shapley(model, rows, background)
    wanted = exact_shapley(model, torch.tensor(rows.astype("f4")), background.copy())
    assert isinstance(wanted.phi, torch.Tensor)
    np.testing.assert_allclose(found.phi, wanted.phi.numpy(), atol=1e-6)
    np.testing.assert_array_equal(wide, kept)


def test_layers_that_work_in_place_leave_what_was_given() -> None:
    rows, background = torch.ones(2, 3) * -1, torch.ones(2, 3) * -2
    phi, base = exact_shapley(nn.ReLU(inplace=True), rows, background)
    assert not phi.any() and not base.any()
    assert (rows == -1).all() and (background == -2).all()


def test_a_hook_is_not_passed_by() -> None:
    """A plain network is split only where nothing comes between its layers."""
    model = network([4, 6, 2], "ReLU", 1, torch.float64)
    model[0].register_forward_hook(lambda module, given, answer: answer * 2)
    rows, background = np.eye(4), np.zeros((1, 4))
    wanted = exact_shapley(lambda x: model(x), rows, background).phi
    np.testing.assert_allclose(exact_shapley(model, rows, background).phi, wanted, atol=1e-12)


def test_what_is_refused() -> None:
    model = network([3, 2], "ReLU", 0, torch.float64)
    rows = np.zeros((2, 3))
    for f, x, b, more, says in [
        (model, np.zeros((2, 21)), np.zeros((1, 21)), {}, "21 features .* sampled_shapley"),
        (model, np.zeros(3), rows, {}, r"shape \(3,\)"),
        (model, rows, np.zeros((2, 4)), {}, r"shape \(2, 4\)"),
        (model, rows, np.zeros((0, 3)), {}, r"background of shape \(0, 3\)"),
        (model, np.zeros((2, 0)), np.zeros((2, 0)), {}, r"\(2, 0\)"),
        (model, rows, rows, {"memory": 8}, "memory=8 bytes"),
        (model, rows, rows, {"device": "tpu"}, "'tpu'"),
        (model, rows, rows, {"device": "meta"}, "'meta'"),
        (model, rows.astype(complex), rows, {}, "complex128"),
        (lambda x: x.sum(), rows, rows, {}, r"answers \(\) for 2 rows"),
        (lambda x: 1.0, rows, rows, {}, "float"),
        (nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)), rows, rows, {}, "Dropout"),
        (nn.Linear(3, 2, device="meta"), rows, rows, {}, "lies on meta"),
    ]:
        with pytest.raises(ValueError, match=says):
            exact_shapley(f, x, b, **more)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="21 features"):
        reference(on_arrays(model), np.zeros((2, 21)), np.zeros((1, 21)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA on this machine")
def test_a_device_that_is_not_there_is_never_replaced() -> None:
    model = network([3, 2], "ReLU", 0, torch.float64)
    with pytest.raises(DeviceUnavailable, match="'cuda' was asked for and this machine has 0"):
        exact_shapley(model, np.zeros((2, 3)), np.zeros((2, 3)), device="cuda")
