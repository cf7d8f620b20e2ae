"""Networks: a graph's torch module, trained with early stopping, kept as safetensors."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from workbench import memory
from workbench.core import Invalid
from workbench.documents import begun
from workbench.graphs import Graph, build

from .checkpoints import Checkpoint, Keeps
from .crews import Crew
from .drawing import BLOCK as READ
from .drawing import BLOCKS, batches
from .estimators import Array, Lesson, write_told
from .gauges import Gauges
from .recipes import Loss, Schedule, chosen, loss_of, optimiser_of

BLOCK = 2_048
"""Rows per forward pass when predicting."""
BATCH = 128
"""Rows per step of training, where the graph does not say."""
WORTH_THREADS = 200_000_000
"""Multiplications per step above which several threads pay; below, waiting for each other costs
up to twenty times more than it saves, and one thread adds up the same on every machine."""


FREE = 0.8
"""Of a GPU's free memory: what rows may take of it. The rest is for weights and activations."""


class Network:
    """A network with the weights that were best on the validation rows."""

    kind = "network"

    def __init__(self, module: nn.Module, told: dict[str, Any]) -> None:
        self.module, self.told = module.eval(), told
        self.history: list[dict[str, float]] = []
        self.epochs = int(told["epochs"])
        self.parameters = sum(each.numel() for each in module.parameters() if each.requires_grad)

    @classmethod
    def fit(cls, lesson: Lesson) -> "Network":
        """Make the loss small that the graph says, by its optimiser and schedule (`TRAINING`).

        A value is standardised first. With `mixed_precision` in the graph's
        training, what gains by it is computed with 16 bits (Micikevicius et al. (2018),
        arXiv:1710.03740), weights and losses with 32.

        Raises:
            Invalid: There is no graph, its sizes do not fit, or the loss stops being a number.
        """
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls.fit_with(Crew(), lesson, told_of(lesson), device)

    @classmethod
    def fit_with(
        cls,
        crew: Crew,
        lesson: Lesson,
        told: dict[str, Any],
        device: str,
        checkpoint: Keeps | None = None,
    ) -> "Network":
        """Train with others, or alone: see `fit`.

        Args:
            crew: Who trains.
            lesson: This one's share of the rows.
            told: `told_of` the whole lesson.
            device: What it computes on.
            checkpoint: Where it has come to; kept beside the job if None.
        """
        assert lesson.graph is not None
        with torch.random.fork_rng():
            torch.manual_seed(lesson.seed)
            module = build(lesson.graph, told["inputs"], told["outputs"]).to(device)
            if lesson.weights:
                lesson.job.log(_begin(module, lesson.weights))
            weights = sum(each.numel() for each in module.parameters())
            with _threads(weights * int(lesson.graph.training.get("batch_size", BATCH))):
                best, history = _train(module, lesson, told, device, crew, checkpoint)
        module.load_state_dict(best)
        fitted = cls(module.cpu(), told)
        fitted.history = history
        return fitted

    @classmethod
    def load(cls, folder: Path, told: dict[str, Any]) -> "Network":
        from safetensors.torch import load_file

        graph = Graph.model_validate(told["graph"])
        with torch.random.fork_rng(devices=[]):
            module = build(graph, told["inputs"], told["outputs"])
        module.load_state_dict(load_file(folder / "weights.safetensors"))
        return cls(module, told)

    def predict(self, features: Array) -> Array:
        found = []
        with torch.inference_mode():
            for start in range(0, max(len(features), 1), BLOCK):
                block = torch.from_numpy(np.ascontiguousarray(features[start : start + BLOCK]))
                out = self.module(block).double()
                if self.told["task"] == "classification":
                    found.append(torch.softmax(out, dim=1).numpy())
                else:
                    found.append((out[:, 0] * self.told["scale"] + self.told["mean"]).numpy())
        return np.concatenate(found)

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        weights = {name: value.contiguous() for name, value in self.module.state_dict().items()}
        graph = json.dumps(self.told["graph"])
        save_file(weights, folder / "weights.safetensors", metadata={"graph": graph})
        write_told(folder, self.told)

    def answering(self) -> nn.Module:
        """The module from features to probabilities or values, for export."""
        return _Answer(self.module, self.told).eval()


def _begin(module: nn.Module, weights: dict[str, torch.Tensor]) -> str:
    fresh = begun(module, weights)
    return f"Begins with {len(module.state_dict()) - len(fresh)} tensors that were there" + (
        f"; anew: {', '.join(fresh[:5])}{' …' if len(fresh) > 5 else ''}." if fresh else "."
    )


def told_of(lesson: Lesson) -> dict[str, Any]:
    """What a network that learns from these rows says of itself.

    Raises:
        Invalid: There is no graph.
    """
    if lesson.graph is None:
        raise Invalid("A network needs a graph.", hint="Leave graph out to have one suggested.")
    told: dict[str, Any] = {
        "format": "network",
        "task": lesson.task,
        "inputs": int(lesson.train[0].shape[1]),
        "outputs": lesson.classes or 1,
        "mean": 0.0,
        "scale": 1.0,
        "graph": lesson.graph.model_dump(),
        "epochs": 0,
    }
    if lesson.graph.training.get("loss") == "balanced_cross_entropy":
        counts = np.bincount(lesson.train[1].astype(int), minlength=lesson.classes)
        told["shares"] = [float(each) for each in counts / max(1, counts.sum())]
    if lesson.task == "regression":
        told["mean"] = float(lesson.train[1].mean())
        told["scale"] = float(lesson.train[1].std()) or 1.0
    return told


class _Answer(nn.Module):
    def __init__(self, module: nn.Module, told: dict[str, Any]) -> None:
        super().__init__()
        self.network = module
        self.classes = told["task"] == "classification"
        self.mean, self.scale = float(told["mean"]), float(told["scale"])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        out = self.network(features)
        if self.classes:
            return torch.softmax(out, dim=1)
        value: torch.Tensor = out[:, 0] * self.scale + self.mean
        return value


@contextmanager
def _threads(multiplications: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if multiplications < WORTH_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(
    module: nn.Module,
    lesson: Lesson,
    told: dict[str, Any],
    device: str,
    crew: Crew,
    checkpoint: Keeps | None,
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """Train in place; the weights of the best epoch, whose number `told` gets, and the figures.

    A later attempt of the job goes on after the newest checkpoint, and comes to the same weights.
    """
    assert lesson.graph is not None
    said = chosen(lesson.graph.training)
    epochs = lesson.epochs or int(said["epochs"])
    patience, batch = int(said["patience"]), max(1, int(said["batch_size"]) // crew.size)
    parts = (lesson.train, lesson.validation)
    kept = device if _fit_on(device, parts) else "cpu"
    train, held_rows = (_Rows(part, told, device, kept) for part in parts)
    classes = lesson.task == "classification"
    measure = loss_of(lesson.task, said, told.get("shares", []))
    optimiser = optimiser_of(module, said)
    schedule, longest = Schedule(optimiser, said, epochs), float(said["gradient_norm"])
    order = torch.Generator().manual_seed(lesson.seed)
    best, best_loss, waited = _copied(module), math.inf, 0
    history: list[dict[str, float]] = []
    given = {**told, "seed": lesson.seed, "rows": len(train), "epochs": epochs}
    given["checkpoint"] = 3  # Of another form than before there were schedules.
    row_bytes = _row_bytes(lesson.train[0])
    if row_bytes is not None:
        given["blocks"] = [READ, BLOCKS]
    checkpoint = checkpoint or Checkpoint(lesson.job, given)
    net, mixed = crew.wrapped(module), _Mixed(device, bool(said["mixed_precision"]))
    gauges = Gauges(module)
    if (reached := checkpoint.read()) is not None:
        module.load_state_dict(reached["weights"])
        optimiser.load_state_dict(reached["optimiser"])
        schedule.load_state_dict(reached["schedule"])
        order.set_state(reached["order"])
        mixed.scaler.load_state_dict(reached["scaler"])
        crew.go_on(reached["random"])
        best, best_loss, waited = reached["best"], reached["best_loss"], reached["waited"]
        told["epochs"], history = reached["best_epoch"], reached["history"]
        lesson.job.log(f"Goes on after epoch {len(history)}, where a checkpoint was.")
    for epoch in range(len(history) + 1, epochs + 1):
        if waited >= patience:
            break
        lesson.job.check()
        crew.begin(epoch, order)
        module.train()
        total = torch.zeros((), device=device)
        for place, rows in enumerate(batches(len(train), batch, order, kept, row_bytes)):
            if len(rows) == 1 and len(train) > 1:
                continue  # one row has no variance: batch norm cannot take it
            lesson.job.check()
            features, target = train.at(rows)
            optimiser.zero_grad(set_to_none=True)
            with mixed.numbers(), gauges.forward(place == 0):
                loss = measure(_out(net(features), classes).float(), target)
            mixed.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            gauges.backward(place == 0, mixed.scaler.get_scale())
            if longest > 0:
                mixed.scaler.unscale_(optimiser)
                nn.utils.clip_grad_norm_(module.parameters(), longest)
            mixed.scaler.step(optimiser)
            mixed.scaler.update()
            total += loss.detach() * len(rows)
        crew.align(module)
        sums = crew.total(
            float(total),
            len(train),
            _held_loss(module, held_rows, measure, classes),
            len(held_rows),
        )
        mean, held = sums[0] / sums[1], sums[2] / sums[3]
        if not math.isfinite(mean) or not math.isfinite(held):
            raise Invalid(
                f"The network's loss is {mean} after epoch {epoch}.",
                hint=f"Lower learning_rate (it is {said['learning_rate']:g}), or add layer_norm.",
            )
        history.append({"epoch": epoch, "loss": mean, "validation_loss": held})
        lesson.job.metric(**history[-1], **gauges.told())
        lesson.job.progress(
            0.1 + 0.6 * epoch / epochs, f"epoch {epoch} of at most {epochs}, loss {held:.4f}"
        )
        schedule.step(held)
        if held < best_loss - 1e-5:
            best, best_loss, waited = _copied(module), held, 0
            told["epochs"] = epoch
        else:
            waited += 1
        checkpoint.write(
            {
                "weights": module.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "order": order.get_state(),
                "scaler": mixed.scaler.state_dict(),
                "random": crew.random(),
                "best": best,
                "best_loss": best_loss,
                "best_epoch": told["epochs"],
                "waited": waited,
                "history": history,
            }
        )
    if waited >= patience:
        lesson.job.log(
            f"Stopped after epoch {len(history)}: the validation loss was lowest after epoch "
            f"{told['epochs']} ({best_loss:.4f})."
        )
    checkpoint.drop()
    return best, history


class _Mixed:
    """With how many bits numbers are computed.

    Where a GPU has no bfloat16, float16 stands for it, and gradients are scaled to stay above its
    least number.

    Args:
        device: What computes.
        wanted: Whether 16 bits are used where they are enough.
    """

    def __init__(self, device: str, wanted: bool) -> None:
        half = device != "cpu" and not torch.cuda.is_bf16_supported()
        self._type = torch.float16 if half else torch.bfloat16
        self._device, self._wanted = device.partition(":")[0], wanted
        self.scaler = torch.amp.GradScaler(self._device, enabled=wanted and half)

    def numbers(self) -> torch.autocast:
        """Within it."""
        return torch.autocast(self._device, dtype=self._type, enabled=self._wanted)


class _Rows:
    """Features and targets as tensors, which share their memory with the arrays where they can.

    Args:
        part: Features float32 [rows, columns] and targets [rows].
        told: The task, and how targets are standardised.
        device: Where rows are needed.
        kept: Where they are: there, or on the processor, from where a batch goes when it is used.
    """

    def __init__(
        self, part: tuple[Array, Array], told: dict[str, Any], device: str, kept: str
    ) -> None:
        features, target = part
        if told["task"] == "classification":
            wanted = torch.from_numpy(target.astype(np.int64))
        else:
            wanted = torch.from_numpy(((target - told["mean"]) / told["scale"]).astype(np.float32))
        # A mapped matrix is shared, not copied: it may be larger than the memory.
        self._features = torch.from_numpy(np.ascontiguousarray(features)).to(kept)
        self._target = wanted.to(kept)
        self._device, self._moves = device, kept != device

    def __len__(self) -> int:
        return len(self._target)

    def at(self, rows: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and targets of these rows, where they are needed."""
        features, target = self._features[rows], self._target[rows]
        if not self._moves:
            return features, target
        return (
            features.pin_memory().to(self._device, non_blocking=True),
            target.pin_memory().to(self._device, non_blocking=True),
        )


def _fit_on(device: str, parts: tuple[tuple[Array, Array], ...]) -> bool:
    if device == "cpu":
        return True
    free, _ = torch.cuda.mem_get_info()
    return sum(features.nbytes + 8 * len(target) for features, target in parts) <= FREE * free


def _row_bytes(features: Array) -> int | None:
    """What a row takes of a mapped file that the machine may not hold in its cache; else None.

    A limit counts, too: in a control group the cache is a part of it.
    """
    large = isinstance(features, np.memmap) and features.nbytes > memory.allowed() // 2
    return features.itemsize * features.shape[1] if large else None


def _held_loss(module: nn.Module, held: _Rows, measure: Loss, classes: bool) -> float:
    """The sum over all rows."""
    module.eval()
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(held), BLOCK):
            features, target = held.at(slice(start, start + BLOCK))
            loss = measure(_out(module(features), classes), target, reduction="sum")
            total += float(loss)
    return total


def _out(out: torch.Tensor, classes: bool) -> torch.Tensor:
    return out if classes else out[:, 0]


def _copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
