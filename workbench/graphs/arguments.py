"""What a function of torch is given, as JSON: numbers and words as they are, and for the rest

`{"in": 0}`, what comes in by the first edge; `{"rows": 4, "plus": 1}`, four times the number of
rows and one; `{"number": "-inf"}`, a number that JSON has not, or `"2.0"`, which it takes for 2;
`{"type": "int64"}`; `{"device": "input"}`, where the network computes.
"""

import math
import re
from typing import Any, cast

from .dims import Dim, product, total
from .tensors import TYPES, Attribute, Constant, Entrance, Into, Rows

DEEPEST, MOST = 5, 512
"""Lists in lists, and things in all of them."""
LARGEST = 2**53
"""Of numbers as they are: a browser knows no larger whole ones."""
_NAME = re.compile(r"[a-z][a-z_0-9]{0,31}")
_WORD = re.compile(r"[A-Za-z0-9_,.> -]{0,64}")
"""Such as the `mode` of a rounding, or an equation of `einsum`."""


def is_arguments(value: Any) -> bool:
    """Whether JSON is a list of arguments, or a map of them by their names."""
    try:
        meant(value)
    except ValueError:
        return False
    return isinstance(value, list | tuple | dict)


def meant(value: Any) -> Any:
    """The arguments, as `Call` takes them.

    Raises:
        ValueError: It is no JSON of this form.
    """
    left = [MOST]
    if isinstance(value, dict):
        if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in value):
            raise ValueError("names")
        return {name: _meant(each, DEEPEST, left) for name, each in value.items()}
    return _meant(value, DEEPEST, left)


def sizes_meant(value: Any) -> tuple[Dim, ...]:
    """Sizes of a tensor: whole numbers, and what the rows are times.

    Raises:
        ValueError: It is no list of such.
    """
    found = meant(value)
    if not isinstance(found, list):
        raise ValueError("no list")
    sizes: list[Dim] = []
    for each in found:
        match each:
            case Rows(times=times, plus=plus):
                sizes.append(total([product([times, "B"]), plus]))
            case int() if not isinstance(each, bool) and each >= 0:
                sizes.append(each)
            case _:
                raise ValueError("no size")
    return tuple(sizes)


def sizes_said(sizes: tuple[Dim, ...]) -> list[Any]:
    """Sizes, as JSON.

    Raises:
        ValueError: One does not follow from the rows alone.
    """
    return [each if isinstance(each, int) else _rows_said(each) for each in sizes]


def number_said(value: float) -> Any:
    """A number, as JSON that stays the same on its way."""
    if isinstance(value, int) or (math.isfinite(value) and not value.is_integer()):
        return value
    return {"number": repr(value)}


def inputs_in(value: Any) -> set[int]:
    """The edges that arguments name, by their places."""
    match value:
        case Into(place=place):
            return {place}
        case list():
            return set().union(*map(inputs_in, value))
        case dict():
            return set().union(*map(inputs_in, value.values()))
        case _:
            return set()


def _meant(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if depth < 0 or left[0] < 0:
        raise ValueError("too much")
    match value:
        case None | bool():
            return value
        case int() | float() if abs(value) < LARGEST:
            return value
        case str() if _WORD.fullmatch(value):
            return value
        case list() | tuple():
            return [_meant(each, depth - 1, left) for each in value]
        case {"in": int(place), **rest} if not rest and _whole(place) and 0 <= place < MOST:
            return Into("in", place)
        case {"rows": int(times), **rest} if set(rest) <= {"plus"} and _whole(times):
            plus: Any = rest.get("plus", 0)
            if _whole(plus) and max(abs(times), abs(plus)) < 2**31:
                return Rows(times, plus)
        case {"number": str(said), **rest} if not rest and len(said) <= 32:
            return float(said)
        case {"type": str(said), **rest} if not rest and said in TYPES:
            return Constant(f"torch.{said}")
        case {"device": "input", **rest} if not rest:
            return Attribute(Entrance(), "device")
    raise ValueError("no argument")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _rows_said(dim: Dim) -> dict[str, int]:
    terms = cast(dict[tuple[str, ...], int], getattr(dim, "terms", {("B",): 1}))
    if str(dim) == "?" or not set(terms) <= {("B",), ()}:
        raise ValueError(f"a size of {dim}")
    said = {"rows": terms.get(("B",), 0)}
    return said | ({"plus": terms[()]} if terms.get(()) else {})


__all__ = [
    "inputs_in",
    "is_arguments",
    "meant",
    "number_said",
    "sizes_meant",
    "sizes_said",
]
