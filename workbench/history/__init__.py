"""History: what was committed in a project's folder, by whom, for anyone who may look at it.

The repository is git's, and whoever works in the project can put anything into it. So git never
runs on it outside a sandbox, and what it says there is checked like any other stranger's words.
"""

from .actions import get_commit, list_branches, list_commits
from .reading import notebook_at
from .types import Branch, CellChange, Commit, FileChange, Hunk

__all__ = [
    "Branch",
    "CellChange",
    "Commit",
    "FileChange",
    "Hunk",
    "get_commit",
    "list_branches",
    "list_commits",
    "notebook_at",
]
