"""A graph as the source of a torch module, to read, keep and take elsewhere."""

import keyword
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from workbench.core import Invalid

from .build import answer, entrance, entrances, used
from .check import strict
from .dims import known, total
from .meaning import Reading
from .tensors import (
    Attribute,
    Call,
    Chain,
    Constant,
    Entrance,
    Into,
    Item,
    Method,
    Own,
    Result,
    Rows,
)
from .types import Graph

WIDTH = 88
"""Columns of a line, where it can be broken."""
LONGEST_LOCAL = 20
_TAKEN = ("self", "torch", "nn", "l", "O", "I")


def source(
    graph: Graph, inputs: int | None = None, outputs: int | None = None, name: str = "Network"
) -> str:
    """The source of a class that is the network a graph describes.

    Args:
        graph: The architecture.
        inputs: How many numbers the table's row becomes; not needed without a table.
        outputs: How many numbers the target needs; not needed without an `output`.
        name: The class's.

    Returns:
        A module that imports torch alone. Its `state_dict` has the names that `build` gives.

    Raises:
        Invalid: The graph has a problem, or a size is not known yet.
    """
    if not name.isidentifier() or keyword.iskeyword(name) or name in _TAKEN or len(name) > 64:
        raise Invalid(f"{name!r} cannot be a class's name.", hint="Try 'Network'.")
    found = strict(graph, inputs, outputs)
    layers = {node.layer for node in graph.nodes.values()}
    for layer, size, what in (("input", inputs, "features"), ("output", outputs, "answers")):
        if size is None and layer in layers:
            raise Invalid(
                f"How many {what} the network {graph.name[:60]!r} has is not known.",
                hint="Choose a product and a target for it.",
            )
    last = answer(graph, found)
    names = _Names(graph)
    takes = entrances(graph, found)
    return "\n".join(
        [
            "import torch",
            "from torch import nn",
            "",
            "",
            f"class {name}(nn.Module):",
            *_told(found, takes, last, names),
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *_made(found),
            "",
            *_lines(
                _Group(
                    "def forward(",
                    [_Text("self"), *(_Text(f"{names[id]}: torch.Tensor") for id in takes)],
                    ")",
                ),
                4,
                after=" -> torch.Tensor:",
            ),
            *_steps(found, last, names, names[entrance(graph, found)]),
            f"        return {names[last[0]]}",
            "",
        ]
    )


def _told(
    found: Reading, takes: list[str], last: tuple[str, str], names: "_Names"
) -> Iterator[str]:
    count = known(total(each.parameters for each in found.worked.values()))
    yield f'    """A network that learns {count or 0:,} numbers; B is the batch.'
    yield ""
    for id in takes:
        yield f"    Takes {names[id]}: {found.worked[id].outputs['out']}."
    yield f"    Gives {found.worked[last[0]].outputs[last[1]]}."
    yield '    """'


def _made(found: Reading) -> Iterator[str]:
    for id in found.order:
        module = found.worked[id].module or found.worked[id].tensor
        if module is None:
            continue
        text, own = _text(module, _Scope()), f"self.{id} = "
        if 8 + _width(f"{own}{module.path}(") <= WIDTH:
            yield from _lines(text, 8, own)
        else:
            yield from _lines(text, 8, "module = ")
            yield f"        {own}module"


def _steps(found: Reading, last: tuple[str, str], names: "_Names", first: str) -> Iterator[str]:
    for id in found.order:
        worked = found.worked[id]
        if worked.result is None:
            continue
        into = {
            port: [names[edge.source, edge.output] for edge in edges]
            for port, edges in found.into[id].items()
        }
        scope = _Scope(f"self.{id}", into, entrance=first)
        wanted = used(found, id, last)
        parts = {output: worked.parts.get(output, Result()) for output in wanted}
        if sum(_count(part) for part in parts.values()) > 1:
            whole = names.fresh(id, "all")
            yield from _assigned(whole, worked.result, scope, names)
            scope.result = _Text(whole)
        elif isinstance(worked.result, Chain):
            yield from _assigned(names[id, wanted[0]], worked.result, scope, names)
            continue
        else:
            scope.result = _text(worked.result, scope)
        for output, part in parts.items():
            yield from _lines(_text(part, scope), 8, f"{names[id, output]} = ")


def _assigned(local: str, value: Any, scope: "_Scope", names: "_Names") -> Iterator[str]:
    if not isinstance(value, Chain):
        yield from _lines(_text(value, scope), 8, f"{local} = ")
        return
    texts = [_text(each, scope) for each in value.items]
    line = texts[0].flat
    for each in texts[1:]:
        line = f"{line} {value.sign} {each.flat}" if value.sign else ""
    if line and 8 + _width(f"{local} = {line}") <= WIDTH:
        yield f"        {local} = {line}"
        return
    left = texts[0].flat
    if not isinstance(value.items[0], Into):
        left = names.fresh(local, "0")
        yield from _lines(texts[0], 8, f"{left} = ")
    for text, item in zip(texts[1:], value.items[1:], strict=True):
        right = text.flat
        if not isinstance(item, Into):
            right = names.fresh(local, "1")
            yield from _lines(text, 8, f"{right} = ")
        said = f"{left} {value.sign} {right}" if value.sign else f"{value.path}({left}, {right})"
        yield f"        {local} = {said}"
        left = local
    if len(texts) == 1:
        yield f"        {local} = {left}"


class _Names:
    """The local names of `forward`: the nodes' ids, where they are short and free."""

    def __init__(self, graph: Graph) -> None:
        self._taken = {*_TAKEN, *graph.nodes}
        self._names: dict[tuple[str, str], str] = {}
        for id in graph.nodes:
            whole = id in _TAKEN or _width(id) > LONGEST_LOCAL
            self._names[id, "out"] = self.fresh(id, "") if whole else id

    def __getitem__(self, key: str | tuple[str, str]) -> str:
        id, output = key if isinstance(key, tuple) else (key, "out")
        if (id, output) not in self._names:
            self._names[id, output] = self.fresh(id, output)
        return self._names[id, output]

    def fresh(self, id: str, tail: str) -> str:
        wanted = f"{id}_{tail}"
        if _width(wanted) > LONGEST_LOCAL:
            wanted = "x"
        found, count = wanted, 1
        while found in self._taken:
            count += 1
            found = f"{wanted}{count}"
        self._taken.add(found)
        return found


@dataclass
class _Text:
    """A piece of source that is not broken."""

    flat: str


@dataclass
class _Group:
    """Brackets and what is in them, broken one a line where it is too long for one."""

    before: str
    items: "list[_Text | _Group]"
    after: str
    names: list[str] = field(default_factory=list)

    @property
    def flat(self) -> str:
        """All of it, in one line."""
        inside = ", ".join(
            name + item.flat for name, item in zip(self._named(), self.items, strict=True)
        )
        comma = "," if self.before == "(" and len(self.items) == 1 else ""
        return f"{self.before}{inside}{comma}{self.after}"

    def _named(self) -> list[str]:
        return [""] * (len(self.items) - len(self.names)) + [f"{name}=" for name in self.names]

    def broken(self, indent: int, before: str, after: str) -> Iterator[str]:
        """All of it, one a line."""
        yield f"{' ' * indent}{before}{self.before}"
        for name, item in zip(self._named(), self.items, strict=True):
            yield from _lines(item, indent + 4, name, ",")
        yield f"{' ' * indent}{self.after}{after}"


def _lines(text: _Text | _Group, indent: int, before: str = "", after: str = "") -> Iterator[str]:
    line = f"{' ' * indent}{before}{text.flat}{after}"
    if isinstance(text, _Text) or not text.items or _width(line) <= WIDTH:
        yield line
    else:
        yield from text.broken(indent, before, after)


@dataclass
class _Scope:
    """What the names in an expression stand for."""

    own: str = ""
    into: dict[str, list[str]] = field(default_factory=dict)
    result: "_Text | _Group | None" = None
    entrance: str = ""


def _text(value: Any, scope: _Scope) -> _Text | _Group:
    match value:
        case Into(port=port, place=place):
            return _Text(scope.into[port][place])
        case Result() if scope.result is not None:
            return scope.result
        case Own():
            return _Text(scope.own)
        case Entrance():
            return _Text(scope.entrance)
        case Rows(times=times, plus=plus):
            told = f"{scope.entrance}.shape[0]"
            told = told if times == 1 else f"{times} * {told}"
            return _Text(f"{told} + {plus}" if plus > 0 else f"{told} - {-plus}" if plus else told)
        case Constant(path=path):
            return _Text(path)
        case float() if not math.isfinite(value):
            return _Text(f'float("{value}")')
        case Call(path=path):
            return _called(scope.own if path == "self" else path, value, scope)
        case Method(of=of, name=name):
            return _called(f"{_text(of, scope).flat}.{name}", value, scope)
        case Item(of=of, index=index):
            text = _text(of, scope)
            if isinstance(text, _Text):
                return _Text(f"{text.flat}[{index}]")
            return _Group(text.before, text.items, f"{text.after}[{index}]", text.names)
        case Attribute(of=of, name=name):
            return _Text(f"{_text(of, scope).flat}.{name}")
        case list():
            return _Group("[", [_text(each, scope) for each in value], "]")
        case tuple():
            return _Group("(", [_text(each, scope) for each in value], ")")
        case str():
            return _Text(f'"{value}"')
        case _:
            return _Text(repr(value))


def _called(path: str, call: Call | Method, scope: _Scope) -> _Group:
    items = [_text(each, scope) for each in (*call.args, *call.kwargs.values())]
    return _Group(f"{path}(", items, ")", list(call.kwargs))


def _count(value: Any) -> int:
    """How often an expression needs the node's result."""
    match value:
        case Result():
            return 1
        case Item(of=of) | Attribute(of=of):
            return _count(of)
        case Call(args=args, kwargs=kwargs):
            return sum(map(_count, (*args, *kwargs.values())))
        case list():
            return sum(map(_count, value))
        case _:
            return 0


def _width(text: str) -> int:
    # As ruff counts: signs that are drawn wide take two columns.
    return len(text) + sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
