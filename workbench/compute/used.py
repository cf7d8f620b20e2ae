"""The usage that the events of ended jobs tell, summed."""

from datetime import datetime

import sqlalchemy as sa

from workbench.core import FINISHED, Store
from workbench.core.events import events

from .types import Usage, Used


def used_since(store: Store, project: str, since: datetime) -> Usage:
    """What the jobs of a project have used that ended since a time."""
    query = sa.select(events.c.action, events.c.refs).where(
        events.c.project == project,
        events.c.at >= since.isoformat(),
        events.c.outcome.in_(FINISHED),
    )
    found: dict[str, Used] = {}
    with store.read() as connection:
        for action, refs in connection.execute(query):
            if "cpu_s" not in refs:
                continue
            before = found.get(action, Used(action=action, jobs=0, cpu_s=0.0, peak_mb=0.0))
            found[action] = Used(
                action=action,
                jobs=before.jobs + 1,
                cpu_s=round(before.cpu_s + refs["cpu_s"], 2),
                peak_mb=max(before.peak_mb, refs["peak_mb"]),
            )
    actions = sorted(found.values(), key=lambda each: (-each.cpu_s, each.action))
    return Usage(
        since=since,
        jobs=sum(each.jobs for each in actions),
        cpu_s=round(sum(each.cpu_s for each in actions), 2),
        peak_mb=max((each.peak_mb for each in actions), default=0.0),
        actions=actions,
    )
