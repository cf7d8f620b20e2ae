"""What a training tells of single layers: sizes of gradients and activations, what is silent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

MOST = 64
"""Layers of a network that is looked at: figures of more would be read by nobody."""
SILENT = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish)
"""Layers whose result is zero, or nearly, for what they let not pass."""


class Gauges:
    """Looks at each layer of a network, once an epoch.

    Figures are of one batch, so they cost a pass over its numbers in each epoch:
    `gradient:<layer>`, the Euclidean length of its weights' gradient; `activation:<layer>`, the
    mean size of what leaves it; `dead:<layer>`, the share of its numbers that are zero for every
    row of the batch (Lu et al. (2020), arXiv:1903.06733), of layers that can be silent.

    Args:
        module: The network; its children are the layers.
    """

    def __init__(self, module: nn.Module) -> None:
        children = dict(module.named_children())
        self._layers = children if len(children) <= MOST else {}
        self._found: dict[str, torch.Tensor] = {}

    @contextmanager
    def forward(self, looked: bool) -> Iterator[None]:
        """Within it the network is called; looked at if so."""
        if not looked or not self._layers:
            yield
            return
        self._found = {}
        hooks = [
            layer.register_forward_hook(self._hook(name)) for name, layer in self._layers.items()
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def backward(self, looked: bool, scale: float) -> None:
        """After gradients are there, larger than they are by `scale`."""
        if not looked:
            return
        for name, layer in self._layers.items():
            given = [each.grad for each in layer.parameters() if each.grad is not None]
            if given:
                lengths = torch.stack([torch.linalg.vector_norm(each) for each in given])
                self._found[f"gradient:{name}"] = torch.linalg.vector_norm(lengths) / scale

    def told(self) -> dict[str, float]:
        """The figures of the batch that was looked at; those that are numbers."""
        figures = {name: float(value) for name, value in self._found.items()}
        return {name: value for name, value in figures.items() if abs(value) < float("inf")}

    def _hook(self, name: str) -> Any:
        def look(layer: nn.Module, _: Any, out: Any) -> None:
            if not isinstance(out, torch.Tensor) or not out.is_floating_point():
                return
            with torch.no_grad():
                self._found[f"activation:{name}"] = out.abs().mean()
                if isinstance(layer, SILENT):
                    silent = (out.abs() < 1e-7).flatten(1).all(dim=0)
                    self._found[f"dead:{name}"] = silent.float().mean()

        return look
