"""Bring your own: ONNX, skops, safetensors with a graph, an MLflow run."""

import json
import secrets
import shutil
import time
import zipfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workbench.core import Context, Invalid, Limited
from workbench.data import Product, products
from workbench.data.sources import open_source
from workbench.graphs import Graph

from .estimators import Estimator, load_estimator
from .features import Features
from .imported import Imported
from .ports import registries
from .preparing import checked_name
from .strangers import Brought, check_no_pickle, learned, network, unpacked
from .training import keep
from .types import Model, Task

FORMATS = ("onnx", "skops", "safetensors")
ENDINGS = {
    ".onnx": "onnx",
    ".skops": "skops",
    ".safetensors": "safetensors",
    ".zip": "safetensors",
}
LARGEST_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Found:
    """A file of a stranger, in a folder of ours."""

    file: Path
    name: str
    """What the person called it."""


def import_any(
    ctx: Context, source: str, name: str, format: str, product: str, target: str
) -> Model:
    """See the action `models.import_model`."""
    from .measuring import measured_on

    started = time.monotonic()
    if not source:
        raise Invalid("models.import_model needs a source.", hint="Give a file, or mlflow:<run>.")
    if bool(product) != bool(target):
        raise Invalid(
            f"A {'product' if product else 'target'} alone does not say what to measure on.",
            hint="Give both product and target, or neither.",
        )
    given = products.get(ctx.store, ctx.project, product) if product else None
    folder = ctx.home / "imports" / secrets.token_hex(8)
    folder.mkdir(parents=True, mode=0o700)
    try:
        if source.startswith("mlflow:"):
            found = _from_run(ctx, source.removeprefix("mlflow:"), folder)
        else:
            found = _copied(ctx, source, folder)
        name = checked_name(name or _stem(found.name))
        brought = _own(found) or _open(ctx, found, format, given, target)
        measured = measured_on(ctx, brought, given, target or brought.target)
        return keep(
            ctx,
            brought.features,
            brought.estimator,
            measured.rows,
            {"name": name, "imported": found.name},
            lambda fields: Model(
                **fields,
                name=name,
                estimator="imported",
                task=brought.task,
                target=target or brought.target,
                classes=brought.classes,
                positive=brought.positive,
                inputs=brought.features.fields,
                product=given.ref if given else "",
                product_digest=given.digest if given else "",
                split=None,
                metrics=measured.figures,
                beside={},
                verdict=measured.verdict,
                seed=0,
                graph=brought.graph,
                parameters=brought.estimator.parameters,
                epochs=0,
                elapsed_s=round(time.monotonic() - started, 2),
            ),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stem(name: str) -> str:
    return Path(name).stem.replace("@", "-").replace("/", "-").replace(":", "-")[:100] or "model"


def _copied(ctx: Context, source: str, folder: Path) -> Found:
    """The source's bytes in our folder; from then on nobody else can change them."""
    if source.startswith("sql:"):
        raise Invalid("A query is no model.", hint="Give a file, or mlflow:<run>.")
    with closing(open_source(ctx, source)) as opened:
        assert opened.file is not None
        check_no_pickle(opened.name, opened.file)
        size = opened.file.stat().st_size
        if size > LARGEST_BYTES:
            raise Limited(
                f"{opened.name} has {size:,} bytes.", hint=f"At most {LARGEST_BYTES:,} bytes."
            )
        ending = Path(opened.name).suffix.lower() or ".bin"
        file = folder / f"given{ending}"
        shutil.copyfile(opened.file, file)
    return Found(file, opened.name)


def _from_run(ctx: Context, run: str, folder: Path) -> Found:
    registry = ctx.engine(registries)
    files = registry.files(ctx.project, run)
    if "model/estimator.json" in files:
        inside = [each for each in files if each.startswith("model/")]
        own = folder / "model"
        own.mkdir()
        for each in inside:
            registry.fetch(run, each, own)
        return Found(own, f"run-{run[:8]}")
    known = [each for each in files if Path(each).suffix in (".onnx", ".skops", ".safetensors")]
    if not known:
        for each in files:
            check_no_pickle(each)
        raise Invalid(
            f"The MLflow run {run} holds no model we read.",
            hint="Log it as ONNX, skops or safetensors.",
        )
    fetched = registry.fetch(run, known[0], folder)
    check_no_pickle(known[0], fetched)
    return Found(fetched, Path(known[0]).name)


def _own(found: Found) -> Brought | None:
    """A run that this Studio made: everything is beside the weights."""
    if not found.file.is_dir():
        return None
    model = Model.model_validate_json((found.file / "model.json").read_text())
    features = Features(json.loads((found.file / "features.json").read_text()))
    return Brought(
        features=features,
        estimator=load_estimator(found.file),
        task=model.task,
        classes=model.classes,
        positive=model.positive,
        target=model.target,
        graph=model.graph,
    )


def _open(ctx: Context, found: Found, format: str, product: Product | None, target: str) -> Brought:
    format = format or ENDINGS.get(found.file.suffix.lower(), "")
    if format not in FORMATS:
        raise Invalid(
            f"{found.name} cannot be imported{f' as {format!r}' if format else ''}.",
            hint=f"Known formats: {', '.join(FORMATS)}, and mlflow:<run>.",
        )
    if format == "safetensors":
        weights, document, told = unpacked(found.file, found.name)
    else:
        weights, document, told = found.file, None, _told(found, format)
    if told:
        features = Features(json.loads(told["workbench.features"]))
        classes = json.loads(told["workbench.classes"])
        task: Task = "classification" if classes else "regression"
        positive = told.get("workbench.positive", "")
        aim = told.get("workbench.target", "")
    elif product is None:
        raise Invalid(
            f"{found.name} does not say what its columns are.",
            hint="Give the product and the target that it belongs to.",
        )
    else:
        from .measuring import numbers_of

        features, seen = numbers_of(ctx, product, target)
        task, classes, positive, aim = seen.task, seen.classes, seen.positive, target
    graph = None
    estimator: Estimator
    if format == "onnx":
        estimator = Imported(found.file, task, len(classes), found.name)
    elif format == "skops":
        estimator = learned(found.file, found.name, task, classes, len(features.names))
    else:
        try:
            graph = Graph.model_validate_json(document or "")
        except ValidationError as error:
            raise Invalid(
                f"{found.name} holds no graph we read: {error.errors()[0]['msg']}.",
                hint="Export a network as safetensors to see the form.",
            ) from error
        scaled = json.loads(told.get("workbench.estimator", "{}")) if told else {}
        outputs = len(classes) or 1
        estimator = network(weights, found.name, graph, task, len(features.names), outputs, scaled)
    width = getattr(estimator, "width", None)
    if width is not None and width != len(features.names):
        raise Invalid(
            f"{found.name} takes {width} numbers per row, and {len(features.names)} are there.",
            hint=f"The numbers are: {', '.join(features.names[:12])}.",
        )
    return Brought(features, estimator, task, classes, positive, aim, graph)


def _told(found: Found, format: str) -> dict[str, str]:
    """What a file that we exported says of itself; empty for a stranger's."""
    if format == "onnx":
        told = Imported(found.file, "regression", 0, found.name).told
        return told if "workbench.features" in told else {}
    if format == "skops" and zipfile.is_zipfile(found.file):
        with zipfile.ZipFile(found.file) as packed:
            if "workbench.json" in packed.namelist():
                said: dict[str, Any] = json.loads(packed.read("workbench.json"))
                return {key: str(value) for key, value in said.items()}
    return {}
