"""What is told of single layers while a network learns."""

import pytest
import torch
from torch import nn

from workbench.models.gauges import MOST, Gauges


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def test_figures_are_those_of_the_batch_that_was_looked_at() -> None:
    module, given = network(), torch.randn(16, 4)
    gauges = Gauges(module)
    with gauges.forward(True):
        loss = module(given).pow(2).mean() * 8
    loss.backward()
    gauges.backward(True, 8.0)
    told = gauges.told()
    first = module[0]
    length = torch.cat([each.grad.flatten() / 8 for each in first.parameters()]).norm()
    assert told["gradient:0"] == pytest.approx(length.item(), rel=1e-5)
    assert told["activation:0"] == pytest.approx(first(given).abs().mean().item(), rel=1e-5)
    assert "gradient:1" not in told and 0 <= told["dead:1"] <= 1


def test_a_layer_that_lets_nothing_pass_is_silent() -> None:
    module = network()
    with torch.no_grad():
        module[0].bias.fill_(-1e6)
    gauges = Gauges(module)
    with gauges.forward(True):
        module(torch.randn(16, 4))
    assert gauges.told()["dead:1"] == 1.0


def test_other_batches_leave_no_hooks_and_no_figures() -> None:
    module = network()
    gauges = Gauges(module)
    with gauges.forward(False):
        module(torch.randn(2, 4))
    gauges.backward(False, 1.0)
    assert gauges.told() == {}
    with gauges.forward(True):
        module(torch.randn(2, 4))
    assert not any(each._forward_hooks for each in module.modules())


def test_a_network_of_many_layers_is_not_looked_at() -> None:
    module = nn.Sequential(*[nn.Linear(2, 2) for _ in range(MOST + 1)])
    gauges = Gauges(module)
    with gauges.forward(True):
        module(torch.randn(2, 2))
    assert gauges.told() == {}
