"""A cell without memory says where it went."""

import os
from types import TracebackType
from typing import Any

from workbench import memory


def explain(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> list[str]:
    """Show a MemoryError as IPython does, and say under it what there is and what to do.

    Args:
        shell: IPython's.
        kind: The error's class.
        error: The error.
        trace: Its traceback.
        tb_offset: How many of its first frames are IPython's own.

    Returns:
        The lines shown.
    """
    lines: list[str] = shell.InteractiveTB.structured_traceback(
        kind, error, trace, tb_offset=tb_offset
    )
    own = "STUDIO_MEMORY" in os.environ
    lines = [*lines, "", *memory.told(shell.user_ns, own=own)]
    shell._showtraceback(kind, error, lines)
    return lines
