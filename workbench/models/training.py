"""The work of `models.train`: rows set apart, fitted, measured beside others, kept, registered."""

import json
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from workbench.compute import check_workers
from workbench.core import Context, Invalid, new_id
from workbench.documents import documents, find_weights, graph_at
from workbench.graphs import Graph

from . import metrics
from .estimators import Array, Estimator, Lesson, answers_of, fit_estimator
from .features import Features
from .ports import Registered, Run, registries
from .preparing import Given, Prepared, check_architecture, prepare
from .provenance import code, environment, installed
from .rows import FILE, UntouchedRows, write_untouched
from .sampling import fewer
from .settings import Settings, checked_settings
from .targets import Target
from .types import Figure, Model, Split, models
from .verdicts import judge


def train_model(
    ctx: Context,
    given: Given,
    graph: Graph | None,
    epochs: int | None,
    settings: Settings,
    workers: int,
    document: str = "",
) -> dict[str, str]:
    """See the action `models.train`."""
    started = time.monotonic()
    if document:
        document, graph = _drawn(ctx, document, graph)
    check_architecture(given, graph, epochs)
    _check_workers(given.estimator, workers)
    settings = checked_settings(given.estimator, settings)
    prepared = prepare(ctx, given)
    lesson = prepared.lesson(ctx.job, prepared.graph(ctx.job, graph), epochs, settings)
    from safetensors.torch import load_file

    if lesson.graph is not None and (begin := find_weights(ctx, lesson.graph)) is not None:
        lesson = replace(lesson, weights=load_file(begin))
    ctx.job.progress(0.1, f"training {given.estimator}")
    fitted: Estimator
    if workers > 1:
        from .together import fit_together

        fitted = fit_together(ctx, lesson, workers)
    else:
        fitted = fit_estimator(given.estimator, lesson)
    return {
        "model": finish(
            ctx, prepared, lesson, fitted, started, workers=workers, document=document
        ).ref
    }


def _drawn(ctx: Context, document: str, graph: Graph | None) -> tuple[str, Graph]:
    """Where a graph was edited, and the graph: the one given, else as it is there now."""

    def look() -> dict[str, Any]:
        ref, found = graph_at(ctx, document)
        return {"document": ref, "graph": found.model_dump(mode="json")}

    if graph is not None:
        documents.get(ctx.store, ctx.project, document.partition("@")[0])
        return document, graph
    # A later attempt trains what the first one did, however it is edited meanwhile.
    kept = ctx.job.step("document", look)
    return kept["document"], Graph.model_validate(kept["graph"])


def _check_workers(estimator: str, workers: int) -> None:
    check_workers(workers)
    if workers > 1 and estimator != "network":
        raise Invalid(
            f"Several workers train a network, and {estimator!r} is none.",
            hint="Leave workers at 1.",
        )


def finish(
    ctx: Context,
    prepared: Prepared,
    lesson: Lesson,
    fitted: Estimator,
    started: float,
    study: str = "",
    workers: int = 1,
    document: str = "",
) -> Model:
    """Measure what was fitted on the untouched rows, beside others; keep it.

    Args:
        ctx: The job's.
        prepared: Rows and columns.
        lesson: What it learned from.
        fitted: What is kept.
        started: When the work began, by `time.monotonic`.
        study: The search that its settings come from, if any.
        workers: How many were asked to train it together.
        document: `doc_…@57`: where its graph was edited, if it was.
    """
    given, aim, parts = prepared.given, prepared.aim, prepared.parts
    held, truth = prepared.untouched()
    answers, beside = _answers(ctx, fitted, lesson, held)
    ctx.job.progress(0.8, f"measuring on {len(truth):,} untouched rows")
    told = {each: _measured(aim, truth, answer, given.seed) for each, answer in answers.items()}
    figures = {each: metrics.figures(values) for each, values in told.items()}
    verdict = judge(fitted.kind, told, len(truth))
    # Who learned from fewer rows is not compared in silence.
    plain = replace(lesson, settings={})
    verdict = " ".join([verdict, *filter(None, (fewer(each, plain) for each in beside))])
    explained = " ".join(filter(None, (parts.split.explained, fewer(fitted.kind, lesson))))
    untouched = UntouchedRows(
        parts.test,
        np.array(aim.classes, dtype=object)[truth] if aim.classes else truth,
        answers[fitted.kind] if aim.classes else None,
        None if aim.classes else answers[fitted.kind],
    )
    return keep(
        ctx,
        prepared.features,
        fitted,
        untouched,
        {
            "epochs": lesson.epochs,
            "exclude": json.dumps(sorted(given.exclude)),
            "name": given.name,
            "workers": workers,
            **{f"settings.{key}": value for key, value in lesson.settings.items()},
        },
        lambda fields: Model(
            **fields,
            name=given.name,
            estimator=fitted.kind,
            task=aim.task,
            target=given.target,
            classes=aim.classes,
            positive=aim.positive,
            inputs=prepared.features.fields,
            product=prepared.product.ref,
            product_digest=prepared.product.digest,
            split=parts.split.model_copy(update={"explained": explained}),
            metrics=figures[fitted.kind],
            beside={each: figures[each] for each in beside},
            verdict=verdict,
            seed=given.seed,
            graph=lesson.graph if fitted.kind == "network" else None,
            settings=dict(lesson.settings),
            study=study,
            document=document,
            parameters=fitted.parameters,
            epochs=fitted.epochs,
            elapsed_s=round(time.monotonic() - started, 2),
        ),
    )


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
    answers = {fitted.kind: answers_of(fitted, held)}
    lesson = replace(lesson, settings={})
    for place, kind in enumerate(beside):
        ctx.job.progress(0.7 + 0.03 * place, f"beside it: {kind}")
        answers[kind] = answers_of(fit_estimator(kind, lesson), held)
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
