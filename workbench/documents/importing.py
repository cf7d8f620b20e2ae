"""What is brought into a document: a graph's file, with its weights or without, or an ONNX file."""

import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from workbench.core import Context, Invalid, Limited, blobs
from workbench.graphs import Graph

from . import weights as store
from .exports import EMBEDDED
from .files import GraphFile, parsed, read_file

_log = logging.getLogger(__name__)
LONGEST_S = 900
"""Seconds that reading a file may take."""
LARGEST = 2 * 1024**3
"""Bytes of an ONNX file: protobuf has no larger one."""


class Brought(NamedTuple):
    """A graph that was read, and what it begins with."""

    file: GraphFile
    weights: str
    """As a graph's data say it; empty if it has none."""


def brought(
    ctx: Context, source: str, weights: str, answer: str, sizes: dict[str, int], name: str
) -> Brought:
    """See the action `documents.import_document`."""
    ending = Path(_name(ctx, source)).suffix.lower()
    if ending in (".pt2", ".pt", ".pth"):
        raise Invalid(
            f"A file {ending} may hold pickles, which run code: it is not opened here.",
            hint="In a notebook: wb.documents.from_module(torch.export.load(file)).",
        )
    if ending == ".onnx":
        if weights:
            raise Invalid(
                "An ONNX file brings its own weights.", hint="Leave the other weights out."
            )
        return _onnx(ctx, source, answer, sizes, name)
    if answer or sizes:
        raise Invalid("Only an ONNX file has outputs and open sizes.", hint="Leave both out.")
    found = read_file(ctx, source)
    if not weights:
        return Brought(found, str(found.graph.data.get("weights") or ""))
    path = ctx.engine(blobs).path(ctx.project, weights.removeprefix("blob:"))
    return Brought(found, store.keep(ctx, path, _name(ctx, weights)))


def _name(ctx: Context, source: str) -> str:
    if not source.startswith("blob:"):
        raise Invalid(
            f"{source[:80]!r} is no file here.", hint="Give a local file; it is uploaded."
        )
    return ctx.engine(blobs).get(ctx.project, source.removeprefix("blob:")).name


def _onnx(ctx: Context, source: str, answer: str, sizes: dict[str, int], name: str) -> Brought:
    path = ctx.engine(blobs).path(ctx.project, source.removeprefix("blob:"))
    if path.stat().st_size > LARGEST:
        raise Limited("This ONNX file is too large.", hint=f"At most {LARGEST:,} bytes.")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "model.onnx").symlink_to(path)
        request = {
            "key": EMBEDDED,
            "name": name or Path(_name(ctx, source)).stem,
            "answer": answer,
            "sizes": sizes,
        }
        (folder / "request.json").write_text(json.dumps(request), "utf-8")
        _apart(folder)
        came = json.loads((folder / "graph.json").read_text("utf-8"))
        if came["own"]:
            file = parsed(json.loads(came["own"]))
        else:
            file = GraphFile(Graph.model_validate(came["graph"]), "", -1, "")
        weights = folder / "weights.safetensors"
        return Brought(file, store.keep(ctx, weights, "weights") if weights.is_file() else "")


def _apart(folder: Path) -> None:
    """Read it in a process that may not take more than its share."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "workbench.graphs.reading", str(folder)],
            capture_output=True,
            timeout=LONGEST_S,
        )
    except subprocess.TimeoutExpired as error:
        raise _too_much() from error
    refused = folder / "refused.json"
    if refused.is_file():
        said = json.loads(refused.read_text("utf-8"))
        raise (Limited if said["limited"] else Invalid)(said["text"], hint=said["hint"])
    if done.returncode != 0:
        _log.warning("reading an ONNX file ended with %s: %s", done.returncode, done.stderr[-2000:])
        raise _too_much()


def _too_much() -> Limited:
    return Limited(
        "Reading this file took more memory or time than there is for it.",
        hint="Make a smaller one, or read the module of torch that it came from in a notebook.",
    )
