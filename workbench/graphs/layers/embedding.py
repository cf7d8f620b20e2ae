"""Vectors for words."""

from ..tensors import Given, Misfit, Tensor, Worked
from ..types import Parameter
from .kinds import Kind, Params, applied, layer, size, unless, whole


def _embedding(given: Given, p: Params) -> Worked:
    x = given.x
    if x.dtype != "int64" or not x.values:
        raise Misfit("numbers of words (int64)", "Put it right after a text_input.")
    return applied(
        Tensor((*x.dims, p["units"]), channels="last"),
        "nn.Embedding",
        x.values,
        p["units"],
        parameters=size(x.values, p["units"]),
        **unless(padding_idx=(0 if p["padding"] else None, None)),
    )


KINDS = (
    Kind(
        layer(
            "embedding",
            "Embedding",
            "embedding",
            "y = E[x], a row of a table that is learned",
            "Bengio et al. (2003), https://www.jmlr.org/papers/v3/bengio03a.html",
            "A vector for each word (token) of the vocabulary.",
            whole("units", 32, "Length of a word's vector.", unit="numbers"),
            Parameter(
                name="padding",
                type="boolean",
                default=False,
                meaning="Whether number 0 fills texts up: its vector stays zero.",
            ),
        ),
        _embedding,
    ),
)
