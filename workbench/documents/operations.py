"""Edits by word: each operation on a shared document, refused where it makes no sense."""

import secrets
from collections.abc import Sequence
from typing import Any

from pycrdt import Doc, Map

from workbench.core import Conflict, Invalid, Limited, NotFound
from workbench.graphs import (
    TRAINING,
    Node,
    check_id,
    check_param,
    check_training,
    find_layer,
)
from workbench.graphs.meaning import MOST_NODES

from .shared import (
    DATA,
    EDGES,
    GROUPS,
    LAYOUT,
    NODES,
    edge_id,
    put_node,
    root,
)
from .shared import TRAINING as SETTINGS
from .types import (
    AddNode,
    Connect,
    Disconnect,
    Move,
    Operation,
    RemoveGroup,
    RemoveNode,
    Rename,
    SetData,
    SetGroup,
    SetParam,
    SetTraining,
)

MOST = 10_000
"""Operations of one edit."""
MOST_NUMBERS = 10_000_000
"""That a table's row becomes, or a target needs."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def perform(doc: "Doc[Any]", operations: Sequence[Operation]) -> list[str]:
    """Do them in their order, inside a transaction of the document.

    Returns:
        The ids of the nodes that were added.

    Raises:
        Invalid: One makes no sense.
        NotFound: One names a node, edge or layer that is not there.
        Conflict: One adds what is there already.
        Limited: There are too many, or the graph becomes too large.
    """
    if len(operations) > MOST:
        raise Limited(
            f"{len(operations):,} operations at once are too many.", hint=f"At most {MOST:,}."
        )
    made = []
    for each in operations:
        id = _one(doc, each)
        if id:
            made.append(id)
    if len(root(doc, NODES)) > MOST_NODES:
        raise Limited(
            f"A graph of {len(root(doc, NODES)):,} nodes is too large.",
            hint=f"At most {MOST_NODES:,}.",
        )
    return made


def _one(doc: "Doc[Any]", operation: Operation) -> str:
    match operation:
        case AddNode():
            return _add(doc, operation)
        case RemoveNode(id=id):
            remove_node(doc, id)
        case SetParam(id=id, param=name, value=value):
            _set_param(doc, id, name, value)
        case Rename(id=id, name=name):
            _node(doc, id)["name"] = name
        case Connect():
            _connect(doc, operation)
        case Disconnect():
            _disconnect(doc, operation)
        case Move(id=id, at=at):
            _node(doc, id)
            root(doc, LAYOUT)[id] = list(at)
        case SetGroup():
            _group(doc, operation)
        case RemoveGroup(id=id):
            remove_group(doc, id)
        case SetTraining(name=name, value=value):
            _train(doc, name, value)
        case SetData(name=name, value=value):
            _for(doc, name, value)
    return ""


def remove_node(doc: "Doc[Any]", id: str) -> None:
    """Take a node away, with its edges and its place."""
    _node(doc, id)
    del root(doc, NODES)[id]
    edges = root(doc, EDGES)
    for edge, ends in list((edges.to_py() or {}).items()):
        if isinstance(ends, dict) and id in (ends.get("source"), ends.get("target")):
            del edges[edge]
    root(doc, LAYOUT).pop(id, None)


def remove_group(doc: "Doc[Any]", id: str) -> None:
    """Take a group away; its nodes and the groups in it stay."""
    if id not in root(doc, GROUPS):
        raise NotFound(f"This graph has no group {id!r}.", hint="Look at its groups.")
    del root(doc, GROUPS)[id]
    for name in (NODES, GROUPS):
        field = "group" if name == NODES else "parent"
        for each in root(doc, name).values():
            if isinstance(each, Map) and each.get(field) == id:
                del each[field]


def _add(doc: "Doc[Any]", operation: AddNode) -> str:
    layer = find_layer(operation.layer)
    nodes = root(doc, NODES)
    id = operation.id or _free(nodes, layer.name)
    check_id(id)
    if id in nodes:
        raise Conflict(
            f"This graph has a node {id!r} already.", hint="Leave the id out to have one made."
        )
    if operation.group and operation.group not in root(doc, GROUPS):
        raise NotFound(
            f"This graph has no group {operation.group!r}.", hint="Make it first, by set_group."
        )
    for name, value in operation.params.items():
        check_param(id, layer, name, value)
    put_node(
        doc,
        id,
        Node(
            layer=layer.name,
            params=operation.params,
            name=operation.name,
            group=operation.group,
        ),
    )
    if operation.at is not None:
        root(doc, LAYOUT)[id] = list(operation.at)
    return id


def _free(nodes: "Map[Any]", layer: str) -> str:
    # Chance, not the next number: two people who add a layer at once must not make one node.
    while True:
        tail = _DIGITS[10 + secrets.randbelow(26)] + "".join(
            secrets.choice(_DIGITS) for _ in range(2)
        )
        if (id := f"{layer}_{tail}") not in nodes:
            return id


def _set_param(doc: "Doc[Any]", id: str, name: str, value: Any) -> None:
    node = _node(doc, id)
    layer = find_layer(str(node["layer"]))
    check_param(id, layer, name, value) if value is not None else _known(id, layer, name)
    params = node.get("params")
    if not isinstance(params, Map):
        node["params"] = params = Map()
    if value is not None:
        params[name] = value
    elif name in params:
        del params[name]


def _known(id: str, layer: Any, name: str) -> None:
    if name not in {each.name for each in layer.params}:
        raise NotFound(
            f"The node {id!r} ({layer.name}) has no parameter {name!r}.",
            hint=f"It takes: {', '.join(each.name for each in layer.params) or 'none'}.",
        )


def _connect(doc: "Doc[Any]", operation: Connect) -> None:
    source, target = (_node(doc, each) for each in (operation.source, operation.target))
    if operation.source == operation.target:
        raise Invalid(
            f"The node {operation.source!r} cannot be connected with itself.",
            hint="Connect it with another node.",
        )
    outputs = [each.name for each in find_layer(str(source["layer"])).outputs]
    ports = [each.name for each in find_layer(str(target["layer"])).ports]
    for id, named, known in (
        (operation.source, operation.output, outputs),
        (operation.target, operation.port, ports),
    ):
        if named not in known:
            raise Invalid(
                f"The node {id!r} has no {named!r} to connect.",
                hint=f"It has: {', '.join(known) or 'none'}.",
            )
    root(doc, EDGES)[
        operation.id
        or edge_id(operation.source, operation.output, operation.target, operation.port)
    ] = {
        "source": operation.source,
        "target": operation.target,
        "port": operation.port,
        "output": operation.output,
        **({"order": operation.order} if operation.order else {}),
    }


def _disconnect(doc: "Doc[Any]", operation: Disconnect) -> None:
    edges = root(doc, EDGES)
    if operation.id:
        found = [operation.id] if operation.id in edges else []
    else:
        wanted = {
            field: value
            for field in ("source", "target", "port")
            if (value := getattr(operation, field))
        }
        if not wanted:
            raise Invalid(
                "Which edge is to go?", hint="Give its id, or the source and target it has."
            )
        found = [
            id
            for id, ends in (edges.to_py() or {}).items()
            if isinstance(ends, dict) and all(ends.get(f) == v for f, v in wanted.items())
        ]
    if not found:
        told = operation.id or f"{operation.source or '…'} → {operation.target or '…'}"
        raise NotFound(f"This graph has no edge {told!r}.", hint="Look at its edges.")
    for id in found:
        del edges[id]


def _group(doc: "Doc[Any]", operation: SetGroup) -> None:
    groups, id = root(doc, GROUPS), operation.id
    if operation.parent and (operation.parent not in groups or operation.parent == id):
        raise NotFound(
            f"There is no group {operation.parent!r} for {id!r} to be in.", hint="Make it first."
        )
    if not isinstance(groups.get(id), Map):
        groups[id] = Map()
    groups[id].update(
        {"name": operation.name, "folded": operation.folded, "parent": operation.parent}
    )
    if operation.nodes is not None:
        inside = set(operation.nodes)
        for each in inside:
            _node(doc, each)["group"] = id
        for other, node in root(doc, NODES).items():
            if other not in inside and isinstance(node, Map) and node.get("group") == id:
                del node["group"]


def _train(doc: "Doc[Any]", name: str, value: Any) -> None:
    settings = root(doc, SETTINGS)
    if value is not None:
        check_training(name, value)
        settings[name] = value
        return
    if name not in TRAINING and name not in settings:
        raise NotFound(
            f"A graph's training has no {name!r}.", hint=f"It takes: {', '.join(TRAINING)}."
        )
    settings.pop(name, None)


def _for(doc: "Doc[Any]", name: str, value: str | int | None) -> None:
    given = root(doc, DATA)
    if value is None:
        given.pop(name, None)
        return
    whole = isinstance(value, int) and 1 <= value <= MOST_NUMBERS
    if not (whole if name in ("features", "outputs") else isinstance(value, str) and value):
        raise Invalid(
            f"A graph's {name} cannot be {value!r}.",
            hint=f"A whole number from 1 to {MOST_NUMBERS:,}."
            if name in ("features", "outputs")
            else "As an import said it: sha256:…."
            if name == "weights"
            else "The name of a product, or of one of its columns.",
        )
    given[name] = value


def _node(doc: "Doc[Any]", id: str) -> "Map[Any]":
    found = root(doc, NODES).get(id)
    if not isinstance(found, Map):
        raise NotFound(f"This graph has no node {id!r}.", hint="Look at its nodes.")
    return found
