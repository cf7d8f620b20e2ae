"""What the layers of a document begin with: safetensors, kept once by their content.

A graph says `data["weights"]`, `sha256:…` of a file in its project. Names are those of the built
module's `state_dict`, so they begin with the nodes' ids: a node that was edited since begins
anew, the others with what is there.
"""

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core import Context, Invalid, Limited
from workbench.graphs import Graph

if TYPE_CHECKING:
    import torch
    from torch import nn

LARGEST = 2 * 1024**3
"""Bytes of a file."""
_SAID = re.compile(r"sha256:[0-9a-f]{64}")


def keep(ctx: Context, file: Path, name: str) -> str:
    """Keep a file of weights, which is copied; what it is called in a graph's data.

    The file is on the disk, whole, when this returns; keeping the same again changes nothing.

    Raises:
        Invalid: It is no safetensors.
        Limited: It is larger than 2 GiB, or the disk is full.
    """
    from safetensors import SafetensorError, safe_open

    if file.stat().st_size > LARGEST:
        raise Limited(f"{name} is too large for weights.", hint=f"At most {LARGEST:,} bytes.")
    try:
        with safe_open(file, framework="numpy") as opened:
            list(opened.keys())
    except (SafetensorError, OSError) as error:
        raise Invalid(
            f"{name} is no safetensors file: {error}.", hint="Write it with safetensors.torch."
        ) from error
    with file.open("rb") as opened:
        said = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    kept = _place(ctx, said)
    if kept.exists():
        return said
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    half = kept.with_name(f"{secrets.token_hex(8)}.part")
    try:
        with half.open("xb") as into, file.open("rb") as opened:
            while block := opened.read(1 << 20):
                into.write(block)
            into.flush()
            os.fsync(into.fileno())
        os.replace(half, kept)
    except OSError as error:
        raise Limited(
            f"{name} cannot be kept: {error.strerror}.", hint="Free space, and import it again."
        ) from error
    finally:
        half.unlink(missing_ok=True)
    return said


def find(ctx: Context, graph: Graph) -> Path | None:
    """The weights that a graph begins with, if it says any.

    Raises:
        Invalid: They are not in this project.
    """
    said = graph.data.get("weights")
    if not said:
        return None
    if not isinstance(said, str) or not _SAID.fullmatch(said) or not _place(ctx, said).is_file():
        raise Invalid(
            f"The weights that this graph begins with ({str(said)[:20]}…) are not in this project.",
            hint='Take them out with {"op": "set_data", "name": "weights", "value": null}, '
            "or import them with the graph.",
        )
    return _place(ctx, said)


def begun(module: "nn.Module", weights: "dict[str, torch.Tensor]") -> list[str]:
    """Give a module the weights that fit it.

    Args:
        module: It is changed.
        weights: By the names of its `state_dict`; those of another name or shape are left out.

    Returns:
        The names of those that it did not get, though it has them.
    """
    own: dict[str, Any] = module.state_dict()
    fitting = {
        name: each
        for name, each in weights.items()
        if name in own and own[name].shape == each.shape and own[name].dtype == each.dtype
    }
    module.load_state_dict(fitting, strict=False)
    return [name for name in own if name not in fitting]


def _place(ctx: Context, said: str) -> Path:
    folder = ctx.home / "projects" / ctx.project / "weights"
    return folder / f"{said.removeprefix('sha256:')}.safetensors"
