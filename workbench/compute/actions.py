"""A project's cluster, and what its jobs have used."""

from datetime import timedelta

from workbench.core import Context, Invalid, Page, action
from workbench.wire import MOST_WORKERS

from .ports import notebooks
from .types import Cluster, Usage
from .used import used_since

LONGEST_D = 3_650


@action(effect="read")
def list_clusters(ctx: Context, limit: int = 100, after: str | None = None) -> Page[Cluster]:
    """The Dask cluster of this project's notebooks, while there is one.

    Args:
        limit: At most how many.
        after: The `next` of the page before.
    """
    found = ctx.engine(notebooks).find(ctx.project)
    items = [found] if found and limit > 0 and (after is None or found.id > after) else []
    return Page(items=items, next=None)


@action(effect="write", undo="inverse:compute.scale")
def scale(ctx: Context, workers: int, most: int | None = None) -> Cluster:
    """Start the Dask cluster of this project's notebooks, make it larger or smaller, or end it.

    It lies beside the project's kernels, and ends when the last of them does. When this answers, it
    has been told; workers come and go within seconds.

    Args:
        workers: How many it has at any time, 0 to 64; 0 and no `most` ends it.
        most: How many it has where there is work for them; `workers` if absent.
    """
    most = workers if most is None else most
    if not 0 <= workers <= most <= MOST_WORKERS:
        raise Invalid(
            f"{workers} to {most} workers make no sense.",
            hint=f"0 to {MOST_WORKERS}, and most at least as many as workers.",
        )
    ctx.note(workers=workers, most=most)
    return ctx.engine(notebooks).scale(ctx.project, workers, most)


@action(effect="read")
def usage(ctx: Context, days: int = 30) -> Usage:
    """What this project's jobs have used: processor seconds, the most memory, by action.

    Of an attempt that was killed it is what was seen last, up to half a second before.

    Args:
        days: How many days back, each a whole one by UTC, 1 to 3,650.
    """
    if not 1 <= days <= LONGEST_D:
        raise Invalid(f"{days} days make no sense.", hint=f"1 to {LONGEST_D:,}.")
    today = ctx.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return used_since(ctx.store, ctx.project, today - timedelta(days=days))
