"""How much memory a part of a training may take: the same each time, however full it is now."""

from workbench import memory

MIB = 1024 * 1024
LIBRARIES = 800 * MIB
"""What torch, scikit-learn, LightGBM and MLflow hold of a limit whatever the rows are: half of it
is stacks of threads and what is set aside."""


def room() -> int:
    """The bytes that one estimator may take to learn from: half of what the libraries leave.

    The other half is for what is there besides: matrices, positions of rows, answers.
    """
    allowed = memory.allowed()
    return max(allowed - LIBRARIES, allowed // 16) // 2


def told() -> str:
    """What a job may hold, in words: `512 MiB`."""
    return f"{memory.allowed() / MIB:,.0f} MiB"
