"""Train models, find them again, ask them, compare them, hand them on."""

from typing import Annotated, Any, Literal

from workbench.core import Blob, Context, Job, Page, Upload, action
from workbench.graphs import LAYERS, Graph, Layer

from .types import Comparison, Ends, Model, Predictions, Study, models, studies


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
    settings: dict[str, float] = {},  # noqa: B006
    workers: int = 1,
    document: str = "",
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
        settings: Of an estimator that is no network, by the names its library has: `num_leaves`
            of `lightgbm`, `max_features` of `forest`, `C` of `logistic`. A network has its own
            in the graph.
        workers: How many train a network together, each on its share of the rows, 1 to 64; on
            this machine at most one for each processor. A batch is shared among them.
        document: The network's architecture as people edit it together: id or name of the
            document, or `id@57` for a moment of it. With `graph`, that one is trained, and this
            says where it was edited.
    """
    from .preparing import Given
    from .training import train_model

    given = Given(product, target, estimator, seed, name, exclude, task)
    result: Any = train_model(ctx, given, graph, epochs, settings, workers, document)
    return result  # type: ignore[no-any-return]


@action(effect="job", undo="irreversible", on="product")
def tune(
    ctx: Context,
    product: str,
    target: str,
    estimator: str = "network",
    trials: int = 30,
    workers: int = 2,
    objectives: list[Literal["loss", "parameters"]] = ["loss"],  # noqa: B006
    seed: int = 0,
    name: str = "",
    exclude: list[str] = [],  # noqa: B006
    epochs: int | None = None,
    task: Literal["auto", "classification", "regression"] = "auto",
) -> Job:
    """Search for the settings of a model, several at a time, and register the best one.

    The first trial has the usual settings. Each is measured on the rows that stop the training;
    the model that comes of the best is measured on rows that no trial saw. What was tried stays
    tried if the job's process is killed.

    Args:
        product: Id, `id@version` or name of the product.
        target: The column to predict. Rows without it are left out.
        estimator: `network`, `lightgbm`, `forest`, `logistic` (for classes) or `linear`.
        trials: How many settings are tried, 2 to 1,000.
        workers: How many at a time, 1 to 64; on this machine at most one for each processor.
        objectives: `loss`, or `loss` and `parameters` to see which small models are nearly as
            good: then no trial is stopped early, and the study has a front.
        seed: Sets the rows apart and starts everything random. With several workers what is
            tried depends on which is quicker, too.
        name: The model's name; `<product>-<target>` if empty.
        exclude: Columns the model must not see.
        epochs: The most passes over the training rows, for a network; 200 if absent.
        task: `classification`, `regression`, or `auto` to decide by the target.
    """
    from .preparing import Given
    from .tuning import tune_model

    given = Given(product, target, estimator, seed, name, exclude, task)
    result: Any = tune_model(ctx, given, trials, workers, objectives, epochs)
    return result  # type: ignore[no-any-return]


@action(effect="read")
def list_studies(ctx: Context, limit: int = 50, after: str | None = None) -> Page[Study]:
    """This project's searches for settings, newest first.

    Args:
        limit: At most how many, 1 to 1000.
        after: The `next` of the page before.
    """
    return studies.page(ctx.store, ctx.project, limit=limit, after=after)


@action(effect="read", on="id")
def get_study(ctx: Context, id: str) -> Study:
    """A search for settings: what was tried, what was best, what no other beats.

    Args:
        id: The study's id.
    """
    return studies.get(ctx.store, ctx.project, id)


@action(effect="read")
def list_models(ctx: Context, limit: int = 50, after: str | None = None) -> Page[Model]:
    """This project's models, newest first, each in its latest version.

    Args:
        limit: At most how many, 1 to 1000.
        after: The `next` of the page before.
    """
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


@action(effect="read", on="product", heavy=True)
def measure_ends(
    ctx: Context,
    product: str,
    target: str,
    exclude: list[str] = [],  # noqa: B006
    seed: int = 0,
    task: Literal["auto", "classification", "regression"] = "auto",
) -> Ends:
    """How large a network's ends are for a product: what training would find.

    Args:
        product: Id, `id@version` or name of the product.
        target: The column to predict.
        exclude: Columns the model must not see.
        seed: Sets the rows apart, as in training.
        task: `classification`, `regression`, or `auto` to decide by the target.
    """
    from .preparing import Given, measured_ends

    return measured_ends(ctx, Given(product, target, "network", seed, "", exclude, task))


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


@action(effect="read", on="model", heavy=True)
def predict(
    ctx: Context,
    model: str,
    rows: list[dict[str, Any]] | None = None,
    product: str | None = None,
    limit: int = 1000,
) -> Predictions:
    """Ask a model, for rows given by hand or the rows of a product.

    Args:
        model: Id, `id@version` or name of the model.
        rows: A dictionary per row, field → value. A field that is absent or null counts as
            missing; values never seen in training are told in `warnings`.
        product: Id, `id@version` or name of a product whose rows to ask about, instead of rows.
        limit: The most rows of the product, 1 to 10,000.
    """
    from .answering import answer

    return answer(ctx, model, rows, product, limit)


@action(effect="read", heavy=True)
def compare(ctx: Context, models: list[str]) -> Comparison:
    """Models side by side, with paired differences where they were measured on the same rows.

    Args:
        models: Ids, `id@version` or names of 2 to 20 models; differences are to the first.
    """
    from .answering import side_by_side

    return side_by_side(ctx, models)


@action(effect="blob", on="id", heavy=True)
def export(
    ctx: Context, id: str, format: Literal["onnx", "safetensors", "lightgbm", "skops"] = "onnx"
) -> Blob:
    """A model as a file: with its rules for columns, and without code.

    An ONNX export takes the columns as numbers (its metadata `workbench.features` says how they
    are made) and is checked by onnxruntime before it is handed out.

    Args:
        id: Id, `id@version` or name of the model.
        format: `onnx` (networks, linear models, forests), `safetensors` (networks, with the
            graph in the metadata), `skops` (linear models, forests) or `lightgbm` (its text).
    """
    from .exports import export_model

    return export_model(ctx, id, format)


@action(effect="write", undo="compensate:models.promote", on="model", heavy=True)
def promote(ctx: Context, model: str, alias: str) -> Model:
    """Give a model an alias, if the gate allows it; the version that had it loses it.

    Args:
        model: Id, `id@version` or name of the model.
        alias: Such as `production` or `candidate`; the gate guards those that affect people.
    """
    from .promoting import give_alias

    return give_alias(ctx, model, alias)


@action(effect="write", undo="irreversible", on="product", heavy=True)
def import_model(
    ctx: Context,
    source: Annotated[str, Upload] = "",
    name: str = "",
    format: str = "",
    product: str = "",
    target: str = "",
) -> Model:
    """Register a model that was made elsewhere: ONNX, skops, safetensors with a graph, MLflow.

    Files that this Studio exported bring their rules for columns along. A stranger's model
    takes the product's numbers as they are, in the order of its columns, without the target.
    Pickles are not opened.

    Args:
        source: A local file (it is uploaded), `blob:…`, a path in the project's files, or
            `mlflow:<run id>`.
        name: The model's name; the file's if empty. A name that exists gets its next version.
        format: `onnx`, `skops` or `safetensors` (the file, or a zip of it with `graph.json`);
            told by the file's name if empty.
        product: Id, `id@version` or name of the product to measure the model on.
        target: The column it predicts there.
    """
    from .bringing import import_any

    return import_any(ctx, source, name, format, product, target)
