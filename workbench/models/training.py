"""The work of `models.train`: rows set apart, fitted, measured beside others, kept, registered."""

import json
import re
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.core import Context, Invalid, Limited, Reporter, new_id
from workbench.data import Product, products, read_table
from workbench.graphs import Graph, check, suggest

from . import metrics
from .estimators import CLASSIFIERS, REGRESSORS, Array, Estimator, Lesson, fit_estimator
from .features import Features, fit
from .nearby import find_columns
from .ports import Registered, Run, registries
from .provenance import code, environment, installed
from .rows import FILE, UntouchedRows, write_untouched
from .splits import Parts, split_rows
from .targets import Target, read_target
from .types import Figure, Model, Split, models
from .verdicts import judge

LARGEST = 500_000_000
"""Numbers in the table of features: 2 GB of float32."""

TaskChoice = Literal["auto", "classification", "regression"]


def train_model(
    ctx: Context,
    product: str,
    target: str,
    graph: Graph | None,
    seed: int,
    estimator: str,
    name: str,
    exclude: Sequence[str],
    epochs: int | None,
    task: TaskChoice,
) -> dict[str, str]:
    """See the action `models.train`."""
    started = time.monotonic()
    # A later attempt reads what the first one read.
    product = ctx.job.step("product", lambda: products.get(ctx.store, ctx.project, product).ref)
    found = products.get(ctx.store, ctx.project, product)
    wanted = _asked(found, target, estimator, exclude, epochs, graph)
    name = checked_name(name or f"{found.name}-{target}")
    ctx.job.progress(0.02, f"reading {found.rows:,} rows")
    table = read_table(ctx, found, [column.name for column in wanted] + [target])
    aimed_at = find_columns(found, [target], "target")[0]
    if task == "auto" and estimator in ("linear", "mean"):
        task = "regression"
    elif task == "auto" and estimator in ("logistic", "majority"):
        task = "classification"
    aim = read_target(aimed_at, table[target], task, ctx.job.log)
    known = CLASSIFIERS if aim.task == "classification" else REGRESSORS
    if estimator not in known:
        raise Invalid(
            f"{estimator!r} cannot learn {target}, which is a {aim.task}.",
            hint=f"Use one of {', '.join(known)}.",
        )
    parts = split_rows(aim.rows, seed, aim.values if aim.classes else None)
    ctx.job.log(parts.split.explained)
    ctx.job.check()
    features = fit(table.take(parts.train), wanted)
    for column, why in features.left_out.items():
        ctx.job.log(f"{column} is not used: {why}.")
    if not features.names:
        why = "; ".join(f"{each}: {told}" for each, told in list(features.left_out.items())[:5])
        raise Invalid(
            f"No column of {found.name} is left to learn {target} from ({why or 'all excluded'}).",
            hint="Exclude less, or register the columns as numbers or categories.",
        )
    if len(aim.rows) * len(features.names) > LARGEST:
        raise Limited(
            f"{len(aim.rows):,} rows with {len(features.names):,} numbers each are too many.",
            hint="Use fewer rows, or exclude columns with many categories.",
        )
    if graph is None and estimator == "network":
        graph = suggest(len(features.columns), len(aim.rows), aim.task)
        ctx.job.log(f"The graph was suggested: {len(graph.nodes)} nodes.")
    lesson = _lesson(features, table, aim, parts, seed, ctx.job, graph, epochs)
    ctx.job.progress(0.1, f"training {estimator}")
    fitted = fit_estimator(estimator, lesson)
    held = features.transform(table.take(parts.test))
    truth = aim.values[np.searchsorted(aim.rows, parts.test)]
    answers, beside = _answers(ctx, fitted, lesson, held)
    ctx.job.progress(0.8, f"measuring on {len(truth):,} untouched rows")
    told = {each: _measured(aim, truth, answer, seed) for each, answer in answers.items()}
    figures = {each: metrics.figures(values) for each, values in told.items()}
    untouched = UntouchedRows(
        parts.test,
        np.array(aim.classes, dtype=object)[truth] if aim.classes else truth,
        answers[estimator] if aim.classes else None,
        None if aim.classes else answers[estimator],
    )
    model = keep(
        ctx,
        features,
        fitted,
        untouched,
        {"epochs": epochs, "exclude": json.dumps(sorted(exclude)), "name": name},
        lambda fields: Model(
            **fields,
            name=name,
            estimator=estimator,
            task=aim.task,
            target=target,
            classes=aim.classes,
            positive=aim.positive,
            inputs=features.fields,
            product=found.ref,
            product_digest=found.digest,
            split=parts.split,
            metrics=figures[estimator],
            beside={each: figures[each] for each in beside},
            verdict=judge(estimator, told, len(truth)),
            seed=seed,
            graph=graph if estimator == "network" else None,
            parameters=fitted.parameters,
            epochs=fitted.epochs,
            elapsed_s=round(time.monotonic() - started, 2),
        ),
    )
    return {"model": model.ref}


def keep(
    ctx: Context,
    features: Features,
    fitted: Estimator,
    untouched: UntouchedRows | None,
    params: dict[str, Any],
    make: Callable[[dict[str, Any]], Model],
) -> Model:
    """Write the artifacts, register the run, stage the Record.

    Args:
        ctx: The project.
        features: Rules for columns.
        fitted: The estimator.
        untouched: The answers on the rows nobody touched, if there are any.
        params: What the registry is told besides; `name` is the model's name.
        make: The Record, given the fields that are decided here.

    Returns:
        The model, which the caller's commit makes visible.
    """
    name = str(params["name"])
    before = models.find(ctx.store, ctx.project, name)
    id, number = (before.id, before.version + 1) if before else (new_id("mdl"), 0)
    root = ctx.folder / "models" / id
    fresh = root / f".{number}-{secrets.token_hex(4)}"
    fresh.mkdir(parents=True, mode=0o700)
    ctx.on_abort(lambda: shutil.rmtree(fresh, ignore_errors=True))
    fitted.save(fresh)
    (fresh / "features.json").write_text(json.dumps(features.state, ensure_ascii=False))
    folder = root / str(number)
    # A crash between here and the commit leaves a folder no Record names: go beside it.
    if folder.exists():
        folder = root / f"{number}-{secrets.token_hex(4)}"
    fields: dict[str, Any] = {
        "id": id,
        "version": number,
        "aliases": [],
        "run": "",
        "registered": "",
        "artifacts": str(folder.relative_to(ctx.folder)),
        "digest": "",
        "code": code(),
        "environment": environment(),
        "installed": installed(ctx.store, ctx.project),
        "made_at": ctx.now(),
        "made_by": str(ctx.actor),
    }
    draft = make(fields)
    if untouched is not None:
        write_untouched(fresh / FILE, draft.classes, untouched)
    draft = draft.model_copy(update={"digest": _digest(fresh)})
    ctx.job.progress(0.9, "registering")
    (fresh / "model.json").write_text(draft.model_dump_json(indent=1))
    registry = ctx.engine(registries)
    registered: Registered = registry.record(_run(ctx, draft, fitted.history, params), fresh)
    ctx.on_abort(lambda: registry.forget(registered))
    model = draft.model_copy(update={"run": registered.run, "registered": registered.uri})
    (fresh / "model.json").write_text(model.model_dump_json(indent=1))
    fresh.rename(folder)
    ctx.on_abort(lambda: shutil.rmtree(folder, ignore_errors=True))
    ctx.stage(lambda tx: models.put(tx, ctx.project, model))
    ctx.note(model=model.ref, **({"product": model.product} if model.product else {}))
    ctx.job.log(model.verdict)
    ctx.job.progress(1.0, f"{model.name}, version {model.version}")
    return model


def checked_name(name: str) -> str:
    """A model's name, if it can be one.

    Raises:
        Invalid: It is too long, or has a sign that means something elsewhere.
    """
    if not 1 <= len(name) <= 100 or re.search(r"[/:@'\"%\x00-\x1f]", name) or name != name.strip():
        raise Invalid(
            f"A model cannot be named {name!r}.",
            hint="1 to 100 characters, without / : @ % or quotes, no space at the ends.",
        )
    return name


def _asked(
    product: Product,
    target: str,
    estimator: str,
    exclude: Sequence[str],
    epochs: int | None,
    graph: Graph | None,
) -> list[Any]:
    """The columns to learn from; Invalid if the request makes no sense for this product."""
    kinds = sorted({*CLASSIFIERS, *REGRESSORS})
    if estimator not in kinds:
        raise Invalid(f"There is no estimator {estimator!r}.", hint=f"Known: {', '.join(kinds)}.")
    if epochs is not None and not 1 <= epochs <= 10_000:
        raise Invalid(f"{epochs} epochs make no sense.", hint="1 to 10,000.")
    find_columns(product, [target], "target")
    find_columns(product, exclude, "exclude")
    if target in exclude:
        raise Invalid(f"{target!r} cannot be both target and excluded.", hint="Drop one of them.")
    if graph is not None:
        if estimator != "network":
            raise Invalid(
                f"{estimator!r} has no graph.", hint="Use estimator='network', or leave graph out."
            )
        check(graph)
    return [each for each in product.columns if each.name != target and each.name not in exclude]


def _lesson(
    features: Features,
    table: Any,
    aim: Target,
    parts: Parts,
    seed: int,
    job: Reporter,
    graph: Graph | None,
    epochs: int | None,
) -> Lesson:
    def part(rows: Array) -> tuple[Array, Array]:
        return features.transform(table.take(rows)), aim.values[np.searchsorted(aim.rows, rows)]

    return Lesson(
        task=aim.task,
        classes=len(aim.classes),
        train=part(parts.train),
        validation=part(parts.validation),
        seed=seed & 0x7FFFFFFF,
        job=job,
        graph=graph,
        epochs=epochs,
    )


def _answers(
    ctx: Context, fitted: Estimator, lesson: Lesson, held: Array
) -> tuple[dict[str, Array], list[str]]:
    """Everybody's answers on the untouched rows, and the names of those beside."""
    named = (
        ("majority", "logistic", "lightgbm")
        if lesson.task == "classification"
        else ("mean", "linear", "lightgbm")
    )
    beside = [each for each in named if each != fitted.kind]
    answers = {fitted.kind: fitted.predict(held)}
    for place, kind in enumerate(beside):
        ctx.job.progress(0.7 + 0.03 * place, f"beside it: {kind}")
        answers[kind] = fit_estimator(kind, lesson).predict(held)
    return answers, beside


def _measured(aim: Target, truth: Array, answer: Array, seed: int) -> metrics.Resampled:
    if aim.task == "regression":
        return metrics.regression(truth, answer, seed & 0x7FFFFFFF)
    return metrics.classification(truth, answer, aim.positive_index, seed & 0x7FFFFFFF)


def _digest(folder: Path) -> str:
    whole = sha256()
    for file in sorted(folder.iterdir()):
        whole.update(f"{file.name}\0{sha256(file.read_bytes()).hexdigest()}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _run(ctx: Context, model: Model, epochs: list[dict[str, float]], params: dict[str, Any]) -> Run:
    split: Split | None = model.split
    figures: dict[str, Figure] = model.metrics
    graph = model.graph.training if model.graph else {}
    return Run(
        project=ctx.project,
        name=model.name,
        params={
            **params,
            "estimator": model.estimator,
            "task": model.task,
            "target": model.target,
            "seed": model.seed,
            "parameters": model.parameters,
            **({f"training.{key}": value for key, value in graph.items()}),
            **({"split": split.explained} if split else {}),
        },
        epochs=epochs,
        metrics={
            **{name: each.value for name, each in figures.items()},
            **{
                f"{other}.{name}": each.value
                for other, their in model.beside.items()
                for name, each in their.items()
            },
        },
        tags={
            "workbench.model": model.ref,
            "workbench.product": model.product,
            "workbench.product_digest": model.product_digest,
            "workbench.digest": model.digest,
            "workbench.code": model.code,
            "workbench.seed": str(model.seed),
            "workbench.environment": json.dumps(model.environment),
            "workbench.installed": model.installed.model_dump_json() if model.installed else "",
            "workbench.verdict": model.verdict,
            "workbench.actor": model.made_by,
        },
    )
