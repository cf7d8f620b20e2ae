"""Whether a graph is one: no cycles, no loose ends, known layers, sizes that fit."""

import keyword
import math
from collections.abc import Iterator
from typing import Any

from workbench.core import Invalid

from .layers import KINDS
from .types import Graph, Node, Parameter

MOST_NODES = 2_000

TRAINING: dict[str, tuple[float, float, bool]] = {
    "epochs": (1, 10_000, True),
    "batch_size": (1, 65_536, True),
    "learning_rate": (1e-7, 10.0, False),
    "weight_decay": (0.0, 10.0, False),
    "patience": (1, 10_000, True),
    "mixed_precision": (0, 1, True),
}
"""What `Graph.training` may hold: name → least, most, whether it is a whole number."""


def check(graph: Graph) -> list[str]:
    """The nodes in an order in which each comes after what it needs.

    Raises:
        Invalid: The graph is not one; the sentence names the node or edge.
    """
    _nodes(graph)
    into = _edges(graph)
    order = _sorted(graph, into)
    _reached(graph, into)
    for name, value in graph.training.items():
        _training(name, value)
    return order


def sources(graph: Graph, node: str) -> list[str]:
    """The nodes whose results come into a node, in the order of the edges' ids."""
    return [
        graph.edges[edge].source for edge in sorted(graph.edges) if graph.edges[edge].target == node
    ]


def params(node: Node) -> dict[str, Any]:
    """A node's parameters, with the defaults of those it does not name."""
    return {p.name: node.params.get(p.name, p.default) for p in KINDS[node.layer].layer.params}


def sizes(graph: Graph, inputs: int, outputs: int) -> dict[str, int]:
    """The length of each node's result.

    Args:
        graph: A graph that passes `check`.
        inputs: How many numbers the table's row becomes.
        outputs: How many numbers the target needs.

    Raises:
        Invalid: A node cannot take what comes in; the sentence says what would fit.
    """
    found: dict[str, int] = {}
    for id in check(graph):
        node = graph.nodes[id]
        given = sources(graph, id)
        lengths = [found[source] for source in given]
        if node.layer == "input":
            found[id] = inputs
        elif node.layer == "output":
            found[id] = outputs
        else:
            if KINDS[node.layer].join in ("add", "mul") and len(set(lengths)) > 1:
                told = ", ".join(
                    f"{source!r} has {length}"
                    for source, length in zip(given, lengths, strict=True)
                )
                raise Invalid(
                    f"The node {id!r} ({node.layer}) needs vectors of one length, "
                    f"and gets {sorted(set(lengths))}: {told}.",
                    hint=f"Put a dense layer with units={lengths[0]} between "
                    f"{given[next(i for i, n in enumerate(lengths) if n != lengths[0])]!r} "
                    f"and {id!r}, or join them with concat.",
                )
            found[id] = KINDS[node.layer].size(lengths, params(node))
    return found


def _nodes(graph: Graph) -> None:
    if len(graph.nodes) > MOST_NODES:
        raise Invalid(
            f"A graph of {len(graph.nodes):,} nodes is too large.", hint=f"At most {MOST_NODES:,}."
        )
    for id, node in graph.nodes.items():
        if not id.isidentifier() or keyword.iskeyword(id) or id.startswith("_") or len(id) > 64:
            raise Invalid(
                f"{id!r} cannot be a node's id.",
                hint="Letters, digits and _, a letter first, at most 64, no word of Python.",
            )
        if node.layer not in KINDS:
            raise Invalid(
                f"The node {id!r} has the layer {node.layer!r}, which does not exist.",
                hint=f"Known: {', '.join(KINDS)}.",
            )
        known = {p.name: p for p in KINDS[node.layer].layer.params}
        for name, value in node.params.items():
            if name not in known:
                raise Invalid(
                    f"The node {id!r} ({node.layer}) has no parameter {name!r}.",
                    hint=f"It takes: {', '.join(known) or 'none'}.",
                )
            _param(id, known[name], value)
    for layer in ("input", "output"):
        named = [id for id, node in graph.nodes.items() if node.layer == layer]
        if len(named) != 1:
            raise Invalid(
                f"The graph has {len(named)} {layer} nodes{': ' if named else ''}"
                f"{', '.join(named)}.",
                hint=f"It needs exactly one node with the layer {layer}.",
            )


def _param(id: str, parameter: Parameter, value: Any) -> None:
    fits = {
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value),
        "boolean": isinstance(value, bool),
        "choice": value in parameter.choices,
    }[parameter.type]
    low, high = parameter.minimum, parameter.maximum
    if fits and parameter.type in ("integer", "number"):
        fits = (low is None or value >= low) and (high is None or value <= high)
    if not fits:
        allowed = {
            "integer": f"A whole number from {_plain(low)} to {_plain(high)}.",
            "number": f"A number from {_plain(low)} to {_plain(high)}.",
            "boolean": "true or false.",
            "choice": f"One of {', '.join(parameter.choices)}.",
        }[parameter.type]
        raise Invalid(f"The node {id!r} cannot have {parameter.name} {value!r}.", hint=allowed)


def _plain(number: float | None) -> str:
    return "any" if number is None else f"{number:g}"


def _training(name: str, value: Any) -> None:
    if name not in TRAINING:
        raise Invalid(
            f"The graph's training has no {name!r}.", hint=f"It takes: {', '.join(TRAINING)}."
        )
    least, most, whole = TRAINING[name]
    kind = int if whole else int | float
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
        raise Invalid(
            f"The graph cannot be trained with {name} {value!r}.",
            hint=f"A {'whole ' if whole else ''}number from {least:g} to {most:g}.",
        )


def _edges(graph: Graph) -> dict[str, list[str]]:
    into: dict[str, list[str]] = {id: [] for id in graph.nodes}
    for name, edge in graph.edges.items():
        for end, id in (("starts", edge.source), ("ends", edge.target)):
            if id not in graph.nodes:
                raise Invalid(
                    f"The edge {name!r} {end} at {id!r}, and there is no such node.",
                    hint="Remove the edge, or add the node.",
                )
        layer = KINDS[graph.nodes[edge.target].layer].layer
        if edge.port not in layer.ports:
            raise Invalid(
                f"The edge {name!r} ends at {edge.target}.{edge.port}, "
                f"and {layer.name} has no such port.",
                hint=f"Its ports: {', '.join(layer.ports) or 'none'}.",
            )
        if graph.nodes[edge.source].layer == "output":
            raise Invalid(
                f"The edge {name!r} starts at the output {edge.source!r}.",
                hint="Nothing comes after the output.",
            )
        into[edge.target].append(edge.source)
    for id, given in into.items():
        layer = KINDS[graph.nodes[id].layer].layer
        if layer.ports and not given:
            raise Invalid(
                f"Nothing comes into the node {id!r} ({layer.name}).",
                hint="Add an edge that ends there, or remove the node.",
            )
        if len(given) > 1 and not layer.many:
            raise Invalid(
                f"{len(given)} edges end at the node {id!r} ({layer.name}): {', '.join(given)}.",
                hint="Join them first with add, multiply or concat.",
            )
    return into


def _sorted(graph: Graph, into: dict[str, list[str]]) -> list[str]:
    # Kahn (1962), by repeated passes over what is ready, in the order of the document's ids.
    missing = {id: set(given) for id, given in into.items()}
    order: list[str] = []
    ready = sorted(id for id, given in missing.items() if not given)
    after: dict[str, list[str]] = {id: [] for id in into}
    for id, given in missing.items():
        for source in given:
            after[source].append(id)
    while ready:
        id = ready.pop(0)
        order.append(id)
        for target in sorted(after[id]):
            missing[target].discard(id)
            if not missing[target] and target not in order and target not in ready:
                ready.append(target)
    if len(order) < len(into):
        round_trip = _cycle(into, set(into) - set(order))
        raise Invalid(
            f"The graph goes round in a circle: {' → '.join(round_trip)}.",
            hint="Remove one of those edges.",
        )
    return order


def _cycle(into: dict[str, list[str]], left: set[str]) -> list[str]:
    # Every node that is left has a source that is left: walking back must come round.
    walked = [min(left)]
    while walked[-1] not in walked[:-1]:
        walked.append(min(source for source in into[walked[-1]] if source in left))
    return walked[walked.index(walked[-1]) :][::-1]


def _reached(graph: Graph, into: dict[str, list[str]]) -> None:
    output = next(id for id, node in graph.nodes.items() if node.layer == "output")
    needed = set(_back(into, output))
    for id in graph.nodes:
        if id not in needed:
            raise Invalid(
                f"The node {id!r} leads nowhere: the output does not need it.",
                hint="Add an edge from it, or remove it.",
            )


def _back(into: dict[str, list[str]], start: str) -> Iterator[str]:
    seen, waiting = {start}, [start]
    while waiting:
        id = waiting.pop()
        yield id
        for source in into[id]:
            if source not in seen:
                seen.add(source)
                waiting.append(source)
