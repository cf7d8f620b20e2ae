"""Where a training has come to, so that a later attempt of its job goes on there."""

import os
import pickle
import time
from hashlib import sha256
from typing import Any, Protocol

import torch

from workbench.core import Reporter, canonical

EVERY_S = 1.0
"""What a kill costs at most, or one epoch where that takes longer."""


class Keeps(Protocol):
    """Where a training keeps what it has come to."""

    def read(self) -> dict[str, Any] | None:
        """What it is to go on with, if anything."""

    def write(self, state: dict[str, Any]) -> None:
        """After an epoch: tensors, numbers, texts, and lists and dictionaries of them."""

    def drop(self) -> None:
        """The training has ended."""


class Checkpoint:
    """The newest checkpoint of one training of a job; nothing is kept outside a job.

    Args:
        job: Whose attempts share it.
        made_of: What the training is given, as JSON: another one has another checkpoint.
    """

    def __init__(self, job: Reporter, made_of: dict[str, Any]) -> None:
        name = f"{sha256(canonical(made_of)).hexdigest()[:16]}.checkpoint"
        self._job, self._file = job, job.scratch / name if job.scratch else None
        self._written_at = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """What `write` was given last; None if that was never, or cannot be read."""
        if self._file is None or not self._file.is_file():
            return None
        try:
            # Tensors, numbers and texts alone: nothing that is called when it is read.
            found: dict[str, Any] = torch.load(self._file, weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            self._job.log(f"The checkpoint cannot be read, and is not used: {error}.")
            return None
        return found

    def write(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint, unless the last one is a moment old.

        Args:
            state: Tensors, numbers, texts, and lists and dictionaries of them.
        """
        if self._file is None or time.monotonic() - self._written_at < EVERY_S:
            return
        fresh = self._file.with_suffix(".writing")
        try:
            with open(fresh, "wb") as out:
                torch.save(state, out)
                out.flush()
                os.fsync(out.fileno())
            os.replace(fresh, self._file)
        except OSError as error:
            self._job.log(f"No checkpoint could be written: {error.strerror}.")
            fresh.unlink(missing_ok=True)
        self._written_at = time.monotonic()

    def drop(self) -> None:
        """Remove it: the training has ended."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
