"""A graph as a file to take away: JSON, Python, ONNX, a program of torch."""

import re
import secrets
import shutil
from pathlib import Path

from workbench.core import Blob, Context, Invalid, Signer, blobs
from workbench.graphs import Graph, build, source

from .files import written
from .meant import ends_of
from .types import Document
from .weights import begun, find

ENDINGS = {
    "graph": ".graph.json",
    "python": ".py",
    "onnx": ".onnx",
    "torch": ".pt2",
    "weights": ".safetensors",
}
EMBEDDED = "nexus-graph"
"""Where an ONNX file and a program keep the graph that they are made of, so that it comes back."""


def exported(ctx: Context, document: Document, graph: Graph, seq: int, format: str) -> Blob:
    """See the action `documents.export`."""
    folder = ctx.home / "exports" / secrets.token_hex(8)
    folder.mkdir(parents=True, mode=0o700)
    try:
        file = folder / f"graph{ENDINGS[format]}"
        if format == "graph":
            file.write_text(written(graph, document.id, seq), encoding="utf-8")
        elif format == "python":
            file.write_text(code_of(document, graph), "utf-8")
        else:
            _program(ctx, graph, format, file, written(graph, document.id, seq))
        blob = ctx.engine(blobs).keep(
            ctx.project,
            file,
            f"{re.sub(r'[^A-Za-z0-9._-]+', '-', document.name).strip('-') or 'graph'}"
            f"{ENDINGS[format]}",
            "application/json" if format == "graph" else "application/octet-stream",
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return blob.model_copy(update={"url": Signer(ctx.home).url(ctx.project, blob.id)})


def code_of(document: Document, graph: Graph) -> str:
    """The graph as the source of a torch module.

    Raises:
        Invalid: It is not whole, or how large its ends are is not known.
    """
    return source(graph, *_ends(graph), name=_class(document.name))


def _class(name: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", name)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined[:1].isalpha() else f"Network{joined}"


def _ends(graph: Graph) -> tuple[int, int]:
    features, outputs = ends_of(graph)
    kinds = {node.layer for node in graph.nodes.values()}
    for name, number, layer in (("features", features, "input"), ("outputs", outputs, "output")):
        if number is None and layer in kinds:
            raise Invalid(
                f"The {name} of this graph are not known: how large is its {layer}?",
                hint="Choose a product and a target in the editor, or set them by "
                f'{{"op": "set_data", "name": "{name}", "value": 20}}.',
            )
    return features or 1, outputs or 1


def _program(ctx: Context, graph: Graph, format: str, file: Path, told: str) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from workbench.graphs.programs import example, to_onnx, to_program, wide

    features, outputs = _ends(graph)
    module, given = build(graph, features, outputs).eval(), example(graph, features)
    if (begin := find(ctx, graph)) is not None:
        begun(module, load_file(begin))
    if format == "weights":
        if begin is None:
            raise Invalid(
                f"The graph {graph.name[:60]!r} begins with no weights that are kept.",
                hint="Train it, and export the model: models.export_model.",
            )
        held = {name: each.contiguous() for name, each in module.state_dict().items()}
        save_file(held, file, metadata={"graph": graph.model_dump_json()})
    elif format == "torch":
        program = to_program(module, given, wide(graph))
        torch.export.save(program, file, extra_files={f"{EMBEDDED}.json": told})
    else:
        model = to_onnx(module, given, rows=wide(graph), optimised=False)
        model.metadata_props.add(key=EMBEDDED, value=told)
        file.write_bytes(model.SerializeToString())
