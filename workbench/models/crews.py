"""Who trains a network: one process, or several that share the rows and add up their gradients.

Several come to the same as one, but for the order in which numbers are added: each step's batch is
the union of theirs (Li et al. (2020), PyTorch Distributed, arXiv:2006.15704). What is random is
drawn anew in each epoch, from the seed, the epoch and the rank, so that it needs no checkpoint.
"""

from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

PATIENCE_S = 300
"""How long one waits for the others, in seconds: then they are lost."""


class Crew:
    """One process by itself."""

    rank, size = 0, 1

    def wrapped(self, module: nn.Module) -> nn.Module:
        """What is called to train: gradients and running statistics are everybody's."""
        return module

    def begin(self, epoch: int, order: torch.Generator) -> None:
        """Before an epoch."""

    def align(self, module: nn.Module) -> None:
        """Before the rows that stop the training are looked at."""

    def total(self, *values: float) -> list[float]:
        """Each value, summed over everybody's."""
        return list(values)

    def random(self) -> list[torch.Tensor]:
        """What chance has come to, for a checkpoint."""
        return [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]

    def go_on(self, states: list[torch.Tensor]) -> None:
        """Take up what a checkpoint has."""
        torch.set_rng_state(states[0])
        torch.cuda.set_rng_state_all(states[1:])


class Peers(Crew):
    """One of several, each with a share of the rows of the same size; a context manager.

    Args:
        rank: Which one, 0..size-1.
        size: How many there are.
        meet: Where they find each other: `tcp://host:port`, at the first one's.
        device: What they compute on: gloo on processors, nccl on GPUs.
        seed: Of everything random.
    """

    def __init__(self, rank: int, size: int, meet: str, device: str, seed: int) -> None:
        self.rank, self.size = rank, size
        self._meet, self._device, self._seed = meet, device, seed

    def __enter__(self) -> "Peers":
        distributed.init_process_group(
            "nccl" if self._device.startswith("cuda") else "gloo",
            init_method=self._meet,
            rank=self.rank,
            world_size=self.size,
            timeout=timedelta(seconds=PATIENCE_S),
        )
        return self

    def __exit__(self, *_: object) -> None:
        distributed.destroy_process_group()

    def wrapped(self, module: nn.Module) -> nn.Module:
        """See `Crew`."""
        return nn.parallel.DistributedDataParallel(module)

    def begin(self, epoch: int, order: torch.Generator) -> None:
        """See `Crew`."""
        drawn = np.random.SeedSequence([self._seed, epoch, self.rank]).generate_state(2, np.uint64)
        order.manual_seed(int(drawn[0] >> 1))
        torch.manual_seed(int(drawn[1] >> 1))

    def align(self, module: nn.Module) -> None:
        """See `Crew`."""
        for each in module.buffers():
            distributed.broadcast(each, 0)

    def total(self, *values: float) -> list[float]:
        """See `Crew`."""
        summed = torch.tensor(values, dtype=torch.float64, device=self._device)
        distributed.all_reduce(summed)
        found: list[float] = summed.tolist()
        return found

    def random(self) -> list[torch.Tensor]:
        """See `Crew`."""
        return []

    def go_on(self, states: list[Any]) -> None:
        """See `Crew`."""
