"""Columns of a product by name, and near names when there is none."""

import difflib
from collections.abc import Sequence

from workbench.core import Invalid
from workbench.data.types import Column, Product


def find_columns(product: Product, names: Sequence[str], role: str) -> list[Column]:
    """Columns of a product by name.

    Raises:
        Invalid: The product has no such column; the hint tells near names.
    """
    known = {column.name: column for column in product.columns}
    for name in names:
        if name not in known:
            folded = {each.lower(): each for each in known}
            near = [folded[each] for each in difflib.get_close_matches(name.lower(), folded, n=3)]
            raise Invalid(
                f"{product.name} has no column {name!r} ({role}).",
                hint=f"Did you mean {' or '.join(near)}?"
                if near
                else f"It has: {', '.join(list(known)[:20])}.",
            )
    return [known[name] for name in names]
