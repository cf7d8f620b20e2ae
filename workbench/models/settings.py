"""What can be set of an estimator besides its graph: names, ranges, what each is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.core import Invalid

Settings = Mapping[str, float]
"""Name → value; what is absent has its default."""


@dataclass(frozen=True)
class Setting:
    """A number that can be set, and where it is searched.

    Attributes:
        name: As its library calls it.
        low: The least value that is searched, and allowed.
        high: The largest one.
        whole: Whether it is a whole number.
        log: Whether its order of magnitude counts, rather than its value.
        meaning: What it does.
    """

    name: str
    low: float
    high: float
    meaning: str
    whole: bool = False
    log: bool = False

    def check(self, value: Any) -> float:
        """The value, if it can be one; Invalid otherwise."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            raise Invalid(
                f"{self.name} cannot be {value!r}.",
                hint=f"{kind} from {self.low:g} to {self.high:g}: {self.meaning}.",
            )
        return int(value) if self.whole else float(value)


ESTIMATORS: dict[str, tuple[Setting, ...]] = {
    "lightgbm": (
        Setting("learning_rate", 0.005, 0.5, "how much each tree corrects", log=True),
        Setting("num_leaves", 3, 255, "leaves of a tree", whole=True, log=True),
        Setting("min_data_in_leaf", 1, 500, "fewest rows of a leaf", whole=True, log=True),
        Setting("feature_fraction", 0.3, 1.0, "share of the columns that a tree sees"),
        Setting("lambda_l2", 1e-6, 100.0, "how much large leaves are pulled to zero", log=True),
    ),
    "forest": (
        Setting("n_estimators", 10, 1_000, "trees", whole=True, log=True),
        Setting("min_samples_leaf", 1, 200, "fewest rows of a leaf", whole=True, log=True),
        Setting("max_features", 0.1, 1.0, "share of the columns that a split sees"),
    ),
    "logistic": (
        Setting("C", 1e-4, 1e4, "the inverse of how much weights are pulled to zero", log=True),
    ),
    "linear": (Setting("alpha", 1e-4, 1e5, "how much weights are pulled to zero", log=True),),
}
"""Those of LightGBM and scikit-learn, by their names there."""

NETWORK = (
    Setting("layers", 1, 4, "hidden layers", whole=True),
    Setting("width", 8, 512, "numbers in each of them", whole=True, log=True),
    Setting("dropout", 0.0, 0.6, "share of them left out while it trains"),
    Setting("learning_rate", 1e-4, 0.03, "how far a step goes", log=True),
    Setting("weight_decay", 1e-5, 0.3, "how much weights are pulled to zero", log=True),
    Setting("batch_size", 32, 1_024, "rows of a step", whole=True, log=True),
)
"""What is searched for a network; trained alone, it has them in its graph."""


def checked_settings(estimator: str, settings: Settings) -> dict[str, float]:
    """The settings, whole numbers as such.

    Raises:
        Invalid: The estimator has no such setting, or not of that value.
    """
    known = {each.name: each for each in ESTIMATORS.get(estimator, ())}
    for name in settings:
        if name not in known:
            has = f"It has {', '.join(known)}." if known else "It has none."
            if estimator == "network":
                has = "A network's are in its graph, under `training`."
            raise Invalid(f"{estimator!r} has no setting {name!r}.", hint=has)
    return {name: known[name].check(value) for name, value in settings.items()}
