"""Group fairness of decisions: what each group gets, and how far apart groups are.

The group metrics are fairlearn's; the intervals are ours (`intervals`).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from workbench.core import Invalid

from .intervals import gap_interval, wilson
from .types import Attribute, Group, Verdict

MISSING = "(missing)"
SMALL = 10
"""Groups with fewer rows are shown but not compared: no method tells anything about them."""
MOST_GROUPS = 40
BANDS = 4


def assess_attribute(
    name: str,
    groups: Sequence[str],
    decisions: Sequence[bool],
    truth: Sequence[bool],
    limit: float,
) -> Attribute:
    """How one sensitive attribute divides the decisions.

    Args:
        name: The attribute.
        groups: Group of each person, shape (n,), n >= 1.
        decisions: Favourable or not, shape (n,).
        truth: What was the case, shape (n,).
        limit: The largest acceptable gap, 0..1.

    Raises:
        Invalid: Fewer than two groups, or more than `MOST_GROUPS`.

    Source: demographic parity, Dwork et al., ITCS 2012; equalized odds, Hardt et al., NIPS 2016.
    """
    import numpy as np
    from fairlearn.metrics import (
        MetricFrame,
        count,
        equalized_odds_difference,
        false_positive_rate,
        selection_rate,
        true_positive_rate,
    )
    from sklearn.metrics import accuracy_score

    of = np.asarray(groups, dtype=object)
    decided, true = np.asarray(decisions, dtype=int), np.asarray(truth, dtype=int)
    found = sorted(set(groups))
    if not 2 <= len(found) <= MOST_GROUPS:
        raise Invalid(
            f"{name} divides these rows into {len(found)} groups.",
            hint=f"An attribute needs 2 to {MOST_GROUPS} groups; "
            "choose another one, or register the product with coarser values.",
        )
    frame = MetricFrame(
        metrics={
            "rows": count,
            "selection": selection_rate,
            "accuracy": accuracy_score,
            "tpr": true_positive_rate,
            "fpr": false_positive_rate,
        },
        y_true=true,
        y_pred=decided,
        sensitive_features=of,
    )
    figures = frame.by_group
    made = []
    for group in found:
        row = figures.loc[group]
        n = int(row["rows"])
        low, high = wilson(round(float(row["selection"]) * n), n)
        members = of == group
        made.append(
            Group(
                name=group,
                rows=n,
                selection_rate=float(row["selection"]),
                accuracy=float(row["accuracy"]),
                true_positive_rate=float(row["tpr"]) if true[members].any() else None,
                false_positive_rate=float(row["fpr"]) if not true[members].all() else None,
                low=low,
                high=high,
            )
        )
    compared = [each for each in made if each.rows >= SMALL]
    if len(compared) < 2:
        return Attribute(
            name=name,
            groups=made,
            gap=0.0,
            low=0.0,
            high=1.0,
            ratio=1.0,
            equalized_odds=None,
            verdict="too few to tell",
            sentence=f"By {name}: fewer than two groups have {SMALL} rows; nothing can be told.",
        )
    rates = [each.selection_rate for each in compared]
    gap = max(rates) - min(rates)
    low, high = gap_interval([(round(g.selection_rate * g.rows), g.rows) for g in compared])
    kept = np.isin(of, [each.name for each in compared])
    odds = _finite(
        equalized_odds_difference(true[kept], decided[kept], sensitive_features=of[kept])
    )
    verdict: Verdict = "pass" if high <= limit else "fail" if low > limit else "too few to tell"
    return Attribute(
        name=name,
        groups=made,
        gap=gap,
        low=low,
        high=high,
        ratio=min(rates) / max(rates) if max(rates) else 1.0,
        equalized_odds=odds,
        verdict=verdict,
        sentence=_sentence(name, compared, gap, low, high, limit, verdict, len(made)),
    )


def _sentence(
    name: str,
    groups: Sequence[Group],
    gap: float,
    low: float,
    high: float,
    limit: float,
    verdict: Verdict,
    all_groups: int,
) -> str:
    most = max(groups, key=lambda each: each.selection_rate)
    least = min(groups, key=lambda each: each.selection_rate)
    said = (
        f"By {name}: favourable decisions are {100 * gap:.0f} points rarer for {least.name} than "
        f"for {most.name} (95 % interval {100 * low:.0f} to {100 * high:.0f}; "
        f"the limit is {100 * limit:.0f})."
    )
    said += {
        "pass": " Within the limit.",
        "fail": " Beyond the limit, and not by chance.",
        "too few to tell": " Too few rows to tell which side of the limit it is on.",
    }[verdict]
    small = all_groups - len(groups)
    if small:
        said += f" {small} group{'s' if small > 1 else ''} under {SMALL} rows not compared."
    return said


def banded(values: Sequence[Any], kind: str) -> list[str]:
    """Group names for an attribute's values; numbers with many values become quartile bands.

    Example:
        >>> banded(["f", None, "m"], "category")
        ['f', '(missing)', 'm']
    """
    import numpy as np

    missing = [v is None or (isinstance(v, float) and np.isnan(v)) for v in values]
    present = [v for v, gone in zip(values, missing, strict=True) if not gone]
    if kind not in ("number", "integer") or len(set(present)) <= 2 * BANDS:
        return [MISSING if gone else _named(v) for v, gone in zip(values, missing, strict=True)]
    edges = np.unique(np.quantile(np.asarray(present, dtype=float), np.linspace(0, 1, BANDS + 1)))
    names = [
        f"{low:g} to {high:g}" if index == len(edges) - 2 else f"{low:g} to under {high:g}"
        for index, (low, high) in enumerate(pairwise(edges))
    ]
    last = len(names) - 1
    return [
        MISSING
        if gone
        else names[min(int(np.searchsorted(edges, float(v), side="right")) - 1, last)]
        for v, gone in zip(values, missing, strict=True)
    ]


def _named(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _finite(value: float) -> float | None:
    return float(value) if value == value else None
