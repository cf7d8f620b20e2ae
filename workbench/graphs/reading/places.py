"""Where what was read stands: ids from paths, and the layout."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from workbench.core import Invalid

from ..nodes import RESERVED, check_id
from ..suggest import STEP
from ..types import Edge, Node, NodeGroup
from .rules import Operation

if TYPE_CHECKING:
    from torch import nn

COLUMN = 2.5 * STEP
"""CSS pixels from a node to its neighbour."""
EDGE = 0.4 * STEP
"""CSS pixels that the edge of a block takes, with its name."""


def place_of(node: Operation) -> tuple[str, str]:
    """The path of the submodule an operation is of, and its class."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    return re.sub(r"@\d+$", "", path), kind if isinstance(kind, str) else kind.__module__


def is_leaf(node: Operation) -> bool:
    path, kind = place_of(node)
    return bool(path) and kind.startswith("torch.nn.modules") and "container" not in kind


def has(module: "nn.Module", path: str) -> bool:
    try:
        module.get_submodule(path)
    except AttributeError:
        return False
    return True


def identifier(path: str) -> str:
    made = re.sub(r"\W+", "_", path).strip("_")[:56] or "layer"
    made = f"layer_{made}" if made[0].isdigit() else made
    try:
        check_id(made)
    except Invalid:
        return f"{made}_layer"
    return made


def free(wanted: str, taken: dict[str, Node]) -> str:
    made, count = identifier(wanted), 1
    found = made
    while found in taken or found in RESERVED:
        count += 1
        found = f"{made}_{count}"
    return found


def laid_out(
    nodes: dict[str, Node], edges: dict[str, Edge], groups: dict[str, NodeGroup]
) -> dict[str, tuple[float, float]]:
    """From top to bottom, each below the last that it needs, with room for the blocks' edges."""
    sources: dict[str, list[str]] = {id: [] for id in nodes}
    for edge in edges.values():
        sources[edge.target].append(edge.source)
    rows: dict[str, int] = {}
    blocks: dict[str, set[str]] = {}
    columns: dict[str, int] = {}
    beside: dict[int, int] = {}
    room: dict[int, int] = {}
    for id, node in nodes.items():
        row = rows[id] = max((rows[each] + 1 for each in sources[id]), default=0)
        columns[id] = beside.get(row, 0)
        beside[row] = columns[id] + 1
        blocks[id] = set(_around(node.group, groups))
        passed = [len(blocks[each] ^ blocks[id]) for each in sources[id]]
        room[row] = max([room.get(row, 0), *passed])
    tops = [0.0]
    for row in range(1, len(room)):
        tops.append(tops[-1] + STEP + EDGE * room[row])
    return {id: (COLUMN * columns[id], tops[rows[id]]) for id in nodes}


def _around(group: str, groups: dict[str, NodeGroup]) -> Iterator[str]:
    while group:
        yield group
        group = groups[group].parent
