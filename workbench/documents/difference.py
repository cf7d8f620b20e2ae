"""In what two graphs differ, thing by thing, and how one takes over what another changed.

A graph is flattened to paths and values; two graphs differ where a path has another value. A
merge takes each change whose place still has the value it began from: Khanna, Kunal, Pierce
(2007), https://doi.org/10.1007/978-3-540-77050-3_40.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pycrdt import Doc, Map

from workbench.graphs import Edge, Graph, Node

from .operations import remove_group, remove_node
from .shared import DATA, EDGES, GROUPS, LAYOUT, NODES, TRAINING, put_node, root
from .types import Change

Flat = dict[tuple[str, ...], Any]


def flat(graph: Graph) -> Flat:
    """Path → value; a node itself is `("nodes", id)` with its layer."""
    found: Flat = {}
    for id, node in graph.nodes.items():
        found[NODES, id] = node.layer
        for name, value in node.params.items():
            found[NODES, id, "params", name] = value
        for field in ("name", "group"):
            if value := getattr(node, field):
                found[NODES, id, field] = value
    for id, edge in graph.edges.items():
        found[EDGES, id] = edge.model_dump()
    for id, group in graph.groups.items():
        found[GROUPS, id] = group.model_dump()
    for id, at in graph.layout.items():
        found[LAYOUT, id] = list(at)
    for map, values in ((TRAINING, graph.training), (DATA, graph.data)):
        for name, value in values.items():
            found[map, name] = value
    return found


def differ(before: Graph, after: Graph) -> list[Change]:
    """What has to be changed in `before` to come to `after`; a node comes and goes as a whole."""
    old, new = flat(before), flat(after)
    whole = {id for id in before.nodes.keys() ^ after.nodes.keys()}
    whole |= {
        id
        for id in before.nodes.keys() & after.nodes.keys()
        if before.nodes[id].layer != after.nodes[id].layer
    }
    changes = []
    for path in sorted(old.keys() | new.keys(), key=_order):
        if old.get(path) == new.get(path):
            continue
        if path[0] == NODES and path[1] in whole and len(path) > 2:
            continue
        if path[0] == NODES and len(path) == 2:
            was, now = (_whole(each, path[1]) for each in (before, after))
        else:
            was, now = old.get(path), new.get(path)
        changes.append(_change(path, was, now, before, after))
    return changes


def take(
    doc: "Doc[Any]", current: Graph, changes: Iterable[Change], *, anyway: bool = False
) -> tuple[list[Change], list[Change]]:
    """Make changes in a document, inside a transaction.

    Args:
        doc: The document.
        current: What it says.
        changes: What is to be made in it.
        anyway: Make also those whose place has another value than they began from.

    Returns:
        Those made, and those left because somebody had changed the same; what says already
        what a change wants is in neither.
    """
    now = flat(current)
    applied: list[Change] = []
    conflicts: list[Change] = []
    for change in sorted(changes, key=_turn):
        path = _path(change.key)
        present = _whole(current, path[1]) if path[0] == NODES and len(path) == 2 else now.get(path)
        if present == change.after:
            continue
        if present != change.before and not anyway:
            conflicts.append(change)
        elif _make(doc, path, change.after):
            applied.append(change)
        else:
            conflicts.append(change)
    return applied, conflicts


def inverse(changes: Sequence[Change]) -> list[Change]:
    """The changes that take these back."""
    kinds: dict[str, Literal["added", "removed", "changed"]] = {
        "added": "removed",
        "removed": "added",
        "changed": "changed",
    }
    return [
        each.model_copy(
            update={"kind": kinds[each.kind], "before": each.after, "after": each.before}
        )
        for each in reversed(changes)
    ]


def _key(path: tuple[str, ...]) -> str:
    """As in a JSON pointer (RFC 6901), without its first slash."""
    return "/".join(each.replace("~", "~0").replace("/", "~1") for each in path)


def _path(key: str) -> tuple[str, ...]:
    return tuple(each.replace("~1", "/").replace("~0", "~") for each in key.split("/"))


def _order(path: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    return (NODES, GROUPS, EDGES, DATA, TRAINING, LAYOUT).index(path[0]), path


def _turn(change: Change) -> tuple[int, int]:
    """Groups come before nodes, nodes before edges; they go the other way round."""
    place = ("group", "node", "parameter", "name", "edge", "data", "training", "place").index(
        change.what
    )
    return (0, -place) if change.after is None else (1, place)


def _whole(graph: Graph, id: str) -> Any:
    node = graph.nodes.get(id)
    return None if node is None else node.model_dump()


def _make(doc: "Doc[Any]", path: tuple[str, ...], value: Any) -> bool:
    """Whether the change could be made: a parameter of a node that is gone cannot."""
    first, id = path[0], path[1]
    nodes = root(doc, NODES)
    if first == NODES and len(path) == 2:
        if value is None:
            remove_node(doc, id)
        else:
            put_node(doc, id, Node.model_validate(value))
    elif first == NODES:
        node = nodes.get(id)
        if not isinstance(node, Map):
            return False
        holder = node
        if path[2] == "params":
            if not isinstance(node.get("params"), Map):
                node["params"] = Map()
            holder = node["params"]
        _set(holder, path[-1], value)
    elif first == EDGES:
        if value is not None:
            edge = Edge.model_validate(value)
            if edge.source not in nodes or edge.target not in nodes:
                return False
        _set(root(doc, EDGES), id, value)
    elif first == GROUPS:
        if value is None:
            remove_group(doc, id)
        else:
            root(doc, GROUPS)[id] = Map(value)
    elif first == LAYOUT:
        if value is not None and id not in nodes:
            return False
        _set(root(doc, LAYOUT), id, value)
    else:
        _set(root(doc, first), id, value)
    return True


def _set(holder: "Map[Any]", name: str, value: Any) -> None:
    if value is None:
        holder.pop(name, None)
    else:
        holder[name] = value


def _change(path: tuple[str, ...], was: Any, now: Any, before: Graph, after: Graph) -> Change:
    kind: Literal["added", "removed", "changed"] = (
        "added" if was is None else "removed" if now is None else "changed"
    )
    node = path[1] if path[0] in (NODES, LAYOUT) else ""
    what: Literal["node", "parameter", "name", "edge", "group", "place", "data", "training"]
    if path[0] == NODES:
        what = "node" if len(path) == 2 else "parameter" if path[2] == "params" else "name"
        if path[-1] == "group" and len(path) == 3:
            what = "group"
    elif path[0] == EDGES:
        what, node = "edge", (now or was)["target"]
    else:
        what = {GROUPS: "group", LAYOUT: "place", DATA: "data", TRAINING: "training"}[path[0]]  # type: ignore[assignment]
    return Change(
        key=_key(path),
        kind=kind,
        what=what,
        node=node,
        before=was,
        after=now,
        sentence=_sentence(path, what, was, now, before, after),
    )


def _sentence(
    path: tuple[str, ...], what: str, was: Any, now: Any, before: Graph, after: Graph
) -> str:
    def called(id: str) -> str:
        node = after.nodes.get(id) or before.nodes.get(id)
        return node.name if node is not None and node.name else id

    def either(name: str) -> str:
        if was is None:
            return f"{name} is {now!r}, which had its default."
        if now is None:
            return f"{name} has its default again, after {was!r}."
        return f"{name} is {now!r}, after {was!r}."

    if what == "node":
        if was is None:
            return f"{called(path[1])} was added, a layer {now['layer']}."
        if now is None:
            return f"{called(path[1])} was removed, a layer {was['layer']}."
        return f"{called(path[1])} is a layer {now['layer']}, after {was['layer']}."
    if what == "edge":
        ends = now or was
        where = f"{called(ends['source'])} → {called(ends['target'])}"
        verb = "added" if was is None else "removed" if now is None else "changed"
        return f"The edge {where} was {verb}."
    if what == "parameter":
        return either(f"{path[3]} of {called(path[1])}")
    if what == "name":
        return f"{path[1]} is called {now!r}." if now else f"{path[1]} has no name any more."
    if what == "place":
        return f"{called(path[1])} was moved."
    if what == "data":
        return f"Its {path[1]} is {now!r}." if now is not None else f"It has no {path[1]} any more."
    if what == "training":
        return either(f"training: {path[1]}")
    if len(path) == 3:
        return (
            f"{called(path[1])} is in the group {now}."
            if now
            else (f"{called(path[1])} is in no group any more.")
        )
    verb = "made" if was is None else "removed" if now is None else "changed"
    return f"The group {(now or was)['name']} was {verb}."
