"""A network that a graph describes beside the same one written by hand, and what reading costs.

Prints one JSON line. No bound is set here; the target is 1.02: training the built network over the
hand-written one. Both begin with the same weights and see the same batches, so they do the same
work; their order changes from round to round, and the ratio is the median of the rounds'. How far a
second copy of the hand-written one is from the first says what the figure is worth.

`read` is the time from a module, or an ONNX file, to a graph that was compared; the ratios are over
what torch and onnx2fx need for their part, `torch.export.export` and `onnx2fx.convert`.
"""

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import onnx2fx  # noqa: E402
import torch  # noqa: E402
from onnx import load_from_string  # noqa: E402
from torch import nn  # noqa: E402

from workbench.graphs import TEMPLATES, build  # noqa: E402
from workbench.graphs.programs import to_onnx, to_program  # noqa: E402
from workbench.graphs.reading import read_module, read_onnx  # noqa: E402

FEATURES, CLASSES, BATCH, STEPS, ROUNDS = 30, 3, 128, 60, 60


class Block(nn.Module):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.norm, self.relu, self.dropout = nn.BatchNorm1d(units), nn.ReLU(), nn.Dropout(0.1)
        self.inner, self.back = nn.Linear(units, units), nn.Linear(units, units)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.back(self.dropout(self.relu(self.inner(self.norm(x)))))


class Residual(nn.Module):
    """The template `residual`, as one writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Linear(FEATURES, 64)
        self.block1, self.block2 = Block(64), Block(64)
        self.norm, self.relu = nn.BatchNorm1d(64), nn.ReLU()
        self.target = nn.Linear(64, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block2(self.block1(self.widen(x)))
        return self.target(self.relu(self.norm(x)))


class Stage(nn.Module):
    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(out), nn.BatchNorm2d(out)
        self.beside = nn.Conv2d(into, out, 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        return (made + self.beside(x)).relu()


def images() -> nn.Module:
    """Sixteen convolutions in eight blocks, as a ResNet-18 has them."""
    sizes = [(3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1)]
    sizes += [(128, 256, 2), (256, 256, 1), (256, 512, 2), (512, 512, 1)]
    stages = [Stage(*each) for each in sizes]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def trained(module: nn.Module, rows: torch.Tensor, targets: torch.Tensor) -> float:
    """Seconds for some steps."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3)
    module.train()
    began = time.perf_counter()
    for step in range(STEPS):
        at = slice(step * BATCH, (step + 1) * BATCH)
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(module(rows[at]), targets[at]).backward()
        optimiser.step()
    return time.perf_counter() - began


def seconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def over(one: list[float], other: list[float]) -> float:
    """The median of the ratios, round by round."""
    return round(statistics.median(a / b for a, b in zip(one, other, strict=True)), 3)


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = torch.randn(BATCH * STEPS, FEATURES)
    targets = torch.randint(CLASSES, (len(rows),))
    by_hand = Residual()
    built = build(TEMPLATES["residual"].graph, FEATURES, CLASSES)
    places = {"block1": "1", "block2": "2"}
    weights = {}
    for name, each in by_hand.state_dict().items():
        block, _, rest = name.partition(".")
        layer, _, last = rest.partition(".")
        weights[f"{layer}{places[block]}.{last}" if block in places else name] = each.clone()
    built.load_state_dict(weights, strict=True)
    again = Residual()
    again.load_state_dict(by_hand.state_dict())
    networks = {"built": built, "by hand": by_hand, "by hand again": again}
    times: dict[str, list[float]] = {name: [] for name in networks}
    for turn in range(ROUNDS):
        names = list(networks)
        for name in names[turn % 3 :] + names[: turn % 3]:
            times[name].append(trained(networks[name], rows, targets))
    network, given = images().eval(), torch.randn(2, 3, 32, 32)
    content = to_onnx(network, (given,)).SerializeToString()
    module_s = seconds(lambda: read_module(network, (given,)))
    onnx_s = seconds(lambda: read_onnx(content))
    export_s = seconds(lambda: to_program(network, (given,)))
    convert_s = seconds(lambda: onnx2fx.convert(load_from_string(content)))
    print(
        json.dumps(
            {
                "steps_per_s": round(STEPS / statistics.median(times["built"])),
                "training_over_by_hand": over(times["built"], times["by hand"]),
                "by_hand_over_itself": over(times["by hand again"], times["by hand"]),
                "read_module_s": round(module_s, 2),
                "over_export": round(module_s / export_s, 2),
                "read_onnx_s": round(onnx_s, 2),
                "over_convert": round(onnx_s / convert_s, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
