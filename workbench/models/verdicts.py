"""Whether it was worth it: one honest sentence, by paired bootstrap."""

from .metrics import LARGER_IS_BETTER, Resampled, difference, figures
from .types import Figure

NAMES = {"auc": "AUC", "rmse": "RMSE", "accuracy": "accuracy"}
SIMPLE = ("majority", "mean", "logistic", "linear")


def judge(estimator: str, told: dict[str, Resampled], rows: int) -> str:
    """Compare a model with the best of those beside it.

    Args:
        estimator: The model; the other keys of `told` are beside it.
        told: Estimator → its metrics on the same resamples of the same rows.
        rows: How many untouched rows there were.
    """
    mine = figures(told[estimator])
    metric = next((each for each in NAMES if each in mine), None)
    others = [each for each in told if each != estimator and metric in told[each]]
    if metric is None or not others:
        return f"{rows:,} untouched rows are too few to measure it."
    sign = 1 if LARGER_IS_BETTER[metric] else -1
    best = max(others, key=lambda each: sign * float(told[each][metric][0]))
    gap = difference(told[best], told[estimator])[metric]
    low, high = sorted((sign * gap.low, sign * gap.high))
    turn = 1 if low > 0 or high >= 0 else -1
    ends = sorted((turn * low, turn * high))
    by = f"{_plain(turn * sign * gap.value)} (95 % {_plain(ends[0])} to {_plain(ends[1])})"
    opening = (
        f"{NAMES[metric]} {_told(mine[metric])} on {rows:,} untouched rows; "
        f"the best of the others, {best}, has {_told(figures(told[best])[metric])}"
    )
    if low > 0:
        return f"{opening}: {estimator} is better by {by}, which is more than chance."
    if high < 0:
        return f"{opening}: {best} is better by {by}, which is more than chance; use that instead."
    simpler = best in SIMPLE and estimator not in SIMPLE
    return (
        f"{opening}: an advantage of {by} could be chance"
        f"{f', so the simpler {best} would do' if simpler else ''}."
    )


def _told(figure: Figure) -> str:
    return f"{_plain(figure.value)} (95 % {_plain(figure.low)} to {_plain(figure.high)})"


def _plain(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1_000 else f"{number:.3g}"
