"""What a graph means: the shape at every node, what it costs, and what is wrong with it, where.

A `Reader` is for graphs that people are in the middle of editing: it never refuses one, says what
is wrong at the node it is wrong at, and works out again only what an edit changed.
"""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from workbench.core import Invalid, Record

from .dims import Dim, known, per_row, product, total
from .layers import KINDS, enters
from .nodes import check_id, check_param, check_training, params
from .tensors import Given, Misfit, Tensor, Worked
from .types import Edge, Graph, Node

MOST_NODES = 10_000
MOST_PARAMETERS = 10**10
"""What a graph may learn; 40 GB of float32."""
MOST_NUMBERS = 10**10
"""In one tensor, per row."""
MOST_TOLD = 10
"""Ids in one sentence."""
_PORTS = {name: [port.name for port in kind.layer.ports] for name, kind in KINDS.items()}
_OUTPUTS = {name: [port.name for port in kind.layer.outputs] for name, kind in KINDS.items()}


class GraphProblem(Record):
    """Something wrong, and where: at a node, at an edge, or (both empty) with the graph."""

    node: str = ""
    edge: str = ""
    text: str
    hint: str = ""


class NodeMeaning(Record):
    """What comes out of a node."""

    outputs: dict[str, list[int | str]] = {}
    """The sizes of each output; `B` is the batch, `F` the table's features, `C` what the target
    needs. Empty for a node with a problem, and for those that wait for it."""
    dtype: str = "float32"
    parameters: int | None = None
    """Numbers that are learned; null where a size is not known."""
    flops: int | None = None
    """Multiplications and additions of products of matrices and of convolutions, per row."""
    activation_bytes: int | None = None
    """Of the outputs, per row, at 4 bytes a number."""
    receptive_field: list[int] = []
    """Per dimension after the channels: on how many positions of what the first convolution took
    one number depends (Araujo, Norris, Sim (2019), https://doi.org/10.23915/distill.00021)."""
    problem: str = ""
    hint: str = ""


class Meaning(Record):
    """What a graph computes, and what is wrong with it."""

    nodes: dict[str, NodeMeaning] = {}
    problems: list[GraphProblem] = []
    parameters: int | None = None
    """Of all nodes; null while one's are not known."""
    flops: int | None = None
    activation_bytes: int | None = None


@dataclass
class Reading:
    """A graph, read.

    Attributes:
        order: The nodes, each after what it needs; without those in a circle.
        into: For each node and port, its edges in their order.
        wanted: The nodes and outputs at which an edge starts.
        worked: What comes of each node that has no problem and waits for none.
        problems: What is wrong, the document before its shapes.
        meanings: What is known of each node.
    """

    order: list[str] = field(default_factory=list)
    into: dict[str, dict[str, list[Edge]]] = field(default_factory=dict)
    wanted: set[tuple[str, str]] = field(default_factory=set)
    worked: dict[str, Worked] = field(default_factory=dict)
    problems: list[GraphProblem] = field(default_factory=list)
    meanings: dict[str, NodeMeaning] = field(default_factory=dict)


@dataclass
class _Kept:
    layer: str
    params: str
    given: Given
    came: Worked | Misfit
    meaning: NodeMeaning


class Reader:
    """Reads one graph again and again, as it is edited.

    Args:
        features: How many numbers the table's row becomes; `F` if nobody knows yet.
        outputs: How many numbers the target needs; `C` if nobody knows yet.
    """

    def __init__(self, features: int | None = None, outputs: int | None = None) -> None:
        self._features: Dim = "F" if features is None else features
        self._outputs: Dim = "C" if outputs is None else outputs
        self._kept: dict[str, _Kept] = {}
        self._checked: dict[str, tuple[str, Node, GraphProblem | None]] = {}

    def read(self, graph: Graph) -> Meaning:
        """What a graph means, whatever state it is in."""
        found = self.reading(graph)
        meanings = found.meanings
        problems = _spoken(graph, found.problems)
        for problem in problems:
            held = meanings.get(problem.node)
            if held is not None and not held.problem:
                said = {"problem": problem.text, "hint": problem.hint}
                meanings[problem.node] = held.model_copy(update=said)
        return Meaning(
            nodes=meanings,
            problems=problems,
            parameters=_sum(each.parameters for each in meanings.values()),
            flops=_sum(each.flops for each in meanings.values()),
            activation_bytes=_sum(each.activation_bytes for each in meanings.values()),
        )

    def reading(self, graph: Graph) -> Reading:
        """The same, with all that torch modules and source code are made from."""
        found = Reading()
        tell = found.problems.append
        if len(graph.nodes) > MOST_NODES:
            tell(
                GraphProblem(
                    text=f"A graph of {len(graph.nodes):,} nodes is too large.",
                    hint=f"At most {MOST_NODES:,}.",
                )
            )
            return found
        broken = self._nodes(graph, found)
        _ends(graph, found)
        found.into, linked = _edges(graph, found, broken)
        found.wanted = {(edge.source, edge.output) for edge in graph.edges.values()}
        found.order, circles = _sorted(linked)
        for circle in circles:
            tell(
                GraphProblem(
                    node=circle[0],
                    text=f"The graph goes round in a circle: {' → '.join(_few(circle))} → "
                    f"{circle[0]}.",
                    hint="Remove one of those edges.",
                )
            )
        _loose(graph, linked, found, broken)
        for id in found.order:
            if id not in broken:
                self._work(graph, id, found)
        self._kept = {id: kept for id, kept in self._kept.items() if id in graph.nodes}
        for id in graph.nodes:
            if id not in found.meanings:
                found.meanings[id] = NodeMeaning()
        _weigh(found)
        for name, value in graph.training.items():
            try:
                check_training(name, value)
            except Invalid as error:
                tell(GraphProblem(text=str(error), hint=error.hint))
        return found

    def _nodes(self, graph: Graph, found: Reading) -> set[str]:
        checked: dict[str, tuple[str, Node, GraphProblem | None]] = {}
        broken: set[str] = set()
        for id, node in graph.nodes.items():
            try:
                said = repr(node.params)
            except RecursionError:  # lists in lists in lists: no parameter is such a thing
                said = ""
            held = self._checked.get(id)
            if held is None or held[0] != said or held[1].layer != node.layer:
                held = (said, node, _checked(id, node))
            checked[id] = held
            if held[2] is not None:
                found.problems.append(held[2])
                broken.add(id)
        self._checked = checked
        return broken

    def _work(self, graph: Graph, id: str, found: Reading) -> None:
        node, ports = graph.nodes[id], found.into[id]
        tensors: dict[str, tuple[Tensor, ...]] = {}
        for port, edges in ports.items():
            came = []
            for edge in edges:
                before = found.worked.get(edge.source)
                if before is None:
                    return  # it waits for a node that has a problem, or waits itself
                came.append(before.outputs[edge.output])
            tensors[port] = tuple(came)
        given = Given(tensors, self._features, self._outputs)
        held, said = self._kept.get(id), self._checked[id][0]
        if held is None or (held.layer, held.params, held.given) != (node.layer, said, given):
            result: Worked | Misfit
            try:
                result = worked(node, given)
            except Misfit as misfit:
                result = misfit
            meaning = NodeMeaning() if isinstance(result, Misfit) else _meaning(result)
            held = self._kept[id] = _Kept(node.layer, said, given, result, meaning)
        found.meanings[id] = held.meaning
        if isinstance(held.came, Misfit):
            found.problems.append(_misfit(id, node, ports, tensors, held.came))
        else:
            found.worked[id] = held.came


def worked(node: Node, given: Given) -> Worked:
    """What comes of a node.

    Args:
        node: With parameters that were checked.
        given: What comes in.

    Raises:
        Misfit: It cannot take that.
    """
    if node.layer != "operation" and not all(
        each.dims for tensors in given.ports.values() for each in tensors
    ):
        raise Misfit("tensors with dimensions", "Put the function unsqueeze before it.")
    found = KINDS[node.layer].work(given, params(node))
    _small(found)
    return found


def _checked(id: str, node: Node) -> GraphProblem | None:
    try:
        check_id(id)
        if node.layer not in KINDS:
            raise Invalid(
                f"The node {id!r} has the layer {node.layer!r}, which does not exist.",
                hint=f"Known: {', '.join(KINDS)}.",
            )
        for name, value in node.params.items():
            check_param(id, KINDS[node.layer].layer, name, value)
    except Invalid as error:
        return GraphProblem(node=id, text=str(error), hint=error.hint)
    return None


def _ends(graph: Graph, found: Reading) -> None:
    for layer in ("input", "output"):
        named = [id for id, node in graph.nodes.items() if node.layer == layer]
        if len(named) > 1:
            found.problems.append(
                GraphProblem(
                    node=named[-1],
                    text=f"The graph has {len(named)} {layer} nodes: {', '.join(_few(named))}.",
                    hint=f"It needs exactly one node with the layer {layer}.",
                )
            )
    if not any(enters(node.layer) for node in graph.nodes.values()):
        found.problems.append(
            GraphProblem(
                text="The graph has no node where data comes in.",
                hint="Add a node with the layer input, or image_input, text_input, tensor_input …",
            )
        )


def _few(ids: list[str]) -> list[str]:
    return ids if len(ids) <= MOST_TOLD else [*ids[:MOST_TOLD], "…"]


def _edges(
    graph: Graph, found: Reading, broken: set[str]
) -> tuple[dict[str, dict[str, list[Edge]]], dict[str, list[str]]]:
    """The edges of each node's ports, and the sources of each node; `broken` gets more."""
    into: dict[str, dict[str, list[Edge]]] = {
        id: {port: [] for port in _PORTS.get(node.layer, ())} for id, node in graph.nodes.items()
    }
    linked: dict[str, list[str]] = {id: [] for id in graph.nodes}
    halted: set[str] = set()
    for name, edge in sorted(graph.edges.items(), key=lambda item: (item[1].order, item[0])):
        if edge.source in linked and edge.target in linked:
            linked[edge.target].append(edge.source)
        problem = _edge(graph, name, edge)
        if problem is not None:
            found.problems.append(problem)
            halted.add(edge.target)
        elif graph.nodes[edge.target].layer in KINDS:
            into[edge.target][edge.port].append(edge)
    for id, ports in into.items():
        node = graph.nodes[id]
        if id in broken or node.layer not in KINDS:
            continue
        layer = KINDS[node.layer].layer
        for port in layer.ports:
            edges = ports[port.name]
            at = f"the node {id!r} ({layer.name})"
            if len(layer.ports) > 1:
                at = f"the port {port.name!r} of {at}"
            text = hint = ""
            if not edges and not port.optional and id not in halted:
                text = f"Nothing comes into {at}."
                hint = "Add an edge that ends there, or remove the node."
            elif len(edges) > 1 and not port.many:
                begin = ", ".join(_few([each.source for each in edges]))
                text = f"{len(edges)} edges end at {at}: {begin}."
                hint = "Join them first with add, multiply or concat."
            if text:
                found.problems.append(GraphProblem(node=id, text=text, hint=hint))
                broken.add(id)
                break
    broken |= halted
    return into, linked


def _edge(graph: Graph, name: str, edge: Edge) -> GraphProblem | None:
    for end, id in (("starts", edge.source), ("ends", edge.target)):
        if id not in graph.nodes:
            return GraphProblem(
                edge=name,
                text=f"The edge {name!r} {end} at {id!r}, and there is no such node.",
                hint="Remove the edge, or add the node.",
            )
    source, target = graph.nodes[edge.source].layer, graph.nodes[edge.target].layer
    if target in KINDS:
        ports = _PORTS[target]
        if edge.port not in ports:
            return GraphProblem(
                edge=name,
                text=f"The edge {name!r} ends at {edge.target}.{edge.port}, "
                f"and {target} has no such port.",
                hint=f"Its ports: {', '.join(ports) or 'none'}.",
            )
    if source == "output":
        return GraphProblem(
            edge=name,
            text=f"The edge {name!r} starts at the output {edge.source!r}.",
            hint="Nothing comes after the output.",
        )
    if source in KINDS:
        outputs = _OUTPUTS[source]
        if edge.output not in outputs:
            return GraphProblem(
                edge=name,
                text=f"The edge {name!r} starts at {edge.source}.{edge.output}, "
                f"and {source} has no such output.",
                hint=f"Its outputs: {', '.join(outputs)}.",
            )
    return None


def _sorted(linked: dict[str, list[str]]) -> tuple[list[str], list[list[str]]]:
    """The nodes, each after what it needs, and the circles that are left.

    Kahn (1962), https://doi.org/10.1145/368996.369025, by repeated passes over what is ready.
    """
    after: dict[str, list[str]] = {id: [] for id in linked}
    missing = {id: len(set(sources)) for id, sources in linked.items()}
    for id, sources in linked.items():
        for source in set(sources):
            after[source].append(id)
    ready = deque(sorted(id for id, count in missing.items() if not count))
    order: list[str] = []
    while ready:
        id = ready.popleft()
        order.append(id)
        for target in sorted(after[id]):
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    return order, _circles(linked, set(linked) - set(order)) if len(order) < len(linked) else []


def _circles(linked: dict[str, list[str]], left: set[str]) -> list[list[str]]:
    # Walking back from what is left comes round, or to where a circle was taken out.
    circles: list[list[str]] = []
    for start in sorted(left):
        walked: list[str] = [start] if start in left else []
        places = {id: place for place, id in enumerate(walked)}
        while walked:
            before = next((each for each in sorted(linked[walked[-1]]) if each in left), None)
            if before is None:
                gone = walked.pop()
                left.discard(gone)
                del places[gone]
            elif before in places:
                circle = walked[places[before] :][::-1]
                first = circle.index(min(circle))
                circles.append(circle[first:] + circle[:first])
                for gone in circle:
                    left.discard(gone)
                    del places[gone]
                del walked[len(walked) - len(circle) :]
            else:
                places[before] = len(walked)
                walked.append(before)
    return circles


def _loose(graph: Graph, linked: dict[str, list[str]], found: Reading, broken: set[str]) -> None:
    used = {source for sources in linked.values() for source in sources}
    answers = {id for id, node in graph.nodes.items() if node.layer == "output"}
    ends = [id for id in graph.nodes if id not in used and id not in answers]
    if answers:
        for id in ends:
            found.problems.append(
                GraphProblem(
                    node=id,
                    text=f"The node {id!r} leads nowhere: the output does not need it.",
                    hint="Add an edge from it, or remove it.",
                )
            )
    elif len(ends) > 1:
        found.problems.append(
            GraphProblem(
                text=f"The graph ends at {len(ends)} nodes: {', '.join(_few(ends))}.",
                hint="Add a node with the layer output, or join them.",
            )
        )


def _small(worked: Worked) -> None:
    for out in worked.outputs.values():
        if (known(out.numbers) or 0) > MOST_NUMBERS:
            raise Misfit(
                f"at most {MOST_NUMBERS:,} numbers per row, not {out}",
                "Use smaller sizes, or a pool before it.",
            )


def _misfit(
    id: str,
    node: Node,
    ports: dict[str, list[Edge]],
    tensors: dict[str, tuple[Tensor, ...]],
    misfit: Misfit,
) -> GraphProblem:
    gets = [
        f"{tensor} from {edge.source!r}"
        for port, edges in ports.items()
        for edge, tensor in zip(edges, tensors[port], strict=True)
    ]
    told = f"{', '.join(gets[:-1])} and {gets[-1]}" if len(gets) > 1 else "".join(gets)
    return GraphProblem(
        node=id,
        text=f"The node {id!r} ({node.layer}) needs {misfit.need}"
        f"{', and gets ' + told if told else ''}.",
        hint=misfit.hint,
    )


def _meaning(worked: Worked) -> NodeMeaning:
    outputs = worked.outputs
    first = next(iter(outputs.values()))
    numbers = known(total(per_row(each.dims) for each in outputs.values()))
    return NodeMeaning(
        outputs={name: [_plain(dim) for dim in each.dims] for name, each in outputs.items()},
        dtype=first.dtype,
        parameters=known(worked.parameters),
        flops=known(worked.flops),
        activation_bytes=known(product([4, numbers])) if numbers is not None else None,
        receptive_field=[width for width, _ in first.seen],
    )


def _plain(dim: Dim) -> int | str:
    return dim if isinstance(dim, int) else str(dim)


def _weigh(found: Reading) -> None:
    counts = {id: each.parameters or 0 for id, each in found.meanings.items()}
    whole = sum(counts.values())
    if whole > MOST_PARAMETERS:
        largest = max(counts, key=lambda id: counts[id])
        found.problems.append(
            GraphProblem(
                node=largest,
                text=f"The graph would learn {whole:,} numbers, "
                f"{counts[largest]:,} of them in the node {largest!r}.",
                hint=f"At most {MOST_PARAMETERS:,}: use a pool before it, or fewer units.",
            )
        )


def _spoken(graph: Graph, problems: list[GraphProblem]) -> list[GraphProblem]:
    """Problems that call nodes what people call them."""
    names = {id: node.name for id, node in graph.nodes.items() if node.name}
    if not names:
        return problems

    def said(text: str) -> str:
        return re.sub(r"'(\w+)'", lambda found: repr(names.get(found[1], found[1])), text)

    return [
        each.model_copy(update={"text": said(each.text), "hint": said(each.hint)})
        for each in problems
    ]


def _sum(counts: Iterable[int | None]) -> int | None:
    found = 0
    for count in counts:
        if count is None:
            return None
        found += count
    return found
