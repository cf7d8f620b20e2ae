"""A torch module as a graph: what `torch.export` sees of it, layer by layer.

The blocks of the module become groups, the paths of its submodules the nodes' ids and names. What
is read is built again and compared with the module before anybody gets it.
"""

import operator
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core import Invalid, Limited

from ..build import build
from ..programs import to_program
from ..types import Edge, Graph, Node, NodeGroup
from .places import free, has, identifier, is_leaf, laid_out, place_of
from .rules import (
    MODULES,
    RESHAPES,
    RULES,
    SAME,
    SPLITS,
    Given,
    Made,
    Operation,
    Unread,
    bound,
    is_all,
    sizes_of,
    tensor_of,
    whole,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

CLOSE = 1e-6
"""How far what is built may be from the module, beside its largest answer."""
MOST_NODES = 5_000


@dataclass(frozen=True)
class Read:
    """A module, read.

    Attributes:
        graph: Its architecture.
        weights: What it learned, float32 and int64, by the names of the built graph's `state_dict`.
    """

    graph: Graph
    weights: "dict[str, torch.Tensor]"


def read_module(
    module: "nn.Module", given: "tuple[torch.Tensor, ...]", name: str = "network"
) -> Read:
    """The graph of a module.

    Args:
        module: A network that `torch.export` takes.
        given: An example of what goes into it, each [rows, …] with at least 2 rows; one row alone
            is doubled.
        name: What the graph is called.

    Returns:
        The graph, in whose inference mode the outputs are the module's within 1e-6 of the largest.

    Raises:
        Invalid: It cannot be exported, or has a part that no layer computes; each is named.
        Limited: It has more than 5,000 operations.
    """
    import torch

    given = tuple(torch.cat([each, each]) if each.shape[:1] == (1,) else each for each in given)
    before = {each: each.training for each in module.modules()}
    module.eval()
    try:
        try:
            program = to_program(module, given)
        except Exception as error:  # torch raises some dozen classes, one per way to fail
            first = next((line for line in str(error).splitlines() if line.strip()), "")
            raise Invalid(
                f"torch.export cannot take this module: {first.strip().rstrip('.')[:300]}.",
                hint="Its forward may not branch on numbers; every input is [rows, …].",
            ) from error
        read = _Reader(program, module).read(name)
        _check(read, module, given)
    finally:
        for each, training in before.items():
            each.training = training
    return read


def _check(read: Read, module: "nn.Module", given: "tuple[torch.Tensor, ...]") -> None:
    import torch

    data = read.graph.data
    built = build(read.graph, data.get("features", 1), data.get("outputs", 1)).eval()
    built.load_state_dict(read.weights, strict=True)
    takes = [str(each.target) for each in built.graph.nodes if each.op == "placeholder"]
    order = {id: place for place, id in enumerate(_entrances(read.graph.nodes))}
    drawn = torch.Generator().manual_seed(0)
    shown = tuple(
        torch.randn(each.shape, generator=drawn).to(each.device)
        if each.is_floating_point()
        else each
        for each in given
    )
    with torch.no_grad():
        wanted = module(*shown).cpu()
        came = built(*(shown[order[id]].cpu() for id in takes))
    far = (came - wanted).abs().max().item() if came.shape == wanted.shape else float("inf")
    if not far <= CLOSE * max(1.0, wanted.abs().max().item()):
        raise Invalid(
            f"What was read of this module answers otherwise than it does, by {far:.2g}.",
            hint="Please tell us which module it was; until then it cannot be read.",
        )


def _entrances(nodes: dict[str, Node]) -> list[str]:
    """The nodes where data comes in, in the order in which the module takes it."""
    return [id for id, node in nodes.items() if node.layer.endswith("input")]


class _Reader:
    def __init__(self, program: Any, module: "nn.Module") -> None:
        self._program, self._module = program, module
        self._nodes: dict[str, Node] = {}
        self._edges: dict[str, Edge] = {}
        self._groups: dict[str, NodeGroup] = {}
        self._weights: dict[str, Any] = {}
        self._owners: dict[int, str] = {}
        self._values: dict[Any, tuple[str, str]] = {}
        self._reasons: dict[Any, list[str]] = {}
        self._blocks: dict[str, tuple[str, str] | Unread | None] = {}
        self._tensors: dict[Any, str] = {}
        """Of the weights' placeholders: their names in the module."""

    def read(self, name: str) -> Read:
        nodes = list(self._program.graph.nodes)
        if len(nodes) > MOST_NODES:
            raise Limited(
                f"This module has {len(nodes):,} operations.", hint=f"At most {MOST_NODES:,}."
            )
        signature = self._program.graph_signature
        self._tensors = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        for node in nodes:
            if node.op == "placeholder":
                if node.name not in self._tensors:
                    self._entrance(node)
            elif node.op == "call_function":
                try:
                    self._operation(node)
                except Unread as no:
                    self._reasons[node] = list(no.args)
        (outputs,) = next(node for node in reversed(nodes) if node.op == "output").args
        answers = [each for each in outputs if each is not None]
        if len(answers) != 1:
            raise Invalid(
                f"This module answers {len(answers)} tensors.",
                hint="A graph has one answer: wrap it in a module that returns one of them.",
            )
        try:
            last, _ = self._at(answers[0])
        except Unread as unread:
            told = unread.args
            rest = f", and {len(told) - 5} more" if len(told) > 5 else ""
            raise Invalid(
                f"No layer computes {'; '.join(told[:5])}{rest}.",
                hint="Replace those parts by layers of the palette, and read it again.",
            ) from unread
        data = self._table(answers[0], last)
        self._prune(last)
        graph = Graph(
            name=name,
            nodes=self._nodes,
            edges=self._edges,
            groups=self._groups,
            layout=laid_out(self._nodes, self._edges, self._groups),
            data=data,
        )
        return Read(graph, self._weights)

    # ---- ends ----------------------------------------------------------------------------

    def _entrance(self, node: Operation) -> None:
        value = node.meta["val"]
        sizes = [int(each) for each in value.shape[1:]]
        kind = str(value.dtype).removeprefix("torch.")
        if kind not in ("float32", "int64", "int32"):
            raise Invalid(
                f"The input {node.name!r} is of {kind}.",
                hint="Graphs compute with float32: read module.float() with a float example.",
            )
        if value.is_floating_point() and len(sizes) == 3:
            channels, height, width = sizes
            made = Made("image_input", {"channels": channels, "height": height, "width": width})
        elif value.is_floating_point():
            made = Made("tensor_input", {"size": sizes})
        elif len(sizes) != 1:
            raise Invalid(
                f"The input {node.name!r} takes whole numbers in {len(sizes) + 1} dimensions.",
                hint="Texts are [rows, length].",
            )
        else:
            made = Made("text_input", {"length": sizes[0], "vocabulary": self._words(node)})
        self._values[node] = (self._add(node.name, made), "out")

    def _words(self, node: Operation) -> int:
        for user in node.users:
            if str(user.target) == "aten.embedding.default":
                return int(user.args[0].meta["val"].shape[0])
        raise Invalid(
            f"The input {node.name!r} takes whole numbers, and no embedding reads it.",
            hint="A network reads texts by nn.Embedding, and everything else as floats.",
        )

    def _table(self, answer: Operation, id: str) -> dict[str, Any]:
        """Where a row goes in and one dense layer answers, both ends are a table's."""
        entrances = _entrances(self._nodes)
        first, last = self._nodes[entrances[0]], self._nodes[id]
        size = first.params.get("size", [])
        if len(entrances) > 1 or first.layer != "tensor_input" or len(size) != 1:
            return {}
        if last.layer != "dense" or not last.params.get("bias", True) or len(answer.users) > 1:
            return {}
        self._nodes[entrances[0]] = first.model_copy(update={"layer": "input", "params": {}})
        self._nodes[id] = last.model_copy(update={"layer": "output", "params": {}})
        return {"features": size[0], "outputs": last.params["units"]}

    def _prune(self, answer: str) -> None:
        """Without what the answer does not need."""
        sources: dict[str, list[str]] = {id: [] for id in self._nodes}
        for edge in self._edges.values():
            sources[edge.target].append(edge.source)
        kept, left = set(_entrances(self._nodes)), deque([answer])
        while left:
            id = left.popleft()
            if id not in kept or id == answer:
                kept.add(id)
                left.extend(each for each in sources[id] if each not in kept)
        self._nodes = {id: node for id, node in self._nodes.items() if id in kept}
        self._edges = {id: edge for id, edge in self._edges.items() if edge.target in kept}
        self._weights = {
            name: each for name, each in self._weights.items() if name.partition(".")[0] in kept
        }
        used = {node.group for node in self._nodes.values()}
        for id in list(self._groups)[::-1]:
            if id in used:
                used.add(self._groups[id].parent)
            else:
                del self._groups[id]

    # ---- operations ----------------------------------------------------------------------

    def _operation(self, node: Operation) -> None:
        if node.target is operator.getitem:
            self._values[node] = self._item(node)
            return
        whole = self._whole(node)
        if whole is not None:
            self._values[node] = whole
            return
        op = str(node.target)
        given = bound(node) if op.startswith("aten.") else {}
        if op in SAME or op in RESHAPES or is_all(op, given):
            source = tensor_of(given)
            if op not in RESHAPES or sizes_of(source) == sizes_of(node):
                self._values[node] = self._at(source)
                return
        if op == "aten.select.int" and self._state(given):
            self._values[node] = (self._at(given["self"].args[0])[0], "last")
            return
        if op in RESHAPES:
            made = self._reshaped(node, tensor_of(given))
        elif op in RULES:
            try:
                made = RULES[op](given)
            except Unread as unread:
                raise Unread(f"{self._said(node)} ({unread})") from unread
        else:
            raise Unread(self._said(node))
        self._values[node] = (self._new(node, made), "out")
        if node.target._schema.is_mutable:
            # It changed its input, so whoever reads that from now on reads this.
            self._values[node.args[0]] = self._values[node]

    def _new(self, node: Operation, made: Made) -> str:
        for _, each in made.into:
            if isinstance(each, int | float):
                raise Unread(f"{self._said(node)} with the number {each:g}")
        sources = [(port, self._at(each)) for port, each in made.into]
        path, _ = place_of(node)
        block = path.rpartition(".")[0] if is_leaf(node) else path
        wanted = path if is_leaf(node) else ".".join(filter(None, [path, made.layer]))
        id = self._add(wanted, made, block)
        self._join(id, sources)
        for suffix, tensor in made.weights.items():
            if tensor is not None:
                self._weigh(id, suffix, tensor)
        if made.layer == "batch_norm":
            self._weights[f"{id}.num_batches_tracked"] = self._counted(made)
        return id

    def _weigh(self, id: str, suffix: str, tensor: Operation) -> None:
        name = self._tensors.get(tensor.name)
        if name is None:
            raise Unread(f"weights that are computed ({tensor.name})")
        self._keep(id, suffix, name, self._tensor(name))

    def _keep(self, id: str, suffix: str, name: str, tensor: "torch.Tensor") -> None:
        """The weights of a node; by where they lie, for two names may be of one tensor."""
        if tensor.is_floating_point() and self._owners.setdefault(tensor.data_ptr(), id) != id:
            raise Unread(f"weights that two layers share ({name})")
        self._weights[f"{id}.{suffix}"] = tensor.detach().clone()

    def _tensor(self, name: str) -> "torch.Tensor":
        held = self._program.state_dict.get(name)
        found: torch.Tensor = self._program.constants[name] if held is None else held
        return found

    def _counted(self, made: Made) -> Any:
        import torch

        name = self._tensors[made.weights["running_mean"].name]
        counted = name.removesuffix("running_mean") + "num_batches_tracked"
        held = self._program.state_dict.get(counted)
        return torch.tensor(0) if held is None else held.detach().clone()

    def _at(self, node: Any) -> tuple[str, str]:
        if node in self._values:
            return self._values[node]
        if node in self._reasons:
            raise Unread(*self._reasons[node])
        if getattr(node, "name", "") in self._tensors:
            raise Unread(f"a tensor of its own among its data ({self._tensors[node.name]})")
        raise Unread(f"what {node} is")

    def _said(self, node: Operation) -> str:
        path, _ = place_of(node)
        op = str(node.target).removeprefix("aten.").removesuffix(".default")
        return f"{op} in {path!r}" if path else op

    def _add(self, wanted: str, made: Made, block: str = "") -> str:
        """A node more, called by its path within the block that it is in."""
        id = free(wanted, self._nodes)
        own = wanted.removeprefix(f"{block}.")
        name = ".".join(wanted.split(".")[-2:]) if own.isdigit() else own
        self._nodes[id] = Node(
            layer=made.layer,
            params=made.params,
            name="" if name == id else name[:200],
            group=self._group(block),
        )
        return id

    def _group(self, path: str) -> str:
        """The group of a block, made with those around it where they are not there yet."""
        if not path:
            return ""
        id = identifier(path)
        if id not in self._groups:
            block = self._module.get_submodule(path) if has(self._module, path) else None
            kind = f" ({type(block).__name__})" if block is not None else ""
            parent = self._group(path.rpartition(".")[0])
            self._groups[id] = NodeGroup(name=f"{path}{kind}"[:200], parent=parent)
        return id

    # ---- what is more than one rule --------------------------------------------------------

    def _reshaped(self, node: Operation, source: Operation) -> Made:
        shape = sizes_of(node)
        if not shape or shape[0] != sizes_of(source)[0] or not all(map(whole, shape[1:])):
            raise Unread(f"{self._said(node)} of rows")
        sizes = [int(each) for each in shape[1:]]
        if len(sizes) == 1:
            return Made("flatten", {}, [("in", source)])
        return Made("reshape", {"size": sizes}, [("in", source)])

    def _item(self, node: Operation) -> tuple[str, str]:
        parts, index = node.args
        op = str(parts.target)
        if parts in self._values:
            if index == 0:
                return self._values[parts]
            raise Unread(f"the second result of {self._said(parts)}")
        if op not in SPLITS:
            raise Unread(*self._reasons.get(parts, [self._said(parts)]))
        given = bound(parts)
        source, dim = given["self"], given["dim"]
        dim = dim + len(sizes_of(source)) if dim < 0 else dim
        if dim == 0:
            raise Unread(f"{self._said(parts)} of rows")
        if op == "aten.unbind.int":
            made = Made("take", {"dim": dim, "index": index}, [("in", source)])
        else:
            lengths = [int(each.shape[dim]) for each in parts.meta["val"]]
            made = Made(
                "slice",
                {"dim": dim, "start": sum(lengths[:index]), "length": lengths[index]},
                [("in", source)],
            )
        return self._new(node, made), "out"

    def _state(self, given: Given) -> bool:
        """Whether it takes the last layer's state of a recurrent layer that reads one way."""
        of = given["self"]
        if of.target is not operator.getitem or of.args[1] != 1 or of.args[0] not in self._values:
            return False
        node = self._nodes[self._values[of.args[0]][0]]
        one_way = node.layer in ("rnn", "lstm", "gru") and not node.params["bidirectional"]
        last = given["index"] in (-1, node.params.get("layers", 1) - 1)
        return one_way and given["dim"] == 0 and last

    def _whole(self, node: Operation) -> tuple[str, str] | None:
        """The node of a module that is one layer, though it computes by many operations."""
        stack = node.meta.get("nn_module_stack") or {}
        for key, (path, kind) in stack.items():
            rule = MODULES.get(
                kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
            )
            if rule is None or not has(self._module, path):
                continue
            if key not in self._blocks:
                try:
                    self._blocks[key] = self._block(key, path, rule)
                except Unread as unread:
                    self._blocks[key] = unread
            held = self._blocks[key]
            if isinstance(held, Unread):
                raise held
            return held
        return None

    def _block(
        self, key: str, path: str, rule: Callable[[Any], Made | None]
    ) -> tuple[str, str] | None:
        block = self._module.get_submodule(path)
        made = rule(block)
        if made is None:
            return None
        nodes = self._program.graph.nodes
        inside = [each for each in nodes if key in (each.meta.get("nn_module_stack") or {})]
        source = self._at(self._outside(inside))
        id = self._add(path, made, path.rpartition(".")[0])
        self._join(id, [(port, source) for port, _ in made.into])
        for suffix, tensor in block.state_dict().items():
            self._keep(id, suffix, f"{path}.{suffix}", tensor)
        return id, "out"

    def _join(self, id: str, sources: list[tuple[str, tuple[str, str]]]) -> None:
        for order, (port, (source, output)) in enumerate(sources):
            self._edges[f"{source}.{output}_{id}.{port}{order}"] = Edge(
                source=source, target=id, port=port, output=output, order=float(order)
            )

    def _outside(self, inside: list[Any]) -> Any:
        """The one tensor that operations take of what is around them."""
        own = set(inside)
        taken = {
            each
            for node in inside
            for each in node.all_input_nodes
            if each not in own and each in self._values and hasattr(each.meta["val"], "shape")
        }
        if len({self._values[each] for each in taken}) != 1:
            raise Unread(f"attention of {len(taken)} different sequences")
        return taken.pop()
