"""What a network that runs an interpreter computes, as a program of torch: by watching it.

`torch.export` follows a module with symbols for its rows, and stops where a size becomes a number
in a tensor, as in every ONNX file. Here it runs with two rows, with three and with five; what
differs between the runs follows from the rows by a straight line, or is refused.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from workbench.core import Invalid

from ..dims import Dim, product, total
from ..tensors import Rows

if TYPE_CHECKING:
    import torch
    from torch import fx

RUNS = (2, 3, 5)
"""Rows of each run; a straight line is drawn through the first two, and the third checks it."""
_OF_TWO = frozenset(
    f"aten.{name}.Tensor"
    for name in ("add", "sub", "mul", "div", "gt", "ge", "lt", "le", "eq", "ne", "remainder")
) | {"aten.pow.Tensor_Tensor"}
"""Functions of two whose second may be a number."""


@dataclass
class Shaped:
    """A tensor of which sizes and type are known, and no numbers.

    Attributes:
        shape: Its sizes, of which some follow from the rows.
        dtype: torch's.
    """

    shape: tuple[Dim, ...]
    dtype: Any


@dataclass
class Trace:
    """A program, as `torch.export` would say it.

    Attributes:
        graph: What is computed; the values' `meta["val"]` are `Shaped`.
        constants: The tensors of the program's own, by the names of their placeholders.
        graph_signature: Which placeholders those are.
        state_dict: Empty: all are constants.
    """

    graph: "fx.Graph"
    constants: dict[str, Any]
    graph_signature: Any
    state_dict: dict[str, Any]


def trace(
    run: Callable[..., Any],
    example: "Callable[[int], tuple[torch.Tensor, ...]]",
    rows: Sequence[bool],
) -> Trace:
    """Watch a network.

    Args:
        run: Computes; what it computes may not depend on the numbers.
        example: What goes in, for a number of rows.
        rows: Which of what goes in has rows.

    Raises:
        Invalid: It computes something else for another number of rows.
        RuntimeError: It computes something else for other numbers.
    """
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    runs = RUNS if any(rows) else RUNS[:1]
    made = [
        make_fx(run, pre_dispatch=True, _error_on_data_dependent_ops=True)(*example(count))
        for count in runs
    ]
    for each in made:
        each.graph.eliminate_dead_code()
    graphs = [list(each.graph.nodes) for each in made]
    if len({tuple((n.op, str(n.target)) for n in nodes) for nodes in graphs}) > 1:
        raise Invalid(
            "This network computes something else for another number of rows.",
            hint="Export it with one fixed number of rows.",
        )
    found = torch.fx.Graph()
    values: dict[Any, Any] = {}
    known: dict[Any, Any] = {}
    held: dict[Any, Any] = {}
    for same in zip(*graphs, strict=True):
        node = same[0]
        if node.op == "placeholder":
            values[node] = found.placeholder(node.name)
        elif node.op == "get_attr":
            known[node] = _alike(
                [getattr(each, str(n.target)) for each, n in zip(made, same, strict=True)]
            )
            continue
        elif node.op == "output":
            _named(found, node.args[0], known, values, held)
            found.output([values[node.args[0]]])
            continue
        else:
            args = _lined([n.args for n in same], runs)
            kwargs = _lined([dict(n.kwargs) for n in same], runs)
            inputs = node.all_input_nodes
            if inputs and all(each in known for each in inputs) and not says_rows([args, kwargs]):
                with torch.no_grad():
                    known[node] = node.target(*_put(args, known), **_put(kwargs, known))
                continue
            for each in inputs:
                _named(found, each, known, values, held)
            values[node] = found.call_function(
                node.target, tuple(_put(args, values)), _put(kwargs, values)
            )
        values[node].meta = dict(node.meta)
        values[node].meta["val"] = _shaped([n.meta.get("val") for n in same], runs)
    _unturned(found)
    _dense(found, held)
    _numbers(found, held)
    found.eliminate_dead_code()
    constants = {node.name: tensor for node, tensor in held.items()}
    signature = SimpleNamespace(
        inputs_to_parameters={
            name: name
            for name, each in constants.items()
            if each.dtype == torch.float32 and each.numel() > 1
        },
        inputs_to_buffers={},
        inputs_to_lifted_tensor_constants={name: name for name in constants},
    )
    return Trace(found, constants, signature, {})


def says_rows(value: Any) -> bool:
    """Whether an argument follows from the number of rows."""
    if isinstance(value, dict):
        return any(map(says_rows, value.values()))
    if isinstance(value, list | tuple):
        return any(map(says_rows, value))
    return isinstance(value, Rows)


def _alike(tensors: list[Any]) -> Any:
    """A tensor of the program's own, which is the same in every run."""
    import torch

    if any(not torch.equal(tensors[0], each) for each in tensors[1:]):
        raise Invalid(
            "This network has other constants for another number of rows.",
            hint="Export it with one fixed number of rows.",
        )
    return tensors[0].detach()


def _named(
    graph: "fx.Graph",
    node: Any,
    known: dict[Any, Any],
    values: dict[Any, Any],
    held: dict[Any, Any],
) -> None:
    """Make a placeholder, ahead of all that is computed, of what is known and now needed."""
    if node in values:
        return
    first = next((each for each in graph.nodes if each.op == "call_function"), None)
    with graph.inserting_before(first) if first is not None else nullcontext():
        made = graph.placeholder(f"constant_{len(held)}")
    held[made] = made.meta["val"] = known[node].contiguous()
    values[node] = made


def _put(value: Any, values: dict[Any, Any]) -> Any:
    """An argument with other nodes, or with what they are."""
    if isinstance(value, dict):
        return {key: _put(each, values) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_put(each, values) for each in value)
    return values[value] if isinstance(value, Hashable) and value in values else value


def _dense(graph: "fx.Graph", held: dict[Any, Any]) -> None:
    """Make one dense layer of a product and the bias that is added to it."""
    import torch

    aten = torch.ops.aten
    for node in list(graph.nodes):
        if node.target is not aten.add.Tensor or len(node.all_input_nodes) != 2 or node.kwargs:
            continue
        bias, product = sorted(node.all_input_nodes, key=lambda each: each not in held)
        if product.target is not aten.linear.default or len(product.users) > 1:
            continue
        takes, weight = product.args[:2]
        if len(product.args) > 2 or bias not in held or held[bias].shape != (len(held[weight]),):
            continue
        with graph.inserting_before(node):
            made = graph.call_function(aten.linear.default, (takes, weight, bias))
        made.meta = dict(product.meta)
        node.replace_all_uses_with(made)
        graph.erase_node(node)


def _unturned(graph: "fx.Graph") -> None:
    """Leave out what is undone at once: a turn and its turn back, a dimension made and taken."""
    for node in list(graph.nodes):
        before: Any = node.args[0] if node.op == "call_function" and node.args else None
        if getattr(before, "op", "") != "call_function" or not before.args:
            continue
        first, second = _order(before), _order(node)
        undone = (
            first is not None
            and second is not None
            and [first[each] for each in second] == list(range(len(first)))
        )
        places = (str(before.target), str(node.target), before.args[1:], node.args[1:])
        taken = places[:2] == ("aten.unsqueeze.default", "aten.squeeze.dim")
        if undone or (taken and places[2] == places[3]):
            node.replace_all_uses_with(before.args[0])


def _order(node: Any) -> list[int] | None:
    """In which order a node leaves dimensions, if that is all that it does."""
    rank = len(getattr(node.meta.get("val"), "shape", ()))
    if str(node.target) == "aten.permute.default":
        return [each % rank for each in node.args[1]]
    if str(node.target) == "aten.transpose.int":
        order = list(range(rank))
        one, other = (each % rank for each in node.args[1:3])
        order[one], order[other] = order[other], order[one]
        return order
    return None


def _numbers(graph: "fx.Graph", held: dict[Any, Any]) -> None:
    """Say numbers as such, where a file keeps each as a tensor without dimensions."""
    for node in graph.nodes:
        if str(node.target) in _OF_TWO and not node.kwargs and len(node.args) == 2:
            first, second = node.args
            if second in held and first not in held and held[second].dim() == 0:
                node.args = (first, held[second].item())


def _lined(same: list[Any], runs: tuple[int, ...]) -> Any:
    """One argument of that in each run."""
    from torch import fx

    first = same[0]
    if isinstance(first, dict):
        return {key: _lined([each[key] for each in same], runs) for key in first}
    if isinstance(first, list | tuple):
        if len({len(each) for each in same}) > 1:
            raise _else()
        return [_lined(list(each), runs) for each in zip(*same, strict=True)]
    if isinstance(first, fx.Node):
        return first
    if all(type(each) is type(first) and each == first for each in same[1:]):
        return first
    if all(type(each) is int for each in same):
        times, plus = _line(same, runs)
        return Rows(times, plus)
    raise _else()


def _shaped(same: list[Any], runs: tuple[int, ...]) -> Any:
    first = same[0]
    if isinstance(first, list | tuple):
        return [_shaped(list(each), runs) for each in zip(*same, strict=True)]
    if not hasattr(first, "shape"):
        return first
    if len({len(each.shape) for each in same}) > 1:
        raise _else()
    return Shaped(tuple(_sizes(same, runs)), first.dtype)


def _sizes(same: list[Any], runs: tuple[int, ...]) -> Iterator[Dim]:
    for sizes in zip(*(each.shape for each in same), strict=True):
        if len(set(sizes)) == 1:
            yield int(sizes[0])
        else:
            times, plus = _line([int(each) for each in sizes], runs)
            yield total([product([times, "B"]), plus])


def _line(numbers: list[int], runs: tuple[int, ...]) -> tuple[int, int]:
    times, rest = divmod(numbers[1] - numbers[0], runs[1] - runs[0])
    plus = numbers[0] - times * runs[0]
    if rest or any(times * count + plus != each for count, each in zip(runs, numbers, strict=True)):
        raise _else()
    return times, plus


def _else() -> Invalid:
    return Invalid(
        "This network has sizes that do not follow from the number of rows by a straight line.",
        hint="Export it with one fixed number of rows.",
    )
