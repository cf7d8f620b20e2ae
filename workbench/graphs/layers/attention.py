"""Layers in which every step of a sequence looks at every other."""

from dataclasses import replace
from typing import Any

from ..dims import Dim, differ, total
from ..tensors import (
    Attribute,
    Call,
    Chain,
    Constant,
    Given,
    Into,
    Item,
    Misfit,
    Result,
    Worked,
)
from ..types import Parameter, Port
from .kinds import Kind, Params, layer, sequence, size, unless, whole

_HEADS = whole(
    "heads", 4, "How many look at once, each at its share of the channels.", maximum=1_024
)
_CAUSAL = Parameter(
    name="causal",
    type="boolean",
    default=False,
    meaning="Whether a step sees only itself and those before it.",
)


def _dropout(meaning: str) -> Parameter:
    return Parameter(
        name="dropout",
        type="number",
        default=0.1,
        minimum=0.0,
        maximum=0.95,
        unit="share",
        meaning=meaning,
    )


def _heads(channels: Dim, heads: int) -> None:
    if isinstance(channels, int) and channels % heads:
        fits = max(each for each in range(1, heads + 1) if channels % each == 0)
        raise Misfit(
            f"channels that heads={heads} divides",
            f"Use heads={fits}, or a dense layer with units={-(-channels // heads) * heads} "
            "before it.",
        )


def _mask(length: Dim, port: str) -> Any:
    made = Call(
        "torch.ones",
        (length, length),
        {"dtype": Constant("torch.bool"), "device": Attribute(Into(port), "device")},
    )
    return Call("torch.triu", (made, 1))


def _products(queries: Dim, keys: Dim, channels: Dim) -> Dim:
    # Every query with every key, and the values by what comes of it.
    return size(4, queries, keys, channels)


def _attention(given: Given, p: Params) -> Worked:
    queries, channels = sequence(given.ports["query"][0])
    has_key, has_value = (bool(given.ports.get(port)) for port in ("key", "value"))
    if has_value and not has_key:
        raise Misfit("a key for its value", "Connect the port key, or only the port query.")
    key = "key" if has_key else "query"
    value = "value" if has_value else key
    keys, from_keys = sequence(given.ports[key][0])
    values, from_values = sequence(given.ports[value][0])
    if differ(keys, values):
        raise Misfit("as many values as keys", "Connect both with the same sequence.")
    _heads(channels, p["heads"])
    said: dict[str, Any] = {"need_weights": False}
    if p["causal"]:
        if differ(queries, keys):
            raise Misfit(
                "a query as long as the key for causal=true",
                "Set causal to false: an order of two different sequences means nothing.",
            )
        said |= {"attn_mask": _mask(queries, "query"), "is_causal": True}
    weights = [size(channels, each) for each in (channels, from_keys, from_values, channels)]
    return Worked(
        {"out": replace(given.ports["query"][0], channels="last", seen=())},
        Call("self", (Into("query"), Into(key), Into(value)), said),
        Call(
            "nn.MultiheadAttention",
            (channels, p["heads"]),
            unless(
                dropout=(p["dropout"], 0.0),
                kdim=(from_keys, channels),
                vdim=(from_values, channels),
                batch_first=(True, False),
            ),
        ),
        parts={"out": Item(Result(), 0)},
        parameters=total([*weights, size(4, channels)]),
        flops=total(
            [
                *(
                    size(2, steps, weight)
                    for steps, weight in zip((queries, keys, keys, queries), weights, strict=True)
                ),
                _products(queries, keys, channels),
            ]
        ),
    )


def _encoder(given: Given, p: Params) -> Worked:
    length, channels = sequence(given.x)
    _heads(channels, p["heads"])
    inner = p["feedforward"]
    said = {"src_mask": _mask(length, "in"), "is_causal": True} if p["causal"] else {}
    weights = total([size(4, channels, channels), size(2, inner, channels)])
    return Worked(
        {"out": replace(given.x, channels="last", seen=())},
        Call("self", (Into(),), said),
        Call(
            "nn.TransformerEncoderLayer",
            (channels, p["heads"]),
            unless(
                dim_feedforward=(inner, 2048),
                dropout=(p["dropout"], 0.1),
                activation=(p["activation"], "relu"),
                batch_first=(True, False),
                norm_first=(p["norm_first"], False),
            ),
        ),
        parameters=total([weights, size(9, channels), inner]),
        flops=total([size(2, length, weights), _products(length, length, channels)]),
    )


def _positions(given: Given, p: Params) -> Worked:
    length, channels = sequence(given.x)
    steps = Call("torch.arange", (length,), {"device": Attribute(Into(), "device")})
    return Worked(
        {"out": replace(given.x, channels="last")},
        Chain("torch.add", "+", (Into(), Call("self", (steps,)))),
        Call("nn.Embedding", (length, channels)),
        parameters=size(length, channels),
    )


KINDS = (
    Kind(
        layer(
            "multihead_attention",
            "Multi-head attention",
            "attention",
            "y = W concat over heads of softmax(Q K' / sqrt(channels / heads)) V",
            "Vaswani et al. (2017), arXiv:1706.03762",
            "Each step of the query takes what it needs of the value, where the key is like it. "
            "With the query alone, a sequence attends to itself.",
            _HEADS,
            _dropout("Share of the attention set to zero while training."),
            _CAUSAL,
            ports=(
                Port(name="query", meaning="The sequence that asks, [B, length, channels]."),
                Port(name="key", meaning="What is looked at; the query if absent.", optional=True),
                Port(name="value", meaning="What is taken; the key if absent.", optional=True),
            ),
        ),
        _attention,
    ),
    Kind(
        layer(
            "transformer_encoder_layer",
            "Transformer encoder layer",
            "attention",
            "y = norm(z + W2 act(W1 z)), z = norm(x + attention(x)); norms first if norm_first",
            "Vaswani et al. (2017), arXiv:1706.03762; norm_first: Xiong et al. (2020), "
            "arXiv:2002.04745",
            "Self-attention and two dense layers, each with a residual connection.",
            _HEADS,
            whole("feedforward", 128, "Length between its two dense layers.", maximum=65_536),
            _dropout("Share set to zero while training."),
            Parameter(
                name="activation",
                type="choice",
                default="gelu",
                choices=["relu", "gelu"],
                meaning="Between its two dense layers.",
            ),
            Parameter(
                name="norm_first",
                type="boolean",
                default=True,
                meaning="Whether to normalise before, which trains without a warm-up.",
            ),
            _CAUSAL,
        ),
        _encoder,
    ),
    Kind(
        layer(
            "positional_encoding",
            "Learned positions",
            "attention",
            "y[t] = x[t] + P[t], P learned",
            "Gehring et al. (2017), arXiv:1705.03122",
            "Tells attention where each step stands: without it, order means nothing.",
        ),
        _positions,
    ),
)
