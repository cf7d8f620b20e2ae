"""The action that runs a notebook."""

from typing import Any

from workbench.core import Context, Invalid, Job, action

from .running import Order, run_notebook

LONGEST = 1_000_000
"""Characters of code given by hand."""


@action(effect="job", undo="irreversible", reach="machine")
def run(
    ctx: Context,
    notebook: str = "",
    code: str = "",
    parameters: dict[str, Any] = {},  # noqa: B006
    name: str = "",
    kernel: str = "",
) -> Job:
    """Run a notebook of the project, or a few lines of Python, as a job.

    It runs in the project's sandbox with a kernel of its own, without a browser and without
    JupyterLab. What comes of it is a copy with all outputs in the folder `runs`, written after each
    cell; what cells print is in the job's log. The first cell that fails ends it. Killed and tried
    again, it begins with its first cell.

    Args:
        notebook: Its path in the project's files; or give code.
        code: Python, run as a notebook of one cell.
        parameters: Variables to set, by name: in a cell of their own, after the one with the tag
            `parameters` or else first. Values are JSON.
        name: What the copy is called; the notebook's name if absent.
        kernel: Which kernel; the notebook's own if absent, or Studio Python.
    """
    if bool(notebook) == bool(code.strip()):
        raise Invalid(
            "Either a notebook or code is run." if notebook else "There is nothing to run.",
            hint="Give notebook='folder/name.ipynb', or code='print(1)'.",
        )
    if len(code) > LONGEST:
        raise Invalid(
            f"{len(code):,} characters of code are too many.",
            hint=f"At most {LONGEST:,}: put them into a notebook.",
        )
    if wrong := [each for each in parameters if not each.isidentifier()]:
        raise Invalid(
            f"{wrong[0]!r} is no name of a variable.", hint="Letters, digits and _, no digit first."
        )
    order = Order(
        notebook=notebook, code=code, parameters=parameters, name=name.strip()[:60], kernel=kernel
    )
    result: Any = run_notebook(ctx, order)
    return result  # type: ignore[no-any-return]
