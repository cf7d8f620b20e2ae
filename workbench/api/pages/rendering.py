"""Templates, and the words and figures in them: the same as the panels of JupyterLab show."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from workbench.comments import Comment, pieces

LESS = frozenset({"log_loss", "brier", "rmse", "mae"})
"""Metrics of which less is better."""
SHARES = frozenset({"accuracy", "balanced_accuracy"})
METRICS = {
    "auc": "AUC",
    "f1": "F1",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "brier": "Brier score",
    "log_loss": "Log loss",
}
STATIC = {"style.css": "text/css", "pages.js": "text/javascript"}
"""The files pages load, and what they are."""
FEWEST = 10
"""Groups of fewer rows are shown, not compared."""
WIDE = 100
"""Columns shown at once."""


class Reach(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float


@lru_cache
def static(name: str) -> tuple[bytes, str]:
    """A file of `STATIC` and its digest."""
    body = (files(__package__) / name).read_bytes()
    return body, hashlib.sha256(body).hexdigest()[:16]


def render(template: str, **values: Any) -> str:
    """A template as HTML; every value is text unless it says otherwise."""
    return _environment().get_template(template).render(**values)


@lru_cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "bytes": size,
        "cell": cell,
        "coded": coded,
        "count": count,
        "duration": duration,
        "figure": figure,
        "job": job_title,
        "many": many,
        "metric": metric_name,
        "moment": moment,
        "named": named,
        "percent": percent,
        "segment": segment,
        "share": share,
        "short": short,
        "who": who,
    }
    made.globals |= {
        "LESS": LESS,
        "FEWEST": FEWEST,
        "MARKS": {"pass": "✓", "fail": "✕", "too few to tell": "?"},
        "asset": lambda name: f"static/{name}?v={static(name)[1]}",
        "bars": bars,
        "competitors": competitors,
        "headline": headline,
        "metrics_of": metrics_of,
        "reach": Reach,
        "best": best,
        "whiskers": whiskers,
    }
    return made


def segment(text: str) -> str:
    """A part of an address, whatever is in it; a path keeps its slashes."""
    return quote(text, safe="/@")


def coded(text: str) -> Markup:
    """A sentence with what stands between backticks as code."""
    parts = re.split(r"`([^`]*)`", text)
    shown = [
        Markup("<code>{}</code>").format(part) if at % 2 else escape(part)
        for at, part in enumerate(parts)
    ]
    return Markup("").join(shown)


def named(comment: Comment) -> Markup:
    """What somebody wrote, as text, with the people it names marked."""
    shown = [
        Markup("<mark>{}</mark>").format(piece.text) if piece.person else escape(piece.text)
        for piece in pieces(comment.text, comment.mentions)
    ]
    return Markup("").join(shown)


def who(actor: str) -> str:
    """`person:ada` → `ada`; other kinds of actors keep their kind."""
    return actor.removeprefix("person:")


def count(number: float) -> str:
    """`12,345`"""
    return f"{number:,}"


def many(items: Any, noun: str) -> str:
    """How many things a page of a list holds: `3 models`, `20+ models`, `no models`."""
    number, more = len(items.items), items.next is not None
    if more:
        return f"{number}+ {noun}s"
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def size(number: float) -> str:
    """`1.4 MB`"""
    value, units = float(number), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} bytes" if units[0] == "bytes" else f"{value:.3g} {units[0]}"


def moment(at: datetime | None) -> Markup:
    """A time, in UTC; a script shows the reader's own."""
    if at is None:
        return Markup("–")
    known = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        known.isoformat(timespec="seconds"), f"{known:%Y-%m-%d %H:%M} UTC"
    )


def duration(seconds: float) -> str:
    """`2.4 s`, `3 min 5 s`, `2 h 10 min`"""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def short(digest: str) -> str:
    """`sha256:abcdef…` → `sha256:abcdef012345`, enough to compare by eye."""
    kind, _, rest = digest.partition(":")
    return f"{kind}:{rest[:12]}" if rest else digest[:12]


def percent(part: float | None) -> str:
    """`12.3 %`; a dash where there was nothing to measure."""
    return "–" if part is None or not math.isfinite(part) else f"{100 * part:.1f} %"


def share(part: float) -> str:
    """`12.5 %`; shares that would round to nothing say so."""
    return "< 0.1 %" if 0 < part < 0.001 else f"{100 * part:.1f} %"


def cell(value: Any) -> str | None:
    """A cell in text; None for a missing value."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value) if isinstance(value, int) else f"{value:.7g}"
    return json.dumps(value, default=str, ensure_ascii=False)


def metric_name(metric: str) -> str:
    """`balanced_accuracy` → `Balanced accuracy`"""
    plain = metric.replace("_", " ")
    return METRICS.get(metric, plain[:1].upper() + plain[1:])


def number(metric: str, value: float) -> str:
    """A number as its metric is written: `87.4 %`, `0.412`."""
    if not math.isfinite(value):
        return "–"
    if metric in SHARES:
        return f"{100 * value:.1f} %"
    large = abs(value)
    if large == 0 or 0.001 <= large < 1:
        return f"{value:.3f}"
    return f"{value:.2e}" if large >= 1e6 or large < 0.001 else f"{value:.4g}"


def figure(found: Any, metric: str) -> str:
    """A figure with its interval: `87.4 % (84.1 % – 90.2 %)`."""
    if found is None:
        return "–"
    low, high = number(metric, found.low), number(metric, found.high)
    return f"{number(metric, found.value)} ({low} – {high})"


def competitors(model: Any) -> list[dict[str, Any]]:
    """A model first, then the others measured on the same rows; its own kind not twice."""
    own = [{"name": model.estimator, "own": True, "metrics": model.metrics}]
    return own + [
        {"name": name, "own": False, "metrics": metrics}
        for name, metrics in model.beside.items()
        if name != model.estimator
    ]


def metrics_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The metrics any of them has, in order."""
    return list(dict.fromkeys(metric for row in rows for metric in row["metrics"]))


def headline(metrics: Sequence[str], most: int = 2) -> list[str]:
    """The figures that tell most."""
    first = [each for each in ("auc", "accuracy", "rmse", "r2") if each in metrics]
    return list(dict.fromkeys([*first, *metrics]))[:most]


def best(metric: str, figures: Sequence[Any]) -> int:
    """Which of them is best; -1 if none is there."""
    there = [(at, each.value) for at, each in enumerate(figures) if each is not None]
    if not there:
        return -1
    sign = 1 if metric in LESS else -1
    return min(there, key=lambda pair: sign * pair[1])[0]


def whiskers(
    rows: Sequence[tuple[str, Any, str]], *, low: float | None = None, high: float | None = None
) -> list[dict[str, Any]]:
    """Values with their intervals on one axis, as shares of its width in percent.

    Args:
        rows: A name, what has `value`, `low` and `high`, and the kind of mark.
        low: Where the axis starts; the least of the intervals if None.
        high: Where it ends.
    """
    ends = [v for _, each, _ in rows for v in (each.low, each.high) if math.isfinite(v)]
    start = min(ends, default=0.0) if low is None else low
    span = (max(ends, default=1.0) if high is None else high) - start or 1.0

    def at(value: float) -> float:
        inside = min(1.0, max(0.0, (value - start) / span)) if math.isfinite(value) else 0.0
        return round(3 + 94 * inside, 2)

    return [
        {"name": name, "low": at(each.low), "high": at(each.high), "at": at(each.value)}
        | {"kind": kind}
        for name, each, kind in rows
    ]


def bars(bins: Sequence[Any]) -> list[dict[str, Any]]:
    """Bars of a distribution: place, width and height in percent."""
    most = max((each.count for each in bins), default=0) or 1
    wide = 100 / max(len(bins), 1)
    return [
        {
            "label": each.label,
            "count": each.count,
            "x": round(at * wide, 3),
            "width": round(wide * 0.88, 3),
            "height": round(100 * each.count / most, 2),
        }
        for at, each in enumerate(bins)
    ]


def job_title(job: Any) -> str:
    """`Train: income`, from what the job was asked to do."""
    names = {"models.train": "Train", "ethics.assess": "Assess", "tour.run": "Tour"}
    kind = names.get(job.action, job.action)
    told = [job.request.get(name) for name in ("name", "target", "model")]
    about = next((each for each in told if isinstance(each, str) and each), "")
    return kind if not about or re.match(r"[a-z]{3}_", about) else f"{kind}: {about}"
