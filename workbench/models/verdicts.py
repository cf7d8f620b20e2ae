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
    ahead, way = (estimator, sign) if sign * gap.value >= 0 else (best, -sign)
    low, high = sorted((way * gap.low, way * gap.high))
    by = f"{_plain(abs(gap.value))} (95 % {_plain(low)} to {_plain(high)})"
    opening = (
        f"{NAMES[metric]} {_told(mine[metric])} on {rows:,} untouched rows; "
        f"the best of the others, {best}, has {_told(figures(told[best])[metric])}"
    )
    if low > 0:
        advice = "; use that instead" if ahead == best else ""
        return f"{opening}: {ahead} is better by {by}, which is more than chance{advice}."
    simpler = best in SIMPLE and estimator not in SIMPLE
    advice = f", so the simpler {best} would do" if simpler else ""
    return f"{opening}: {ahead} is ahead by {by}, which could be chance{advice}."


def _told(figure: Figure) -> str:
    return f"{_plain(figure.value)} (95 % {_plain(figure.low)} to {_plain(figure.high)})"


def _plain(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1_000 else f"{number:.3g}"
