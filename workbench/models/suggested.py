"""The graph that training would suggest, from the product's Record alone."""

from workbench.data.types import Product
from workbench.graphs import Graph, suggest

from .nearby import find_columns
from .types import Task


def suggested(product: Product, target: str) -> Graph:
    """A graph for a product and target.

    Raises:
        Invalid: The product has no such column.
    """
    aimed_at = find_columns(product, [target], "target")[0]
    used = [each for each in product.columns if each.name != target and each.kind != "text"]
    # An integer with few values is trained as classes; then the dropout is a little low here.
    task: Task = "regression" if aimed_at.kind in ("number", "integer") else "classification"
    return suggest(max(1, len(used)), product.rows, task)
