"""Assess a model, find reports again, and ask the gate."""

from typing import Any

from workbench.core import (
    Context,
    Invalid,
    Job,
    Page,
    Share,
    action,
    new_id,
)
from workbench.models import Model, models

from .gates import decide
from .types import Gate, Report, Verdict, reports


@action(effect="job", undo="irreversible", on="model")
def assess(
    ctx: Context,
    model: str,
    product: str | None = None,
    sensitive: list[str] = [],  # noqa: B006
    limit: Share = 0.1,
    favourable: str = "",
    threshold: float | None = None,
    seed: int = 0,
) -> Job:
    """Measure how a model treats groups of people, and keep a report with a verdict.

    On the product the model was trained on, only its untouched test rows count; on another
    product, all rows. Groups of fewer than ten rows are shown, not compared.

    Args:
        model: Id, `id@version` or name of the model.
        product: What to assess on; what the model was trained on, if absent.
        sensitive: The columns to compare by; the product's sensitive columns, if absent.
        limit: The largest acceptable gap between groups' shares of favourable decisions, 0..1.
        favourable: The class that is good for the person; the model's positive class if absent.
        threshold: For a regression: predictions of at least this are favourable; the median of
            the predictions if absent.
        seed: Recorded with the report; the method needs no randomness.
    """
    from .fairness import assess_attribute
    from .rows import assessed_rows

    found = models.get(ctx.store, ctx.project, model)
    ctx.job.progress(0.1, "reading the rows")
    rows = assessed_rows(ctx, found, product, sensitive, favourable, threshold)
    ctx.job.progress(0.5, f"comparing groups on {len(rows.decisions):,} rows")
    attributes = []
    for name, groups in rows.groups.items():
        ctx.job.check()
        each = assess_attribute(name, groups, rows.decisions, rows.truth, limit)
        ctx.job.log(each.sentence)
        attributes.append(each)
    verdicts = {each.verdict for each in attributes}
    verdict: Verdict = (
        "fail" if "fail" in verdicts else "pass" if verdicts == {"pass"} else "too few to tell"
    )
    report = Report(
        id=new_id("rpt"),
        name=f"{found.name}@{found.version}",
        model=found.ref,
        product=rows.product,
        rows=len(rows.decisions),
        on=rows.on,
        limit=limit,
        attributes=attributes,
        verdict=verdict,
        summary=_summary(verdict, [each.sentence for each in attributes]),
        method=(
            f"Favourable: {rows.favourable}. Group metrics by fairlearn; Wilson intervals per "
            "group; the gap by Newcombe's hybrid score interval (two groups) or simultaneous "
            "Wilson bounds (more). 95 %."
        ),
        seed=seed,
        made_at=ctx.now(),
        made_by=str(ctx.actor),
    )
    ctx.stage(lambda tx: reports.put(tx, ctx.project, report))
    result: Any = {"report": report.id, "model": found.ref}
    return result  # type: ignore[no-any-return]


@action(effect="read", on="id")
def get_report(ctx: Context, id: str) -> Report:
    """A report made earlier in this project.

    Args:
        id: The report's id.
    """
    return reports.get(ctx.store, ctx.project, id)


@action(effect="read")
def list_reports(
    ctx: Context, model: str = "", limit: int = 50, after: str | None = None
) -> Page[Report]:
    """This project's reports, newest first.

    Args:
        model: Only those on this model: id or name for any version, `…@1` for one.
        limit: At most how many.
        after: The `next` of the page before.
    """
    if not 1 <= limit <= 1000:
        raise Invalid(f"A page of {limit} reports makes no sense.", hint="1 to 1000.")
    if not model:
        return reports.page(ctx.store, ctx.project, limit=limit, after=after)
    wanted = models.get(ctx.store, ctx.project, model)
    of = wanted.ref if "@" in model else wanted.id
    items: list[Report] = []
    while len(items) < limit:
        page = reports.page(ctx.store, ctx.project, limit=200, after=after)
        items += [r for r in page.items if of in (r.model, r.model.partition("@")[0])]
        if page.next is None:
            return Page(items=items[:limit], next=None)
        after = page.next
    return Page(items=items[:limit], next=items[limit - 1].id)


@action(effect="read", on="model")
def gate(ctx: Context, model: str, alias: str = "production") -> Gate:
    """Whether a model may get an alias now, and if not, what is missing.

    Args:
        model: Id, `id@version` or name of the model.
        alias: The alias it would get.
    """
    found: Model = models.get(ctx.store, ctx.project, model)
    return decide(ctx, found, alias)


def _summary(verdict: Verdict, sentences: list[str]) -> str:
    opening = {
        "pass": "No gap beyond the limit.",
        "fail": "A gap beyond the limit that is not chance.",
        "too few to tell": "Too few rows to say that every gap is within the limit.",
    }[verdict]
    return " ".join([opening, *sentences])
