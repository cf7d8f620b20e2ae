"""Why a cell ended with its kernel, in sentences that its reader can act upon."""

import signal
from typing import Any

MIB = 1024 * 1024


def explained(
    code: int, expected: bool, peak: int, limit: int | None, *, own: bool = False
) -> dict[str, Any]:
    """What stands under a cell whose kernel ended while it ran: the content of an error message.

    Args:
        code: How the process ended; negative: by that signal.
        expected: Whether it was told to end.
        peak: The most memory it was seen to have, in bytes.
        limit: How much one process may have, in bytes; None: as much as the machine has.
        own: Whether the notebook says so, not the project.
    """
    if expected:
        return _error(
            "KernelStopped",
            "The kernel was shut down or restarted while this cell ran.",
            "What is above is what it had printed.",
        )
    used = f"It was seen to use up to {peak / MIB:,.0f} MiB"
    whose = "this notebook allows its kernel" if own else "a process of this project may have"
    allowed = f" of the {limit / MIB:,.0f} MiB that {whose}." if limit else "."
    if code == -signal.SIGKILL:
        return _error(
            "KernelKilled",
            "The kernel was killed from outside (SIGKILL), most often because the machine had no"
            " memory left.",
            used + allowed,
            "Work on fewer rows at a time, or ask an administrator for more memory. Variables are"
            " gone: run the notebook from the top.",
        )
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return _error(
            "KernelDied",
            f"The kernel was ended by {name}: compiled code of a package crashed.",
            used + allowed,
            "Variables are gone: run the notebook from the top. If it ends here again, look at what"
            " this cell calls last.",
        )
    return _error(
        "KernelDied",
        f"The kernel ended by itself, with exit code {code}.",
        "Code in this cell called exit, or a package did. Variables are gone.",
    )


def left_over() -> dict[str, Any]:
    """What stands under a cell whose kernel ended together with everything around it."""
    return _error(
        "KernelStopped",
        "The Studio, or this project's whole sandbox, ended while this cell ran.",
        "What is above is what it had printed. Run it again; what should outlive the Studio belongs"
        " into a job.",
    )


def _error(name: str, *sentences: str) -> dict[str, Any]:
    return {
        "ename": name,
        "evalue": sentences[0],
        "traceback": [f"\x1b[31m{name}\x1b[39m: {sentences[0]}", *sentences[1:]],
    }
