"""What a kernel of the Studio can besides: `%load_ext workbench`, loaded by itself in a project.

A cell that runs out of memory says where it went (`memory`).
"""

from typing import Any

from .memory import explain

__all__ = ["load"]


def load(shell: Any) -> None:
    """Add it to a shell of IPython's; doing so again changes nothing."""
    shell.set_custom_exc((MemoryError,), explain)
