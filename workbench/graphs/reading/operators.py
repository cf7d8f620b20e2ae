"""Operators of ONNX that become one layer here, and one that `onnx2fx` reads wrongly."""

from typing import Any

GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""Of a recurrent layer of ONNX, in the order in which torch has them."""
_USUAL = {
    "LSTM": ["Sigmoid", "Tanh", "Tanh"],
    "GRU": ["Sigmoid", "Tanh"],
    "RNN": ["Tanh"],
}
_theirs: dict[str, Any] = {}


def register() -> None:
    """Tell `onnx2fx` of them; a second time changes nothing."""
    import onnx2fx

    for name, handler in (("Gemm", _gemm), ("MatMul", _matmul), ("Gather", _gather)):
        onnx2fx.register_op(name, handler)
    for name in GATES:
        if name not in _theirs:
            _theirs[name] = onnx2fx.op_registry.get_handler(name)
            for version in onnx2fx.op_registry.get_handler_versions(name):
                onnx2fx.register_op(name, _recurrent, since_version=version)


def _gemm(builder: Any, node: Any) -> Any:
    """α A B + β C: a dense layer where B and C are weights."""
    import torch
    from onnx2fx.utils.attributes import get_attribute
    from onnx2fx.utils.op_helpers import get_optional_input

    turned_a, turned_b = (bool(get_attribute(node, name, 0)) for name in ("transA", "transB"))
    alpha, beta = (float(get_attribute(node, name, 1.0)) for name in ("alpha", "beta"))
    added = get_optional_input(builder, node, 2)

    def run(a: Any, b: Any, c: Any) -> Any:
        a = a.t() if turned_a else a
        b = b if turned_b else b.t()
        made = torch.nn.functional.linear(a, b)
        made = made if alpha == 1 else made * alpha
        if c is None:
            return made
        return made + (c if beta == 1 else c * beta)

    values = [builder.get_value(each) for each in node.input[:2]]
    return builder.call_function(run, args=(*values, added))


def _matmul(builder: Any, node: Any) -> Any:
    """A B: a dense layer without a bias where B is a weight."""
    import torch

    def run(a: Any, b: Any) -> Any:
        if weights and a.dim() > 1:
            return torch.nn.functional.linear(a, b.t())
        return torch.matmul(a, b)

    held = builder.initializer_map.get(node.input[1])
    weights = held is not None and held.dim() == 2
    values = tuple(builder.get_value(each) for each in node.input)
    return builder.call_function(run, args=values)


def _gather(builder: Any, node: Any) -> Any:
    """Of a tensor those at some places: an embedding where the tensor is a weight."""
    import torch
    from onnx2fx.utils.attributes import get_attribute

    dim = int(get_attribute(node, "axis", 0))
    held, places = (builder.initializer_map.get(each) for each in node.input)
    words = held is not None and held.dim() == 2 and held.is_floating_point() and places is None

    def run(data: Any, index: Any) -> Any:
        if words and dim == 0 and index.dim() > 0:
            return torch.nn.functional.embedding(index, data)
        at = dim % data.dim()
        if places is not None and index.dim() == 0:
            return data.select(at, int(index))
        index = torch.where(index < 0, index + data.shape[at], index)
        sizes = [*data.shape[:at], *index.shape, *data.shape[at + 1 :]]
        return data.index_select(at, index.reshape(-1)).reshape(sizes)

    values = tuple(builder.get_value(each) for each in node.input)
    return builder.call_function(run, args=values)


def _recurrent(builder: Any, node: Any) -> Any:
    """A recurrent layer as torch computes it; what torch has not is left to `onnx2fx`."""
    import torch
    from onnx2fx.utils.attributes import get_attribute
    from onnx2fx.utils.op_helpers import get_optional_input

    kind, gates = node.op_type, GATES[node.op_type]
    both = _said(node, "direction", "forward") == "bidirectional"
    ways = 2 if both else 1
    activations = [each.decode() for each in get_attribute(node, "activations", []) or []]
    relu = kind == "RNN" and activations == ["Relu"] * ways
    usual = (activations in ([], _USUAL[kind] * ways) or relu) and _said(
        node, "direction", "forward"
    ) in ("forward", "bidirectional")
    usual = usual and not get_attribute(node, "layout", 0) and not get_attribute(node, "clip", 0.0)
    usual = usual and not get_attribute(node, "input_forget", 0)
    usual = usual and (kind != "GRU" or bool(get_attribute(node, "linear_before_reset", 0)))
    given = [get_optional_input(builder, node, place) for place in range(8)]
    if not usual or given[4] is not None or given[7] is not None:
        return _theirs[kind](builder, node)
    takes, into, back, bias, _, state, cell, _ = given

    def ordered(weights: Any) -> Any:
        parts = weights.chunk(len(gates), 0)
        return torch.cat([parts[each] for each in gates], 0)

    def run(x: Any, w: Any, r: Any, b: Any, h: Any, c: Any) -> Any:
        hidden = r.shape[-1]
        flat = []
        for way in range(ways):
            both_biases = (
                b[way] if b is not None else torch.zeros(2 * len(gates) * hidden, dtype=x.dtype)
            )
            flat += [ordered(w[way]), ordered(r[way])]
            flat += [ordered(each) for each in both_biases.chunk(2, 0)]
        first = [
            torch.zeros(ways, x.shape[1], hidden, dtype=x.dtype) if each is None else each
            for each in ((h, c) if kind == "LSTM" else (h,))
        ]
        said = (flat, True, 1, 0.0, False, both, True)
        steps = x.transpose(0, 1)
        if kind == "LSTM":
            out, *last = torch.lstm(steps, first, *said)
        elif kind == "GRU":
            out, *last = torch.gru(steps, first[0], *said)
        else:
            out, *last = (torch.rnn_relu if relu else torch.rnn_tanh)(steps, first[0], *said)
        if ways == 1:
            steps = out.transpose(0, 1).unsqueeze(1)
        else:
            steps = out.reshape(x.shape[1], x.shape[0], ways, hidden).permute(1, 2, 0, 3)
        return (steps, *last) if len(node.output) > 1 else steps

    return builder.call_function(run, args=(takes, into, back, bias, state, cell))


def _said(node: Any, name: str, default: str) -> str:
    from onnx2fx.utils.attributes import get_attribute

    value = get_attribute(node, name, default)
    return value.decode() if isinstance(value, bytes) else str(value)
