"""Intervals for shares and for the gap between groups, without simulation.

The percentile bootstrap of "highest minus lowest" covers far too little with several groups,
because the maximum is taken over noise. These do not: for two groups Newcombe's hybrid score
interval, for more a simultaneous one, which errs on the wide side.
"""

from collections.abc import Sequence
from statistics import NormalDist

LEVEL = 0.95


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The score interval of a share.

    Args:
        successes: 0..n.
        n: Rows, n >= 1.
        level: Coverage, 0..1.

    Returns:
        (low, high), both in 0..1.

    Example:
        >>> low, high = wilson(8, 10)
        >>> round(low, 3), round(high, 3)
        (0.49, 0.943)

    Source: Wilson, Probable Inference, JASA 22 (1927), 209-212.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    # At the ends the formula is exact up to rounding; the interval holds the share itself.
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))


def gap_interval(counts: Sequence[tuple[int, int]], level: float = LEVEL) -> tuple[float, float]:
    """The interval of the highest minus the lowest share among groups.

    Args:
        counts: (successes, n) of each group, n >= 1, at least two groups.
        level: Coverage, 0..1: at least this for more than two groups (Bonferroni).

    Returns:
        (low, high), both in 0..1.

    Source: Newcombe, Interval Estimation for the Difference Between Independent Proportions,
    Statistics in Medicine 17 (1998), method 10; for more than two groups Wilson intervals at
    1 - (1 - level) / k hold simultaneously (Bonferroni), and bound the gap.
    """
    if len(counts) == 2:
        (s1, n1), (s2, n2) = sorted(counts, key=lambda each: -each[0] / each[1])
        p1, p2 = s1 / n1, s2 / n2
        (l1, u1), (l2, u2) = wilson(s1, n1, level), wilson(s2, n2, level)
        low = p1 - p2 - ((p1 - l1) ** 2 + (u2 - p2) ** 2) ** 0.5
        high = p1 - p2 + ((u1 - p1) ** 2 + (p2 - l2) ** 2) ** 0.5
        # The gap has no sign: an interval that crosses 0 reaches down to 0.
        return max(0.0, low), min(1.0, max(high, -low))
    bounds = [wilson(s, n, 1 - (1 - level) / len(counts)) for s, n in counts]
    lows, highs = [each[0] for each in bounds], [each[1] for each in bounds]
    low = max(lows) - min(highs)
    high = max(highs) - min(lows)
    return max(0.0, low), min(1.0, high)
