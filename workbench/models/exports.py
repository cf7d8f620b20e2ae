"""Handing a model on: ONNX (checked against what it came from), safetensors, LightGBM, skops."""

import json
import secrets
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.core import Blob, Context, Invalid, Signer, Unavailable, blobs
from workbench.graphs.programs import OPSET, to_onnx

from .estimators import Estimator
from .loaded import Loaded, load_model
from .types import Model, models

Format = Literal["onnx", "safetensors", "lightgbm", "skops"]
ENDINGS: dict[str, str] = {
    "onnx": ".onnx",
    "safetensors": ".safetensors",
    "lightgbm": ".txt",
    "skops": ".skops",
}
CLOSE = 1e-4
"""The largest difference of a probability (or of a value, in standard deviations of the values)
between a model and its ONNX export."""


def export_model(ctx: Context, id: str, format: Format) -> Blob:
    """See the action `models.export`."""
    model = models.get(ctx.store, ctx.project, id)
    loaded = load_model(ctx, model)
    able = _formats(loaded.estimator)
    if format not in able:
        raise Invalid(
            f"{model.name} ({model.estimator}) cannot be exported as {format}.",
            hint=f"It can be exported as {' or '.join(able)}."
            if able
            else "It has no weights: it answers the same for every row.",
        )
    folder = ctx.home / "exports" / secrets.token_hex(8)
    folder.mkdir(parents=True, mode=0o700)
    try:
        file = folder / f"model{ENDINGS[format]}"
        _write(ctx, model, loaded, format, file)
        blob = ctx.engine(blobs).keep(
            ctx.project,
            file,
            f"{model.name}-{model.version}{ENDINGS[format]}",
            "text/plain" if format == "lightgbm" else "application/octet-stream",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return blob.model_copy(update={"url": Signer(ctx.home).url(ctx.project, blob.id)})


def described(model: Model, loaded: Loaded) -> dict[str, str]:
    """What a file must say of a model so that it can be used, and imported again, elsewhere."""
    return {
        "workbench.model": model.ref,
        "workbench.name": model.name,
        "workbench.task": model.task,
        "workbench.target": model.target,
        "workbench.classes": json.dumps(model.classes),
        "workbench.positive": model.positive,
        "workbench.features": json.dumps(loaded.features.state),
        "workbench.code": model.code,
        "workbench.product_digest": model.product_digest,
    }


def _formats(estimator: Estimator) -> list[str]:
    if estimator.kind == "network":
        return ["onnx", "safetensors"]
    if estimator.kind == "lightgbm":
        return ["lightgbm"]
    if estimator.kind in ("majority", "mean"):
        return []
    return ["onnx", "skops"] if hasattr(estimator, "model") else ["onnx"]


def _write(ctx: Context, model: Model, loaded: Loaded, format: Format, file: Path) -> None:
    kept: Any = loaded.estimator
    if format == "safetensors":
        from safetensors.torch import save_file

        weights = {name: each.contiguous() for name, each in kept.module.state_dict().items()}
        told = {key: value for key, value in kept.told.items() if key != "graph"}
        save_file(
            weights,
            file,
            metadata={
                **described(model, loaded),
                "graph": json.dumps(kept.told["graph"]),
                "workbench.estimator": json.dumps(told),
            },
        )
    elif format in ("lightgbm", "skops"):
        name = "model.txt" if format == "lightgbm" else "model.skops"
        shutil.copyfile(ctx.folder / model.artifacts / name, file)
        if format == "skops":
            # A skops file is a zip; skops reads its own members only.
            with zipfile.ZipFile(file, "a") as packed:
                packed.writestr("workbench.json", json.dumps(described(model, loaded)))
    else:
        width = len(loaded.features.names)
        if kept.kind == "network":
            proto = network_to_onnx(kept, width)
        elif hasattr(kept, "model"):
            proto = _sklearn_to_onnx(kept.model, width)
        else:
            proto = kept.proto()
        _check(proto, kept, width)
        for key, value in described(model, loaded).items():
            entry = proto.metadata_props.add()
            entry.key, entry.value = key, value
        file.write_bytes(proto.SerializeToString())


def network_to_onnx(network: Any, width: int) -> Any:
    """A network as ONNX: `features` float32 [rows, width] → `answer`, any number of rows."""
    import torch

    return to_onnx(network.answering(), (torch.zeros(2, width),), ["features"])


def _sklearn_to_onnx(model: Any, width: int) -> Any:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return to_onnx(
            model,
            initial_types=[("features", FloatTensorType([None, width]))],
            options=options,
            target_opset=OPSET,
        )


def answer_of(session: Any, features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What an ONNX model answers: its probabilities, or its values; never its labels."""
    given = {session.get_inputs()[0].name: features.astype(np.float32)}
    outputs = [each for each in session.run(None, given) if isinstance(each, np.ndarray)]
    floats = [each for each in outputs if each.dtype.kind == "f"]
    return np.asarray((floats or outputs)[-1], dtype=np.float64)


def _check(proto: Any, estimator: Estimator, width: int) -> None:
    """The export answers what the model answers, or it is not handed out."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(proto)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    features = np.random.default_rng(0).normal(size=(256, width)).astype(np.float32)
    ours = estimator.predict(features)
    theirs = answer_of(session, features).reshape(ours.shape)
    scale = 1.0 if ours.ndim == 2 else max(float(ours.std()), 1e-12)
    gap = float(np.abs(ours - theirs).max()) / scale
    if not gap <= CLOSE:
        raise Unavailable(
            f"The ONNX export answers differently from the model, by up to {gap:.2g}.",
            hint="Export another format, and report this model's graph.",
        )
