"""Operations of torch for which there is no layer, as nodes with the layer `operation`."""

from dataclasses import dataclass
from typing import Any

from ..arguments import number_said, sizes_said
from ..dims import UNKNOWN, Dim, product, total
from ..layers.operation import BROADCAST, FUNCTIONS, WHOLE
from ..tensors import TYPES, Rows, Tensor
from .rules import Operation, Unread

_CALLED = {
    "_to_copy": "to",
    "_softmax": "softmax",
    "_log_softmax": "log_softmax",
    "numpy_T": "t",
    "view": "reshape",
    "_unsafe_view": "reshape",
}
"""Names of operations → of functions that compute the same."""
_LAST = 2**63 - 1
"""The end of a slice that goes to the end."""
_UNSAID = ("layout", "memory_format", "pin_memory", "non_blocking", "copy")
"""What says nothing about the numbers."""


@dataclass
class Function:
    """An operation, as a node says it.

    Attributes:
        name: By torch's names; None where it is none that a node may be.
        into: What comes in, in the order of the edges.
        arguments: As JSON.
        named: As JSON.
        item: Which of its results.
        gives: What comes out.
        target: The operation, as torch has it.
    """

    name: str | None
    into: list[Operation]
    arguments: list[Any]
    named: dict[str, Any]
    item: int
    gives: Tensor
    target: Any

    def params(self, takes: list[Tensor]) -> dict[str, Any]:
        """The parameters of the node.

        Args:
            takes: The tensors that come in.

        Raises:
            ValueError: A size does not follow from the number of rows.
        """
        said: dict[str, Any] = {
            "function": self.name,
            "arguments": self.arguments,
            "type": self.gives.dtype,
        }
        if self.named:
            said["named"] = self.named
        if self.item != WHOLE:
            said["item"] = self.item
        if self.name not in BROADCAST or not takes:
            said["takes"] = [sizes_said(each.dims) for each in takes]
            said["gives"] = sizes_said(self.gives.dims)
        return said


def function_of(node: Operation, result: Operation, item: int = WHOLE) -> Function:
    """An operation as a function.

    Args:
        node: The operation.
        result: What it makes, or the part of that which is wanted.
        item: Which part, if part.

    Raises:
        Unread: It is given what no node can say.
    """
    schema = getattr(node.target, "_schema", None)
    space, _, name = schema.name.partition("::") if schema is not None else ("", "", "")
    if schema is not None and schema.is_mutable:
        name = name.removesuffix("_")
    name = _CALLED.get(name, name)
    if space != "aten" or name not in FUNCTIONS:
        return Function(None, [], [], {}, item, Tensor(()), node.target)
    into: list[Operation] = []
    arguments = [_said(each, into) for each in node.args]
    if name in ("slice", "slice_scatter"):
        arguments = [None if each == _LAST else each for each in arguments]
    named = {
        key: _said(each, into)
        for key, each in node.kwargs.items()
        if each is not None and key not in _UNSAID
    }
    gives = sizes_of_value(result.meta["val"])
    return Function(name, into, arguments, named, item, gives, node.target)


def is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def sizes_of_value(value: Any) -> Tensor:
    """A tensor as graphs know it.

    Raises:
        Unread: Its numbers are of a kind that no node may have.
    """
    kind = str(value.dtype).removeprefix("torch.")
    if kind not in TYPES:
        raise Unread(f"numbers of {kind}")
    return Tensor(tuple(map(dim_of, value.shape)), kind)


def dim_of(size: Any) -> Dim:
    """A size that may follow from the number of rows."""
    if isinstance(size, int | str):
        return size
    expression = size.node.expr
    symbols = sorted(expression.free_symbols, key=str)
    counted = any(str(each).startswith("u") for each in symbols)  # of numbers, not of rows
    if len(symbols) != 1 or counted or not expression.is_polynomial(*symbols):
        return UNKNOWN
    terms = expression.as_poly(*symbols).terms()
    if not all(times.is_Integer for _, times in terms):
        return UNKNOWN
    return total(product([int(times), *["B"] * power]) for (power,), times in terms)


def _said(value: Any, into: list[Operation]) -> Any:
    import torch

    match value:
        case torch.fx.Node():
            held = value.meta["val"]
            if not is_tensor(held):
                return _size_said(held)
            if value not in into:
                into.append(value)
            return {"in": into.index(value)}
        case None | bool() | str():
            return value
        case Rows(times=times, plus=plus):
            return {"rows": times, "plus": plus} if plus else {"rows": times}
        case int() | float():
            return number_said(value)
        case list() | tuple():
            return [_said(each, into) for each in value]
        case torch.dtype():
            kind = str(value).removeprefix("torch.")
            if kind not in TYPES:
                raise Unread(f"numbers of {kind}")
            return {"type": kind}
        case torch.device():
            return {"device": "input"}
        case torch.layout() | torch.memory_format():
            return None
    raise Unread(f"the argument {str(value)[:80]}")


def _size_said(size: Any) -> Any:
    if isinstance(size, float | bool) or not (isinstance(size, int) or hasattr(size, "node")):
        raise Unread(f"a number that is computed, {size}")
    try:
        return sizes_said((dim_of(size),))[0]
    except ValueError as error:
        raise Unread(str(error)) from error
