"""What this process did, in numbers: how often, how long. Whoever watches reads them.

Reads and refusals are counted here and not written on the record one by one: a flood of forbidden
calls must not fill it. An observation costs about a microsecond and imports nothing.
"""

import threading
from bisect import bisect_left
from collections.abc import Sequence

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds for what somebody waits for, in seconds."""
TINY = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 1e-2, 0.1)
"""Bounds for what happens within a call, in seconds."""
LONG = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0)
"""Bounds for jobs, in seconds."""


class Histogram:
    """Durations, counted by labels and by bounds. Thread-safe.

    Args:
        name: What it is called where it is read.
        doc: What is measured.
        labels: The names of the labels.
        bounds: The upper bounds of the buckets, in seconds; one without a bound comes after.
    """

    def __init__(self, name: str, doc: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self.name, self.doc = name, doc
        self.labels, self.bounds = tuple(labels), tuple(bounds)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def observe(self, labels: tuple[str, ...], seconds: float) -> None:
        """Count a duration under the values of the labels."""
        at = bisect_left(self.bounds, seconds)
        with self._lock:
            counts = self._counts.get(labels)
            if counts is None:
                counts = self._counts[labels] = [0] * (len(self.bounds) + 1)
            counts[at] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + seconds

    def count(self, *labels: str) -> int:
        """How often something was observed under these values."""
        with self._lock:
            return sum(self._counts.get(labels, ()))

    def read(self) -> list[tuple[tuple[str, ...], list[int], float]]:
        """Labels, counts by bucket and the sum of seconds, of all that was observed."""
        with self._lock:
            return [(key, [*counts], self._sums[key]) for key, counts in self._counts.items()]


calls = Histogram("studio_action_seconds", "Calls through the door.", ("action", "outcome"), QUICK)
decisions = Histogram("studio_policy_seconds", "Decisions of the policy.", (), TINY)
transactions = Histogram("studio_store_seconds", "Transactions of the database.", ("kind",), TINY)
jobs = Histogram(
    "studio_job_seconds", "Jobs that ended, from their start.", ("action", "state"), LONG
)
