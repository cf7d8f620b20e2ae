"""Torch modules as programs for elsewhere: ONNX, `torch.export`."""

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .layers import enters
from .meaning import Reader
from .types import Graph

if TYPE_CHECKING:
    import torch
    from torch import nn

OPSET = 18
ROWS = 2
"""Of an example: one row alone would make the batch a constant."""


def example(graph: Graph, inputs: int) -> "tuple[torch.Tensor, ...]":
    """What may go into the module of a graph: zeros, in the order of its input nodes' ids.

    Args:
        graph: A graph that can be built.
        inputs: How many numbers a table's row becomes.

    Returns:
        A tensor [2, …] for each input node, float32, or int64 for text.
    """
    import torch

    found = Reader(inputs, 1).read(graph)
    given = []
    for id in sorted(id for id, node in graph.nodes.items() if enters(node.layer)):
        meaning = found.nodes[id]
        sizes = [ROWS if each == "B" else int(each) for each in meaning.outputs["out"]]
        given.append(torch.zeros(sizes, dtype=getattr(torch, meaning.dtype)))
    return tuple(given)


def wide(graph: Graph) -> tuple[bool, ...]:
    """Which of the inputs have rows, in the order of their nodes' ids."""
    return tuple(
        bool(node.params.get("rows", True))
        for _, node in sorted(graph.nodes.items())
        if enters(node.layer)
    )


def to_program(
    module: "nn.Module",
    given: "tuple[torch.Tensor, ...]",
    rows: Sequence[bool] | None = None,
) -> Any:
    """The module as a `torch.export.ExportedProgram`, for any number of rows.

    Args:
        module: What is exported.
        given: An example of what goes in, at least 2 rows.
        rows: Which of them have rows; all if None.
    """
    import torch

    shapes = _shapes(torch, given, rows)
    with warnings.catch_warnings():
        # What torch's own recurrent layers do is not for our users.
        warnings.simplefilter("ignore")
        return torch.export.export(module, given, dynamic_shapes=shapes)


def _shapes(torch: Any, given: Sequence[Any], rows: Sequence[bool] | None) -> tuple[Any, ...]:
    any = torch.export.Dim("rows")
    wide = rows or [True] * len(given)
    return tuple({0: any} if each else {} for each in wide)


def to_onnx(
    module: "nn.Module",
    given: "tuple[torch.Tensor, ...]",
    names: list[str] | None = None,
    answer: str = "answer",
    rows: Sequence[bool] | None = None,
    optimised: bool = True,
) -> Any:
    """The module as an `onnx.ModelProto`, for any number of rows.

    Args:
        module: What is written.
        given: An example of what goes in, at least 2 rows.
        names: What the inputs are called; as in the module if None.
        answer: What the output is called.
        rows: Which of them have rows; all if None.
        optimised: Whether layers are made one where they can be; else each keeps its weights.
    """
    import torch

    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # What the exporter deprecates within itself is not for our users.
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                module,
                given,
                dynamo=True,
                opset_version=OPSET,
                input_names=names,
                output_names=[answer],
                dynamic_shapes=_shapes(torch, given, rows),
                verbose=False,
                optimize=optimised,
            )
    finally:
        logger.setLevel(before)
    assert made is not None
    return made.model_proto
