"""What is brought into a document: a graph's file, with its weights or without, or an ONNX file."""

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

from workbench.core import Context, Invalid, Limited, WorkbenchError, blobs

from . import weights as store
from .exports import EMBEDDED
from .files import GraphFile, parsed, read_file

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
    from safetensors.torch import save_file

    from workbench.graphs.reading import read_known, read_onnx, told

    path = ctx.engine(blobs).path(ctx.project, source.removeprefix("blob:"))
    if path.stat().st_size > LARGEST:
        raise Limited("This ONNX file is too large.", hint=f"At most {LARGEST:,} bytes.")
    content = path.read_bytes()
    own, read = _own(told(content, EMBEDDED)), None
    if own is not None:
        read = read_known(content, own.graph)
    if own is None or read is None:
        read = read_onnx(content, name or Path(_name(ctx, source)).stem, answer, sizes)
        own = GraphFile(read.graph, "", -1, "")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        save_file({key: each.contiguous() for key, each in read.weights.items()}, file)
        said = store.keep(ctx, file, "weights") if read.weights else ""
    return Brought(own, said)


def _own(text: str) -> GraphFile | None:
    """The graph that a file of ours was made of; what anybody may write there is read with care."""
    try:
        return parsed(json.loads(text)) if text else None
    except (ValueError, RecursionError, WorkbenchError):
        return None
