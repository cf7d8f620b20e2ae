"""Opening what strangers made: formats that hold no code, and nothing else."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core import Invalid, Refused
from workbench.graphs import Graph, build

from .estimators import Estimator, Learned, load_skops
from .features import Features
from .types import Task

PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".bin", ".npy", ".npz", ".h5")
LARGEST_GRAPH_BYTES = 5_000_000


@dataclass(frozen=True)
class Brought:
    """A stranger's model, opened, and what it is about."""

    features: Features
    estimator: Estimator
    task: Task
    classes: list[str]
    positive: str
    target: str
    graph: Graph | None


def check_no_pickle(name: str, file: Path | None = None) -> None:
    """Return if a file is no pickle, by its name and its first bytes.

    Raises:
        Invalid: It is one, or torch's zip of one.
    """
    bad = Path(name).suffix.lower() in PICKLES
    if file is not None and not bad:
        with open(file, "rb") as opened:
            bad = opened.read(2) in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as packed:
                bad = bad or any(
                    Path(each).suffix.lower() in (".pkl", ".pickle", ".joblib")
                    for each in packed.namelist()
                )
    if bad:
        raise Invalid(
            f"{name} may be a pickle, and a pickle runs code when it is opened: "
            "no pickle from strangers.",
            hint="Export the model as ONNX, skops or safetensors with its graph.",
        )


def unpacked(file: Path, name: str) -> tuple[Path, str, dict[str, str]]:
    """Weights, graph document and description from a safetensors file, or a zip of both.

    Raises:
        Invalid: Something is missing, or it is neither.
    """
    weights = file
    document = ""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as packed:
            tensors = [each for each in packed.infolist() if each.filename.endswith(".safetensors")]
            graphs = [each for each in packed.infolist() if each.filename.endswith(".json")]
            if len(tensors) != 1 or len(graphs) != 1:
                raise Invalid(
                    f"{name} holds {len(tensors)} .safetensors and {len(graphs)} .json files.",
                    hint="Put one of each into the zip: the weights, and the graph.",
                )
            if graphs[0].file_size > LARGEST_GRAPH_BYTES or tensors[0].file_size > 2 * 1024**3:
                raise Invalid(
                    f"{name} unpacks to {tensors[0].file_size + graphs[0].file_size:,} bytes.",
                    hint="At most 2 GB of weights and 5 MB of graph.",
                )
            weights = file.parent / "unpacked.safetensors"
            weights.write_bytes(packed.read(tensors[0]))
            document = packed.read(graphs[0]).decode("utf-8", "replace")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as opened:
            told = dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise Invalid(
            f"{name} is no safetensors file: {error}.", hint="Write it with safetensors.torch."
        ) from error
    document = document or told.get("graph", "")
    if not document:
        raise Invalid(
            f"{name} holds weights and no graph.",
            hint="Zip weights.safetensors together with graph.json.",
        )
    return weights, document, told if "workbench.features" in told else {}


def network(
    weights: Path,
    name: str,
    graph: Graph,
    task: Task,
    inputs: int,
    outputs: int,
    scaled: dict[str, Any],
) -> Estimator:
    """A graph with a stranger's weights.

    Raises:
        Invalid: The weights do not fit the graph.
    """
    from safetensors.torch import load_file

    from .networks import Network

    module = build(graph, inputs, outputs)
    try:
        module.load_state_dict(load_file(weights))
    except RuntimeError as error:
        lines = [each.strip() for each in str(error).splitlines()[1:3] if each.strip()]
        raise Invalid(
            f"The weights in {name} do not fit its graph with {inputs} numbers in and {outputs} "
            f"out: {' '.join(lines)[:300]}",
            hint="Names start with the nodes' ids; sizes follow the product and the target.",
        ) from error
    return Network(
        module,
        {
            "format": "network",
            "task": task,
            "inputs": inputs,
            "outputs": outputs,
            "mean": float(scaled.get("mean", 0.0)),
            "scale": float(scaled.get("scale", 1.0)),
            "graph": graph.model_dump(),
            "epochs": 0,
        },
    )


def learned(file: Path, name: str, task: Task, classes: list[str], width: int) -> Estimator:
    """A stranger's scikit-learn model in skops' format, without types beyond skops' own list.

    Raises:
        Invalid: It is no fitted model for these columns and classes.
    """
    try:
        model = load_skops(file, ())
    except (Refused, Invalid):
        raise
    except Exception as error:  # a file that is no skops fails in many ways
        raise Invalid(
            f"{name} is no skops file: {str(error)[:200]}.", hint="Write it with skops.io.dump."
        ) from error
    able = "predict_proba" if task == "classification" else "predict"
    if not hasattr(model, able):
        raise Invalid(
            f"{name} holds a {type(model).__name__}, which has no {able}.",
            hint=f"A {task} needs one.",
        )
    takes = getattr(model, "n_features_in_", width)
    if takes != width:
        raise Invalid(
            f"{name} takes {takes} numbers per row, and {width} are there.",
            hint="Import it with the product it was trained for.",
        )
    if task == "classification":
        theirs = [str(each) for each in model.classes_]
        indexes = [str(each) for each in range(len(classes))]
        if theirs not in (classes, indexes):
            raise Invalid(
                f"{name} knows the classes {theirs[:10]}, the target has {classes[:10]}.",
                hint="Import it with the target it was trained for.",
            )
    return Learned("imported", model, task)
