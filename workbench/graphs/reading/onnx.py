"""An ONNX file as a graph with its weights.

What a file says is turned into functions of torch by `onnx2fx`, watched while it runs, and read as
any module is. What was read answers as onnxruntime does, or is refused.
"""

import ast
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from workbench.core import Invalid

from ..build import build
from ..types import Graph
from .reader import Read, compare, read_program, sizes_of_ends
from .traces import Trace, trace

if TYPE_CHECKING:
    import torch
    from torch import fx

AS_ONNXRUNTIME = 1e-5
"""How far the answer may be from onnxruntime's, beside its largest: both compute with float32, in
another order."""
MOST_SIZES = 64
"""Whole numbers in one tensor that are taken for sizes."""
_LEAF = "torch.nn.modules.onnx"
"""As what an operator's scope is read: one layer."""
_PATHS, _KINDS = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
"""Where torch's exporter says which modules an operator is in."""
_BETWEEN_SAID = (
    "Add Sub Mul Div Pow Sqrt Reshape Transpose Concat Slice Gather Cast Unsqueeze Squeeze Flatten "
    "Where Equal Expand ReduceMean Split"
)
_BETWEEN = frozenset(_BETWEEN_SAID.split())
"""Operators that stand between the layers of a block."""
_SHAPES = ("Shape", "Size")
_SEED = 0


@dataclass(frozen=True)
class Input:
    """What goes into a file.

    Attributes:
        name: The file's.
        sizes: Of its dimensions; the rows' is 0.
        dtype: torch's.
    """

    name: str
    sizes: tuple[int, ...]
    dtype: "torch.dtype"

    @property
    def rows(self) -> bool:
        return self.sizes[:1] == (0,)

    def with_rows(self) -> "Input":
        """The same, for any number of rows."""
        return replace(self, sizes=(0, *self.sizes[1:]))

    def example(self, rows: int, seed: int) -> "torch.Tensor":
        """Numbers of that kind: normal, or 0 and 1."""
        import torch

        drawn = torch.Generator().manual_seed(seed)
        sizes = [
            rows if place == 0 and self.rows else each for place, each in enumerate(self.sizes)
        ]
        if self.dtype.is_floating_point:
            return torch.randn(sizes, generator=drawn).to(self.dtype)
        return torch.randint(2, sizes, generator=drawn).to(self.dtype)


def read_onnx(
    content: bytes, name: str = "network", answer: str = "", sizes: dict[str, int] | None = None
) -> Read:
    """The graph of an ONNX file.

    Args:
        content: The file, with its weights.
        name: What the graph is called.
        answer: Which output it is to have; needed where the file has several.
        sizes: How long the dimensions are that the file leaves open, but for the first: name →
            size.

    Raises:
        Invalid: It is no ONNX, holds what torch has not, depends on numbers where sizes are
            needed, or answers otherwise than onnxruntime does.
    """
    model = _model(content)
    place = _answer(model, answer)
    inputs = _inputs(model, sizes or {})
    module = _converted(model)
    _place(module, model)
    ways = [inputs]
    single = [each for each in inputs if each.sizes[:1] == (1,) and len(each.sizes) > 1]
    if single and not any(each.rows for each in inputs):
        # Most files that say one row mean any number of them; the comparison tells.
        wide = [each.with_rows() if each in single else each for each in inputs]
        ways = [wide, inputs]
    for way in ways[:-1]:
        with suppress(Invalid):
            return _read(_opened(model, way), module, way, place, name)
    return _read(content, module, ways[-1], place, name)


def told(content: bytes, key: str) -> str:
    """What an ONNX file says of itself under a key; empty if nothing, or if it is none."""
    props: dict[str, str] = {each.key: each.value for each in _model(content).metadata_props}
    return props.get(key, "")


def read_known(content: bytes, own: str) -> Read | None:
    """The graph that an ONNX file says it was made of, with the file's weights.

    Args:
        content: The file.
        own: That graph as JSON; anybody may have written it.

    Returns:
        None if it is none, or does not answer as the file does.

    Raises:
        Invalid: It is no ONNX.
    """
    import torch
    from onnx import numpy_helper

    try:
        graph = Graph.model_validate_json(own)
    except ValidationError:
        return None
    model = _model(content)
    held = {each.name: each for each in model.graph.initializer}
    size, outputs = sizes_of_ends(graph)
    try:
        built = build(graph, size, outputs)
        names = built.state_dict()
        weights = {
            name: torch.from_numpy(numpy_helper.to_array(held[name]).copy())
            if name in held
            else each
            for name, each in names.items()
            if name in held or name.endswith(".num_batches_tracked")
        }
        inputs = _inputs(model, {})
        given = tuple(each.example(2, _SEED + at) for at, each in enumerate(inputs))
        wanted = torch.from_numpy(_by_onnxruntime(content, inputs, given)[0])
        read = Read(graph, weights, tuple(range(len(inputs))))
        compare(read, given, wanted, AS_ONNXRUNTIME)
    except (Invalid, RuntimeError, KeyError):
        return None
    return read


def _opened(model: Any, inputs: list[Input]) -> bytes:
    """The file for any number of rows, though it says one."""
    import onnx

    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    rows = {each.name for each in inputs if each.rows}
    for each in opened.graph.input:
        if each.name in rows:
            each.type.tensor_type.shape.dim[0].dim_param = "rows"
    for each in opened.graph.output:
        each.type.tensor_type.ClearField("shape")
    del opened.graph.value_info[:]
    return bytes(opened.SerializeToString())


def _read(
    content: bytes, module: "fx.GraphModule", inputs: list[Input], place: int, name: str
) -> Read:
    import torch

    watched = _watched(module)

    def example(rows: int) -> "tuple[torch.Tensor, ...]":
        return tuple(each.example(rows, _SEED + at) for at, each in enumerate(inputs))

    def run(*given: "torch.Tensor") -> Any:
        with torch.no_grad():
            answers = watched.run(*given)
        return answers[place] if isinstance(answers, list | tuple) else answers

    try:
        found = _named(trace(run, example, [each.rows for each in inputs]), inputs)
    except Invalid:
        raise
    except Exception as error:  # whatever a network of a stranger runs into
        raise Invalid(
            f"This network cannot be followed: {_first(error)}.",
            hint="What it computes may depend on sizes, and not on the numbers themselves.",
        ) from error
    read = read_program(found, module, name)
    for rows in (2, 3) if any(each.rows for each in inputs) else (1,):
        given = example(rows)
        wanted = _by_onnxruntime(content, inputs, given)[place]
        compare(read, given, torch.from_numpy(wanted), AS_ONNXRUNTIME)
    return read


def _model(content: bytes) -> Any:
    import onnx
    from onnx.external_data_helper import _get_all_tensors, uses_external_data

    try:
        model = onnx.load_from_string(content)
        elsewhere = any(uses_external_data(each) for each in _get_all_tensors(model))
        if not elsewhere:
            onnx.checker.check_model(model)
    except Exception as error:  # protobuf and the checker have classes of their own
        raise Invalid(
            f"This is no ONNX file: {_first(error)}.", hint="Check it with onnx.checker."
        ) from error
    if elsewhere:
        raise Invalid(
            "This ONNX file keeps weights in other files.",
            hint="Write it with save_as_external_data=False: one file.",
        )
    return model


def _watched(module: "fx.GraphModule") -> Any:
    """What runs a converted file; of what it computes of sizes and constants nothing is seen."""
    from torch import fx
    from torch.fx import traceback
    from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

    fixed: set[Any] = set()
    sizes: set[Any] = set()

    class Watching(fx.Interpreter):
        def run_node(self, n: "fx.Node") -> Any:
            known = n.op == "call_function" and all(
                each in fixed or each in sizes for each in n.all_input_nodes
            )
            alone = known and all(each in fixed for each in n.all_input_nodes)
            if n.op == "get_attr" or alone:
                fixed.add(n)
                return self._unseen(n)
            if known or n.meta.get("onnx_op_type") in _SHAPES:
                came = self._unseen(n)
                if _is_sizes(came):
                    sizes.add(n)
                    return came
            with traceback.preserve_node_meta(), traceback.set_current_meta(n):
                return super().run_node(n)

        def _unseen(self, n: "fx.Node") -> Any:
            with disable_proxy_modes_tracing():
                return super().run_node(n)

    return Watching(module)


def _is_sizes(value: Any) -> bool:
    """Whether it is a few whole numbers, as sizes and what is computed of them are."""
    if not hasattr(value, "dtype"):
        return True
    few = value.dim() <= 1 and value.numel() <= MOST_SIZES
    return few and not value.is_floating_point()


def _place(module: "fx.GraphModule", model: Any) -> None:
    """Say of each operator which module it comes from, as exporters write it down."""
    told = {each.name: each for each in model.graph.node}
    for node in module.graph.nodes:
        name = str(node.meta.get("onnx_name", ""))
        path, kind = _scope(told[name]) if name in told else ("", "")
        node.meta["nn_module_stack"] = {path: (path, kind)} if path else {}


def _scope(operator: Any) -> tuple[str, str]:
    """Path and class of the module of an operator, which is one layer if its class is torch's."""
    props = {each.key: each.value for each in operator.metadata_props}
    try:
        paths = ast.literal_eval(props.get(_PATHS, "[]"))
        kinds = ast.literal_eval(props.get(_KINDS, "[]"))
        if len(paths) == len(kinds) > 1:
            return str(paths[-2]), str(kinds[-2])
    except (ValueError, SyntaxError, TypeError):
        return "", ""  # somebody else's words under torch's keys
    return path_of(operator.name), "" if operator.op_type in _BETWEEN else _LEAF


def path_of(name: str) -> str:
    """Where the module was that an operator came from.

    Example:
        >>> path_of("/layer1/layer1.0/conv1/Conv"), path_of("node_conv2d_1"), path_of("a.fc/Gemm")
        ('layer1.0.conv1', '', 'a.fc')
    """
    *scopes, _ = name.strip("/").split("/")
    path = ""
    for scope in scopes:
        path = scope if scope.startswith(f"{path}.") or not path else f"{path}.{scope}"
    return path


def _converted(model: Any) -> "fx.GraphModule":
    import onnx2fx

    from . import operators

    operators.register()
    try:
        module = onnx2fx.convert(model).eval()
    except Exception as error:  # every operator's conversion fails in its own way
        raise Invalid(
            f"This ONNX file cannot be read: {_first(error)}.",
            hint="Replace that operator, or read the module of torch that it came from.",
        ) from error
    return module.requires_grad_(False)


def _answer(model: Any, answer: str) -> int:
    names = [each.name for each in model.graph.output]
    if answer and answer not in names:
        raise Invalid(f"This file has no output {answer!r}.", hint=f"It has: {', '.join(names)}.")
    if not answer and len(names) > 1:
        raise Invalid(
            f"This file has {len(names)} outputs: {', '.join(names)}.",
            hint=f"A graph has one answer: say which, such as answer={names[0]!r}.",
        )
    return names.index(answer) if answer else 0


def _inputs(model: Any, sizes: dict[str, int]) -> list[Input]:
    import torch
    from onnx import helper

    held = {each.name for each in model.graph.initializer}
    found = []
    for each in model.graph.input:
        if each.name in held:
            continue
        if not each.type.HasField("tensor_type"):
            raise Invalid(
                f"The input {each.name!r} is no tensor.", hint="A graph takes tensors alone."
            )
        said = each.type.tensor_type
        try:
            kind = helper.tensor_dtype_to_np_dtype(said.elem_type)
            dtype = torch.from_numpy(np.zeros(0, kind)).dtype
        except (TypeError, KeyError, ValueError) as error:
            raise Invalid(
                f"The input {each.name!r} holds what torch has not.", hint="Use numbers."
            ) from error
        found.append(Input(each.name, _sizes(each.name, said.shape, sizes), dtype))
    return found


def _sizes(name: str, shape: Any, given: dict[str, int]) -> tuple[int, ...]:
    found = []
    for place, each in enumerate(shape.dim):
        called = each.dim_param or f"dimension {place}"
        if each.HasField("dim_value"):
            found.append(int(each.dim_value))
        elif called in given:
            found.append(int(given[called]))
        elif place == 0:
            found.append(0)
        else:
            raise Invalid(
                f"The input {name!r} leaves {called} open.",
                hint=f'Say how long it is, such as sizes={{"{called}": 128}}.',
            )
    return tuple(found)


def _by_onnxruntime(content: bytes, inputs: list[Input], given: Any) -> list[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        named = {each.name: rows.numpy() for each, rows in zip(inputs, given, strict=True)}
        return list(session.run(None, named))
    except Exception as error:  # onnxruntime raises a class of its own per fault
        raise Invalid(
            f"onnxruntime cannot run this file, so nothing can be compared: {_first(error)}.",
            hint="Check it with onnx.checker.",
        ) from error


def _named(found: Trace, inputs: list[Input]) -> Trace:
    """With the file's own names for what goes in."""
    places = [
        node
        for node in found.graph.nodes
        if node.op == "placeholder" and node.name not in found.constants
    ]
    for node, each in zip(places, inputs, strict=True):
        node.meta["called"] = re.sub(r"\W+", "_", each.name)
    return found


def _first(error: Exception) -> str:
    lines = [each.strip() for each in str(error).splitlines() if each.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]
