"""What a project's jobs have used."""

from datetime import timedelta

from workbench.core import Context, Invalid, action

from .types import Usage
from .used import used_since

LONGEST_D = 3_650


@action(effect="read")
def usage(ctx: Context, days: int = 30) -> Usage:
    """What this project's jobs have used: processor seconds, the most memory, by action.

    What an attempt used that was killed is not known, and not counted.

    Args:
        days: How many days back, each a whole one by UTC, 1 to 3,650.
    """
    if not 1 <= days <= LONGEST_D:
        raise Invalid(f"{days} days make no sense.", hint=f"1 to {LONGEST_D:,}.")
    today = ctx.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return used_since(ctx.store, ctx.project, today - timedelta(days=days))
