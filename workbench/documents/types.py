"""What crosses the boundary of a document: the Record, its edits, its past, what two differ in."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from workbench.core import Record, Shelf
from workbench.graphs import Graph, Meaning


class Document(Record):
    """A graph that people of a project edit together; what is in it is kept in its log."""

    id: str
    name: str
    made_at: datetime
    made_by: str
    template: str = ""
    forked_from: str = ""
    """`doc_…@57`: the document and moment this is a variant of; empty if of none."""
    merged_at: int = 0
    """The number of this document's newest edit when it was last merged into its origin."""


documents: Shelf[Document] = Shelf("doc", "document", Document)


class OpenDocument(Document):
    """A document with what it says now."""

    seq: int
    """The number of its newest edit."""
    graph: Graph
    meaning: Meaning
    forks: list[Document] = []
    """Variants of it, the newest first."""


Place = tuple[float, float]
"""In CSS pixels, to the right and down."""
Id = Annotated[str, Field(min_length=1, max_length=64)]


def _op_is_said(schema: dict[str, Any]) -> None:
    schema["required"] = ["op", *schema.get("required", [])]


class Named(Record):
    """One of several Records that are told apart by their `op`: whoever sends one says it."""

    model_config = ConfigDict(json_schema_extra=_op_is_said)


class AddNode(Named):
    """A layer more."""

    op: Literal["add_node"] = "add_node"
    layer: str
    id: str = ""
    """A name of Python, new in the graph; made from the layer's if empty."""
    params: dict[str, Any] = {}
    name: str = Field("", max_length=200)
    group: str = ""
    at: Place | None = None


class RemoveNode(Named):
    """A layer less, with the edges that it had."""

    op: Literal["remove_node"] = "remove_node"
    id: Id


class SetParam(Named):
    """Another value for a parameter; null gives it its default."""

    op: Literal["set_param"] = "set_param"
    id: Id
    param: Id
    value: Any = None


class Rename(Named):
    """What people call a node; its id stays."""

    op: Literal["rename"] = "rename"
    id: Id
    name: str = Field(max_length=200)


class Connect(Named):
    """An edge from a node's output to another's port."""

    op: Literal["connect"] = "connect"
    source: Id
    target: Id
    port: str = Field("in", max_length=64)
    output: str = Field("out", max_length=64)
    order: float = 0.0
    """Where a port takes several edges, they are joined in this order."""
    id: str = Field("", max_length=200)
    """Made from its ends if empty, so that the same edge made twice is one."""


class Disconnect(Named):
    """An edge less: by its id, or all from one node to another."""

    op: Literal["disconnect"] = "disconnect"
    id: str = ""
    source: str = ""
    target: str = ""
    port: str = ""


class Move(Named):
    """Where a node stands."""

    op: Literal["move"] = "move"
    id: Id
    at: Place


class SetGroup(Named):
    """A group by that id, with its name, and which nodes are in it."""

    op: Literal["set_group"] = "set_group"
    id: Id
    name: str = Field(max_length=200)
    folded: bool = False
    parent: str = ""
    nodes: list[str] | None = None
    """The nodes in it from now on; null leaves them."""


class RemoveGroup(Named):
    """A group less; its nodes stay."""

    op: Literal["remove_group"] = "remove_group"
    id: Id


class SetTraining(Named):
    """How it is trained; null takes the setting away."""

    op: Literal["set_training"] = "set_training"
    name: Id
    value: Any = None


class SetData(Named):
    """What it is for; null takes it away."""

    op: Literal["set_data"] = "set_data"
    name: Literal["product", "target", "features", "outputs", "weights"]
    value: str | int | None = None


Operation = Annotated[
    AddNode
    | RemoveNode
    | SetParam
    | Rename
    | Connect
    | Disconnect
    | Move
    | SetGroup
    | RemoveGroup
    | SetTraining
    | SetData,
    Field(discriminator="op"),
]


class Edited(Record):
    """What came of an edit."""

    id: str
    seq: int
    """The number the edit has; what it changed is on the disk."""
    made: list[str] = []
    """The ids of nodes that were added, in the order of their operations."""
    meaning: Meaning


class Change(Record):
    """One thing in which two graphs differ."""

    key: str
    """Where: `nodes/dense_k3f`, `nodes/dense_k3f/params/units`, `edges/…`, `training/epochs`."""
    kind: Literal["added", "removed", "changed"]
    what: Literal["node", "parameter", "name", "edge", "group", "place", "data", "training"]
    node: str = ""
    """The node it is about, if about one."""
    before: Any = None
    after: Any = None
    sentence: str
    """For people."""


class Difference(Record):
    """In what one document differs from another, or from itself as it was."""

    base: str
    """`doc_…@57`"""
    other: str
    changes: list[Change]
    before: Meaning
    after: Meaning


class Merged(Record):
    """What came of a merge."""

    id: str
    """The document that was merged into."""
    seq: int
    applied: list[Change]
    conflicts: list[Change]
    """What both had changed; the document's own stands, unless asked otherwise."""


class Code(Record):
    """A graph as Python."""

    id: str
    seq: int
    code: str


class Moment(Record):
    """A sitting in a document's past: what one actor changed without a pause of some minutes."""

    seq: int
    """The number of its last edit: `restore` and `compare` take it."""
    first: int
    at: datetime
    actor: str
    via: str
    """The action it came by; `room` for an editor that was open."""
    changes: list[Change] = []
