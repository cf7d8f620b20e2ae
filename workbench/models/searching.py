"""The space in which settings are searched, and what they make."""

from typing import TYPE_CHECKING, Any

from workbench.graphs import Graph, plain, suggest

from .settings import ESTIMATORS, NETWORK, Setting, Settings

if TYPE_CHECKING:
    import optuna

    from .preparing import Prepared

SEARCHED = ("network", *ESTIMATORS)
PATIENCE = 12
EPOCHS = 200


def space(estimator: str) -> tuple[Setting, ...]:
    """What is searched for an estimator; nothing if it has no settings."""
    return NETWORK if estimator == "network" else ESTIMATORS.get(estimator, ())


def proposed(estimator: str, trial: "optuna.Trial") -> dict[str, float]:
    """The settings that the search wants tried next."""
    return {
        each.name: trial.suggest_int(each.name, int(each.low), int(each.high), log=each.log)
        if each.whole
        else trial.suggest_float(each.name, each.low, each.high, log=each.log)
        for each in space(estimator)
    }


def distributions(estimator: str) -> dict[str, Any]:
    """The space as Optuna names it."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        each.name: IntDistribution(int(each.low), int(each.high), log=each.log)
        if each.whole
        else FloatDistribution(each.low, each.high, log=each.log)
        for each in space(estimator)
    }


def made_of(estimator: str, settings: Settings) -> tuple[Graph | None, Settings]:
    """The graph of a network, or what is set of another estimator."""
    settings = whole(estimator, settings)
    if estimator != "network":
        return None, settings
    graph = plain(
        int(settings["layers"]),
        int(settings["width"]),
        settings["dropout"],
        {
            "epochs": EPOCHS,
            "batch_size": int(settings["batch_size"]),
            "learning_rate": settings["learning_rate"],
            "weight_decay": settings["weight_decay"],
            "patience": PATIENCE,
        },
    )
    return graph, {}


def whole(estimator: str, settings: Settings) -> dict[str, float]:
    """The settings with whole numbers as such: JSON and Records do not tell them apart."""
    return {each.name: each.check(settings[each.name]) for each in space(estimator)}


def usual(prepared: "Prepared") -> dict[str, float]:
    """What training without a search takes, as near as the space has it."""
    estimator, aim = prepared.given.estimator, prepared.aim
    found: dict[str, float]
    if estimator == "network":
        graph = suggest(len(prepared.features.columns), len(aim.rows), aim.task)
        dense = [node for node in graph.nodes.values() if node.layer == "dense"]
        dropout = next(node for node in graph.nodes.values() if node.layer == "dropout")
        found = {
            "layers": len(dense),
            "width": dense[0].params["units"],
            "dropout": dropout.params["rate"],
            **{name: graph.training[name] for name in ("learning_rate", "weight_decay")},
            "batch_size": graph.training["batch_size"],
        }
    else:
        columns = len(prepared.features.names)
        found = {
            "learning_rate": 0.05,
            "num_leaves": 31 if len(prepared.parts.train) >= 2_000 else 7,
            "min_data_in_leaf": 20,
            "feature_fraction": 1.0,
            "lambda_l2": 0.0,
            "n_estimators": 200,
            "min_samples_leaf": 3,
            "max_features": columns**-0.5 if aim.task == "classification" else 1.0,
            "C": 1.0,
            "alpha": 1.0,
        }
    return whole(
        estimator,
        {each.name: min(max(found[each.name], each.low), each.high) for each in space(estimator)},
    )
