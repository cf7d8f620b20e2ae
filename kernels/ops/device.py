"""Where a function computes, and in which form its answer comes back.

The rules of every function here:

- `device=None` computes where the given tensors lie, NumPy arrays on the CPU; "cpu", "cuda" or
  "cuda:1" there and nowhere else. A device that is not there is an error, never another device.
- If any array given is a torch tensor, arrays come back as tensors on the device that computed
  them, otherwise as NumPy arrays. Single numbers come back as Python's.
- Integers, booleans and half precision are taken for the numbers they are; sums are made in
  float64 and answers are float64 (counts int64). Only a model answers in its own precision.
- Views with any strides are taken; what is given is never written to.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]
Given: TypeAlias = Union[Array, "torch.Tensor"]
"""What a function takes and gives back."""

Device: TypeAlias = "str | torch.device | None"


class DeviceUnavailable(RuntimeError):
    """The device that was asked for is not on this machine; nothing was computed."""


@dataclass(frozen=True)
class Place:
    """A device, and whether what is computed there goes back as tensors."""

    device: "torch.device"
    tensors: bool

    def take(self, given: Given, name: str, dtype: "torch.dtype | None" = None) -> "torch.Tensor":
        """The given array on this device, in `dtype` or its own.

        Args:
            given: Any shape, strides and numeric dtype.
            name: What the caller calls it, for the error.
            dtype: What it is converted to.

        Raises:
            ValueError: It holds no real numbers.
        """
        import torch
        from torch.utils.dlpack import from_dlpack

        if isinstance(given, torch.Tensor):
            if given.is_complex():
                raise ValueError(f"{name} is {given.dtype}; real numbers are needed.")
            return given.detach().to(self.device, dtype)
        array = np.asarray(given)
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            raise ValueError(f"{name} is {array.dtype}; real numbers are needed.")
        array = np.require(array, array.dtype.newbyteorder("="), ["C"])
        # One number counts as contiguous whatever its stride, which torch does not take.
        array = array.copy() if min(array.strides, default=0) < 0 else array
        # Unlike from_numpy this takes what may not be written to (Arrow's columns) without a copy.
        return from_dlpack(array).to(self.device, dtype)

    def give(self, found: "torch.Tensor") -> Given:
        """What was computed, in the form the caller gave."""
        return found if self.tensors else np.asarray(found.cpu().numpy())


def place(device: Device, *given: Given) -> Place:
    """Where to compute on what was given.

    Args:
        device: "cpu", "cuda", "cuda:<n>" or a torch.device; None for where the tensors lie.
        given: The arrays of the call.

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: No such kind of device, or tensors on several devices and none asked for.
    """
    import torch

    lying = [each.device for each in given if isinstance(each, torch.Tensor)]
    if device is None and len(set(lying)) > 1:
        names = ", ".join(sorted({str(each) for each in lying}))
        raise ValueError(f"The tensors lie on {names}; name one device to compute on.")
    try:
        asked = torch.device(device if device is not None else lying[0] if lying else "cpu")
    except RuntimeError as error:
        raise ValueError(f"{device!r} is no device; use 'cpu' or 'cuda'.") from error
    if asked.type not in ("cpu", "cuda"):
        raise ValueError(f"{str(asked)!r} is not computed on; use 'cpu' or 'cuda'.")
    if asked.type == "cuda" and (asked.index or 0) >= torch.cuda.device_count():
        there = torch.cuda.device_count()
        raise DeviceUnavailable(
            f"{str(asked)!r} was asked for and this machine has {there} CUDA devices; use 'cpu'."
        )
    return Place(asked, bool(lying))


def float64(given: Given, name: str) -> Array:
    """The given array as NumPy float64, for the twins.

    Raises:
        ValueError: It holds no real numbers.
    """
    found = place("cpu", given).take(given, name).numpy()
    return np.asarray(found, np.float64)
