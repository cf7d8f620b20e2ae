"""How a network is trained, by the words of its graph: loss, optimiser, schedule."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from workbench.core import Invalid
from workbench.graphs import TRAINING

from .types import Task

Loss = Callable[..., torch.Tensor]
"""Of what the network gives and what is true; `reduction` as torch has it."""
OF_CLASSES = ("cross_entropy", "balanced_cross_entropy", "focal")
OF_NUMBERS = ("squared", "absolute", "huber")
FOCUS = 2.0
"""γ of the focal loss."""
FIRST = 0.1
"""Share of the learning rate that a warm-up begins with."""


def chosen(training: dict[str, Any]) -> dict[str, Any]:
    """A graph's training, with the defaults of what it does not say."""
    return {name: training.get(name, each.default) for name, each in TRAINING.items()}


def check_loss(task: Task, said: dict[str, Any]) -> None:
    """Return if a loss can be of such a target.

    Raises:
        Invalid: It is of classes, and the target of numbers, or the other way round.
    """
    loss = said.get("loss", "usual")
    fitting = OF_CLASSES if task == "classification" else OF_NUMBERS
    if loss != "usual" and loss not in fitting:
        raise Invalid(
            f"The loss {loss!r} is not for a {task}.", hint=f"Use one of {', '.join(fitting)}."
        )


def loss_of(task: Task, said: dict[str, Any], shares: list[float]) -> Loss:
    """The loss.

    Args:
        task: Of what the target is.
        said: `chosen`.
        shares: How common each class is among all training rows; of classes alone.

    Returns:
        For classes of logits [rows, classes] and indexes [rows], else of values [rows] and values
        [rows]; the mean, unless `reduction` says else.
    """
    check_loss(task, said)
    match said["loss"]:
        case "squared":
            return functional.mse_loss
        case "absolute":
            return functional.l1_loss
        case "huber":
            return functional.huber_loss
        case "usual" if task == "regression":
            return functional.mse_loss
        case "focal":
            return _focal
        case name:
            smooth = float(said["label_smoothing"])
            if name != "balanced_cross_entropy":
                return partial(functional.cross_entropy, label_smoothing=smooth)
            counted = torch.tensor([1 / (len(shares) * max(each, 1e-9)) for each in shares])
            return partial(_balanced, counted, smooth)


def _balanced(
    weight: torch.Tensor,
    smooth: float,
    out: torch.Tensor,
    target: torch.Tensor,
    reduction: str = "mean",
) -> torch.Tensor:
    # The weights are 1 on average over all rows: a mean over a batch is not divided by its own.
    made = functional.cross_entropy(
        out, target, weight=weight.to(out), label_smoothing=smooth, reduction="none"
    )
    return made.sum() if reduction == "sum" else made.mean()


def _focal(out: torch.Tensor, target: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    logs = functional.log_softmax(out, dim=1).gather(1, target[:, None])[:, 0]
    made = -((1 - logs.exp()) ** FOCUS) * logs
    return made.sum() if reduction == "sum" else made.mean()


def optimiser_of(module: nn.Module, said: dict[str, Any]) -> torch.optim.Optimizer:
    """What makes the steps."""
    rate, decay = float(said["learning_rate"]), float(said["weight_decay"])
    weights, momentum = list(module.parameters()), float(said["momentum"])
    match said["optimiser"]:
        case "sgd":
            return torch.optim.SGD(
                weights, rate, momentum, weight_decay=decay, nesterov=momentum > 0
            )
        case "rmsprop":
            return torch.optim.RMSprop(weights, rate, momentum=momentum, weight_decay=decay)
        case "adam":
            return torch.optim.Adam(weights, lr=rate, weight_decay=decay)
        case "nadam":
            return torch.optim.NAdam(weights, lr=rate, weight_decay=decay)
        case "radam":
            return torch.optim.RAdam(weights, lr=rate, weight_decay=decay)
        case _:
            return torch.optim.AdamW(weights, lr=rate, weight_decay=decay)


class Schedule:
    """The learning rate, epoch by epoch.

    Args:
        optimiser: Whose rate it is.
        said: `chosen`.
        epochs: After how many it ends.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, said: dict[str, Any], epochs: int) -> None:
        self._kind, self._warm = said["schedule"], int(said["warmup"])
        self._epochs = epochs
        self._held: Any
        if self._kind == "plateau":
            third = max(1, int(said["patience"]) // 3)
            self._held = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimiser, factor=0.5, patience=third
            )
        else:
            self._held = torch.optim.lr_scheduler.LambdaLR(optimiser, self.share)

    def share(self, epoch: int) -> float:
        """Of the learning rate, in the epoch of that number, from 0."""
        if epoch < self._warm:
            return FIRST + (1 - FIRST) * epoch / self._warm
        done = (epoch - self._warm) / max(1, self._epochs - self._warm)
        if self._kind == "cosine":
            return (1 + math.cos(math.pi * min(1.0, done))) / 2
        return max(0.0, 1 - done) if self._kind == "linear" else 1.0

    def step(self, held_loss: float) -> None:
        """An epoch is over; with the loss on the validation rows."""
        if self._kind == "plateau":
            self._held.step(held_loss)
        else:
            self._held.step()

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = self._held.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._held.load_state_dict(state)
