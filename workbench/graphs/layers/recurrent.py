"""Layers that read a sequence step by step."""

from ..dims import Dim, total
from ..tensors import Call, Given, Into, Item, Result, Tensor, Worked
from ..types import Layer, Parameter, Port
from .kinds import IN, Kind, Params, sequence, size, unless, whole


def _recurrent(given: Given, p: Params, path: str, gates: int) -> Worked:
    length, channels = sequence(given.x)
    hidden, ways = p["hidden"], 2 if p["bidirectional"] else 1
    weights: list[Dim] = []
    biases = 0
    for depth in range(p["layers"]):
        into = channels if depth == 0 else hidden * ways
        weights.append(size(ways * gates * hidden, total([into, hidden])))
        biases += ways * gates * hidden * 2
    # An LSTM ends with (hidden, cell), the others with hidden alone: [layers · ways, B, hidden].
    state = Item(Item(Result(), 1), 0) if gates == 4 else Item(Result(), 1)
    last = (
        Call("torch.cat", ([Item(state, -2), Item(state, -1)],), {"dim": -1})
        if ways == 2
        else Item(state, -1)
    )
    between = p["dropout"] if p["layers"] > 1 else 0.0
    return Worked(
        {
            "out": Tensor((given.x.dims[0], length, hidden * ways), channels="last"),
            "last": Tensor((given.x.dims[0], hidden * ways)),
        },
        Call("self", (Into(),)),
        Call(
            path,
            (channels, hidden),
            unless(
                num_layers=(p["layers"], 1),
                nonlinearity=(p.get("activation", "tanh"), "tanh"),
                batch_first=(True, False),
                dropout=(between, 0.0),
                bidirectional=(p["bidirectional"], False),
            ),
        ),
        parts={"out": Item(Result(), 0), "last": last},
        parameters=total([*weights, biases]),
        flops=size(2, length, total(weights)),
    )


def _kind(
    name: str,
    title: str,
    path: str,
    gates: int,
    formula: str,
    source: str,
    meaning: str,
    *params: Parameter,
) -> Kind:
    return Kind(
        Layer(
            name=name,
            title=title,
            group="recurrent",
            ports=[IN],
            outputs=[
                Port(name="out", meaning="The state after each step, [B, length, hidden]."),
                Port(
                    name="last",
                    meaning="The state after the last step (of each direction), [B, hidden].",
                ),
            ],
            params=[
                whole("hidden", 32, "Length of the state.", unit="numbers"),
                whole("layers", 1, "How many, one reading the other.", maximum=64),
                Parameter(
                    name="bidirectional",
                    type="boolean",
                    default=False,
                    meaning="Whether another reads from the end; the state is twice as long "
                    "(Schuster, Paliwal (1997), https://doi.org/10.1109/78.650093).",
                ),
                Parameter(
                    name="dropout",
                    type="number",
                    default=0.0,
                    minimum=0.0,
                    maximum=0.95,
                    unit="share",
                    meaning="Share set to zero between layers while training; none if there is "
                    "one layer.",
                ),
                *params,
            ],
            formula=formula,
            source=source,
            meaning=meaning,
        ),
        lambda given, p: _recurrent(given, p, path, gates),
    )


KINDS = (
    _kind(
        "rnn",
        "Recurrent layer",
        "nn.RNN",
        1,
        "h[t] = tanh(W x[t] + b + U h[t-1] + c)",
        "Elman (1990), https://doi.org/10.1016/0364-0213(90)90002-E",
        "A state that each step of the sequence changes.",
        Parameter(
            name="activation",
            type="choice",
            default="tanh",
            choices=["tanh", "relu"],
            meaning="What the state goes through at each step.",
        ),
    ),
    _kind(
        "lstm",
        "LSTM",
        "nn.LSTM",
        4,
        "i, f, o = sigmoid(W x[t] + b + U h[t-1] + c), g = tanh(…), "
        "c[t] = f · c[t-1] + i · g, h[t] = o · tanh(c[t])",
        "Hochreiter, Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735",
        "A state with a memory that gates open and close.",
    ),
    _kind(
        "gru",
        "GRU",
        "nn.GRU",
        3,
        "r, z = sigmoid(W x[t] + b + U h[t-1] + c), n = tanh(W x[t] + b + r · (U h[t-1] + c)), "
        "h[t] = (1 - z) · n + z · h[t-1]",
        "Cho et al. (2014), arXiv:1406.1078",
        "As lstm, with fewer gates.",
    ),
)
