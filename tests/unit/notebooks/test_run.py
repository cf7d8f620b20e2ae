"""Notebooks as jobs, by the real engine: a kernel in the project's sandbox."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

import workbench
from tests.running import attempts
from workbench.core import Actor, Context, Engines, Job, call_here, load_settings
from workbench.notebooks import running
from workbench.projects import prepare_folder, resolve
from workbench.security import sandbox
from workbench.security.inside import project_beside


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    workbench.load_rooms()
    home = tmp_path_factory.mktemp("notebooks") / "home"
    engines = Engines(load_settings(home=home, server_memory_mb=1500))
    ada = Actor(name="ada")
    yield Context(ada, resolve(engines, ada, None), engines)
    engines.close()


def asked(ctx: Context, **request: Any) -> Job:
    job: Job = call_here(ctx.fresh(), "notebooks.run", request)
    return job


def now(ctx: Context, job: Job) -> Job:
    found: Job = call_here(ctx.fresh(), "pipelines.get_job", {"id": job.id})
    return found


def ended(ctx: Context, job: Job, wait_s: float = 90) -> Job:
    until = time.monotonic() + wait_s
    while (found := now(ctx, job)).state in ("queued", "running"):
        assert time.monotonic() < until, (found.note, lines(ctx, job))
        time.sleep(0.1)
    return found


def lines(ctx: Context, job: Job) -> list[str]:
    from workbench.pipelines import ledger

    return [each.text for each in ledger.lines_after(ctx.store, job.id, 0) if each.kind == "log"]


def files(ctx: Context) -> Path:
    return prepare_folder(ctx.settings, ctx.project)


def copy_of(ctx: Context, job: Job) -> Any:
    assert job.result is not None, job.error
    return nbformat.read(files(ctx) / job.result["notebook"], as_version=4)


def until(what: Callable[[], object], wait_s: float = 60) -> None:
    last = time.monotonic() + wait_s
    while not what():
        assert time.monotonic() < last
        time.sleep(0.1)


def test_a_notebook_of_the_project_with_a_parameter(ctx: Context) -> None:
    (files(ctx) / "reports").mkdir(exist_ok=True)
    made = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell("month = 'May'", metadata={"tags": ["parameters"]}),
            nbformat.v4.new_markdown_cell("# Report"),
            nbformat.v4.new_code_cell("print('about', month)\nimport os; os.listdir('.')"),
            nbformat.v4.new_code_cell("import matplotlib.pyplot as plt\nplt.plot([1, 2]);"),
        ]
    )
    nbformat.write(made, files(ctx) / "reports" / "monthly.ipynb")
    before = (files(ctx) / "reports" / "monthly.ipynb").read_bytes()
    job = ended(ctx, asked(ctx, notebook="reports/monthly.ipynb", parameters={"month": "June"}))
    assert job.state == "done", job.error
    assert job.result == {"notebook": f"runs/monthly-{job.id}.ipynb"}
    copy = copy_of(ctx, job)
    assert "about June" in lines(ctx, job)
    assert copy.cells[3].outputs[0].text == "about June\n"
    assert "monthly.ipynb" in copy.cells[3].outputs[1].data["text/plain"]
    assert "image/png" in copy.cells[4].outputs[0].data
    assert (files(ctx) / "reports" / "monthly.ipynb").read_bytes() == before


def test_the_cell_that_fails_is_named_and_what_was_printed_is_kept(ctx: Context) -> None:
    job = ended(ctx, asked(ctx, code="print('before')\n1 / 0", name="bad / name"))
    assert job.state == "failed" and job.error is not None
    assert job.error["detail"] == "Cell 1 failed with ZeroDivisionError: division by zero."
    path = f"runs/bad---name-{job.id}.ipynb"
    assert path in job.error["hint"]
    copy = nbformat.read(files(ctx) / path, as_version=4)
    assert [each.output_type for each in copy.cells[0].outputs] == ["stream", "error"]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"notebook": "none.ipynb"}, "There is no notebook 'none.ipynb'"),
        ({"notebook": "../../keys/local"}, "There is no notebook"),
        ({"notebook": "/etc/hostname"}, "no notebook"),
        ({"code": "1", "kernel": "fortran"}, "There is no kernel 'fortran'"),
        ({"code": "1", "kernel": "studio-dask"}, "which a job has not"),
        ({}, "There is nothing to run"),
        ({"code": "1", "notebook": "n.ipynb"}, "Either a notebook or code"),
        ({"code": "1", "parameters": {"a b": 1}}, "'a b' is no name of a variable"),
    ],
)
def test_what_cannot_be_run(ctx: Context, request_: dict[str, Any], told: str) -> None:
    job = ended(ctx, asked(ctx, **request_))
    assert job.state == "failed" and job.error is not None
    assert told in job.error["detail"], job.error


def test_a_kernel_that_dies_is_told_of(ctx: Context) -> None:
    job = ended(ctx, asked(ctx, code="import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    assert job.error is not None and "The kernel died" in job.error["detail"]


def test_one_that_takes_too_much_memory_says_what_it_held(ctx: Context) -> None:
    code = "import numpy as np\nlarge = [np.ones(2**26) for _ in range(20)]"
    job = ended(ctx, asked(ctx, code=code))
    assert job.error is not None and "MemoryError" in job.error["detail"], job.error


def test_cancelled_it_ends_with_all_it_started(ctx: Context) -> None:
    code = "import subprocess, time\nsubprocess.Popen(['sleep', '987'])\nprint('begun', flush=True)"
    job = asked(ctx, code=code + "\ntime.sleep(600)")
    until(lambda: "begun" in lines(ctx, job))
    assert sleepers()
    notes = ctx.home / "run" / "jobs"
    assert [each.name for each in notes.glob("*.json")] == [f"{job.id}.json"]
    if not sandbox.why_not():
        assert project_beside(ctx.home, sleepers()[0].pid) == ctx.project
        assert project_beside(ctx.home, os.getpid()) == ""
    call_here(ctx.fresh(), "pipelines.cancel", {"id": job.id})
    assert ended(ctx, job).state == "cancelled"
    until(lambda: not sleepers(), 10)
    assert not list(notes.glob("*.json"))


def sleepers() -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == SLEEPING]


SLEEPING = ["sleep", "987"]


def test_an_attempt_that_is_killed_is_followed_by_one_that_begins_anew(ctx: Context) -> None:
    code = "import time, os\nprint('cell', flush=True)\n"
    code += "time.sleep(0 if os.path.exists('go') else 600)"
    job = asked(ctx, code=code, name="again")
    until(lambda: "cell" in lines(ctx, job))
    (files(ctx) / "go").write_text("")
    (attempt,) = attempts()
    attempt.kill()
    assert ended(ctx, job).state == "done"
    assert now(ctx, job).attempt == 2
    assert lines(ctx, job).count("cell") == 2


class Asked:
    """A Context that a stranger's words are passed on to."""

    def __init__(self) -> None:
        self.job = self
        self.told: list[Any] = []

    def check(self) -> None:
        """Nobody stops it."""

    def log(self, line: str) -> None:
        self.told.append(line)

    def progress(self, share: float, note: str) -> None:
        self.told.append((round(share, 2), note))


def followed(*words: bytes) -> tuple[dict[str, Any], list[Any]]:
    out, given = os.pipe()
    if os.fork() == 0:
        for each in words:
            os.write(given, each)
        os._exit(0)
    os.close(given)
    asked = Asked()
    ending = running._follow(asked, out)  # type: ignore[arg-type]
    os.close(out)
    os.wait()
    return ending, asked.told


def test_what_a_stranger_tells_is_believed_within_bounds() -> None:
    told = [
        *(b"\xff\xfe\n", b"[]\n", b"{\n", b'{"other": 1}\n', b'{"text": {"a": 1}}\n'),
        *(b'{"cell": "x", "of": null}\n', b'{"cell": 9, "of": 3}\n', b'{"te', b'xt": "half"}\n'),
        b'{"text": "' + b"y" * 70_000 + b'"}\n',
        *(b'{"text": "after"}\n', b'{"done": true}\n', b'{"text": "too late"}\n'),
    ]
    ending, passed = followed(*told)
    assert ending == {"done": True}
    assert passed[:3] == ["{'a': 1}", (0.0, "cell 1 of 1"), (0.67, "cell 3 of 3")]
    assert passed[3] == "half" and passed[-1] == "after"
    assert all(len(each) <= 4_000 for each in passed if isinstance(each, str))
    assert followed(b'{"cell": 1, "of": 2}\n')[0] == {}


def test_a_flood_of_lines_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MOST_LINES", 3)
    _, passed = followed(*(json.dumps({"text": str(n)}).encode() + b"\n" for n in range(10)))
    assert passed[:3] == ["0", "1", "2"] and len(passed) == 4 and "no more are told" in passed[3]


def test_too_much_code(ctx: Context) -> None:
    job = ended(ctx, asked(ctx, code="#" * 1_000_001))
    assert job.error is not None and "1,000,001 characters" in job.error["detail"]
