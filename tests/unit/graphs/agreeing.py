"""Whether what the table says of a graph, what torch makes of it and its source are one."""

import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from workbench.graphs import Graph, Reader, build, find_layer, source

FEATURES, CLASSES, ROWS = 12, 3, 3
RUFF = Path(sysconfig.get_path("scripts")) / "ruff"


def fed(graph: Graph) -> list[Any]:
    """Rows for its inputs."""
    import torch

    found = []
    for _, node in sorted(graph.nodes.items()):
        p = {each.name: each.default for each in find_layer(node.layer).params} | node.params
        match node.layer:
            case "input":
                found.append(torch.randn(ROWS, FEATURES))
            case "image_input":
                found.append(torch.randn(ROWS, p["channels"], p["height"], p["width"]))
            case "sequence_input":
                found.append(torch.randn(ROWS, p["length"], p["channels"]))
            case "tensor_input":
                sizes = p["size"] if isinstance(p["size"], list) else [p["size"]]
                sizes = [ROWS, *sizes] if p["rows"] else sizes
                found.append((3 * torch.randn(sizes)).to(getattr(torch, p["type"])))
            case "text_input":
                found.append(torch.randint(p["vocabulary"], (ROWS, p["length"])))
    return found


def run(module: Any, graph: Graph, seed: int = 0) -> Any:
    """What a network answers, always to the same rows."""
    import torch

    torch.manual_seed(seed)
    rows = fed(graph)
    torch.manual_seed(seed)
    return module(*rows)


def known(dim: int | str) -> int | str:
    """A size with the features and answers that `agree` builds with."""
    if isinstance(dim, int):
        return dim
    told = dim.replace("·", "*").replace("⌊", "(").replace("/", "//").replace("⌋", ")")
    return int(eval(told, {"F": FEATURES, "C": CLASSES, "B": ROWS}))


def written(graph: Graph) -> Any:
    """The network that the source of a graph makes."""
    space: dict[str, Any] = {}
    exec(source(graph, FEATURES, CLASSES), space)
    return space["Network"]()


def agree(graph: Graph, last: str = "here") -> None:
    """What the table says of a graph is what torch does, and so does its source."""
    import torch

    torch.manual_seed(1)
    network = build(graph, FEATURES, CLASSES)
    torch.manual_seed(1)
    other = written(graph)
    meaning = Reader(FEATURES, CLASSES).read(graph)
    assert meaning.parameters == sum(each.numel() for each in network.parameters())
    unknown = Reader().read(graph)
    for id, node in unknown.nodes.items():
        for name, dims in node.outputs.items():
            now = meaning.nodes[id].outputs[name]
            assert [known(dim) for dim in dims] == [known(dim) for dim in now]
    assert list(network.state_dict()) == list(other.state_dict())
    for mode in (True, False):
        result = run(network.train(mode), graph)
        assert [known(dim) for dim in meaning.nodes[last].outputs["out"]] == list(result.shape)
        assert str(result.dtype).endswith(meaning.nodes[last].dtype)
        again = run(other.train(mode), graph)
        assert torch.allclose(result.double(), again.double(), atol=1e-6, equal_nan=True)


def formatted(text: str, width: int) -> None:
    """Ruff has nothing to say of a source."""
    for command in (
        ["format", "--check", f"--line-length={width}", "-"],
        ["check", "--select=E,F,I,B,UP,SIM,RUF", f"--line-length={width}", "-"],
    ):
        done = subprocess.run(
            [str(RUFF), command[0], "--isolated", *command[1:]],
            input=text,
            text=True,
            capture_output=True,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{text}"
