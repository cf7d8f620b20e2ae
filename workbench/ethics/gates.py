"""The gate: an alias that means people are affected needs a report that holds."""

from pathlib import Path

from workbench.core import Context
from workbench.models import Model
from workbench.models.ports import RELEASES

from .types import Gate, Report, reports

RULE = "A model in production has a fairness report on its own version, and it passes."


def decide(ctx: Context, model: Model, alias: str) -> Gate:
    """The gate's answer for a model and an alias, from the newest report on that version."""
    report = _newest_report(ctx, model) if alias in RELEASES else None
    reasons = _reasons(model, alias, report)
    return Gate(
        model=model.ref,
        alias=alias,
        allowed=not reasons,
        rule=RULE if alias in RELEASES else "No rule guards this alias.",
        reasons=reasons,
        report=report.id if report else None,
    )


def _reasons(model: Model, alias: str, report: Report | None) -> list[str]:
    if alias not in RELEASES:
        return []
    if report is None:
        return [f"{model.name}@{model.version} has no fairness report: assess it first."]
    if report.verdict == "pass":
        return []
    return [each.sentence for each in report.attributes if each.verdict != "pass"]


def _newest_report(ctx: Context, model: Model) -> Report | None:
    after: str | None = None
    while True:
        page = reports.page(ctx.store, ctx.project, limit=200, after=after)
        for report in page.items:
            if report.model == model.ref:
                return report
        if page.next is None:
            return None
        after = page.next


class EthicsGate:
    """The engine of the port `models.gates`."""

    def __init__(self, url: str, home: Path) -> None:
        pass

    def check(self, ctx: Context, model: Model, alias: str) -> Gate:
        """See the port's protocol."""
        return decide(ctx, model, alias)
