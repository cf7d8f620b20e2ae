"""An ONNX file of a stranger, read in a process of its own, with so much memory and time.

`python -m workbench.graphs.reading FOLDER`: reads `request.json` and `model.onnx` there, and writes
`graph.json` and, if it has any, `weights.safetensors`, or `refused.json`.
"""

import json
import resource
import sys
import warnings
from pathlib import Path

MEMORY = 6 * 1024**3
"""Bytes beside those of the file, of which there may be several copies."""
COPIES = 8
CPU_S = 600


def main(folder: Path) -> None:
    model = folder / "model.onnx"
    memory = MEMORY + COPIES * model.stat().st_size
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from safetensors.torch import save_file

    from workbench.core import Invalid, Limited

    from .onnx import read_known, read_onnx, told

    warnings.simplefilter("ignore")  # what numbers overflow in a stranger's file is not ours
    request = json.loads((folder / "request.json").read_text("utf-8"))
    content = model.read_bytes()
    try:
        own = told(content, request["key"])
        read = read_known(content, own) if own else None
        if read is None:
            own = ""
            read = read_onnx(content, request["name"], request["answer"], request["sizes"])
    except (Invalid, Limited) as error:
        refused = {"limited": isinstance(error, Limited), "text": str(error), "hint": error.hint}
        (folder / "refused.json").write_text(json.dumps(refused), "utf-8")
        return
    if read.weights:
        held = {name: each.contiguous() for name, each in read.weights.items()}
        save_file(held, folder / "weights.safetensors")
    came = {"own": own, "graph": read.graph.model_dump(mode="json")}
    (folder / "graph.json").write_text(json.dumps(came), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
