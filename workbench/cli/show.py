"""Answers as a person reads them in a terminal."""

import io
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from workbench.api.client import RunningJob
from workbench.comments import Comment, Mention, Thread
from workbench.core import Page, Record
from workbench.core.logfiles import Entry
from workbench.documents import Moment


def text(answer: Record) -> str:
    """A Record as lines of `name  value`; a Page as a table; a grid as a grid."""
    if isinstance(answer, Page):
        return _page(answer)
    body = answer.model_dump(mode="json")
    if isinstance(body.get("rows"), list) and isinstance(body.get("columns"), list):
        names = [str(each["name"]) for each in body["columns"]]
        return _table(names, [[_short(cell) for cell in row] for row in body["rows"]])
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in body.items():
        if value not in (None, [], {}, ""):
            table.add_row(name, _short(value))
    return _rendered(table)


def follow(job: RunningJob, *, quiet: bool) -> RunningJob:
    """Wait for a job; what it tells goes to standard error."""
    last = ""
    for line in job.lines():
        if line.kind == "metric":
            said = "  ".join(f"{name} {value:.4g}" for name, value in line.values.items())
        else:
            said = line.text
        if line.kind == "progress":
            said = f"{line.values.get('share', 0):4.0%}  {said}"
        if said and said != last and not quiet:
            print(said, file=sys.stderr, flush=True)
        last = said
    return job.refresh()


def checks_table(checks: Sequence[Any]) -> str:
    """The doctor's findings, what is wrong with a hint."""
    table = Table("", "check", "found", box=None, pad_edge=False)
    marks = {True: "ok", False: "WRONG", None: "note"}
    for each in checks:
        found = each.found if each.ok or not each.hint else f"{each.found}\n→ {each.hint}"
        table.add_row(marks[each.ok], each.name, found)
    return _rendered(table)


def tour_table(made: Any) -> str:
    """What the tour made, with its figures."""
    table = Table("made", "id", "what it says", box=None, pad_edge=False)
    for name, each in made.parts().items():
        table.add_row(name, each.id, each.sentence)
    return _rendered(table)


def _page(page: Page[Any]) -> str:
    items = [each.model_dump(mode="json") for each in page.items]
    if not items:
        return "Nothing yet."
    if isinstance(page.items[0], Thread | Mention):
        shown = "\n".join(line for each in page.items for line in _talk(each))
        return f"{shown}\nMore: --after {page.next}" if page.next else shown
    if isinstance(page.items[0], Moment):
        shown = "\n".join(line for each in page.items for line in _moment(each))
        return f"{shown}\nMore: --after {page.next}" if page.next else shown
    names = [
        name
        for name, value in items[0].items()
        if not isinstance(value, list | dict) and name not in ("digest", "hash", "before", "trace")
    ][:8]
    shown = _table(names, [[_short(each.get(name)) for name in names] for each in items])
    return f"{shown}\nMore: --after {page.next}" if page.next else shown


def _moment(each: Moment) -> list[str]:
    """What somebody changed in a graph; where its layers were put is told in a word."""
    who = each.actor.removeprefix("person:")
    told = [change.sentence for change in each.changes if change.what != "place"]
    head = f"{each.seq}  {each.at:%Y-%m-%d %H:%M}  {who}  {each.via}"
    return [head, *(f"  {_plain(line)}" for line in told or ["Layers were moved."])]


def _graph(value: dict[str, Any]) -> str:
    """A graph, or what one means, in a line; problems below it."""
    if "edges" in value:
        return f"{len(value['nodes']):,} nodes, {len(value['edges']):,} edges"
    counts = [
        f"{value[name]:,} {called}" if value[name] is not None else f"unknown {called}"
        for name, called in (("parameters", "parameters"), ("flops", "operations a row"))
    ]
    problems = [_plain(f"{each['text']} {each['hint']}".strip()) for each in value["problems"]]
    return "\n".join([", ".join(counts), *problems])


def _talk(about: Thread | Mention) -> list[str]:
    """What was said about a part of a document, with the ids that replies and changes need."""
    anchor = about.anchor
    said = about.comments if isinstance(about, Thread) else [about.comment]
    settled = " (resolved)" if isinstance(about, Thread) and about.resolved_at else ""
    head = f"{_plain(anchor.document)} {_plain(anchor.part)}".rstrip()
    return [f"{head}{settled}", *(f"  {_comment(each)}" for each in said)]


def _comment(each: Comment) -> str:
    who = each.made_by.removeprefix("person:")
    words = "(deleted)" if each.deleted_at else _plain(each.text)
    return f"{each.id}  {each.made_at:%Y-%m-%d %H:%M}  {who}: {words}"


def _plain(text: str) -> str:
    """A stranger's text in one line, without what would steer the terminal."""
    return "".join(each if each.isprintable() else " " for each in text)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return _rendered(table)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict) and set(value) == {"value", "low", "high"}:
        return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    if isinstance(value, dict) and "nodes" in value and ("edges" in value or "flops" in value):
        return _graph(value)
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_short(each)}" for name, each in list(value.items())[:20])
    if isinstance(value, list) and value and isinstance(value[0], dict) and "sentence" in value[0]:
        return "\n".join(_plain(each["sentence"]) for each in value if each.get("what") != "place")
    if isinstance(value, list):
        names = [each.get("name", each) if isinstance(each, dict) else each for each in value]
        return ", ".join(str(each) for each in names[:12]) + (" …" if len(names) > 12 else "")
    said = "" if value is None else str(value)
    return said if len(said) <= 400 else f"{said[:397]}…"


def _rendered(table: Table) -> str:
    out = io.StringIO()
    width = None if sys.stdout.isatty() else 200
    Console(file=out, width=width, markup=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def entries(found: Sequence[Entry]) -> str:
    """Entries of logs, those in which the id stands marked, by file."""
    lines: list[str] = []
    for each in found:
        mark = " " if each.around else ">"
        text = each.text.replace("\n", "\n    ")
        lines.append(f"{mark} {each.file}:{each.line}: {text}")
    return "\n".join(lines)
