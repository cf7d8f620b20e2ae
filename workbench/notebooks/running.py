"""The attempt of such a job: a sandbox of the project's is started, and what it tells is passed on.

Acknowledgement: the job is done when the copy is written and its event committed. A crash between
them has the notebook run again, from its first cell, into the same copy.
"""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import Any

from workbench.core import Context, Invalid, Record, Unavailable
from workbench.projects import prepare_folder
from workbench.security import sandbox, sessions
from workbench.security.bounds import bounds_of
from workbench.security.inside import noted

from .sandboxed import environment_of, limits_of, shown_to

LOOK_S = 0.2
"""How often it is looked whether the job is to stop, in seconds."""
LONGEST = 1 << 16
"""The longest line that is read of what a notebook tells, in bytes."""
MOST_LINES = 20_000
"""How many lines of what cells print are passed on to the job's log."""


class Order(Record):
    """What is to be run: see the action `notebooks.run`."""

    notebook: str
    code: str
    parameters: dict[str, Any]
    name: str
    kernel: str


def run_notebook(ctx: Context, order: Order) -> Any:
    """Run it; `{"notebook": the copy's path}`.

    Raises:
        Invalid: A cell failed, or there is no such notebook or kernel.
        Unavailable: It ended without a word.
    """
    stem = order.name or PurePosixPath(order.notebook).stem or "cell"
    kept = "".join(sign if sign.isalnum() or sign in "-_." else "-" for sign in stem).strip(".-")
    copy = f"runs/{kept or 'notebook'}-{ctx.job.id or 'now'}.ipynb"
    key = sessions.issue(ctx.store, "job", project=ctx.project, now=ctx.now())
    try:
        with _started(ctx, order, copy, key) as (process, told):
            ending = _follow(ctx, told)
            if not ending:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_S)  # How it ended is told.
    finally:
        sessions.revoke(ctx.store, key)
    if "problem" in ending:
        raise Invalid(_text(ending["problem"]), hint=_text(ending.get("hint")))
    if not ending.get("done"):
        raise Unavailable(
            f"The notebook's process ended without a word (exit {process.returncode}).",
            hint=f"The copy has what was printed by the cells before: {copy}.",
        )
    ctx.job.progress(1.0, copy)
    return {"notebook": copy}


@contextmanager
def _started(
    ctx: Context, order: Order, copy: str, key: str
) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """The process in the sandbox, and the descriptor that it tells by; ended on the way out."""
    settings, problem = ctx.settings, sandbox.why_not()
    folder = prepare_folder(settings, ctx.project)
    user = None if problem else sandbox.user_of(ctx.project)
    if user is not None:
        sandbox.give(folder, user)
    bounds = bounds_of(ctx.store, ctx.project)
    memory = bounds.memory_mb or settings.server_memory_mb
    environment = environment_of(settings, ctx.project, key)
    environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    asked = order.model_dump() | {"copy": copy, "limits": limits_of(memory)}
    ordered, (told, telling) = os.memfd_create("order"), os.pipe()
    try:
        os.write(ordered, json.dumps(asked).encode())
        os.lseek(ordered, 0, os.SEEK_SET)
        module = "workbench.notebooks.inside"
        command = [sys.executable, "-m", module, str(ordered), str(telling)]
        given: dict[str, Any] = {"pass_fds": (ordered, telling), "stdout": subprocess.DEVNULL}
        if problem:
            process = sandbox.start_bare(command, folder, environment, bounds, **given)
        else:
            confined = sandbox.Confined(
                folder,
                read_only=shown_to(settings, ctx.project),
                environment=environment | {"JUPYTER_RUNTIME_DIR": "/run/jupyter"},
                user=user,
                bounds=bounds,
            )
            process = sandbox.start(command, confined, **given)
    except BaseException:
        os.close(told)
        raise
    finally:
        os.close(ordered)
        os.close(telling)
    try:
        with noted(ctx.home, ctx.job.id or str(os.getpid()), ctx.project, process.pid):
            yield process, told
    finally:
        sandbox.end(process)
        os.close(told)


def _follow(ctx: Context, told: int) -> dict[str, Any]:
    """Pass on what is told until it ends; the last word."""
    lines = 0
    for each in _said(ctx, told):
        if "cell" in each and "of" in each:
            of = max(_number(each["of"]), 1)
            at = min(max(_number(each["cell"]), 1), of)
            ctx.job.progress((at - 1) / of, f"cell {at} of {of}")
        elif "text" in each:
            lines += 1
            if lines <= MOST_LINES:
                ctx.job.log(_text(each["text"]))
            elif lines == MOST_LINES + 1:
                ctx.job.log(f"After {MOST_LINES:,} lines no more are told: the copy has them.")
        elif "done" in each or "problem" in each:
            return each
    return {}


def _said(ctx: Context, told: int) -> Iterator[dict[str, Any]]:
    """Line by line: a stranger's words."""
    rest, end = b"", False
    with selectors.DefaultSelector() as ready:
        ready.register(told, selectors.EVENT_READ)
        checked = time.monotonic()
        while not end:
            if ready.select(LOOK_S):
                block = os.read(told, LONGEST)
                end = not block
                *whole, rest = (rest + block).split(b"\n")
                for line in whole:
                    if (found := _object(line)) is not None:
                        yield found
                if len(rest) > LONGEST:
                    rest = b""
            if time.monotonic() - checked > LOOK_S:
                ctx.job.check()
                checked = time.monotonic()


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    return str(value or "")[:4000]
