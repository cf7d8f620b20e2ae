"""A graph in three dimensions: along x by layers, across by what is near in the graph."""

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from .device import Array, Device, Given, place

if TYPE_CHECKING:
    import torch

MOST = 2000
"""Nodes; every pair has a distance, so time and memory grow with their square and more."""

ROUNDS = 200
GOLDEN = np.pi * (3 - 5**0.5)


def layers(nodes: int, edges: Array) -> Array:
    """The layer of each node: the most edges on a path to it, int64 [nodes].

    Edges that close a cycle are left out: those that lead back to a node on the way of a
    depth-first walk that takes nodes, and each one's targets, in the order of their numbers.

    Args:
        nodes: How many.
        edges: From, to; int64 [e, 2].

    Source: Eades and Sugiyama, How to Draw a Directed Graph, 1990; Tarjan 1972 (back edges).
    """
    targets: list[list[int]] = [[] for _ in range(nodes)]
    for source, target in sorted({(int(a), int(b)) for a, b in edges if a != b}):
        targets[source].append(target)
    kept: list[list[int]] = [[] for _ in range(nodes)]
    done, on_way = [False] * nodes, [False] * nodes
    finished: list[int] = []
    for root in range(nodes):
        if done[root]:
            continue
        done[root] = on_way[root] = True
        way = [(root, iter(targets[root]))]
        while way:
            node, ahead = way[-1]
            target = next(ahead, -1)
            if target < 0:
                on_way[node] = False
                finished.append(node)
                way.pop()
            elif not on_way[target]:
                kept[node].append(target)
                if not done[target]:
                    done[target] = on_way[target] = True
                    way.append((target, iter(targets[target])))
    layer = np.zeros(nodes, np.int64)
    for node in reversed(finished):
        for target in kept[node]:
            layer[target] = max(layer[target], layer[node] + 1)
    return layer


def distances(nodes: int, edges: Array) -> Array:
    """Edges on the shortest way between two nodes whatever their direction, float64 [n, n].

    Nodes that are not connected are one further apart than the furthest that are.
    """
    near: list[set[int]] = [set() for _ in range(nodes)]
    for source, target in edges.tolist():
        near[source].add(target)
        near[target].add(source)
    found = np.full((nodes, nodes), -1.0)
    for start in range(nodes):
        hops = {start: 0}
        queue = deque([start])
        while queue:
            node = queue.popleft()
            for other in near[node]:
                if other not in hops:
                    hops[other] = hops[node] + 1
                    queue.append(other)
        found[start, list(hops)] = list(hops.values())
    return np.where(found < 0, found.max(initial=0) + 1, found)


def reference(nodes: int, edges: Given, rounds: int = ROUNDS) -> Array:
    """The twin of `lay_out_graph`, which it defines.

    x is the layer. y and z begin on a sunflower's spiral within each layer and then lower
    stress = sum over pairs of ((|p_i - p_j| - d_ij) / d_ij)^2, d the distance in the graph,
    by majorisation: p <- V^-1 B(p) p with w = d^-2, V = diag(w 1) - w and
    B(p) = diag(b 1) - b, b = w d / |p_i - p_j|. In the end all is centred and scaled alike.

    Args:
        nodes: 0..2,000.
        edges: From, to; integers [e, 2] in 0..nodes - 1, e >= 0. Repeated edges count once,
            loops not at all.
        rounds: Of majorisation, >= 0; stress never rises.

    Returns:
        Positions float64 [nodes, 3], without unit: the box around them is centred at 0 and its
        longest side is 2. Every edge that closes no cycle leads to a greater x.

    Raises:
        ValueError: Too many nodes, negative rounds, or edges that are not [e, 2] of numbers of
            nodes.

    Source: Gansner, Koren and North, Graph Drawing by Stress Majorization, GD 2004; the fixed
    x is a constant in each bound, so y and z are majorised as if alone.
    """
    pairs = _check(nodes, edges, rounds)
    p, d = _start(nodes, pairs), distances(nodes, pairs)
    w = 1 / np.where(d > 0, d, np.inf) ** 2
    v = np.diag(w.sum(axis=1)) - w + 1 / max(nodes, 1)
    inverse = np.linalg.inv(v)
    for _ in range(rounds if nodes > 1 else 0):
        apart = np.sqrt(((p[:, None] - p[None]) ** 2).sum(axis=-1))
        b = np.where(apart > 0, w * d / np.where(apart > 0, apart, 1), 0)
        p[:, 1:] = inverse @ (b.sum(axis=1)[:, None] * p[:, 1:] - b @ p[:, 1:])
    if nodes:
        p -= (p.max(axis=0) + p.min(axis=0)) / 2
        p /= np.abs(p).max() or 1
    return p


def lay_out_graph(
    nodes: int, edges: Given, rounds: int = ROUNDS, *, device: Device = None
) -> Given:
    """What `reference` defines; layers and distances on the CPU, the rounds by torch.

    Each round is O(nodes^2), the inverse before them O(nodes^3) once.

    Args:
        nodes: 0..2,000.
        edges: Integers [e, 2].
        rounds: Of majorisation, >= 0.
        device: Where to compute; see `device`.

    Returns:
        Positions as `reference`.

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: As in `reference`.
    """
    import torch

    where = place(device, edges)
    pairs = _check(nodes, edges, rounds)
    p = where.take(_start(nodes, pairs), "positions")
    d = where.take(distances(nodes, pairs), "distances")
    w = d.where(d > 0, torch.inf).square().reciprocal()
    inverse = torch.linalg.inv(w.sum(1).diag() - w + 1 / max(nodes, 1))
    for _ in range(rounds if nodes > 1 else 0):
        b = w * d * _inverse_distances(p)
        p[:, 1:] = inverse @ (b.sum(1, keepdim=True) * p[:, 1:] - b @ p[:, 1:])
    if nodes:
        p -= (p.amax(0) + p.amin(0)) / 2
        p /= p.abs().max().where(p.abs().max() > 0, 1)
    return where.give(p)


def _inverse_distances(p: "torch.Tensor") -> "torch.Tensor":
    """1 / |p_i - p_j|, 0 where they coincide."""
    import torch

    apart = torch.cdist(p, p, compute_mode="donot_use_mm_for_euclid_dist")
    return apart.where(apart > 0, torch.inf).reciprocal()


def _start(nodes: int, pairs: Array) -> Array:
    """Positions by layer, and within it on a spiral, in the order of the nodes."""
    layer = layers(nodes, pairs)
    rank = np.zeros(nodes)
    for each in range(layer.max(initial=-1) + 1):
        rank[layer == each] = np.arange((layer == each).sum())
    # Half a turn's irrational part apart from layer to layer: no start is symmetric.
    turn, out = GOLDEN * (rank + layer), np.sqrt(rank + 0.5)
    return np.stack([layer, out * np.cos(turn), out * np.sin(turn)], axis=1)


def _check(nodes: int, edges: Given, rounds: int) -> Array:
    if not 0 <= nodes <= MOST or rounds < 0:
        raise ValueError(
            f"nodes={nodes}, rounds={rounds}; 0..{MOST} nodes and rounds >= 0 are laid out."
        )
    taken = place("cpu", edges).take(edges, "edges").numpy()
    if taken.ndim != 2 or taken.shape[1] != 2 or taken.dtype.kind not in "iu":
        raise ValueError(
            f"Edges of shape {taken.shape} and {taken.dtype}; integers [e, 2] are needed."
        )
    if taken.size and not 0 <= taken.min() <= taken.max() < nodes:
        wrong = taken.min() if taken.min() < 0 else taken.max()
        raise ValueError(f"An edge names node {wrong}; nodes are 0..{nodes - 1}.")
    return taken.astype(np.int64)
