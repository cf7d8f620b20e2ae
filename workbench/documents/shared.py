"""A graph as a document that many edit at once (a CRDT), and back.

Everything is kept in nested maps keyed by id, so that two people who change two things, or two
parameters of one node, both have their way; an edge and a place are values, so that nobody gets
half of each. What concurrent edits leave behind (an edge whose end was deleted) is not in the
graph that is read: every reader leaves out the same.

The maps are Yjs types: Nicolaescu et al. (2016), https://doi.org/10.1145/2957276.2957310.
"""

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

from pycrdt import Doc, Map

from workbench.core import Refused, digest
from workbench.graphs import Edge, Graph, Node, NodeGroup

SCHEMA = 1
"""Of the maps; `meta.schema` says which a document has."""
NODES, EDGES, LAYOUT, GROUPS = "nodes", "edges", "layout", "groups"
TRAINING, DATA, META = "training", "data", "meta"
NONE = b"\x00\x00"
"""An update with nothing in it."""


def opened(updates: Iterable[bytes] = ()) -> "Doc[Any]":
    """The document that these updates make."""
    doc: Doc[Any] = Doc()
    for update in updates:
        doc.apply_update(update)
    return doc


def root(doc: "Doc[Any]", name: str) -> "Map[Any]":
    """One of the document's maps."""
    found: Map[Any] = doc.get(name, type=Map)
    return found


def fill(doc: "Doc[Any]", graph: Graph) -> None:
    """Write a whole graph into an empty document."""
    with doc.transaction():
        root(doc, META)["schema"] = SCHEMA
        for id, node in graph.nodes.items():
            put_node(doc, id, node)
        for id, edge in graph.edges.items():
            root(doc, EDGES)[id] = edge.model_dump()
        for id, at in graph.layout.items():
            root(doc, LAYOUT)[id] = list(at)
        for id, group in graph.groups.items():
            root(doc, GROUPS)[id] = Map(group.model_dump())
        for map, values in ((TRAINING, graph.training), (DATA, graph.data)):
            for name, value in values.items():
                root(doc, map)[name] = value


def put_node(doc: "Doc[Any]", id: str, node: Node) -> None:
    """Add a node, or put another in its place."""
    held: dict[str, Any] = {"layer": node.layer, "params": Map(dict(node.params))}
    if node.name:
        held["name"] = node.name
    if node.group:
        held["group"] = node.group
    root(doc, NODES)[id] = Map(held)


def changed(doc: "Doc[Any]", change: Callable[[], object]) -> bytes:
    """Change a document; what came of it as one update, `NONE` if nothing.

    Args:
        doc: The document.
        change: Changes it; all of it is one transaction.
    """
    before = doc.get_state()
    found: list[bytes] = []
    subscription = doc.observe(lambda event: found.append(event.update))
    try:
        with doc.transaction():
            change()
    finally:
        doc.unobserve(subscription)
    if not found:
        return NONE
    return found[0] if len(found) == 1 else doc.get_update(before)


def graph_of(doc: "Doc[Any]", name: str = "network") -> Graph:
    """The graph a document says: without what concurrent edits left dangling.

    Raises:
        Refused: It was written by a later version of the Studio.
    """
    check_schema(doc)
    nodes = {id: _node(each) for id, each in _sorted(doc, NODES) if _is_node(each)}
    groups = {id: _group(each) for id, each in _sorted(doc, GROUPS) if _is_group(each)}
    groups = {
        id: each.model_copy(update={"parent": ""}) if _endless(groups, id) else each
        for id, each in groups.items()
    }
    nodes = {
        id: each
        if not each.group or each.group in groups
        else each.model_copy(update={"group": ""})
        for id, each in nodes.items()
    }
    edges = {
        id: _edge(each)
        for id, each in _sorted(doc, EDGES)
        if _is_edge(each) and each["source"] in nodes and each["target"] in nodes
    }
    places = {id: _place(each) for id, each in _sorted(doc, LAYOUT) if id in nodes}
    return Graph.model_construct(
        name=name,
        nodes=nodes,
        edges=edges,
        groups=groups,
        layout={id: each for id, each in places.items() if each is not None},
        training=dict(_sorted(doc, TRAINING)),
        data=dict(_sorted(doc, DATA)),
    )


def check_schema(doc: "Doc[Any]") -> None:
    """Raise Refused for a document of a later schema."""
    schema = _plain(root(doc, META).get("schema", SCHEMA))
    if isinstance(schema, int) and schema > SCHEMA:
        raise Refused(
            f"This document was written with schema {schema}; this Studio reads up to {SCHEMA}.",
            hint="Upgrade the Studio.",
        )


def hash_of(graph: Graph) -> str:
    """The content of a graph, whatever it is called: `sha256:…`."""
    return digest(graph.model_dump(mode="json", exclude={"name"}))


def edge_id(source: str, output: str, target: str, port: str) -> str:
    """The id of the edge between these ends, the same whoever makes it."""
    return f"{source}.{output}__{target}.{port}"


def _sorted(doc: "Doc[Any]", name: str) -> list[tuple[str, Any]]:
    # By its JSON: twice as quick as value by value.
    held = json.loads(str(root(doc, name)))
    return [(id, _plain(held[id])) for id in sorted(held)]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("layer"), str)


def _is_edge(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(end), str) for end in ("source", "target")
    )


def _is_group(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str)


def _endless(groups: dict[str, NodeGroup], id: str) -> bool:
    """Whether a group's parent is left out: there is none, or it is in a circle and the first."""
    if groups[id].parent and groups[id].parent not in groups:
        return True
    seen: set[str] = set()
    at = id
    while at in groups:
        if at in seen:
            return id == min(seen)
        seen.add(at)
        at = groups[at].parent
    return False


def _node(value: dict[str, Any]) -> Node:
    params = value.get("params")
    return Node.model_construct(
        layer=value["layer"],
        params=params if isinstance(params, dict) else {},
        name=_text(value.get("name")),
        group=_text(value.get("group")),
    )


def _edge(value: dict[str, Any]) -> Edge:
    order = value.get("order", 0.0)
    known = isinstance(order, int | float) and math.isfinite(order)
    return Edge.model_construct(
        source=value["source"],
        target=value["target"],
        port=_text(value.get("port")) or "in",
        output=_text(value.get("output")) or "out",
        order=float(order) if known else 0.0,
    )


def _group(value: dict[str, Any]) -> NodeGroup:
    return NodeGroup.model_construct(
        name=value["name"],
        folded=value.get("folded") is True,
        parent=_text(value.get("parent")),
    )


def _place(value: Any) -> tuple[float, float] | None:
    pair = isinstance(value, list) and len(value) == 2
    if not pair or not all(isinstance(each, int | float) and math.isfinite(each) for each in value):
        return None
    return float(value[0]), float(value[1])
