"""A product, a model, a report, a notebook: to be read, and a model to be released."""

import asyncio
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.responses import Response

from workbench.core import Invalid, WorkbenchError
from workbench.history import notebook_at
from workbench.models.ports import RELEASES
from workbench.security.policy import allows

from . import comments
from .notebooks import outlined, read_notebook
from .projects import framed, here, unknown
from .rendering import FEWEST, WIDE
from .visiting import Visit

ROWS = 50
ALIASES = ("production", "champion", "released", "challenger", "candidate", "archived")
"""What a model may be called, in the order they are offered."""


async def product(visit: Visit) -> Response:
    """A product: what it is, its rows, what its columns hold, its versions."""
    project = await here(visit)
    found = await visit.ask("data.get_product", {"id": _ref(visit)}, project.id)
    ref, show = f"{found.id}@{found.version}", visit.asked("show") or "preview"
    first = _whole(visit, "from", found.rows)
    start = _whole(visit, "column", len(found.columns))
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "preview": ("data.preview", {"product": ref, "limit": ROWS, "offset": first}),
        "profile": ("data.profile", {"product": ref}),
        "versions": ("data.versions", {"product": found.id}),
    }
    if show not in asked:
        raise Invalid(f"A product has no {show[:40]!r}.", hint="See its preview.")
    told = await visit.tried(asked[show][0], asked[show][1], project.id)
    return visit.page(
        "product.html",
        **framed(visit, project, "overview"),
        product=found,
        ref=ref,
        show=show,
        told=told,
        first=first,
        rows=ROWS,
        column=start,
        wide=WIDE,
    )


async def model(visit: Visit) -> Response:
    """A model: was it worth it, how good it is, how fair, what made it."""
    project = await here(visit)
    found = await visit.ask("models.get_model", {"id": _ref(visit)}, project.id)
    ref, alias = f"{found.id}@{found.version}", _alias(visit)
    reports, gate, source = await asyncio.gather(
        visit.tried("ethics.list_reports", {"model": ref}, project.id),
        visit.tried("ethics.gate", {"model": ref, "alias": alias}, project.id),
        visit.tried("data.get_product", {"id": found.product}, project.id)
        if found.product
        else _nothing(),
    )
    return visit.page(
        "model.html",
        **framed(visit, project, "overview"),
        model=found,
        ref=ref,
        reports=reports,
        gate=gate,
        alias=alias,
        aliases=ALIASES,
        releases=RELEASES,
        may=project.archived_at is None and allows(project.role, "models", "write", "promote"),
        source=None if isinstance(source, WorkbenchError) else source,
    )


async def change_model(visit: Visit) -> Response:
    """Give a model an alias; one that lets it loose on people needs a proof of who releases it."""
    project = await here(visit)
    if visit.asked("do") != "promote":
        raise unknown(visit.asked("do"))
    asked = {"model": _ref(visit), "alias": _alias(visit)}
    made = await visit.ask("models.promote", asked, project.id)
    place = f"projects/{project.id}/models/{made.id}@{made.version}"
    told = f"{made.name} version {made.version} is {asked['alias']} now."
    return visit.go(f"{place}?{urlencode({'alias': asked['alias']})}#release", told)


async def report(visit: Visit) -> Response:
    """A report: the verdict, each attribute, how it was measured."""
    project = await here(visit)
    found = await visit.ask("ethics.get_report", {"id": _ref(visit)}, project.id)
    about, source = await asyncio.gather(
        visit.tried("models.get_model", {"id": found.model}, project.id),
        visit.tried("data.get_product", {"id": found.product}, project.id),
    )
    weight = {"fail": 0, "too few to tell": 1, "pass": 2}
    ordered = sorted(found.attributes, key=lambda each: (weight[each.verdict], -each.gap))
    return visit.page(
        "report.html",
        **framed(visit, project, "overview"),
        report=found,
        attributes=[(each, _between(each)) for each in ordered],
        about=None if isinstance(about, WorkbenchError) else about,
        source=None if isinstance(source, WorkbenchError) else source,
    )


async def notebook(visit: Visit) -> Response:
    """A notebook with its outputs, in a frame of the project's own origin."""
    project = await here(visit)
    path, home = str(visit.request.path_params["path"]), visit.engines.settings.home
    kept = None
    # Read here too, so that what cannot be shown is said on a page and not in the frame.
    if visit.asked("commit"):
        kept = await visit.ask("history.get_commit", {"id": visit.asked("commit")}, project.id)
        data = await asyncio.to_thread(notebook_at, home, project.id, kept.id, path)
    else:
        data = await asyncio.to_thread(read_notebook, home, project.id, path)
    source = visit.view(project.id, path, kept.id if kept else "")
    where = urlsplit(source)
    cells = await outlined(data)
    return visit.page(
        "notebook.html",
        frames=f"{where.scheme}://{where.netloc}",
        follows=True,
        **framed(visit, project, "overview"),
        name=path,
        kept=kept,
        size=len(data),
        source=source,
        may_resolve=comments.may_resolve,
        may_delete=comments.may_delete,
        **await comments.about(visit, project, path, cells),
    )


def _ref(visit: Visit) -> str:
    return str(visit.request.path_params["ref"])


def _alias(visit: Visit) -> str:
    """The alias a form or an address names."""
    alias = visit.asked("alias") or ALIASES[0]
    if alias not in ALIASES:
        raise Invalid(f"No page gives the alias {alias[:40]!r}.", hint=f"{', '.join(ALIASES)}.")
    return alias


def _whole(visit: Visit, name: str, most: int) -> int:
    """A place in a table, of the address; the start of the page it is on."""
    given = visit.asked(name) or "0"
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        raise Invalid(f"{given[:40]!r} is no place in a table.", hint="Start at 0.")
    size = WIDE if name == "column" else ROWS
    at = min(int(given), max(0, most - 1))
    return at - at % size


def _between(attribute: Any) -> tuple[Any, Any] | None:
    """The groups with the highest and the lowest rate; None if fewer than two are compared."""
    groups = [each for each in attribute.groups if each.rows >= FEWEST]
    if len(groups) < 2:
        return None
    groups.sort(key=lambda each: -each.selection_rate)
    return groups[0], groups[-1]


async def _nothing() -> None:
    return None
