"""The story: every step is an action anybody could call; repeating it makes nothing twice."""

import time
from collections.abc import Callable
from importlib.resources import as_file, files
from typing import Any, Protocol

from workbench.core import Conflict, Record, Settings, Share
from workbench.projects.spaces import TOUR as PROJECT

TITLE = "Fair lending"
DESCRIPTION = "Boston mortgage applications of 1990: who was approved, and would a model be fair?"
TARGET = "decision"
LEFT_OUT = ["race", "insurance_denied"]
LIMIT: Share = 0.1


class Studio(Protocol):
    """What the tour needs of a client (see `workbench.api.client.Workbench`)."""

    project: str

    def call(self, name: str, request: dict[str, Any] | None = None, *, key: str = "") -> Any:
        """Call an action by name."""


class Made(Record):
    """One thing the tour made: its id, what it says, its figures."""

    id: str
    sentence: str
    figures: dict[str, Any]


class Tour(Record):
    """What the tour made."""

    project: str
    product: Made
    model: Made
    report: Made
    gate: Made
    job: Made
    events: Made
    elapsed_s: float

    def parts(self) -> dict[str, Made]:
        """The parts by name, in the order they were made."""
        return {
            name: getattr(self, name)
            for name in ("product", "job", "model", "report", "gate", "events")
        }


def ensure_project(wb: Studio) -> str:
    """The id of the tour's project, made if it is not there."""
    for project in wb.call("projects.list_projects").items:
        if project.name == PROJECT:
            return str(project.id)
    try:
        made = wb.call(
            "projects.create_project",
            {"name": PROJECT, "title": TITLE, "description": DESCRIPTION},
            key="tour-project",
        )
    except Conflict:
        made = wb.call("projects.get_project", {"id": PROJECT})
    return str(made.id)


def run_tour(wb: Studio, tell: Callable[[str], None] = lambda line: None) -> Tour:
    """Make the tour's project, or find what was made of it before.

    Args:
        wb: A client in the tour's project.
        tell: Called with a line per step.

    Returns:
        What was made, with its figures.
    """
    started = time.monotonic()
    tell("Boston mortgage applications, 1990: registering 2,380 rows …")
    product = ensure_product(wb)
    tell(f"  product {product.name}, version {product.version}: {product.rows:,} rows")
    tell("Training a network beside logistic regression, LightGBM and the majority …")
    training = _finished(
        wb,
        "models.train",
        {
            "product": product.ref,
            "target": TARGET,
            "exclude": LEFT_OUT,
            "seed": 0,
            "name": "approvals",
        },
        f"tour-train-{product.ref}",
        tell,
    )
    model = wb.call("models.get_model", {"id": training.result["model"]})
    tell(f"  {model.verdict}")
    tell("Assessing it by race on the untouched rows …")
    assessing = _finished(
        wb,
        "ethics.assess",
        {
            "model": model.ref,
            "sensitive": ["race"],
            "favourable": "approved",
            "limit": LIMIT,
        },
        f"tour-assess-{model.ref}",
        tell,
    )
    report = wb.call("ethics.get_report", {"id": assessing.result["report"]})
    tell(f"  {report.summary}")
    gate = wb.call("ethics.gate", {"model": model.ref, "alias": "production"})
    verified = wb.call("audit.verify")
    tell(f"  {verified.sentence}")
    return Tour(
        project=wb.project,
        product=Made(
            id=product.ref,
            sentence=f"{product.name}: {product.rows:,} rows, {len(product.columns)} columns",
            figures={
                "rows": product.rows,
                "columns": len(product.columns),
                "digest": product.digest,
            },
        ),
        job=Made(
            id=training.id,
            sentence=f"{training.action} {training.state}",
            figures={"state": training.state, "attempt": training.attempt},
        ),
        model=Made(
            id=model.ref,
            sentence=model.verdict,
            figures={
                "estimator": model.estimator,
                "metrics": {name: each.model_dump() for name, each in model.metrics.items()},
                "beside": {
                    other: {name: each.model_dump() for name, each in figures.items()}
                    for other, figures in model.beside.items()
                },
                "registered": model.registered,
            },
        ),
        report=Made(
            id=report.id,
            sentence=report.summary,
            figures={
                "verdict": report.verdict,
                "rows": report.rows,
                "limit": report.limit,
                "attributes": [each.model_dump() for each in report.attributes],
            },
        ),
        gate=Made(
            id=gate.report or gate.model,
            sentence=(
                "The gate lets it into production."
                if gate.allowed
                else f"The gate says no: {' '.join(gate.reasons)}"
            ),
            figures={"allowed": gate.allowed, "rule": gate.rule, "reasons": gate.reasons},
        ),
        events=Made(
            id=verified.head,
            sentence=verified.sentence,
            figures={"events": verified.events, "ok": verified.ok},
        ),
        elapsed_s=round(time.monotonic() - started, 1),
    )


def first_start(settings: Settings, url: str) -> Tour:
    """Make the tour in the Studio that runs on a home: what `workbench up` does the first time.

    Args:
        settings: Where the home is.
        url: The Studio's address, for the links of what was made.
    """
    import workbench

    def tell(line: str) -> None:
        print(line, flush=True)

    with workbench.connect(home=settings.home) as wb:
        project = ensure_project(wb)
    with workbench.connect(home=settings.home, project=project) as wb:
        made = run_tour(wb, tell)
    tell(f"\nMade in {made.elapsed_s:.0f} s, in the project {TITLE!r}:")
    for name, part in made.parts().items():
        tell(f"  {name:8} {part.id}")
    tell(f"  dashboard {url}services/dashboards/tour")
    return made


def ensure_product(wb: Studio) -> Any:
    """The tour's product, registered from the package's own file if it is not there."""
    for product in wb.call("data.list_products").items:
        if product.name == "mortgages":
            return product
    with as_file(files(__package__) / "hmda.csv") as table:
        return wb.call(
            "data.register",
            {
                "source": str(table),
                "name": "mortgages",
                "description": (
                    "Boston mortgage applications of 1990 (HMDA; Munnell et al. 1996): "
                    "2,380 people, approved or denied."
                ),
                "sensitive": ["race", "single"],
            },
        )


def _finished(
    wb: Studio, name: str, request: dict[str, Any], key: str, tell: Callable[[str], None]
) -> Any:
    job = wb.call(name, request, key=key)
    said = ""
    for line in job.lines():
        if line.kind == "progress" and line.text and line.text != said:
            tell(f"  {line.values.get('share', 0):4.0%}  {line.text}")
            said = line.text
    return job.wait(show=lambda _: None)
