"""How a graph is trained: what its `training` may hold, in one table."""

from .types import Parameter


def _number(
    name: str, default: float, minimum: float, maximum: float, meaning: str, whole: bool = False
) -> Parameter:
    return Parameter(
        name=name,
        type="integer" if whole else "number",
        default=default,
        minimum=minimum,
        maximum=maximum,
        meaning=meaning,
    )


def _choice(name: str, choices: list[str], meaning: str) -> Parameter:
    return Parameter(name=name, type="choice", default=choices[0], choices=choices, meaning=meaning)


TRAINING: dict[str, Parameter] = {
    each.name: each
    for each in (
        _number("epochs", 200, 1, 10_000, "The most passes over the training rows.", True),
        _number("batch_size", 128, 1, 65_536, "Rows per step.", True),
        _choice(
            "loss",
            [
                "usual",
                "cross_entropy",
                "balanced_cross_entropy",
                "focal",
                "squared",
                "absolute",
                "huber",
            ],
            "What is made small. Of classes: cross-entropy (the usual), the same with rare classes "
            "counted more (King, Zeng (2001), https://doi.org/10.1093/oxfordjournals.pan.a004868), "
            "focal with γ = 2 (Lin et al. (2017), arXiv:1708.02002). Of numbers, in standard "
            "deviations of the target: squared (the usual), absolute, Huber's with δ = 1 "
            "(Huber (1964), https://doi.org/10.1214/aoms/1177703732).",
        ),
        _number(
            "label_smoothing",
            0.0,
            0.0,
            0.5,
            "Share of certainty that cross-entropy gives to all classes alike "
            "(Szegedy et al. (2016), arXiv:1512.00567).",
        ),
        _choice(
            "optimiser",
            ["adamw", "adam", "nadam", "radam", "rmsprop", "sgd"],
            "AdamW (Loshchilov, Hutter (2019), arXiv:1711.05101), Adam (Kingma, Ba (2015), "
            "arXiv:1412.6980), NAdam (Dozat (2016)), RAdam (Liu et al. (2020), arXiv:1908.03265), "
            "RMSprop (Hinton (2012)), or steps down the gradient with Nesterov's momentum "
            "(Sutskever et al. (2013), https://proceedings.mlr.press/v28/sutskever13.html).",
        ),
        _number("learning_rate", 0.002, 1e-7, 10.0, "How far a step goes."),
        _number("weight_decay", 0.005, 0.0, 10.0, "How much weights shrink with each step."),
        _number(
            "momentum", 0.9, 0.0, 0.999, "Of `sgd` and `rmsprop`: share of the last step kept."
        ),
        _choice(
            "schedule",
            ["plateau", "constant", "cosine", "linear"],
            "The learning rate over time: halved when the validation loss has not improved for a "
            "third of the patience, the same, or down to 0 over `epochs`, by half a cosine "
            "(Loshchilov, Hutter (2017), arXiv:1608.03983) or a straight line.",
        ),
        _number(
            "warmup",
            0,
            0,
            1_000,
            "Epochs over which the learning rate rises from a tenth (Goyal et al. (2017), "
            "arXiv:1706.02677); not with `plateau`.",
            True,
        ),
        _number(
            "gradient_norm",
            0.0,
            0.0,
            1_000.0,
            "The longest that all gradients together may be (Pascanu et al. (2013), "
            "https://proceedings.mlr.press/v28/pascanu13.html); 0 lets them.",
        ),
        _number("patience", 12, 1, 10_000, "Epochs without improvement before it stops.", True),
        _number("mixed_precision", 0, 0, 1, "1 computes with 16 bits where they are enough.", True),
    )
}
"""What `Graph.training` may hold: name → what it may be, and what it is when nobody says."""
