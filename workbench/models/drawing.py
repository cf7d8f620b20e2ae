"""In which order rows are learned from: a batch at a time, another order in each epoch."""

from collections.abc import Iterator

import torch

BLOCK = 256 * 1024
"""Bytes of rows beside each other that are read in one go."""
BLOCKS = 256
"""Blocks whose rows are mixed with each other: 64 MiB."""


def batches(
    rows: int, size: int, order: torch.Generator, device: str, row_bytes: int | None = None
) -> Iterator[torch.Tensor]:
    """Every row once, as int64 positions [size]; what is left over makes the last batch.

    All of them are mixed; or, where rows lie on a disk and are not to be read one by one, blocks
    of rows beside each other are, and then the rows of `BLOCKS` blocks at a time. That comes near
    to mixing them all, also where a table is sorted by its target: Xu et al. (2022), CorgiPile,
    https://doi.org/10.1145/3514221.3526150.

    Args:
        rows: How many there are.
        size: Of a batch.
        order: Where chance comes from.
        device: Where the positions are wanted.
        row_bytes: What a row takes on the disk, if it is read from there; None mixes them all.
    """
    if row_bytes is None:
        yield from torch.split(torch.randperm(rows, generator=order).to(device), size)
        return
    block = max(1, BLOCK // row_bytes)
    begins = torch.randperm(-(-rows // block), generator=order) * block
    left = torch.empty(0, dtype=torch.int64)
    for window in torch.split(begins, BLOCKS):
        found = (window[:, None] + torch.arange(block)).flatten()
        found = found[found < rows]
        left = torch.cat([left, found[torch.randperm(len(found), generator=order)]])
        *full, left = torch.split(left, size)
        yield from (each.to(device) for each in full)
    yield left.to(device)
