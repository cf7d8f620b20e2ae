"""What an entry of the table is made of, and what its rules share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..dims import Dim, differ, product
from ..tensors import TYPES, Call, Given, Into, Misfit, Tensor, Worked
from ..types import Layer, LayerGroup, Parameter, Port

Params = dict[str, Any]
Rule = Callable[[Given, Params], Worked]


@dataclass(frozen=True)
class Kind:
    """A layer of the table.

    Attributes:
        layer: What people see.
        work: What comes of it, from what comes in and the parameters; raises Misfit.
    """

    layer: Layer
    work: Rule


IN = Port(name="in", meaning="What it works on.")
MANY = Port(name="in", meaning="What is joined, in the order of the edges.", many=True)

BIAS = Parameter(
    name="bias", type="boolean", default=True, meaning="Whether a constant is added per unit."
)
EPSILON = Parameter(
    name="epsilon",
    type="number",
    default=1e-5,
    minimum=1e-12,
    maximum=0.1,
    meaning="Added to the variance, so that nothing is divided by zero.",
)
RATE = Parameter(
    name="rate",
    type="number",
    default=0.1,
    minimum=0.0,
    maximum=0.95,
    unit="share",
    meaning="Share of the numbers set to zero at each training step.",
)

TYPE = Parameter(
    name="type",
    type="choice",
    default="float32",
    choices=list(TYPES),
    meaning="What its numbers are, by torch's names.",
)


def layer(
    name: str,
    title: str,
    group: LayerGroup,
    formula: str,
    source: str,
    meaning: str,
    *params: Parameter,
    ports: tuple[Port, ...] = (IN,),
) -> Layer:
    """A layer with one output."""
    return Layer(
        name=name,
        title=title,
        group=group,
        ports=list(ports),
        params=list(params),
        formula=formula,
        source=source,
        meaning=meaning,
    )


def whole(
    name: str,
    default: int,
    meaning: str,
    *,
    minimum: int = 1,
    maximum: int = 16_384,
    unit: str = "",
) -> Parameter:
    """A parameter that is a whole number."""
    return Parameter(
        name=name,
        type="integer",
        default=default,
        minimum=minimum,
        maximum=maximum,
        unit=unit,
        meaning=meaning,
    )


def whole_each(
    name: str,
    default: int | list[int],
    meaning: str,
    length: int | None,
    *,
    minimum: int = 1,
    maximum: int = 16_384,
    unit: str = "",
    words: tuple[str, ...] = (),
    shortest: int = 1,
) -> Parameter:
    """A parameter that is a whole number per dimension, or one for all."""
    return Parameter(
        name=name,
        type="integers",
        default=default,
        minimum=minimum,
        maximum=maximum,
        length=length,
        shortest=shortest,
        choices=list(words),
        unit=unit,
        meaning=meaning,
    )


def applied(
    out: Tensor, path: str, *args: Any, parameters: Dim = 0, flops: Dim = 0, **kwargs: Any
) -> Worked:
    """The node's own module, applied to what comes in."""
    return Worked(
        {"out": out},
        Call("self", (Into(),)),
        Call(path, args, kwargs),
        parameters=parameters,
        flops=flops,
    )


def unless(**given: tuple[Any, Any]) -> dict[str, Any]:
    """The arguments that differ from torch's defaults: name → (value, default)."""
    return {name: value for name, (value, default) in given.items() if value != default}


def floats(*tensors: Tensor) -> None:
    """Misfit for whole numbers."""
    if any(each.dtype != "float32" for each in tensors):
        raise Misfit("numbers (float32)", "Put an embedding between: it makes numbers of words.")


def spatial(x: Tensor, n: int) -> tuple[Dim, ...]:
    """The sizes after the channels, of which there must be n, and the channels come first."""
    floats(x)
    wanted = f"[batch, channels, {', '.join(('depth', 'height', 'width')[-n:])}]"
    if n == 1:
        wanted = "[batch, channels, length]"
    if len(x.dims) != n + 2:
        raise Misfit(wanted, _reshaped(x, n))
    if x.channels == "last":
        raise Misfit(
            f"{wanted}, channels first",
            f"Put a permute with order={[n + 1, *range(1, n + 1)]} between.",
        )
    return x.dims[2:]


def _reshaped(x: Tensor, n: int) -> str:
    rank = len(x.dims)
    if rank == n + 1 and n > 1:
        return "Put an unsqueeze with dim=1 between: one channel."
    if rank == 2 and n == 1:
        return "Put an unsqueeze with dim=1 between: one channel of that length."
    if rank - 2 in (1, 2, 3):
        return f"Use the layer for {rank - 2} dimension{'s' * (rank > 3)}."
    return "Put a reshape between: channels, and the size of each dimension."


def sequence(x: Tensor) -> tuple[Dim, Dim]:
    """Length and channels of [batch, length, channels]."""
    floats(x)
    if len(x.dims) != 3:
        raise Misfit(
            "[batch, length, channels]",
            "Put an unsqueeze with dim=1 between: a sequence of length 1."
            if len(x.dims) == 2
            else "Put a reshape between: length, channels.",
        )
    if x.channels == "first":
        raise Misfit(
            "[batch, length, channels], channels last",
            "Put a permute with order=[2, 1] between.",
        )
    return x.dims[1], x.dims[2]


def axis(x: Tensor, dim: int) -> int:
    """A dimension's number from the front; Misfit if there is none, or it is the batch."""
    rank = len(x.dims)
    found = dim + rank if dim < 0 else dim
    if not 1 <= found < rank:
        raise Misfit(
            f"a dimension {dim} beside the batch",
            f"It has 1 to {rank - 1}, or -1 to -{rank - 1} from the back.",
        )
    return found


def each(value: int | list[int], n: int) -> tuple[int, ...]:
    """One number per dimension."""
    return (value,) * n if isinstance(value, int) else tuple(value)


def said(value: int | list[int]) -> int | tuple[int, ...]:
    """As torch takes it."""
    return value if isinstance(value, int) else tuple(value)


def together(tensors: tuple[Tensor, ...]) -> Tensor:
    """What tensors of one shape, or with 1 where others have more, make number by number."""
    floats(*tensors)
    first = tensors[0]
    if len({len(each.dims) for each in tensors}) > 1:
        raise Misfit(
            "tensors with the same number of dimensions",
            "Put a flatten, a pool or an unsqueeze before the one that differs.",
        )
    dims: list[Dim] = []
    for place in range(len(first.dims)):
        sizes = [each.dims[place] for each in tensors if each.dims[place] != 1]
        for size in sizes[1:]:
            if place == 0 and size != sizes[0]:
                raise Misfit("tensors with as many rows", "Use a weight with 1 in its first place.")
            if differ(size, sizes[0]):
                raise Misfit("tensors of one shape", _alike(first, place, sizes[0]))
        dims.append(next((size for size in sizes if isinstance(size, int)), [*sizes, 1][0]))
    return replace(first, dims=tuple(dims), channels=ordered(tensors), seen=widest(tensors))


def _alike(first: Tensor, place: int, size: Dim) -> str:
    if place == len(first.dims) - 1 and first.channels != "first":
        return f"Put a dense layer with units={size} before the other, or join them with concat."
    if place == 1:
        return (
            f"Put a convolution with channels={size} and kernel=1 before the other, "
            "or join them with concat."
        )
    return "Give the convolutions and pools before both the same stride and padding."


def ordered(tensors: tuple[Tensor, ...]) -> Literal["", "first", "last"]:
    """Where the channels of all of them are."""
    places = {each.channels for each in tensors} - {""}
    return places.pop() if len(places) == 1 else ""


def widest(tensors: tuple[Tensor, ...]) -> tuple[tuple[int, int], ...]:
    """The widest view of each dimension."""
    views = [each.seen for each in tensors if each.seen]
    if len(views) < len(tensors) or len({len(each) for each in views}) > 1:
        return ()
    return tuple(max(each) for each in zip(*views, strict=True))


def size(*dims: Dim) -> Dim:
    """The product of sizes."""
    return product(dims)
