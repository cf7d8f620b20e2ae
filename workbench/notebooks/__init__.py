"""Notebooks that run as jobs: in the project's sandbox, with nobody there, as often as is wanted.

Their code is the project's people's own: what starts it (`running`) believes nothing it says but
for this project, and never loads it; what runs it (`inside`) is in the sandbox with it.
"""

from .actions import run

__all__ = ["run"]
