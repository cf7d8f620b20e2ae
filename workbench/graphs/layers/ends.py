"""Where data comes in, and where the answer goes out."""

from ..dims import total
from ..tensors import Given, Misfit, Tensor, Worked
from ..types import Layer, Parameter
from .kinds import IN, TYPE, Kind, Params, applied, each, floats, layer, size, whole, whole_each


def _table(given: Given, p: Params) -> Worked:
    return Worked({"out": Tensor(("B", given.features))})


def _image(given: Given, p: Params) -> Worked:
    dims = ("B", p["channels"], p["height"], p["width"])
    return Worked({"out": Tensor(dims, channels="first", seen=((1, 1), (1, 1)))})


def _sequence(given: Given, p: Params) -> Worked:
    return Worked({"out": Tensor(("B", p["length"], p["channels"]), channels="last")})


def _text(given: Given, p: Params) -> Worked:
    return Worked({"out": Tensor(("B", p["length"]), "int64", values=p["vocabulary"])})


def _tensor(given: Given, p: Params) -> Worked:
    rows = ("B",) if p["rows"] else ()
    return Worked({"out": Tensor((*rows, *each(p["size"], 1)), p["type"])})


def _output(given: Given, p: Params) -> Worked:
    x = given.x
    floats(x)
    if x.dims[0] != "B":
        raise Misfit("an answer for each row", "Connect what is made of the rows.")
    if len(x.dims) != 2:
        last = x.channels == "last" or len(x.dims) > 2
        raise Misfit(
            "one vector per row, [batch, numbers]",
            "Put a flatten or a global_avg_pool before it." if last else "Put a flatten before it.",
        )
    weights = size(x.dims[1], given.outputs)
    return applied(
        Tensor(("B", given.outputs)),
        "nn.Linear",
        x.dims[1],
        given.outputs,
        parameters=total([weights, given.outputs]),
        flops=size(2, weights),
    )


KINDS = (
    Kind(
        layer(
            "input",
            "Row of a table",
            "ends",
            "x = (standardised numbers, missing indicators, encoded categories), [B, F]",
            "Bishop (2006), 1.1 and 4.3, for standardising and one-of-K coding",
            "The row of the table, as numbers.",
            ports=(),
        ),
        _table,
    ),
    Kind(
        layer(
            "image_input",
            "Image",
            "ends",
            "x = pixels, [B, channels, height, width]",
            "LeCun et al. (1998), https://doi.org/10.1109/5.726791",
            "Images of one size, channels first.",
            whole("channels", 3, "1 for grey, 3 for red, green and blue.", maximum=4_096),
            whole("height", 32, "Rows of pixels.", unit="pixels"),
            whole("width", 32, "Columns of pixels.", unit="pixels"),
            ports=(),
        ),
        _image,
    ),
    Kind(
        layer(
            "sequence_input",
            "Sequence",
            "ends",
            "x = measurements in their order, [B, length, channels]",
            "Elman (1990), https://doi.org/10.1016/0364-0213(90)90002-E",
            "What was measured at each of so many moments, the oldest first.",
            whole("length", 32, "Moments.", maximum=1_000_000, unit="steps"),
            whole("channels", 1, "Numbers at each moment."),
            ports=(),
        ),
        _sequence,
    ),
    Kind(
        layer(
            "text_input",
            "Text",
            "ends",
            "x = numbers of words (tokens), [B, length], int64",
            "Bengio et al. (2003), https://www.jmlr.org/papers/v3/bengio03a.html",
            "Texts as numbers of a vocabulary; an embedding makes vectors of them.",
            whole("length", 128, "Words (tokens) of a text.", maximum=1_000_000, unit="tokens"),
            whole(
                "vocabulary",
                10_000,
                "How many different words (tokens) there are; they are numbered from 0.",
                maximum=10_000_000,
                unit="tokens",
            ),
            ports=(),
        ),
        _text,
    ),
    Kind(
        layer(
            "tensor_input",
            "Numbers",
            "ends",
            "x = numbers of any shape, [B, size…]",
            "Harris et al. (2020), https://doi.org/10.1038/s41586-020-2649-2",
            "What is neither a table, an image, a sequence nor a text: so many numbers per row.",
            whole_each(
                "size",
                [32],
                "Size of each dimension after the batch.",
                None,
                minimum=0,
                maximum=10_000_000,
                shortest=0,
            ),
            TYPE,
            Parameter(
                name="rows",
                type="boolean",
                default=True,
                meaning="Whether there are so many for each row; else once for all.",
            ),
            ports=(),
        ),
        _tensor,
    ),
    Kind(
        Layer(
            name="output",
            title="Answer",
            group="ends",
            ports=[IN],
            outputs=[],
            formula="y = W x + b, one number per class (softmax) or one number",
            source="Bridle (1990), https://doi.org/10.1007/978-3-642-76153-9_28, for the softmax",
            meaning="The target: a linear layer of the length the target needs.",
        ),
        _output,
    ),
)
