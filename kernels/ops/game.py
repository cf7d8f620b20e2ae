"""The game whose players are features: v(S) is the mean answer of a model when the features of
the coalition S come from the row explained and the others from each row of a background.

Source: Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017;
Janzing et al., Feature Relevance Quantification in Explainable AI, AISTATS 2020 (interventional).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .device import Array, Device, Given, Place, place

if TYPE_CHECKING:
    import torch

Model = Callable[["torch.Tensor"], "torch.Tensor"]
"""A torch module or function: [rows, d] -> [rows] or [rows, outputs]."""

Ask = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Answers for rows before background rows, of coalitions that it knows."""

ArrayModel = Callable[[Array], Array]
"""The same for NumPy, for the twins."""

CACHE, CARD = 2**22, 2**28
"""Bytes made at once unless said otherwise: what a CPU's cache holds, and a part of a GPU."""


class ShapleyValues(NamedTuple):
    """What each feature adds to the answer for a row, beside the background's mean answer.

    Attributes:
        phi: float64 [n, d], or [n, d, outputs] for a model with an axis of outputs.
        base: v of no features: the mean answer over the background, [] or [outputs].
    """

    phi: Given
    base: Given


def check(rows: Given, background: Given) -> None:
    """Refuse shapes that are no rows over a background.

    Raises:
        ValueError: Not two axes each, different columns, no column, or an empty background.
    """
    if len(rows.shape) != 2 or len(background.shape) != 2 or rows.shape[1] != background.shape[1]:
        raise ValueError(
            f"Rows of shape {tuple(rows.shape)} over a background of shape "
            f"{tuple(background.shape)}; [n, d] and [m, d] are needed."
        )
    if not rows.shape[1] or not background.shape[0]:
        raise ValueError(
            f"A background of shape {tuple(background.shape)}; at least one row and one column "
            "are needed."
        )


@dataclass(frozen=True)
class Game:
    """A model with its rows and background on one device; see `game`."""

    model: Model
    rows: "torch.Tensor"
    background: "torch.Tensor"
    memory: int
    place: Place
    base: "torch.Tensor"
    flat: bool

    def blocks(self, coalitions: int, width: int, least: int = 1) -> tuple[int, int, int]:
        """How many rows, background rows and coalitions are answered at once.

        Args:
            coalitions: How many there are.
            width: Numbers that are made of one masked row.
            least: Coalitions that have to be answered together, whatever they take.

        Raises:
            ValueError: The memory allowed does not hold a single masked row.
        """
        room = self.memory // (width * self.rows.element_size())
        if room < 1:
            need = width * self.rows.element_size()
            raise ValueError(f"memory={self.memory} bytes; one masked row takes {need} bytes.")
        # Several background rows per block: a block of coalitions is weighed once for all.
        few = min(coalitions, max(1, room // min(len(self.background), 8)))
        few = max(least, 2 ** (few.bit_length() - 1))
        behind = max(1, min(len(self.background), room // few))
        return max(1, min(len(self.rows), room // (few * behind))), behind, few

    def value(self, ask: "Ask", rows: "torch.Tensor", behind: int) -> "torch.Tensor":
        """v(S) of some coalitions for some rows: the mean over the background.

        Args:
            ask: The model's answers [r background rows coalitions] or with a second axis of
                outputs, of those coalitions for [r, d] rows before some background rows.
            rows: [r, d].
            behind: Background rows asked about at once.

        Returns:
            float64 [r, coalitions, outputs].
        """
        import torch

        total = torch.zeros((), dtype=torch.float64, device=self.place.device)
        for start in range(0, len(self.background), behind):
            some = self.background[start : start + behind]
            answers = ask(rows, some).reshape(len(rows), len(some), -1, len(self.base))
            total = total + answers.sum(1, dtype=torch.float64)
        return total / len(self.background)

    def masked(self, inside: "torch.Tensor") -> "Ask":
        """The model asked about rows masked by coalitions, bool [coalitions, d]."""
        import torch

        return lambda rows, some: self.model(
            torch.where(inside, rows[:, None, None], some[:, None]).flatten(0, 2)
        )

    def give(self, phi: "torch.Tensor") -> Given:
        """An array [..., outputs] in the caller's form, without outputs if the model has none."""
        return self.place.give(phi.squeeze(-1) if self.flat else phi)

    def parts(self, at_once: int) -> "Iterator[tuple[slice, torch.Tensor]]":
        """The rows, so many at once, with where they stand."""
        for start in range(0, len(self.rows), at_once):
            where = slice(start, start + at_once)
            yield where, self.rows[where]


def game(model: Model, rows: Given, background: Given, device: Device, memory: int | None) -> Game:
    """Take a model, rows and a background to one device, and learn the model's outputs.

    Rows are given to a module in the dtype of its first floating parameter, to a function in
    float32 if both arrays are float32 or half, else in float64.

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: Shapes that do not fit, a module that lies on another device or is random
            (dropout or batch statistics in training mode), or a model that does not answer
            [rows] or [rows, outputs].
    """
    import torch

    check(rows, background)
    where = place(device, rows, background)
    single = (torch.float32, torch.float16, torch.bfloat16)
    taken = [where.take(rows, "rows"), where.take(background, "background")]
    dtype = torch.float32 if all(each.dtype in single for each in taken) else torch.float64
    if isinstance(model, torch.nn.Module):
        for weight in model.parameters():
            if weight.device.type != where.device.type or (
                where.device.index not in (None, weight.device.index)
            ):
                raise ValueError(
                    f"The module lies on {weight.device} and {where.device} computes; "
                    f"move it by module.to({str(where.device)!r})."
                )
            if weight.is_floating_point():
                dtype = weight.dtype
                break
        _check_settled(model)
    x, b = (each.to(dtype) for each in taken)
    memory = memory if memory is not None else CARD if where.device.type == "cuda" else CACHE
    with torch.no_grad():
        # A layer may work in place, on what is the caller's.
        answers = model(b.clone())
        if not isinstance(answers, torch.Tensor) or not (
            answers.shape == b.shape[:1] or (answers.ndim == 2 and len(answers) == len(b))
        ):
            shape = tuple(answers.shape) if isinstance(answers, torch.Tensor) else type(answers)
            raise ValueError(
                f"The model answers {shape} for {len(b)} rows; a tensor [{len(b)}] or "
                f"[{len(b)}, outputs] is needed."
            )
        base = answers.reshape(len(b), -1).mean(0, dtype=torch.float64)
    return Game(model, x, b, memory, where, base, answers.ndim == 1)


def _check_settled(module: "torch.nn.Module") -> None:
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.dropout import _DropoutNd

    for each in module.modules():
        if each.training and isinstance(each, (_BatchNorm, _DropoutNd)):
            raise ValueError(
                f"{type(each).__name__} is in training mode, so answers depend on chance or on "
                "the batch; call module.eval() first."
            )
