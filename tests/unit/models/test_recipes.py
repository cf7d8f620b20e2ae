"""Losses, optimisers and schedules: what each word of a graph's training does."""

import math
from typing import Any

import pytest

from workbench.core import Invalid
from workbench.graphs import TRAINING, check_training

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from workbench.models.recipes import (  # noqa: E402
    OF_CLASSES,
    OF_NUMBERS,
    Schedule,
    chosen,
    loss_of,
    optimiser_of,
)


def rates(epochs: int, **said: Any) -> list[float]:
    optimiser = optimiser_of(nn.Linear(2, 2), chosen({"learning_rate": 1.0, **said}))
    schedule = Schedule(optimiser, chosen(said), epochs)
    found = []
    for _ in range(epochs):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step(1.0)
    return found


@pytest.mark.parametrize("optimiser", TRAINING["optimiser"].choices)
@pytest.mark.parametrize("schedule", TRAINING["schedule"].choices)
def test_every_pair_learns_and_goes_on_where_it_was(optimiser: str, schedule: str) -> None:
    said = chosen(
        {"optimiser": optimiser, "schedule": schedule, "learning_rate": 0.05, "warmup": 2}
    )
    rows = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    truth = rows @ torch.tensor([1.0, -2.0, 0.5])

    def run(after: int | None) -> tuple[list[float], Any]:
        losses: list[float] = []
        torch.manual_seed(0)
        module = nn.Linear(3, 1)
        steps = optimiser_of(module, said)
        over = Schedule(steps, said, 40)
        for epoch in range(40):
            if epoch == after:
                held = [each.state_dict() for each in (module, steps, over)]
                module, steps = nn.Linear(3, 1), optimiser_of(module, said)
                module.load_state_dict(held[0])
                steps = optimiser_of(module, said)
                over = Schedule(steps, said, 40)
                steps.load_state_dict(held[1])
                over.load_state_dict(held[2])
            steps.zero_grad()
            loss = functional.mse_loss(module(rows)[:, 0], truth)
            loss.backward()
            steps.step()
            over.step(loss.item())
            losses.append(loss.item())
        return losses, module.weight.detach()

    losses, weights = run(None)
    assert losses[-1] < 0.95 * losses[0]
    assert torch.equal(run(17)[1], weights)


def test_rates() -> None:
    assert rates(4, schedule="constant") == [1.0] * 4
    assert rates(4, schedule="linear") == pytest.approx([1, 0.75, 0.5, 0.25])
    assert rates(4, schedule="cosine") == pytest.approx(
        [(1 + math.cos(math.pi * each / 4)) / 2 for each in range(4)]
    )
    assert rates(5, schedule="constant", warmup=3) == pytest.approx([0.1, 0.4, 0.7, 1.0, 1.0])
    # The loss never improves: halved each time that a third of the patience is over.
    assert rates(6, patience=3)[-1] == 0.25


@pytest.mark.parametrize("smooth", [0.0, 0.2])
def test_losses_of_classes(smooth: float) -> None:
    out = torch.randn(50, 3)
    target = torch.tensor([0] * 40 + [1] * 8 + [2] * 2)
    said = {"label_smoothing": smooth}
    usual = loss_of("classification", chosen(said), [])
    assert torch.equal(
        usual(out, target), functional.cross_entropy(out, target, label_smoothing=smooth)
    )
    balanced = loss_of(
        "classification", chosen({**said, "loss": "balanced_cross_entropy"}), [0.8, 0.16, 0.04]
    )
    each = torch.stack(
        [
            functional.cross_entropy(out[target == kind], target[target == kind], weight=None)
            for kind in range(3)
        ]
    )
    if not smooth:
        assert torch.allclose(balanced(out, target), each.mean(), atol=1e-5)
    assert torch.allclose(balanced(out, target, reduction="sum") / 50, balanced(out, target))


def test_focal_counts_what_is_sure_less() -> None:
    focal = loss_of("classification", chosen({"loss": "focal"}), [])
    out, target = torch.randn(40, 3), torch.randint(3, (40,))
    sure = out.softmax(1)[torch.arange(40), target]
    wanted = -((1 - sure) ** 2 * sure.log())
    assert torch.allclose(focal(out, target), wanted.mean(), atol=1e-6)
    assert torch.allclose(focal(out, target, reduction="sum"), wanted.sum(), atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        ("usual", functional.mse_loss),
        ("squared", functional.mse_loss),
        ("absolute", functional.l1_loss),
        ("huber", functional.huber_loss),
    ],
)
def test_losses_of_numbers(loss: str, wanted: Any) -> None:
    out, target = torch.randn(40), torch.randn(40)
    found = loss_of("regression", chosen({"loss": loss}), [])
    assert found(out, target) == wanted(out, target)


@pytest.mark.parametrize("loss", [*OF_CLASSES, *OF_NUMBERS])
def test_a_loss_of_the_other_kind_is_refused(loss: str) -> None:
    task: Any = "regression" if loss in OF_CLASSES else "classification"
    with pytest.raises(Invalid, match=f"'{loss}' is not for a {task}"):
        loss_of(task, chosen({"loss": loss}), [])


@pytest.mark.parametrize(
    ("name", "value"),
    [("optimiser", "lion"), ("loss", 3), ("warmup", 1.5), ("momentum", 1), ("epochs", 0), ("x", 1)],
)
def test_what_a_graph_cannot_be_trained_with(name: str, value: Any) -> None:
    with pytest.raises(Invalid) as told:
        check_training(name, value)
    assert told.value.hint
