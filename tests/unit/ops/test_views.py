"""What the 3D views are made of: quantiles, summaries of layers, and the layout of graphs."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.ops import lay_out_graph, layout, nan_quantiles, quantiles, summarise, summarise_layer

Array = np.ndarray[Any, Any]
LAWS = settings(max_examples=100, deadline=None, derandomize=True)
KINDS = st.sampled_from(["float16", "float32", "float64", "int8", "int64", "bool"])


def some(seed: int, shape: tuple[int, ...], kind: str, odd: bool) -> Array:
    """Numbers of a kind, some of them NaN and infinite if asked and possible, in a strided view."""
    rng = np.random.default_rng(seed)
    made = (5 * rng.normal(size=[2 * n for n in shape])).astype(kind)
    if odd and made.dtype.kind == "f":
        made[rng.random(made.shape) < 0.3] = np.nan
        made[rng.random(made.shape) < 0.05] = np.inf
    return np.asarray(made[tuple(slice(None, None, -2) for _ in shape)])


@LAWS
@given(
    seed=st.integers(0, 1000),
    shape=st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
    kind=KINDS,
    odd=st.booleans(),
    at=st.lists(st.sampled_from([0, 0.05, 1 / 3, 0.5, 0.9, 1]), max_size=4),
)
def test_quantiles_are_the_twins_and_numpys(
    device: str, seed: int, shape: tuple[int, ...], kind: str, odd: bool, at: list[float]
) -> None:
    values = some(seed, shape, kind, odd)
    found = nan_quantiles(values, at, device=device)
    np.testing.assert_allclose(found, quantiles.reference(values, at), rtol=1e-12, atol=1e-12)
    if values.size and at and not odd:
        wanted = np.quantile(values.astype(np.float64), at, axis=0)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_between_infinities() -> None:
    values = np.array([-np.inf, 1, np.inf, np.inf])
    assert quantiles.reference(values, [0.9])[0] == np.inf
    assert nan_quantiles(values, [0.9])[0] == np.inf
    for call in (nan_quantiles, quantiles.reference):
        with pytest.raises(ValueError, match=r"quantile at 1\.5"):
            call(values, [1.5])
        with pytest.raises(ValueError, match="single number"):
            call(np.float64(1), [0.5])


@LAWS
@given(
    seed=st.integers(0, 1000),
    shape=st.lists(st.integers(0, 12), min_size=1, max_size=3).map(tuple),
    kind=KINDS,
    odd=st.booleans(),
    grid=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    k=st.integers(0, 4),
)
def test_summaries_are_the_twins(
    device: str,
    seed: int,
    shape: tuple[int, ...],
    kind: str,
    odd: bool,
    grid: tuple[int, int],
    k: int,
) -> None:
    layer = some(seed, shape, kind, odd)
    found = summarise_layer(layer, grid, k, device=device)
    wanted = summarise.reference(layer, grid, k)
    for name in ("quantiles", "mean", "low", "high", "explained", "zeros", "nans", "infinite"):
        ours, twins = getattr(found, name), getattr(wanted, name)
        assert np.shape(ours) == np.shape(twins), name
        np.testing.assert_allclose(ours, twins, rtol=1e-8, atol=1e-8, err_msg=name)
    # A direction is told from another, but for its sign, where their variances differ.
    spectrum = np.asarray(summarise.reference(layer, grid, 12).explained)
    for i in range(k):
        if (np.abs(np.delete(spectrum, i) - spectrum[i]) > 1e-3).all() or spectrum[i] == 0:
            own, twin = np.asarray(found.directions)[i], np.asarray(wanted.directions)[i]
            assert min(np.abs(own - twin).max(initial=0), np.abs(own + twin).max(initial=0)) < 1e-5
    assert found.directions.shape == (k, math.prod(shape[1:]) if len(shape) > 1 else shape[0])


def test_directions_are_found_where_they_were_put() -> None:
    rng = np.random.default_rng(0)
    along = np.linalg.qr(rng.normal(size=(40, 2)))[0].T
    for rows in (20, 300):
        layer = 4 + rng.normal(size=(rows, 2)) * [9, 3] @ along + 1e-3 * rng.normal(size=(rows, 40))
        found = summarise_layer(layer, k=3)
        directions = np.asarray(found.directions)
        np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-6)
        span = directions[:2] @ along.T
        np.testing.assert_allclose(span @ span.T, np.eye(2), atol=1e-4)
        assert (directions[np.arange(3), np.abs(directions).argmax(1)] > 0).all()
        assert 0.999 < found.explained[:2].sum() <= 1
        np.testing.assert_allclose(
            directions, summarise.reference(layer, k=3).directions, atol=1e-6
        )


def test_a_layer_without_variance_has_no_directions() -> None:
    found = summarise_layer(torch.full((7, 3), 0.1), k=2)
    assert isinstance(found.directions, torch.Tensor)
    assert found.directions.tolist() == [[0.0] * 3] * 2
    assert summarise.reference(np.full((7, 3), 0.1), k=2).explained.tolist() == [0, 0]


def test_tiles_by_hand() -> None:
    layer = np.array([[1, 2, 3], [4, 5, np.nan], [0, 0, 0]])
    found = summarise_layer(layer, (2, 2))
    np.testing.assert_allclose(found.mean, [[1, 2.5], [2, 5 / 3]])
    np.testing.assert_allclose(found.low, [[1, 2], [0, 0]])
    np.testing.assert_allclose(found.high, [[1, 3], [4, 5]])
    assert (found.zeros, found.nans, found.infinite) == (3 / 9, 1 / 9, 0)


@pytest.mark.parametrize("call", [summarise_layer, summarise.reference])
def test_what_a_summary_refuses(call: Any) -> None:
    for layer, more, says in [
        (np.float64(1), {}, "single number"),
        (np.ones(3), {"grid": (0, 2)}, r"grid=\(0, 2\)"),
        (np.ones(3), {"k": -1}, "k=-1"),
        (np.ones(3), {"at": [2]}, "quantile at 2"),
        (np.array(["a"]), {}, "<U1"),
    ]:
        with pytest.raises(ValueError, match=says):
            call(layer, **more)


graphs = st.integers(0, 25).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(*[st.integers(0, n - 1)] * 2), max_size=40) if n else st.just([]),
    )
)


@LAWS
@given(graph=graphs, kind=st.sampled_from(["int8", "uint8", "int32", "int64"]))
def test_layouts_are_the_twins(
    device: str, graph: tuple[int, list[tuple[int, int]]], kind: str
) -> None:
    nodes, listed = graph
    edges = np.asfortranarray(np.array(listed, kind).reshape(-1, 2))
    found = np.asarray(lay_out_graph(nodes, edges, 60, device=device))
    np.testing.assert_allclose(found, layout.reference(nodes, edges, 60), atol=1e-6)
    assert found.shape == (nodes, 3)
    if nodes > 1:
        assert np.abs(found).max() == pytest.approx(1)
        np.testing.assert_allclose(found.max(0) + found.min(0), 0, atol=1e-12)
    forward = edges[edges[:, 0] < edges[:, 1]].astype(np.int64)
    layer, acyclic = layout.layers(nodes, edges.astype(np.int64)), layout.layers(nodes, forward)
    assert (acyclic[forward[:, 0]] < acyclic[forward[:, 1]]).all()
    assert (np.unique(layer) == np.arange(layer.max(initial=-1) + 1)).all()


def stress(p: Array, d: Array) -> float:
    i, j = np.triu_indices(len(p), 1)
    apart = np.linalg.norm(p[i] - p[j], axis=1)
    return float((((apart - d[i, j]) / d[i, j]) ** 2).sum())


def test_every_round_lowers_the_stress() -> None:
    """In units of the graph: a chain beside the graph keeps one layer one unit."""
    rng = np.random.default_rng(1)
    edges = np.sort(rng.integers(0, 30, (60, 2)))
    edges = edges[edges[:, 0] < edges[:, 1]]
    layer, d = layout.layers(30, edges), layout.distances(30, edges)
    told = []
    for rounds in (0, 1, 2, 5, 20, 80):
        p = np.asarray(lay_out_graph(30, edges, rounds))
        told.append(stress(p * layer.max() / np.ptp(p[:, 0]), d))
    assert all(after <= before + 1e-9 for before, after in pairwise(told))
    assert told[-1] < 0.7 * told[0]


def test_a_cycle_is_broken_at_the_same_edge_always() -> None:
    cycle = np.array([[0, 1], [1, 2], [2, 0], [2, 3], [3, 3]])
    assert layout.layers(4, cycle).tolist() == [0, 1, 2, 3]
    assert layout.layers(4, cycle[::-1]).tolist() == [0, 1, 2, 3]
    assert layout.distances(4, cycle[:2])[0].tolist() == [0, 1, 2, 3]


def test_two_branches_stand_apart() -> None:
    p = np.asarray(lay_out_graph(4, np.array([[0, 1], [0, 2], [1, 3], [2, 3]])))
    assert p[:, 0].tolist() == pytest.approx([-1, 0, 0, 1])
    assert np.linalg.norm(p[1] - p[2]) > 0.5


@pytest.mark.parametrize("call", [lay_out_graph, layout.reference])
def test_what_a_layout_refuses(call: Any) -> None:
    edges = np.array([[0, 1]])
    for nodes, given_edges, more, says in [
        (2001, edges, {}, "nodes=2001"),
        (2, edges, {"rounds": -1}, "rounds=-1"),
        (1, edges, {}, "names node 1; nodes are 0..0"),
        (2, edges - 1, {}, "names node -1"),
        (2, edges[0], {}, r"shape \(2,\)"),
        (2, edges / 1, {}, "float64"),
    ]:
        with pytest.raises(ValueError, match=says):
            call(nodes, given_edges, **more)
