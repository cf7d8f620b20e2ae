"""Cells that go on without anybody: the browser closed, JupyterLab's server stopped or killed."""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import LAB_MS, Studio, lab_is_ready
from tests.running import process_in
from tests.together.cells import notebook
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


class Lab:
    """Somebody's JupyterLab, project and files."""

    def __init__(self, studio: Studio, browser: Browser, project: str = "") -> None:
        self.studio, self.browser = studio, browser
        self.page = self._new()
        studio.open_lab(self.page)
        found = re.search(r"/user/(prj-[^/]+)/", self.page.url)
        assert found
        self.label = project.replace("_", "-") or found[1]
        self.project = self.label.replace("-", "_", 1)
        self.origin = self.page.url.partition("/user/")[0].replace(found[1], self.label)
        self.files = studio.home / "projects" / self.project / "files"

    def _new(self) -> Page:
        return self.browser.new_context(viewport={"width": 1440, "height": 900}).new_page()

    def write(self, name: str, *sources: str) -> None:
        """A notebook in the project's folder."""
        self.put(name, json.dumps(notebook(*sources)))

    def put(self, name: str, text: str) -> None:
        """A file in the project's folder, its own."""
        file, owner = self.files / name, self.files.stat()
        file.write_text(text)
        os.chown(file, owner.st_uid, owner.st_gid)

    def open(self, name: str) -> None:
        """Open a notebook, and wait until its kernel is there."""
        self.page.goto(f"{self.origin}/user/{self.label}/lab/tree/{name}?reset")
        lab_is_ready(self.page)
        expect(self.cell(0)).to_be_visible(timeout=LAB_MS)
        ready = self.page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| (Idle|Busy)"))
        expect(ready).to_be_visible(timeout=LAB_MS)

    def cell(self, number: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def outputs(self, number: int = 0) -> Locator:
        return self.cell(number).locator(".jp-Cell-outputArea")

    def run(self, number: int = 0) -> None:
        """Run a cell."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def leave(self) -> None:
        """Close the browser."""
        self.page.context.close()

    def come_back(self, name: str = "") -> None:
        """A new browser: sign in, open the notebook."""
        self.page = self._new()
        self.studio.open_lab(self.page)
        if name:
            self.open(name)

    def server(self) -> psutil.Process | None:
        """JupyterLab's server."""
        return process_in(self.project, "workbench.hub.inside")

    def stop(self) -> None:
        """As an administrator stops it."""
        stopped = self.studio.run("operations", "stop-server", "--id", self.project)
        assert stopped.returncode == 0, stopped.stderr
        until("the server has ended", lambda: self.server() is None, 30)

    def kill(self) -> None:
        server = self.server()
        assert server is not None
        server.kill()
        until("the server has ended", lambda: self.server() is None, 30)


@pytest.fixture
def lab(studio: Studio, browser: Browser) -> Iterator[Lab]:
    made = Lab(studio, browser)
    yield made
    made.page.context.close()


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
