"""Which layer of the table computes an operation of torch, or a module that is many of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Operation = Any
"""A node of `torch.fx`; its type says less than what is known of it here."""
Given = dict[str, Any]
"""The arguments of an operation by their names."""


class Unread(Exception):
    """Nothing in the table computes this; the arguments say what."""


@dataclass
class Made:
    """A layer that computes an operation."""

    layer: str
    params: dict[str, Any] = field(default_factory=dict)
    into: list[tuple[str, Any]] = field(default_factory=list)
    """Ports, and the operations that come into them."""
    weights: dict[str, Any] = field(default_factory=dict)


def bound(node: Operation) -> Given:
    """The arguments of an operation by their names, with those that it does not say."""
    target: Any = node.target
    found = {}
    for place, each in enumerate(target._schema.arguments):
        if place < len(node.args):
            found[each.name] = node.args[place]
        else:
            found[each.name] = node.kwargs.get(each.name, each.default_value)
    return found


def sizes_of(node: Any) -> list[Any]:
    return [each if whole(each) else str(each) for each in node.meta["val"].shape]


def weight_sizes(weight: Operation) -> tuple[int, ...]:
    """The sizes of what may be a weight: those follow from nothing."""
    sizes = weight.meta["val"].shape
    if not all(map(whole, sizes)):
        raise Unread("weights that are computed")
    return tuple(int(each) for each in sizes)


def whole(size: Any) -> bool:
    return isinstance(size, int)


def _short(sizes: Any) -> Any:
    """As the table has it: one number where all are the same."""
    if isinstance(sizes, int | str):
        return sizes
    return sizes[0] if len(set(sizes)) == 1 else list(sizes)


def _only(given: Given, **wanted: Any) -> None:
    for name, value in wanted.items():
        if given.get(name) != value:
            raise Unread(f"{name}={given.get(name)}")


def tensor_of(given: Given) -> Operation:
    """What an operation of one tensor works on."""
    return given.get("self", given.get("input"))


def _simple(layer: str, **params: str) -> Callable[[Given], Made]:
    """One tensor in; parameters by what torch calls them."""

    def made(given: Given) -> Made:
        said = {own: given[theirs] for own, theirs in params.items()}
        return Made(layer, said, [("in", tensor_of(given))])

    return made


def _joined(layer: str) -> Callable[[Given], Made]:
    def made(given: Given) -> Made:
        if given.get("alpha", 1) != 1:
            raise Unread(f"alpha={given['alpha']}")
        ports = ("in", "in") if layer in ("add", "multiply", "maximum") else ("in", "other")
        second = given.get("other", given.get("mat2"))
        return Made(layer, {}, [(ports[0], given["self"]), (ports[1], second)])

    return made


def _linear(given: Given) -> Made:
    units = weight_sizes(given["weight"])[0]
    return Made(
        "dense",
        {"units": units, "bias": given["bias"] is not None},
        [("in", given["input"])],
        {"weight": given["weight"], "bias": given["bias"]},
    )


def _conv(n: int) -> Callable[[Given], Made]:
    def made(given: Given) -> Made:
        shape = weight_sizes(given["weight"])
        return Made(
            f"conv{n}d",
            {
                "channels": shape[0],
                "kernel": _short(list(shape[2:])),
                **{each: _short(given[each]) for each in ("stride", "padding", "dilation")},
                "groups": given["groups"],
                "bias": given["bias"] is not None,
            },
            [("in", given["input"])],
            {"weight": given["weight"], "bias": given["bias"]},
        )

    return made


def _transposed(given: Given) -> Made:
    if given["groups"] != 1 or _short(given["dilation"]) != 1:
        raise Unread("a transposed convolution with groups or dilation")
    shape = weight_sizes(given["weight"])
    return Made(
        "conv_transpose2d",
        {
            "channels": shape[1],
            "kernel": _short(list(shape[2:])),
            **{each: _short(given[each]) for each in ("stride", "padding", "output_padding")},
            "bias": given["bias"] is not None,
        },
        [("in", given["input"])],
        {"weight": given["weight"], "bias": given["bias"]},
    )


def _norm(layer: str, *weights: str, **params: str) -> Callable[[Given], Made]:
    def made(given: Given) -> Made:
        missing = [each for each in weights if given.get(each) is None]
        if missing:
            raise Unread(f"{layer} without {missing[0]}")
        if len(given.get("normalized_shape", [0])) != 1:
            raise Unread(f"{layer} over {len(given['normalized_shape'])} dimensions")
        said = {own: given[theirs] for own, theirs in params.items()}
        return Made(layer, said, [("in", given["input"])], {each: given[each] for each in weights})

    return made


def _instance(given: Given) -> Made:
    if given["running_mean"] is not None or len(sizes_of(given["input"])) != 4:
        raise Unread("instance normalisation with running means, or not of images")
    weights = {each: given[each] for each in ("weight", "bias")}
    params = {"affine": given["weight"] is not None, "epsilon": given["eps"]}
    return Made("instance_norm2d", params, [("in", given["input"])], weights)


def _pool(layer: str) -> Callable[[Given], Made]:
    def made(given: Given) -> Made:
        _only(given, ceil_mode=False)
        if _short(given.get("dilation", 1)) != 1 or given.get("divisor_override") is not None:
            raise Unread(f"{layer} with dilation or a divisor")
        if not given.get("count_include_pad", True) and _short(given["padding"]) != 0:
            raise Unread(f"{layer} that does not count its padding")
        kernel = given["kernel_size"]
        return Made(
            layer,
            {
                "kernel": _short(kernel),
                "stride": _short(given["stride"] or kernel),
                "padding": _short(given["padding"]),
            },
            [("in", given["self"])],
        )

    return made


def _mean(layer: str) -> Callable[[Given], Made]:
    def made(given: Given) -> Made:
        rank = len(sizes_of(given["self"]))
        over = {each % rank for each in given["dim"] or []}
        if given["keepdim"] or rank < 3 or over != set(range(2, rank)):
            raise Unread(f"a mean or maximum over the dimensions {sorted(over)} of {rank}")
        return Made(layer, {}, [("in", given["self"])])

    return made


def _order(given: Given) -> Made:
    rank = len(sizes_of(given["self"]))
    order = [each % rank for each in given.get("dims") or range(rank)]
    if "dim0" in given:
        one, other = given["dim0"] % rank, given["dim1"] % rank
        order[one], order[other] = order[other], order[one]
    if order[0] != 0:
        raise Unread("an order of dimensions in which the rows are not first")
    return Made("permute", {"order": order[1:]}, [("in", given["self"])])


def _taken(given: Given) -> Made:
    if given["dim"] % len(sizes_of(given["self"])) == 0:
        raise Unread("one of the rows")
    return Made("take", {"dim": given["dim"], "index": given["index"]}, [("in", given["self"])])


def is_all(op: str, given: Given) -> bool:
    """Whether it takes a slice from the first to the last: `x[:, 0]` does so of the rows."""
    everything = (given.get("start") or 0, given.get("end"), given.get("step"))
    return op == "aten.slice.Tensor" and everything in ((0, None, 1), (0, 2**63 - 1, 1))


def _slice(given: Given) -> Made:
    source, dim = given["self"], given["dim"]
    sizes = sizes_of(source)
    start, end = given["start"] or 0, given["end"]
    length = sizes[dim]
    if given["step"] != 1 or dim % len(sizes) == 0 or not whole(length):
        raise Unread("some of the rows, or every so many")
    end = length if end is None else min(end, length)
    start, end = (each + length if each < 0 else each for each in (start, end))
    params = {"dim": dim % len(sizes), "start": start, "length": end - start}
    return Made("slice", params, [("in", source)])


def _concat(given: Given) -> Made:
    source = given["tensors"]
    rank = len(sizes_of(source[0]))
    if given["dim"] % rank == 0:
        raise Unread("rows of several tensors, one after the other")
    return Made("concat", {"dim": given["dim"] % rank}, [("in", each) for each in source])


def _embedding(given: Given) -> Made:
    if given["padding_idx"] not in (-1, 0):
        raise Unread(f"an embedding with padding_idx={given['padding_idx']}")
    units = weight_sizes(given["weight"])[1]
    return Made(
        "embedding",
        {"units": units, "padding": given["padding_idx"] == 0},
        [("in", given["indices"])],
        {"weight": given["weight"]},
    )


def _softplus(given: Given) -> Made:
    _only(given, threshold=20)
    return Made("softplus", {"beta": float(given["beta"])}, [("in", given["self"])])


def _softmax(layer: str) -> Callable[[Given], Made]:
    def made(given: Given) -> Made:
        _only(given, dtype=None)
        return Made(layer, {"dim": given["dim"]}, [("in", given["self"])])

    return made


def _gelu(given: Given) -> Made:
    _only(given, approximate="none")
    return Made("gelu", {}, [("in", given["self"])])


def _elu(given: Given) -> Made:
    _only(given, scale=1, input_scale=1)
    return Made("elu", {"alpha": float(given["alpha"])}, [("in", given["self"])])


def _prelu(given: Given) -> Made:
    shared = weight_sizes(given["weight"])[0] == 1
    return Made("prelu", {"shared": shared}, [("in", given["self"])], {"weight": given["weight"]})


def _recurrent(layer: str, **params: Any) -> Callable[[Given], Made]:
    def made(given: Given) -> Made:
        weights, ways = given["params"], 2 if given["bidirectional"] else 1
        if not (given["has_biases"] and given["batch_first"]):
            raise Unread(f"{layer} without biases, or with the steps before the rows")
        if len(weights) != 4 * ways * given["num_layers"]:
            raise Unread(f"{layer} with a projection")
        states = given["hx"] if isinstance(given["hx"], list | tuple) else [given["hx"]]
        if any(str(each.target) != "aten.zeros.default" for each in states):
            raise Unread(f"{layer} that begins with a state")
        names = [
            f"{name}_l{depth}{'_reverse' * way}"
            for depth in range(given["num_layers"])
            for way in range(ways)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        return Made(
            layer,
            {
                "hidden": weight_sizes(weights[1])[1],
                "layers": given["num_layers"],
                "bidirectional": given["bidirectional"],
                "dropout": float(given["dropout"]) if given["num_layers"] > 1 else 0.0,
                **params,
            },
            [("in", given["input"])],
            dict(zip(names, weights, strict=True)),
        )

    return made


def _attention(block: Any) -> Made | None:
    if not block.batch_first or block.bias_k is not None or block.in_proj_bias is None:
        return None
    if block.in_proj_weight is None or block.add_zero_attn:
        return None
    params = {"heads": block.num_heads, "dropout": float(block.dropout)}
    return Made("multihead_attention", params, [("query", None)])


def _encoder(block: Any) -> Made | None:
    import torch

    activation = {torch.nn.functional.relu: "relu", torch.nn.functional.gelu: "gelu"}.get(
        block.activation
    )
    own = _attention(block.self_attn)
    usual = block.norm1.eps == block.norm2.eps == 1e-5 and block.linear1.bias is not None
    if activation is None or own is None or not usual:
        return None
    params = {
        "heads": block.self_attn.num_heads,
        "feedforward": block.linear1.out_features,
        "dropout": float(block.dropout.p),
        "activation": activation,
        "norm_first": block.norm_first,
    }
    return Made("transformer_encoder_layer", params, [("in", None)])


MODULES: dict[str, Callable[[Any], Made | None]] = {
    "torch.nn.modules.activation.MultiheadAttention": _attention,
    "torch.nn.modules.transformer.TransformerEncoderLayer": _encoder,
}
"""Modules that are one layer of the table, though they compute by many operations."""

RULES: dict[str, Callable[[Given], Made]] = {
    "aten.linear.default": _linear,
    "aten.conv1d.default": _conv(1),
    "aten.conv1d.padding": _conv(1),
    "aten.conv2d.default": _conv(2),
    "aten.conv2d.padding": _conv(2),
    "aten.conv3d.default": _conv(3),
    "aten.conv3d.padding": _conv(3),
    "aten.conv_transpose2d.input": _transposed,
    "aten.batch_norm.default": _norm(
        "batch_norm",
        *("weight", "bias", "running_mean", "running_var"),
        momentum="momentum",
        epsilon="eps",
    ),
    "aten._native_batch_norm_legit_no_training.default": _norm(
        "batch_norm",
        *("weight", "bias", "running_mean", "running_var"),
        momentum="momentum",
        epsilon="eps",
    ),
    "aten.layer_norm.default": _norm("layer_norm", "weight", "bias", epsilon="eps"),
    "aten.group_norm.default": _norm(
        "group_norm", "weight", "bias", groups="num_groups", epsilon="eps"
    ),
    "aten.instance_norm.default": _instance,
    "aten.rms_norm.default": _norm("rms_norm", "weight", epsilon="eps"),
    **{
        f"aten.{name}.default": _simple(layer)
        for layer, names in {
            "relu": ("relu", "relu_"),
            "silu": ("silu", "silu_"),
            "mish": ("mish", "mish_"),
            "hardswish": ("hardswish", "hardswish_"),
            "tanh": ("tanh", "tanh_"),
            "sigmoid": ("sigmoid", "sigmoid_"),
        }.items()
        for name in names
    },
    "aten.leaky_relu.default": _simple("leaky_relu", slope="negative_slope"),
    "aten.leaky_relu_.default": _simple("leaky_relu", slope="negative_slope"),
    "aten.softplus.default": _softplus,
    "aten.softmax.int": _softmax("softmax"),
    "aten.log_softmax.int": _softmax("log_softmax"),
    "aten.gelu.default": _gelu,
    "aten.elu.default": _elu,
    "aten.elu_.default": _elu,
    "aten.prelu.default": _prelu,
    "aten.dropout.default": _simple("dropout", rate="p"),
    "aten.dropout_.default": _simple("dropout", rate="p"),
    "aten.feature_dropout.default": _simple("dropout2d", rate="p"),
    "aten.max_pool1d.default": _pool("max_pool1d"),
    "aten.max_pool2d.default": _pool("max_pool2d"),
    "aten.avg_pool1d.default": _pool("avg_pool1d"),
    "aten.avg_pool2d.default": _pool("avg_pool2d"),
    "aten.adaptive_avg_pool2d.default": lambda given: Made(
        "adaptive_avg_pool2d", {"size": _short(given["output_size"])}, [("in", given["self"])]
    ),
    "aten.mean.dim": _mean("global_avg_pool"),
    "aten.amax.default": _mean("global_max_pool"),
    "aten.permute.default": _order,
    "aten.transpose.int": _order,
    "aten.select.int": _taken,
    "aten.slice.Tensor": _slice,
    "aten.cat.default": _concat,
    "aten.embedding.default": _embedding,
    **{
        f"aten.{name}": _joined(layer)
        for layer, names in {
            "add": ("add.Tensor", "add_.Tensor"),
            "multiply": ("mul.Tensor", "mul_.Tensor"),
            "subtract": ("sub.Tensor",),
            "maximum": ("maximum.default",),
            "matmul": ("matmul.default", "bmm.default"),
        }.items()
        for name in names
    },
    "aten.lstm.input": _recurrent("lstm"),
    "aten.gru.input": _recurrent("gru"),
    "aten.rnn_tanh.input": _recurrent("rnn", activation="tanh"),
    "aten.rnn_relu.input": _recurrent("rnn", activation="relu"),
}
"""Operations of torch that are one layer of the table: name → what it becomes."""

SAME = frozenset(
    f"aten.{each}.default"
    for each in ("clone", "contiguous", "detach", "detach_", "alias", "lift_fresh_copy")
)
"""Operations after which everything is as before."""
CASTS = frozenset(
    f"aten.{each}"
    for each in (
        "to.dtype",
        "to.dtype_layout",
        "to.device",
        "_to_copy.default",
        "type_as.default",
        "expand.default",
    )
)
"""Operations after which everything is as before, where type and sizes are."""
RESHAPES = frozenset(
    f"aten.{each}"
    for each in (
        "view.default",
        "_unsafe_view.default",
        "reshape.default",
        "flatten.using_ints",
        "unflatten.int",
        "squeeze.default",
        "squeeze.dim",
        "squeeze.dims",
        "unsqueeze.default",
    )
)
"""Operations that give the same numbers in their order."""
SPLITS = frozenset(
    f"aten.{each}"
    for each in (
        "chunk.default",
        "split.Tensor",
        "split.default",
        "split_with_sizes.default",
        "split.sizes",
        "unbind.int",
    )
)
