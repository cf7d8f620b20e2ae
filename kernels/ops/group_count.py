"""Counting rows by several columns of codes at once, and summing a value in each group."""

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .device import Device, Given, float64, place

if TYPE_CHECKING:
    import torch

MOST = 2**31 - 1
"""Cells; a cell's number fits an int32."""

CACHE, CARD = 2**18, 2**24
"""Rows counted at once: what a CPU's cache holds, and a GPU's share."""

KINDS = ("bool", "uint8", "int8", "int16", "int32", "int64")


class GroupCounts(NamedTuple):
    """How many rows each combination of codes has.

    Attributes:
        counts: int64 [*sizes]; with missing codes counted, every axis is one longer.
        sums: float64 of the same shape, in the value's unit; None where no value was given.
    """

    counts: Given
    sums: Given | None


def reference(
    columns: Sequence[Given],
    sizes: Sequence[int],
    values: Given | None = None,
    missing: bool = False,
) -> GroupCounts:
    """The twin of `count_groups`, which it defines.

    counts[c1, ..., ck] is how many rows hold the codes c1, ..., ck; sums the values of those.

    Args:
        columns: k >= 1 columns of n >= 0 codes each: booleans, or integers in 0..size - 1.
        sizes: How many codes each column has, at least 1; 2 for booleans.
        values: What is summed, [n]; NaN and infinities make the sums of their own groups so.
        missing: Whether -1 is a code too; it is counted in a last slot of each axis.

    Returns:
        counts and sums, [*sizes], or one more along each axis with `missing`.

    Raises:
        ValueError: A code out of range, columns that are no codes or differ in length, or more
            than 2^31 - 1 cells.

    Source: a contingency table, as SQL's GROUP BY with the empty groups shown.
    """
    shape = _check(columns, sizes, values, missing)
    counts, sums = np.zeros(shape, np.int64), np.zeros(shape)
    codes = np.array([np.asarray(each, np.int64) for each in columns])
    for number, (column, size) in enumerate(zip(codes, sizes, strict=True)):
        for code in (column.min(), column.max()) if column.size else ():
            if not -missing <= code < size:
                raise ValueError(_out_of_range(number, int(code), size, missing))
    np.add.at(counts, tuple(codes), 1)
    if values is None:
        return GroupCounts(counts, None)
    np.add.at(sums, tuple(codes), float64(values, "values"))
    return GroupCounts(counts, sums)


def count_groups(
    columns: Sequence[Given],
    sizes: Sequence[int],
    values: Given | None = None,
    missing: bool = False,
    *,
    device: Device = None,
) -> GroupCounts:
    """What `reference` defines, by torch: one pass, in blocks of rows.

    On CUDA values are added in an order that changes from run to run, so sums may differ in
    their last digits; counts never.

    Args:
        columns: Codes; bool, uint8 or signed integers.
        sizes: How many codes each column has.
        values: What is summed; any real dtype.
        missing: Whether -1 is a code too.
        device: Where to compute; see `device`.

    Returns:
        counts and sums as in `reference`.

    Raises:
        DeviceUnavailable: The device is not on this machine.
        ValueError: As in `reference`.
    """
    import torch

    shape = _check(columns, sizes, values, missing)
    where = place(device, *columns, *([] if values is None else [values]))
    codes = [where.take(each, f"column {i}") for i, each in enumerate(columns)]
    codes = [each.view(torch.uint8) if each.dtype == torch.bool else each for each in codes]
    added = None if values is None else where.take(values, "values")
    cells = prod(shape)
    counts = torch.zeros(cells, dtype=torch.int64, device=where.device)
    sums = torch.zeros(cells, dtype=torch.float64, device=where.device)
    # Each block makes a table of its own, so large tables take large blocks.
    block = max(CARD if where.device.type == "cuda" else CACHE, 4 * cells)
    for start in range(0, len(codes[0]), block):
        part = slice(start, start + block)
        keys = _keys([each[part] for each in codes], sizes, missing)
        counts += torch.bincount(keys, minlength=cells)
        if added is not None:
            sums += torch.bincount(keys, added[part].double(), minlength=cells)
    axes = tuple(range(len(shape)))
    # Code -1 was counted in the first slot; rolled by one it is in the last.
    back = (-1 if missing else 0,) * len(shape)
    table, total = (each.reshape(shape).roll(back, axes) for each in (counts, sums))
    return GroupCounts(where.give(table), None if added is None else where.give(total))


def _keys(codes: "list[torch.Tensor]", sizes: Sequence[int], missing: bool) -> "torch.Tensor":
    """The number of each row's cell; a missing code comes before the others."""
    import torch

    # Torch adds columns of another dtype several times slower, and most columns are narrow.
    wide = any(each.dtype == torch.int64 for each in codes)
    dtype = torch.int64 if wide else torch.int32
    keys = torch.zeros((), dtype=dtype, device=codes[0].device)
    stride = prod(size + missing for size in sizes)
    for number, (column, size) in enumerate(zip(codes, sizes, strict=True)):
        for code in torch.stack(column.aminmax()).tolist():
            if not -missing <= code < size:
                raise ValueError(_out_of_range(number, code, size, missing))
        stride //= size + missing
        part = column.to(dtype)
        keys = keys.add_(part, alpha=stride) if number else part * stride
        if missing:
            keys += stride
    return keys


def _check(
    columns: Sequence[Given], sizes: Sequence[int], values: Given | None, missing: bool
) -> tuple[int, ...]:
    """The shape of the table."""
    if not columns or len(columns) != len(sizes):
        raise ValueError(
            f"{len(columns)} columns and {len(sizes)} sizes; one size for each of at least one "
            "column is needed."
        )
    shapes = [tuple(each.shape) for each in (*columns, *([] if values is None else [values]))]
    if len(shapes[0]) != 1 or len(set(shapes)) > 1:
        raise ValueError(f"Columns (and values) of shapes {shapes}; all must be [n] alike.")
    for number, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        kind = str(column.dtype).removeprefix("torch.")
        if kind not in KINDS:
            raise ValueError(f"Column {number} is {kind}; codes are one of {', '.join(KINDS)}.")
        if size < 1:
            raise ValueError(f"Column {number} has {size} codes; at least 1 is needed.")
    shape = tuple(int(size) + missing for size in sizes)
    if prod(shape) > MOST:
        raise ValueError(f"{prod(shape)} cells; at most {MOST} can be counted at once.")
    return shape


def _out_of_range(number: int, code: int, size: int, missing: bool) -> str:
    low = "-1 (missing)" if missing else "0"
    return f"Column {number} holds {code}; its codes are {low}..{size - 1}."
