"""Look at what was committed: branches, commits, one commit with what it changed."""

import re

from workbench.core import Context, Invalid, NotFound, Page, action

from . import reading
from .types import Branch, Commit

MOST = 100
"""Commits in a part of a list."""


@action(effect="read")
def list_branches(ctx: Context) -> Page[Branch]:
    """The branches of this project's repository, the one that changed last first; at most 200."""
    return Page(items=reading.branches(ctx.home, ctx.project))


@action(effect="read")
def list_commits(
    ctx: Context, path: str = "", branch: str = "", limit: int = 20, after: str | None = None
) -> Page[Commit]:
    """What was committed in this project, newest first: who, when, why, which files.

    Args:
        path: Only what changed this file, under this name.
        branch: The branch; the one that the project's files are of if empty.
        limit: At most how many, 1 to 100.
        after: The `next` of the page before.
    """
    if not 1 <= limit <= MOST:
        raise Invalid(f"{limit} commits cannot be listed.", hint=f"1 to {MOST} at once.")
    start, skip = "", 0
    if after is not None:
        if not re.fullmatch(r"[0-9a-f]{40,64}:\d{1,9}", after):
            raise Invalid(f"There is no part {after[:80]!r} of this list.", hint="Start anew.")
        start, _, number = after.partition(":")
        skip = int(number)
    head, found = reading.commits(
        ctx.home, ctx.project, path=path, branch=branch, start=start, skip=skip, limit=limit + 1
    )
    more = len(found) > limit
    return Page(items=found[:limit], next=f"{head}:{skip + limit}" if more else None)


@action(effect="read", on="id")
def get_commit(ctx: Context, id: str, path: str = "") -> Commit:
    """A commit with what it changed: lines of texts, and notebooks cell by cell.

    A merge is compared with the branch it was merged into. Outputs of cells are only said to have
    changed.

    Args:
        id: The commit's id, or the first 7 or more characters of it.
        path: Only this file.
    """
    if not re.fullmatch(r"[0-9a-f]{7,64}", id):
        raise NotFound(f"There is no commit {id[:80]!r}.", hint="See history.list_commits.")
    return reading.commit(ctx.home, ctx.project, id, path)
