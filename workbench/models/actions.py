"""Train models, find them again, ask them, compare them, hand them on."""

from typing import Any, Literal

from workbench.core import Context, Invalid, Job, Page, action
from workbench.graphs import LAYERS, Graph, Layer

from .types import Model, models


@action(effect="job", undo="irreversible", on="product")
def train(
    ctx: Context,
    product: str,
    target: str,
    graph: Graph | None = None,
    seed: int = 0,
    estimator: str = "network",
    name: str = "",
    exclude: list[str] = [],  # noqa: B006
    epochs: int | None = None,
    task: Literal["auto", "classification", "regression"] = "auto",
) -> Job:
    """Train a model on a product and register it beside honest baselines.

    Rows are set apart 60/20/20: to train on, to decide when to stop, and untouched until the
    end. On the untouched rows the model is measured beside the majority (or mean), a linear
    model and LightGBM, with 95 % bootstrap intervals and a plain verdict.

    Args:
        product: Id, `id@version` or name of the product.
        target: The column to predict. Rows without it are left out.
        graph: The architecture of the network; one is suggested if absent.
        seed: Sets the rows apart and starts everything random; the same seed on the same
            product gives the same model.
        estimator: `network`, `lightgbm`, `forest`, `logistic` or `majority` (for classes),
            `linear` or `mean` (for numbers).
        name: The model's name; `<product>-<target>` if empty. Training again under a name makes
            the model's next version.
        exclude: Columns the model must not see.
        epochs: The most passes over the training rows, for a network; the graph's if absent.
        task: `classification`, `regression`, or `auto` to decide by the target.
    """
    from .training import train_model

    result: Any = train_model(
        ctx, product, target, graph, seed, estimator, name, exclude, epochs, task
    )
    return result  # type: ignore[no-any-return]


@action(effect="read")
def list_models(ctx: Context, limit: int = 50, after: str | None = None) -> Page[Model]:
    """This project's models, newest first, each in its latest version.

    Args:
        limit: At most how many, 1 to 1000.
        after: The `next` of the page before.
    """
    if not 1 <= limit <= 1000:
        raise Invalid(f"A page of {limit} models makes no sense.", hint="1 to 1000.")
    return models.page(ctx.store, ctx.project, limit=limit, after=after)


@action(effect="read", on="id")
def get_model(ctx: Context, id: str) -> Model:
    """A model of this project: what it learned from, how good it is, how it was made.

    Args:
        id: Id, `id@version` or name of the model.
    """
    return models.get(ctx.store, ctx.project, id)


@action(effect="read")
def list_layers(ctx: Context) -> Page[Layer]:
    """The layers a graph can be made of, with their parameters and formulas."""
    return Page[Layer](items=LAYERS)


@action(effect="read", on="product")
def suggest_graph(ctx: Context, product: str, target: str) -> Graph:
    """A graph to begin with, sized to a product.

    Args:
        product: Id, `id@version` or name of the product.
        target: The column to predict.
    """
    from workbench.data import products

    from .suggested import suggested

    return suggested(products.get(ctx.store, ctx.project, product), target)
