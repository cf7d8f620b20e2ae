"""Cells that go on without anybody: the browser closed, JupyterLab's server stopped or killed."""

import json
import os
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Studio
from tests.browser.lab import Lab, lab_is_ready
from tests.browser.pictures import shot
from tests.together.peers import until

pytestmark = pytest.mark.browser

LONG_S = float(os.environ.get("STUDIO_LONG_CELL_S", "120"))
"""How long the cells run that nobody looks at, in seconds; other tests run meanwhile."""
CELL = """\
import time
import matplotlib.pyplot as plt

for i in range({steps}):
    print("step", i, flush=True)
    time.sleep(0.5)
plt.plot([1, 4, 9])
plt.show()
"complete"
"""
JOB = """\
import workbench

wb = workbench.connect()
wb.data.register("table.csv", name="table")
print(wb.models.train(product="table", target="c").id)
"""
TABLE = "a,b,c\n" + "".join(f"{i},{i % 7},{'yes' if i % 7 > 3 else 'no'}\n" for i in range(200))


def cell_of(seconds: float) -> str:
    return CELL.format(steps=round(seconds * 2))


_left: dict[str, tuple[Lab, float]] = {}
"""The labs whose browser was closed and whose server was stopped, and since when a cell runs."""


@pytest.mark.parametrize("kind", ["shared", "alone"])
def test_the_browser_is_closed_and_the_server_stopped(
    studio: Studio, browser: Browser, kind: str
) -> None:
    """A cell and a job begin; what becomes of them is looked at below, when time has passed."""
    made = studio.run("projects", "create-project", "--name", kind, "--json")
    lab = Lab(studio, browser, str(json.loads(made.stdout)["id"]))
    lab.page.goto(f"{lab.origin}/user/{lab.label}/lab")
    lab_is_ready(lab.page)
    if kind == "alone":
        settings = lab.files / ".jupyter"
        settings.mkdir(exist_ok=True)
        os.chown(settings, lab.files.stat().st_uid, lab.files.stat().st_gid)
        lab.put(
            ".jupyter/jupyter_server_ydoc_config.json", '{"YDocExtension": {"disable_rtc": true}}'
        )
        lab.stop()
    lab.put("table.csv", TABLE)
    lab.write("long.ipynb", cell_of(LONG_S), JOB)
    lab.open("long.ipynb")
    lab.run(1)
    expect(lab.outputs(1)).to_contain_text("job_", timeout=60_000)
    lab.run(0)
    expect(lab.outputs()).to_contain_text("step 3", timeout=60_000)
    _left[kind] = lab, time.monotonic()
    lab.leave()
    time.sleep(1)
    lab.stop()


def test_a_page_that_stays_while_the_server_is_killed(lab: Lab, tmp_path: Path) -> None:
    lab.write("stays.ipynb", cell_of(15), "print(i)")
    lab.open("stays.ipynb")
    lab.run()
    expect(lab.outputs()).to_contain_text("step 3", timeout=60_000)
    lab.kill()
    expect(lab.outputs()).to_contain_text("'complete'", timeout=120_000)
    expect(lab.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    text = lab.outputs().text_content() or ""
    steps = re.findall(r"step (\d+)", text)
    assert steps == [str(n) for n in range(len(steps))] and steps[-1] == "29"
    lab.page.screenshot(path=tmp_path / "stays.png")
    lab.run(1)
    expect(lab.outputs(1)).to_contain_text(steps[-1], timeout=30_000)


def test_a_cell_that_eats_memory(lab: Lab, tmp_path: Path) -> None:
    lab.write("eats.ipynb", "rows = bytearray(300_000_000)\nmore = bytearray(64 * 10**9)", "1 + 1")
    lab.open("eats.ipynb")
    lab.run()
    expect(lab.outputs()).to_contain_text("MemoryError", timeout=60_000)
    expect(lab.outputs()).to_contain_text("MiB")
    expect(lab.outputs()).to_contain_text("rows")
    lab.page.screenshot(path=tmp_path / "eats.png")
    lab.run(1)
    expect(lab.outputs(1)).to_contain_text("2", timeout=30_000)


def test_a_kernel_with_a_limit_of_its_own(lab: Lab) -> None:
    """The notebook says how much it may have; the kernel is started anew with it."""
    lab.write("limited.ipynb", "rows = bytearray(700 * 2**20)", "1 + 1")
    lab.open("limited.ipynb")
    page = lab.page
    lab.cell(0).locator(".cm-content").click()
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name="Limit the Kernel").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("spinbutton").fill("600")
    shot(page, "kernel-limit")
    dialog.get_by_role("button", name="Limit and restart").click()
    bar = page.locator("#jp-main-statusbar")
    expect(bar.locator('[title*="one process may have 600 MiB"]')).to_be_visible(timeout=30_000)
    lab.run()
    expect(lab.outputs()).to_contain_text("MemoryError", timeout=60_000)
    expect(lab.outputs()).to_contain_text("600 MiB that this notebook allows its kernel")
    shot(page, "kernel-limited")
    assert '"memory_mb": 600' in (lab.files / "limited.ipynb").read_text()
    lab.run(1)
    expect(lab.outputs(1)).to_contain_text("2", timeout=30_000)


def test_a_kernel_that_is_killed(lab: Lab, tmp_path: Path) -> None:
    code = "import os, time\nprint('now', flush=True)\ntime.sleep(1)\nos.kill(os.getpid(), 9)"
    lab.write("killed.ipynb", code, "1 + 1")
    lab.open("killed.ipynb")
    lab.run()
    expect(lab.outputs()).to_contain_text("KernelKilled", timeout=60_000)
    lab.page.screenshot(path=tmp_path / "killed.png")
    expect(lab.outputs()).to_contain_text("MiB")


@pytest.mark.parametrize("kind", ["shared", "alone"])
def test_both_are_complete(kind: str, tmp_path: Path) -> None:
    """Back in another browser: every line once, the figure, the prompt; and the job's model."""
    lab, since = _left[kind]
    if kind == "shared":
        # Nobody comes back before it has ended; in the other notebook somebody does.
        until("the cell has ended", lambda: time.monotonic() > since + LONG_S + 5, LONG_S + 10)
    lab.come_back("long.ipynb")
    expect(lab.outputs()).to_contain_text("'complete'", timeout=LONG_S * 1000 + 60_000)
    expect(lab.cell(0).locator(".jp-InputPrompt")).to_have_text("[2]:")
    expect(lab.outputs().locator("img")).to_have_count(1)
    steps = re.findall(r"step (\d+)", lab.outputs().text_content() or "")
    assert steps == [str(n) for n in range(round(LONG_S * 2))]
    lab.page.screenshot(path=tmp_path / f"{kind}.png")
    told = lab.studio.run("pipelines", "list-jobs", "--project", lab.project, "--json")
    (job,) = json.loads(told.stdout)["items"]
    assert job["state"] == "done" and job["result"]["model"].startswith("mdl_"), job
    lab.leave()
