"""A torch module as a graph: what `torch.export` sees of it, layer by layer.

The blocks of the module become groups, the paths of its submodules the nodes' ids and names. What
is read is built again and compared with the module before anybody gets it.
"""

import operator
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.core import Invalid, Limited

from ..build import build
from ..layers import enters, find_layer
from ..meaning import worked
from ..nodes import check_param
from ..programs import to_program
from ..tensors import TYPES, Misfit, Tensor
from ..tensors import Given as Incoming
from ..types import Edge, Graph, Node, NodeGroup
from .functions import Function, function_of, is_tensor, sizes_of_value
from .places import free, has, identifier, is_leaf, laid_out, place_of
from .rules import (
    CASTS,
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
from .traces import Trace, says_rows

if TYPE_CHECKING:
    import torch
    from torch import nn

DEEPEST = 3
"""How often what an operation is made of is read in its place."""
CLOSE = 1e-6
"""How far what is built may be from the module, beside its largest answer."""
MOST_NODES = 5_000


@dataclass(frozen=True)
class Read:
    """A module, read.

    Attributes:
        graph: Its architecture.
        weights: What it learned, by the names of the built graph's `state_dict`.
        takes: Which of what goes into the module its input nodes are, in the order of their ids.
    """

    graph: Graph
    weights: "dict[str, torch.Tensor]"
    takes: tuple[int, ...]


def read_module(
    module: "nn.Module",
    given: "tuple[torch.Tensor, ...]",
    name: str = "network",
    rows: Sequence[bool] | None = None,
) -> Read:
    """The graph of a module.

    Args:
        module: A network that `torch.export` takes.
        given: An example of what goes into it, each [rows, …] with at least 2 rows; one row alone
            is doubled.
        name: What the graph is called.
        rows: Which of them are [rows, …]; the others have the sizes of the example for ever. All
            if None.

    Returns:
        The graph, in whose inference mode the outputs are the module's within 1e-6 of the largest.

    Raises:
        Invalid: It cannot be exported, or has a part that no layer computes; each is named.
        Limited: It has more than 5,000 operations.
    """
    import torch

    rows = tuple(True for _ in given) if rows is None else tuple(rows)
    given = tuple(
        torch.cat([each, each]) if wide and each.shape[:1] == (1,) else each
        for each, wide in zip(given, rows, strict=True)
    )
    before = {each: each.training for each in module.modules()}
    module.eval()
    try:
        try:
            program = to_program(module, given, rows)
        except Exception as error:  # torch raises some dozen classes, one per way to fail
            first = next((line for line in str(error).splitlines() if line.strip()), "")
            raise Invalid(
                f"torch.export cannot take this module: {first.strip().rstrip('.')[:300]}.",
                hint="Its forward may not branch on numbers, and takes any number of rows.",
            ) from error
        read = read_program(program, module, name)
        _check(read, module, given)
    finally:
        for each, training in before.items():
            each.training = training
    return read


def read_exported(program: Any, name: str = "network") -> Read:
    """The graph of a program that `torch.export` made, with the rows that it was made for.

    Args:
        program: A `torch.export.ExportedProgram` with its example inputs.
        name: What the graph is called.

    Raises:
        Invalid: It has no example, or a part that no layer and no function computes.
        Limited: It has more than 5,000 operations.
    """
    if program.example_inputs is None or program.example_inputs[1]:
        raise Invalid(
            "This program has no example of what goes into it, or takes some by name.",
            hint="Export the module again, with positional inputs.",
        )
    module = program.module()
    read = read_program(program, module, name)
    _check(read, module, tuple(program.example_inputs[0]))
    return read


def read_program(program: Any, module: "nn.Module", name: str) -> Read:
    """The graph of a program of torch, which nobody has compared yet.

    What no layer and no function computes is read by what it is made of.

    Args:
        program: A `torch.export.ExportedProgram`, or a `Trace`.
        module: Where it comes from: its submodules become groups.
        name: What the graph is called.

    Raises:
        Invalid: It has a part that no layer and no function computes.
        Limited: It has more than 5,000 operations.
    """
    if isinstance(program, Trace):
        return _Reader(program, module).read(name)
    if any(_is_mutable(node) and _is_view(node.args[0]) for node in program.graph.nodes):
        program = program.run_decompositions({})  # without changes in place
    for _ in range(DEEPEST):
        reader = _Reader(program, module)
        try:
            return reader.read(name)
        except Invalid:
            table = _made_of(reader.foreign)
            if not table:
                raise
            program = program.run_decompositions(table)
    return _Reader(program, module).read(name)


def _made_of(operations: set[Any]) -> dict[Any, Any]:
    import torch

    known = torch.export.default_decompositions()
    return {each: known[each] for each in operations if each in known}


def _check(read: Read, module: "nn.Module", given: "tuple[torch.Tensor, ...]") -> None:
    import torch

    built = _built(read)
    drawn = torch.Generator().manual_seed(0)
    shown = tuple(
        torch.randn(each.shape, generator=drawn).to(each) if each.is_floating_point() else each
        for each in given
    )
    with torch.no_grad():
        for rows in (given, shown):
            answer = module(*rows)
            wanted = answer if isinstance(answer, torch.Tensor) else next(iter(answer))
            _compare(wanted, built, tuple(each.cpu() for each in rows), CLOSE)


def compare(
    read: Read, given: "Sequence[torch.Tensor]", wanted: "torch.Tensor", close: float
) -> None:
    """Return if a graph with its weights answers as it should.

    Args:
        read: The graph.
        given: What goes in, in the order in which the module takes it.
        wanted: What should come out.
        close: How far it may be, beside the largest number that should.

    Raises:
        Invalid: It does not.
    """
    import torch

    with torch.no_grad():
        _compare(wanted, _built(read), given, close)


def _built(read: Read) -> "Callable[..., torch.Tensor]":
    """What a graph computes, of what goes in in the order in which the module takes it."""
    built = build(read.graph, *sizes_of_ends(read.graph)).eval()
    built.load_state_dict(read.weights, strict=True)
    return lambda *given: built(*(given[place] for place in read.takes))


def sizes_of_ends(graph: Graph) -> tuple[int, int]:
    """How many numbers a row has and the target needs, as the graph says; 1 if it does not."""
    return int(graph.data.get("features") or 1), int(graph.data.get("outputs") or 1)


def _compare(
    wanted: "torch.Tensor",
    built: "Callable[..., torch.Tensor]",
    given: "Sequence[torch.Tensor]",
    close: float,
) -> None:
    import torch

    hint = "Please tell us which module it was; until then it cannot be read."
    try:
        came, wanted = built(*given), wanted.cpu()
    except (RuntimeError, IndexError) as error:  # as torch says that sizes or places do not fit
        first = str(error).strip().partition("\n")[0].rstrip(".")[:200]
        raise Invalid(f"What was read of this module does not run: {first}.", hint=hint) from error
    if (came.shape, came.dtype) != (wanted.shape, wanted.dtype):
        raise Invalid(
            f"What was read of this module answers {came.dtype} {list(came.shape)}, "
            f"and it {wanted.dtype} {list(wanted.shape)}.",
            hint=hint,
        )
    if not came.numel():
        return
    one, other = came.double(), wanted.double()
    same = (one == other) | (one.isnan() & other.isnan())
    far = torch.where(same, 0.0, (one - other).abs()).amax().item()
    finite = other[other.isfinite()].abs()
    largest = finite.amax().item() if finite.numel() else 0.0
    if not far <= close * max(1.0, largest):
        raise Invalid(
            f"What was read of this module answers otherwise than it does, by {far:.2g}.",
            hint=hint,
        )


def _entrances(nodes: dict[str, Node]) -> list[str]:
    """The nodes where data comes in, in the order in which the module takes it."""
    return [id for id, node in nodes.items() if enters(node.layer)]


class _Reader:
    def __init__(self, program: Any, module: "nn.Module") -> None:
        self._program, self._module = program, module
        self._nodes: dict[str, Node] = {}
        self._edges: dict[str, Edge] = {}
        self._groups: dict[str, NodeGroup] = {}
        self._weights: dict[str, Any] = {}
        self._known: dict[tuple[str, str], Tensor] = {}
        """What comes out of the nodes."""
        self._places: dict[str, int] = {}
        """Of the input nodes: which of what goes in they are."""
        self._values: dict[Any, tuple[str, str]] = {}
        self._reasons: dict[Any, list[str]] = {}
        self._blocks: dict[str, tuple[str, str] | None] = {}
        self._own: dict[tuple[int, Any], str] = {}
        """The nodes of tensors that are data, by where they lie and their sizes."""
        signature = program.graph_signature
        self._learned = signature.inputs_to_parameters
        self._tensors: dict[Any, str] = {
            **self._learned,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        """Of the weights' placeholders: their names in the module."""
        self.foreign: set[Any] = set()
        """Operations that are neither a layer nor a function."""
        self._users: dict[int, set[Any]] = defaultdict(set)
        """Who uses the tensor at a place: two names may be of one."""

    def read(self, name: str) -> Read:
        nodes = list(self._program.graph.nodes)
        if len(nodes) > MOST_NODES:
            raise Limited(
                f"This module has {len(nodes):,} operations.", hint=f"At most {MOST_NODES:,}."
            )
        for node in nodes:
            if node.op == "placeholder" and node.name in self._tensors:
                self._users[self._tensor(node).data_ptr()] |= set(node.users)
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
        self._prune(last)
        data = self._table(answers[0], last)
        graph = Graph(
            name=name,
            nodes=self._nodes,
            edges=self._edges,
            groups=self._groups,
            layout=laid_out(self._nodes, self._edges, self._groups),
            data=data,
        )
        takes = tuple(self._places[id] for id in sorted(_entrances(self._nodes)))
        return Read(graph, self._weights, takes)

    # ---- ends ----------------------------------------------------------------------------

    def _entrance(self, node: Operation) -> None:
        value = node.meta["val"]
        if not is_tensor(value) or str(value.dtype).removeprefix("torch.") not in TYPES:
            raise Invalid(
                f"The input {node.name!r} is {getattr(value, 'dtype', value)}.",
                hint=f"A graph takes tensors of {', '.join(TYPES)}.",
            )
        tensor = sizes_of_value(value)
        rows = tensor.dims[:1] == ("B",)
        sizes = [each for each in tensor.dims[1 if rows else 0 :] if isinstance(each, int)]
        made = Made("tensor_input", {"size": sizes, "type": tensor.dtype, "rows": rows})
        words = self._words(node)
        if rows and tensor.dtype == "float32" and len(sizes) == 3:
            image = dict(zip(("channels", "height", "width"), sizes, strict=True))
            made = Made("image_input", image)
        elif rows and len(sizes) == 1 and words:
            made = Made("text_input", {"length": sizes[0], "vocabulary": words})
        called = node.meta.get("called", node.name)
        id = self._add(called, made, Incoming({}))
        self._values[node], self._places[id] = (id, "out"), len(self._places)

    def _words(self, node: Operation) -> int:
        """How large the vocabulary is, where whole numbers are words."""
        users = [each for each in node.users if _makes_tensors(each)]
        if not users or any(str(each.target) != "aten.embedding.default" for each in users):
            return 0
        return int(users[0].args[0].meta["val"].shape[0])

    def _table(self, answer: Operation, id: str) -> dict[str, Any]:
        """Where a row goes in and one dense layer answers, both ends are a table's."""
        entrances = _entrances(self._nodes)
        if not entrances:
            raise Invalid(
                "The answer does not depend on what goes in.", hint="A graph computes something."
            )
        first, last = self._nodes[entrances[0]], self._nodes[id]
        if len(entrances) > 1 or self._known[entrances[0], "out"].dims[:1] != ("B",):
            return {}
        size = first.params.get("size", [])
        if first.layer != "tensor_input" or first.params["type"] != "float32" or len(size) != 1:
            return {}
        if last.layer != "dense" or not last.params.get("bias", True) or len(answer.users) > 1:
            return {}
        if self._known[id, "out"].dims[1:] != (last.params["units"],):
            return {}
        self._nodes[entrances[0]] = first.model_copy(update={"layer": "input", "params": {}})
        self._nodes[id] = last.model_copy(update={"layer": "output", "params": {}})
        return {"features": size[0], "outputs": last.params["units"]}

    def _prune(self, answer: str) -> None:
        """Without what the answer does not need."""
        sources: dict[str, list[str]] = {id: [] for id in self._nodes}
        for edge in self._edges.values():
            sources[edge.target].append(edge.source)
        kept, left = {answer}, deque([answer])
        while left:
            for each in sources[left.popleft()]:
                if each not in kept:
                    kept.add(each)
                    left.append(each)
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
        if not _makes_tensors(node):
            return  # a size, or a check of one: whoever needs it finds it in the sizes
        if node.target is operator.getitem:
            self._values[node] = self._item(node)
            return
        whole = self._whole(node)
        if whole is not None:
            self._values[node] = whole
            return
        op = str(node.target)
        given = bound(node) if op.startswith("aten.") else {}
        if op in SAME or op in RESHAPES or op in CASTS or is_all(op, given):
            source = tensor_of(given)
            if source.meta["val"].dtype == node.meta["val"].dtype and (
                op in SAME or is_all(op, given) or sizes_of(source) == sizes_of(node)
            ):
                self._values[node] = self._at(source)
                return
        if op == "aten.select.int" and self._state(given):
            self._values[node] = (self._at(given["self"].args[0])[0], "last")
            return
        try:
            self._values[node] = self._layer(node, op, given), "out"
        except Unread:
            if not is_tensor(node.meta["val"]):
                return  # each of its results is a function of its own
            self._values[node] = self._function(node, function_of(node, node)), "out"
        if _is_mutable(node):
            # It changed its input, so whoever reads that from now on reads this.
            self._values[node.args[0]] = self._values[node]

    def _layer(self, node: Operation, op: str, given: Given) -> str:
        """The node of the layer that computes an operation."""
        if op in RESHAPES:
            return self._new(node, self._reshaped(node, tensor_of(given)))
        if op not in RULES or says_rows([node.args, node.kwargs]):
            raise Unread(self._said(node))
        try:
            return self._new(node, RULES[op](given))
        except Unread as unread:
            raise Unread(f"{self._said(node)} ({unread})") from unread

    def _new(self, node: Operation, made: Made) -> str:
        for _, each in made.into:
            if isinstance(each, int | float):
                raise Unread(f"with the number {each:g}")
        sources = [(port, self._at(each)) for port, each in made.into]
        held = {
            suffix: self._weight(each, {node})
            for suffix, each in made.weights.items()
            if each is not None
        }
        if made.layer == "batch_norm":
            held["num_batches_tracked"] = self._counted(made)
        value = node.meta["val"]
        wanted = sizes_of_value(value if is_tensor(value) else value[0])
        id = self._placed(node, made, sources, wanted)
        for suffix, tensor in held.items():
            self._weights[f"{id}.{suffix}"] = tensor
        return id

    def _function(self, node: Operation, function: Function) -> str:
        """The node of a function of torch, for which there is no layer."""
        if function.name is None:
            self.foreign.add(function.target)
            raise Unread(self._said(node))
        sources = [("in", self._at(each)) for each in function.into]
        try:
            params = function.params([self._known[at] for _, at in sources])
        except ValueError as error:
            raise Unread(f"{self._said(node)} ({error})") from error
        made = Made("operation", params)
        return self._placed(node, made, sources, function.gives, function.name)

    def _placed(
        self,
        node: Operation,
        made: Made,
        sources: list[tuple[str, tuple[str, str]]],
        wanted: Tensor,
        called: str = "",
    ) -> str:
        """A node more, of whose result it is known that it is what torch says of it."""
        ports: dict[str, tuple[Tensor, ...]] = defaultdict(tuple)
        for port, at in sources:
            tensor = self._known[at]
            if made.layer != "operation" and not all(map(whole, tensor.dims[1:])):
                raise Unread(f"rows in another place than the first, {tensor}")
            ports[port] += (tensor,)
        given = Incoming(dict(ports))
        found = _worked(made, given).outputs["out"]
        if (found.dims, found.dtype) != (wanted.dims, wanted.dtype):
            raise Unread(f"{wanted} where {made.layer} gives {found}")
        path, _ = place_of(node)
        block = path.rpartition(".")[0] if is_leaf(node) else path
        called = called or made.layer
        id = self._add(
            path if is_leaf(node) else ".".join(filter(None, [path, called])), made, given, block
        )
        self._join(id, sources)
        return id

    def _weight(self, node: Operation, users: set[Any]) -> "torch.Tensor":
        """A weight of a layer, which is nobody else's: torch's modules share none."""
        name = self._tensors.get(node.name)
        if name is None:
            raise Unread(f"weights that are computed ({node.name})")
        tensor = self._tensor(node)
        if tensor.numel() and self._users[tensor.data_ptr()] - users:
            raise Unread(f"weights that two share ({name})")
        return tensor.detach().clone()

    def _data(self, node: Operation) -> str:
        """The node of a tensor of the module's own that is among its data."""
        import torch

        name, tensor = self._tensors[node.name], self._tensor(node)
        key = (tensor.data_ptr() if tensor.numel() else id(tensor), tensor.shape)
        if key not in self._own:
            kind = str(tensor.dtype).removeprefix("torch.")
            if kind not in TYPES:
                raise Unread(f"{name}, of {kind}")
            learned = node.name in self._learned and kind == "float32"
            begin = "normal" if learned else "zeros"
            for word in ("zeros", "ones"):
                if torch.equal(tensor, getattr(torch, word)(()).to(tensor).expand_as(tensor)):
                    begin = word
            size = list(tensor.shape)
            params = {"size": size, "type": kind, "learned": learned, "begin": begin}
            made = Made("weight", params)
            path, _, _ = name.rpartition(".")
            block = path if has(self._module, path) else ""
            self._own[key] = self._add(name, made, Incoming({}), block)
            self._weights[self._own[key]] = tensor.detach().clone()
        return self._own[key]

    def _tensor(self, node: Operation) -> "torch.Tensor":
        name = self._tensors[node.name]
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
            self._values[node] = self._data(node), "out"
            return self._values[node]
        raise Unread(f"what {node} is")

    def _said(self, node: Operation) -> str:
        path, _ = place_of(node)
        op = str(node.target).removeprefix("aten.").removesuffix(".default")
        return f"{op} in {path!r}" if path else op

    def _add(self, wanted: str, made: Made, given: Incoming, block: str = "") -> str:
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
        for output, tensor in _worked(made, given).outputs.items():
            self._known[id, output] = tensor
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
        if not shape or shape[:1] != sizes_of(source)[:1] or not all(map(whole, shape[1:])):
            raise Unread(f"{self._said(node)} of rows")
        sizes = [int(each) for each in shape[1:]]
        if len(sizes) == 1 and len(sizes_of(source)) > 1:
            return Made("flatten", {}, [("in", source)])
        return Made("reshape", {"size": sizes}, [("in", source)])

    def _item(self, node: Operation) -> tuple[str, str]:
        parts, index = node.args
        if parts in self._values and index == 0:
            return self._values[parts]
        if parts in self._reasons:
            raise Unread(*self._reasons[parts])
        try:
            return self._new(node, self._part(node)), "out"
        except Unread:
            return self._function(node, function_of(parts, node, index)), "out"

    def _part(self, node: Operation) -> Made:
        parts, index = node.args
        op = str(parts.target)
        if op not in SPLITS:
            raise Unread(self._said(parts))
        given = bound(parts)
        source, dim = given["self"], given["dim"]
        dim = dim + len(sizes_of(source)) if dim < 0 else dim
        if dim == 0:
            raise Unread(f"{self._said(parts)} of rows")
        if op == "aten.unbind.int":
            return Made("take", {"dim": dim, "index": index}, [("in", source)])
        lengths = [each.shape[dim] for each in parts.meta["val"]]
        if not all(map(whole, lengths)):
            raise Unread(f"{self._said(parts)} of rows")
        return Made(
            "slice",
            {"dim": dim, "start": sum(lengths[:index]), "length": lengths[index]},
            [("in", source)],
        )

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
            if type(self._module.get_submodule(path)).__name__ != str(kind).rpartition(".")[2]:
                continue  # of a program that was kept only the weights are there
            if key not in self._blocks:
                try:
                    self._blocks[key] = self._block(key, path, rule)
                except Unread:
                    self._blocks[key] = None  # what is in it is read one by one
            held = self._blocks[key]
            if held is not None:
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
        ends = [each for each in inside if _makes_tensors(each) and set(each.users) - set(inside)]
        source = self._at(self._outside(inside))
        given = Incoming({port: (self._known[source],) for port, _ in made.into})
        found = _worked(made, given).outputs["out"]
        if len(ends) != 1 or sizes_of_value(ends[0].meta["val"]).dims != found.dims:
            raise Unread("a block with several results")
        held = {suffix: tensor.detach().clone() for suffix, tensor in block.state_dict().items()}
        for tensor in block.state_dict().values():
            if self._users[tensor.data_ptr()] - set(inside):
                raise Unread("a block whose weights others share")
        id = self._add(path, made, given, path.rpartition(".")[0])
        self._join(id, [(port, source) for port, _ in made.into])
        for suffix, tensor in held.items():
            self._weights[f"{id}.{suffix}"] = tensor
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


def _worked(made: Made, given: Incoming) -> Any:
    layer = find_layer(made.layer)
    try:
        for name, value in made.params.items():
            check_param("", layer, name, value)
        ports: dict[str, tuple[Tensor, ...]] = {each.name: () for each in layer.ports}
        node = Node(layer=made.layer, params=made.params)
        return worked(node, Incoming(ports | given.ports))
    except Invalid as error:
        raise Unread(f"{made.layer}: {error.hint}") from error
    except Misfit as misfit:
        raise Unread(f"{made.layer} needs {misfit.need}") from misfit


def _makes_tensors(node: Operation) -> bool:
    value = node.meta.get("val")
    return is_tensor(value) or (isinstance(value, list | tuple) and any(map(is_tensor, value)))


def _is_mutable(node: Any) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


def _is_view(node: Any) -> bool:
    """Whether what changes a tensor changes another with it."""
    schema = getattr(getattr(node, "target", None), "_schema", None)
    return schema is not None and any(
        each.alias_info is not None and not each.alias_info.is_write for each in schema.returns
    )
