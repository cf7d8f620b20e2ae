"""The one table of layers: what an editor offers, what a check allows, what torch is built from.

A graph of this Studio works on tables: every tensor is a batch of vectors, and the size of a
node is the length of its vectors. Each entry says what a node may be given, how long its result
is, and which torch module computes it; torch itself is handed in, so that reading the table
imports nothing heavy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workbench.core import NotFound

from .types import Layer, Parameter

Params = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A layer of the table and how torch computes it.

    Attributes:
        layer: What people see.
        size: The length of the result, from the lengths of what comes in and the parameters.
        module: The torch module, from `torch.nn`, the length that comes in, the length that goes
            out and the parameters; None where `join` computes it.
        join: The name of a function of `torch` that joins what comes in; empty otherwise.
    """

    layer: Layer
    size: Callable[[list[int], Params], int]
    module: Callable[[Any, int, int, Params], Any] | None = None
    join: str = ""


def _same(sizes: list[int], params: Params) -> int:
    return sizes[0]


def _activation(
    name: str,
    torch_name: str,
    formula: str,
    source: str,
    meaning: str,
    *params: Parameter,
) -> Kind:
    renamed = {"slope": "negative_slope", "alpha": "alpha"}
    return Kind(
        Layer(
            name=name,
            group="activation",
            ports=["in"],
            params=list(params),
            formula=formula,
            source=source,
            meaning=meaning,
        ),
        _same,
        lambda nn, into, out, p: getattr(nn, torch_name)(
            **{renamed[key]: value for key, value in p.items()}
        ),
    )


_BIAS = Parameter(
    name="bias", type="boolean", default=True, meaning="Whether a constant is added per unit."
)
_EPS = Parameter(
    name="epsilon",
    type="number",
    default=1e-5,
    minimum=1e-12,
    maximum=0.1,
    meaning="Added to the variance, so that nothing is divided by zero.",
)

_KINDS = (
    Kind(
        Layer(
            name="input",
            group="ends",
            ports=[],
            formula="x = (standardised numbers, missing indicators, encoded categories)",
            source="Bishop (2006), 1.1 and 4.3, for standardising and one-of-K coding",
            meaning="The row of the table, as numbers.",
        ),
        lambda sizes, p: 0,
        lambda nn, into, out, p: nn.Identity(),
    ),
    Kind(
        Layer(
            name="output",
            group="ends",
            ports=["in"],
            formula="y = W x + b, one number per class (softmax) or one number",
            source="Bridle (1990), for the softmax",
            meaning="The target: a linear layer of the length the target needs.",
        ),
        lambda sizes, p: 0,
        lambda nn, into, out, p: nn.Linear(into, out),
    ),
    Kind(
        Layer(
            name="dense",
            group="weights",
            ports=["in"],
            params=[
                Parameter(
                    name="units",
                    type="integer",
                    default=32,
                    minimum=1,
                    maximum=16384,
                    unit="numbers",
                    meaning="Length of the result.",
                ),
                _BIAS,
            ],
            formula="y = W x + b",
            source="Rosenblatt (1958)",
            meaning="Every number of the result sees every number that comes in.",
        ),
        lambda sizes, p: int(p["units"]),
        lambda nn, into, out, p: nn.Linear(into, out, bias=p["bias"]),
    ),
    _activation("relu", "ReLU", "y = max(0, x)", "Nair, Hinton (2010)", "Lets the positive pass."),
    _activation(
        "leaky_relu",
        "LeakyReLU",
        "y = max(x, slope · x)",
        "Maas, Hannun, Ng (2013)",
        "As relu, and a little of the negative, so that no unit dies.",
        Parameter(
            name="slope",
            type="number",
            default=0.01,
            minimum=0.0,
            maximum=1.0,
            meaning="The slope left of zero.",
        ),
    ),
    _activation(
        "elu",
        "ELU",
        "y = x for x > 0, else alpha · (exp(x) - 1)",
        "Clevert, Unterthiner, Hochreiter (2016), arXiv:1511.07289",
        "Smooth left of zero, with a floor.",
        Parameter(
            name="alpha",
            type="number",
            default=1.0,
            minimum=0.0,
            maximum=10.0,
            meaning="The floor is -alpha.",
        ),
    ),
    _activation(
        "gelu",
        "GELU",
        "y = x · Phi(x), Phi the normal distribution function",
        "Hendrycks, Gimpel (2016), arXiv:1606.08415",
        "A smooth relu.",
    ),
    _activation(
        "silu",
        "SiLU",
        "y = x / (1 + exp(-x))",
        "Elfwing, Uchibe, Doya (2018), arXiv:1702.03118",
        "A smooth relu (swish).",
    ),
    _activation(
        "tanh", "Tanh", "y = tanh(x)", "LeCun et al. (1998)", "Squeezes into -1..1, around zero."
    ),
    _activation(
        "sigmoid", "Sigmoid", "y = 1 / (1 + exp(-x))", "Verhulst (1838)", "Squeezes into 0..1."
    ),
    Kind(
        Layer(
            name="dropout",
            group="regularisation",
            ports=["in"],
            params=[
                Parameter(
                    name="rate",
                    type="number",
                    default=0.1,
                    minimum=0.0,
                    maximum=0.95,
                    unit="share",
                    meaning="Share of the numbers set to zero at each training step.",
                )
            ],
            formula="training: y = x · m / (1 - rate), m ~ Bernoulli(1 - rate); else y = x",
            source="Srivastava et al. (2014)",
            meaning="Forgets some numbers while training, so that none is relied on alone.",
        ),
        _same,
        lambda nn, into, out, p: nn.Dropout(p["rate"]),
    ),
    Kind(
        Layer(
            name="batch_norm",
            group="regularisation",
            ports=["in"],
            params=[
                Parameter(
                    name="momentum",
                    type="number",
                    default=0.1,
                    minimum=0.0,
                    maximum=1.0,
                    unit="share",
                    meaning="How fast the running mean and variance follow the batches.",
                ),
                _EPS,
            ],
            formula="y = g · (x - mean(batch)) / sqrt(var(batch) + epsilon) + b",
            source="Ioffe, Szegedy (2015), arXiv:1502.03167",
            meaning="Keeps each number's mean and spread the same over a batch.",
        ),
        _same,
        lambda nn, into, out, p: nn.BatchNorm1d(into, eps=p["epsilon"], momentum=p["momentum"]),
    ),
    Kind(
        Layer(
            name="layer_norm",
            group="regularisation",
            ports=["in"],
            params=[_EPS],
            formula="y = g · (x - mean(x)) / sqrt(var(x) + epsilon) + b",
            source="Ba, Kiros, Hinton (2016), arXiv:1607.06450",
            meaning="Keeps each row's mean and spread the same.",
        ),
        _same,
        lambda nn, into, out, p: nn.LayerNorm(into, eps=p["epsilon"]),
    ),
    Kind(
        Layer(
            name="add",
            group="join",
            ports=["in"],
            many=True,
            formula="y = x1 + x2 + …",
            source="He et al. (2016), arXiv:1512.03385",
            meaning="The sum of vectors of one length: a residual connection.",
        ),
        _same,
        join="add",
    ),
    Kind(
        Layer(
            name="multiply",
            group="join",
            ports=["in"],
            many=True,
            formula="y = x1 · x2 · …",
            source="Dauphin et al. (2017), arXiv:1612.08083",
            meaning="The product, number by number, of vectors of one length: a gate.",
        ),
        _same,
        join="mul",
    ),
    Kind(
        Layer(
            name="concat",
            group="join",
            ports=["in"],
            many=True,
            formula="y = (x1, x2, …)",
            source="Huang et al. (2017), arXiv:1608.06993",
            meaning="Vectors one after the other.",
        ),
        lambda sizes, p: sum(sizes),
        join="cat",
    ),
)

KINDS: dict[str, Kind] = {kind.layer.name: kind for kind in _KINDS}

LAYERS: list[Layer] = [kind.layer for kind in _KINDS]


def find_layer(name: str) -> Layer:
    """The layer of that name.

    Raises:
        NotFound: The table has none.
    """
    if name not in KINDS:
        raise NotFound(f"There is no layer {name!r}.", hint=f"Known: {', '.join(KINDS)}.")
    return KINDS[name].layer
