"""Where what was read stands: ids from paths, and the layout."""

import re
from typing import TYPE_CHECKING

from workbench.core import Invalid

from ..nodes import RESERVED, check_id
from ..suggest import STEP
from ..types import Edge, Node
from .rules import Operation

if TYPE_CHECKING:
    from torch import nn

COLUMN = 1.75 * STEP
"""CSS pixels from a node to its neighbour."""


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


def laid_out(nodes: dict[str, Node], edges: dict[str, Edge]) -> dict[str, tuple[float, float]]:
    """From top to bottom, each below the last that it needs."""
    sources: dict[str, list[str]] = {id: [] for id in nodes}
    for edge in edges.values():
        sources[edge.target].append(edge.source)
    rows: dict[str, int] = {}
    beside: dict[int, int] = {}
    found = {}
    for id in nodes:
        rows[id] = max((rows[each] + 1 for each in sources[id]), default=0)
        place = beside.get(rows[id], 0)
        beside[rows[id]] = place + 1
        found[id] = (COLUMN * place, STEP * rows[id])
    return found
