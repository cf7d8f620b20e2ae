"""Functions of each number, and of the numbers of one dimension."""

from typing import Any

from ..dims import Dim
from ..tensors import Given, Worked
from ..types import Parameter
from .kinds import Kind, Params, applied, axis, floats, layer, unless, whole


def _each(
    name: str,
    title: str,
    path: str,
    formula: str,
    source: str,
    meaning: str,
    parameter: Parameter | None = None,
    torch_name: str = "",
    usual: float = 1.0,
) -> Kind:
    def work(given: Given, p: Params) -> Worked:
        floats(given.x)
        said: dict[str, Any] = {}
        if parameter is not None:
            said = unless(**{torch_name: (p[parameter.name], usual)})
        return applied(given.x, path, **said)

    params = [parameter] if parameter else []
    return Kind(layer(name, title, "activation", formula, source, meaning, *params), work)


def _prelu(given: Given, p: Params) -> Worked:
    floats(given.x)
    count: Dim = 1 if p["shared"] else given.x.dims[1]
    return applied(given.x, "nn.PReLU", *(() if count == 1 else (count,)), parameters=count)


def _over(given: Given, p: Params, path: str) -> Worked:
    floats(given.x)
    axis(given.x, p["dim"])
    return applied(given.x, path, dim=p["dim"])


_DIM = whole(
    "dim", -1, "The dimension whose numbers add up to 1; -1 is the last.", minimum=-4, maximum=4
)

KINDS = (
    _each(
        "relu", "ReLU", "nn.ReLU", "y = max(0, x)", "Nair, Hinton (2010)", "Lets the positive pass."
    ),
    _each(
        "leaky_relu",
        "Leaky ReLU",
        "nn.LeakyReLU",
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
        "negative_slope",
        0.01,
    ),
    Kind(
        layer(
            "prelu",
            "Parametric ReLU",
            "activation",
            "y = max(0, x) + a · min(0, x), a learned",
            "He et al. (2015), arXiv:1502.01852",
            "As leaky_relu, with a slope that is learned.",
            Parameter(
                name="shared",
                type="boolean",
                default=True,
                meaning="One slope for all; otherwise one per number of dimension 1 (channels).",
            ),
        ),
        _prelu,
    ),
    _each(
        "elu",
        "ELU",
        "nn.ELU",
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
        "alpha",
    ),
    _each(
        "gelu",
        "GELU",
        "nn.GELU",
        "y = x · Phi(x), Phi the normal distribution function",
        "Hendrycks, Gimpel (2016), arXiv:1606.08415",
        "A smooth relu.",
    ),
    _each(
        "silu",
        "SiLU (swish)",
        "nn.SiLU",
        "y = x / (1 + exp(-x))",
        "Elfwing, Uchibe, Doya (2018), arXiv:1702.03118",
        "A smooth relu (swish).",
    ),
    _each(
        "mish",
        "Mish",
        "nn.Mish",
        "y = x · tanh(ln(1 + exp(x)))",
        "Misra (2019), arXiv:1908.08681",
        "A smooth relu with a small dip left of zero.",
    ),
    _each(
        "hardswish",
        "Hard swish",
        "nn.Hardswish",
        "y = x · min(max(x + 3, 0), 6) / 6",
        "Howard et al. (2019), arXiv:1905.02244",
        "Nearly silu, without an exponential: for small machines.",
    ),
    _each(
        "softplus",
        "Softplus",
        "nn.Softplus",
        "y = ln(1 + exp(beta · x)) / beta",
        "Dugas et al. (2001)",
        "A smooth relu that is always positive: for spreads and rates.",
        Parameter(
            name="beta",
            type="number",
            default=1.0,
            minimum=0.01,
            maximum=100.0,
            meaning="The larger, the nearer to relu.",
        ),
        "beta",
    ),
    _each(
        "tanh",
        "Hyperbolic tangent",
        "nn.Tanh",
        "y = tanh(x)",
        "LeCun et al. (1998)",
        "Squeezes into -1..1, around zero.",
    ),
    _each(
        "sigmoid",
        "Sigmoid",
        "nn.Sigmoid",
        "y = 1 / (1 + exp(-x))",
        "Verhulst (1838)",
        "Squeezes into 0..1.",
    ),
    Kind(
        layer(
            "softmax",
            "Softmax",
            "activation",
            "y[i] = exp(x[i]) / sum over j of exp(x[j])",
            "Bridle (1990), https://doi.org/10.1007/978-3-642-76153-9_28",
            "Shares that add up to 1. The output has its own: do not put one before it.",
            _DIM,
        ),
        lambda given, p: _over(given, p, "nn.Softmax"),
    ),
    Kind(
        layer(
            "log_softmax",
            "Logarithm of softmax",
            "activation",
            "y[i] = x[i] - ln(sum over j of exp(x[j]))",
            "Bridle (1990), https://doi.org/10.1007/978-3-642-76153-9_28",
            "The logarithms of such shares.",
            _DIM,
        ),
        lambda given, p: _over(given, p, "nn.LogSoftmax"),
    ),
)
