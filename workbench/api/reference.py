"""Print `docs/reference.md`: every action, port, setting and error, from the code itself."""

import sys
from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticUndefined

import workbench
from workbench.core import Port, Settings, catalogue
from workbench.core.errors import KINDS


def reference() -> str:
    """The page, as Markdown."""
    workbench.load_rooms()
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Made from the code by `make contract`; a test fails when it is out of date."
    yield ""
    yield "## Actions"
    for act in sorted(catalogue.values(), key=lambda each: each.name):
        method, path = act.route
        yield ""
        yield f"### {act.name}"
        yield ""
        yield act.doc.partition("Args:")[0].strip()
        yield ""
        undo = f", taken back by {act.undo}" if ":" in act.undo else act.undo and f", {act.undo}"
        yield f"{act.effect}{undo} · `{method} {path}` · scope `{act.scope}` · tool `{act.tool}`"
        if act.takes.model_fields:
            yield ""
            yield "| parameter | default | is |"
            yield "|---|---|---|"
            for name, info in act.takes.model_fields.items():
                default = "required" if info.is_required() else f"`{_default(info)}`"
                yield f"| `{name}` | {default} | {_cell(info.description)} |"
    yield ""
    yield "## Ports"
    yield ""
    yield "Chosen by URL: the setting `urls`, or `WORKBENCH_URL_<PORT>` (a dot is `__`)."
    yield ""
    yield "| port | default | schemes | is |"
    yield "|---|---|---|---|"
    for name, port in sorted(Port.known.items()):
        yield f"| `{name}` | `{port.default}` | {', '.join(port.schemes)} | {port.doc} |"
    yield ""
    yield "## Settings"
    yield ""
    yield "`c.Workbench.<name>` in `jupyter_config.py`, or `WORKBENCH_<NAME>` in the environment."
    yield ""
    yield "| setting | default | is |"
    yield "|---|---|---|"
    for name, info in Settings.model_fields.items():
        yield f"| `{name}` | `{_default(info)}` | {_cell(info.description)} |"
    yield ""
    yield "## Errors"
    yield ""
    yield "One shape on every face: `application/problem+json` (RFC 9457), with a `hint`."
    yield ""
    yield "| error | status | when |"
    yield "|---|---|---|"
    for name, kind in KINDS.items():
        yield f"| {name} | {kind.status} | {_cell(kind.__doc__)} |"
    yield "| Bug | 500 | Anything else; its id finds the line in the log. |"


def _default(info: Any) -> str:
    if info.default is not PydanticUndefined:
        return repr(info.default)
    made = info.default_factory()
    # A home differs from machine to machine.
    return "~/.workbench" if hasattr(made, "anchor") else repr(made)


def _cell(text: str | None) -> str:
    return (text or "").strip().replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
