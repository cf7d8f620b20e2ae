"""What flows along edges, and how torch computes it, as data: nothing here imports torch."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from .dims import Dim, product

Type = Literal[
    "float32",
    "float64",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
]
TYPES: tuple[Type, ...] = get_args(Type)
"""What the numbers of a tensor may be, by torch's names."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's shape and what is known of its dimensions.

    Attributes:
        dims: Its sizes; the first is the batch, but for weights and what is made of them.
        dtype: `float32`, `int64` for texts, others between operations.
        channels: Where the channels of a row are: `first` as convolutions leave them, `last` as in
            sequences [batch, length, channels], empty where nobody knows.
        values: How many different whole numbers may stand in an int64 tensor; else 0.
        seen: For each dimension after the channels: how many positions of the convolutions' input
            one number depends on, and how far its neighbour's are moved; empty where not counted.
    """

    dims: tuple[Dim, ...]
    dtype: Type = "float32"
    channels: Literal["", "first", "last"] = ""
    values: int = 0
    seen: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        """Its sizes, and its type where that is not float32."""
        told = f"[{', '.join(map(str, self.dims))}]"
        return told if self.dtype == "float32" else f"{told} of {self.dtype}"

    @property
    def numbers(self) -> Dim:
        """How many there are for each of the first dimension."""
        return product(self.dims[1:])


@dataclass(frozen=True, slots=True)
class Call:
    """A function or class of torch (`nn.Linear`, `torch.cat`), or the node's module (`self`)."""

    path: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a tensor."""

    of: Any
    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """An element of a tuple, or a row of a tensor."""

    of: Any
    index: int


@dataclass(frozen=True, slots=True)
class Attribute:
    """What a tensor says of itself, such as `device`."""

    of: Any
    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A name of torch that is no call: `torch.bool`."""

    path: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A function of two, from left to right over any number; `sign` is its operator, if any."""

    path: str
    sign: str
    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Into:
    """What comes into the node: the edge at that place of that port."""

    port: str = "in"
    place: int = 0


@dataclass(frozen=True, slots=True)
class Own:
    """The node's own tensor, where it is no module: a parameter or a buffer."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """What comes into the network: its first input that has rows."""


@dataclass(frozen=True, slots=True)
class Rows:
    """So many times the number of rows, and so many more."""

    times: int = 1
    plus: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What the node computed, for outputs that are parts of it."""


@dataclass(frozen=True, slots=True)
class Given:
    """What comes into a node, and what stands at the ends of the graph.

    Attributes:
        ports: For each port, the tensors of its edges, in their order.
        features: How many numbers the table's row becomes.
        outputs: How many numbers the target needs.
    """

    ports: dict[str, tuple[Tensor, ...]]
    features: Dim = "F"
    outputs: Dim = "C"

    @property
    def x(self) -> Tensor:
        """What comes into the port `in`."""
        return self.ports["in"][0]


@dataclass(frozen=True, slots=True)
class Worked:
    """What comes of a node.

    Attributes:
        outputs: A tensor per output.
        result: How it is computed from what comes in; None for what is given from outside.
        module: The module that computes it, if it has one.
        parts: How each output comes from `Result()`; an output that is absent is all of it.
        parameters: Numbers that are learned.
        flops: Multiplications and additions of products of matrices and convolutions, per row.
        tensor: The tensor that is its own, if it has one: a parameter or a buffer.
    """

    outputs: dict[str, Tensor]
    result: Any = None
    module: Call | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    parameters: Dim = 0
    flops: Dim = 0
    tensor: Call | None = None


class Misfit(Exception):
    """A node cannot take what comes in.

    Args:
        need: What it needs; it stands in "The node … needs {need}, and gets …".
        hint: What would fit.
    """

    def __init__(self, need: str, hint: str) -> None:
        super().__init__(need)
        self.need, self.hint = need, hint
