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
from tests.together.cells import notebook
from tests.together.peers import until

pytestmark = pytest.mark.browser

LONG_S = float(os.environ.get("STUDIO_LONG_CELL_S", "30"))
"""How long the long cell runs, in seconds."""
LONG = f"""\
import time
import matplotlib.pyplot as plt

for i in range({LONG_S * 2:.0f}):
    print("step", i, flush=True)
    time.sleep(0.5)
plt.plot([1, 4, 9])
plt.show()
"complete"
"""
LAST = f"step {LONG_S * 2 - 1:.0f}"


class Lab:
    """Somebody's JupyterLab, project and files."""

    def __init__(self, studio: Studio, browser: Browser) -> None:
        self.studio, self.browser = studio, browser
        self.page = self._new()
        studio.open_lab(self.page)
        found = re.search(r"/user/(prj-[^/]+)/", self.page.url)
        assert found
        self.label = found[1]
        self.project = self.label.replace("-", "_", 1)
        self.files = studio.home / "projects" / self.project / "files"

    def _new(self) -> Page:
        return self.browser.new_context(viewport={"width": 1440, "height": 900}).new_page()

    def write(self, name: str, *sources: str) -> None:
        """A notebook in the project's folder, its own."""
        file = self.files / name
        file.write_text(json.dumps(notebook(*sources)))
        owner = self.files.stat()
        os.chown(file, owner.st_uid, owner.st_gid)

    def open(self, name: str) -> None:
        """Open a notebook, and wait until its kernel is there."""
        host = self.page.url.partition("/user/")[0]
        self.page.goto(f"{host}/user/{self.label}/lab/tree/{name}?reset")
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
        for process in psutil.process_iter():
            try:
                command = process.cmdline()
                inside = "workbench.hub.inside" in command and "bwrap" not in command[0]
                if inside and process.environ().get("WORKBENCH_PROJECT") == self.project:
                    return process
            except (psutil.Error, IndexError):
                continue
        return None

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


@pytest.mark.parametrize("away_s", [LONG_S / 2, LONG_S], ids=["before it ends", "after it ended"])
def test_a_closed_browser_and_a_stopped_server(lab: Lab, tmp_path: Path, away_s: float) -> None:
    name = f"long-{away_s:.0f}.ipynb"
    lab.write(name, LONG)
    lab.open(name)
    lab.run()
    expect(lab.outputs()).to_contain_text("step 3", timeout=60_000)
    lab.leave()
    time.sleep(1)
    lab.stop()
    time.sleep(away_s)
    lab.come_back(name)
    expect(lab.outputs()).to_contain_text("'complete'", timeout=LONG_S * 1000 + 60_000)
    lab.page.screenshot(path=tmp_path / "complete.png")
    expect(lab.outputs()).to_contain_text(LAST)
    assert lab.outputs().text_content().count("step 3\n") == 1
    expect(lab.outputs().locator("img")).to_have_count(1)
    expect(lab.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")


def test_a_page_that_stays_while_the_server_is_killed(lab: Lab, tmp_path: Path) -> None:
    lab.write("stays.ipynb", LONG, "print(i)")
    lab.open("stays.ipynb")
    lab.run()
    expect(lab.outputs()).to_contain_text("step 3", timeout=60_000)
    lab.kill()
    expect(lab.outputs()).to_contain_text("'complete'", timeout=LONG_S * 1000 + 120_000)
    expect(lab.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    text = lab.outputs().text_content() or ""
    steps = re.findall(r"step (\d+)", text)
    assert steps == [str(n) for n in range(len(steps))] and f"step {steps[-1]}" == LAST
    lab.page.screenshot(path=tmp_path / "stays.png")
    lab.run(1)
    expect(lab.outputs(1)).to_contain_text(steps[-1], timeout=30_000)


@pytest.mark.parametrize("away_s", [LONG_S / 2, LONG_S], ids=["before it ends", "after it ended"])
def test_without_sharing(lab: Lab, tmp_path: Path, away_s: float) -> None:
    """Collaboration is off: the file has everything, whoever opens it."""
    settings = lab.files / ".jupyter" / "jupyter_server_ydoc_config.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text('{"YDocExtension": {"disable_rtc": true}}')
    lab.stop()
    try:
        lab.leave()
        lab.come_back()
        name = f"alone-{away_s:.0f}.ipynb"
        lab.write(name, LONG)
        lab.open(name)
        lab.run()
        expect(lab.outputs()).to_contain_text("step 3", timeout=60_000)
        lab.leave()
        time.sleep(1)
        lab.stop()
        time.sleep(away_s)
        lab.come_back(name)
        expect(lab.outputs()).to_contain_text("'complete'", timeout=LONG_S * 1000 + 60_000)
        lab.page.screenshot(path=tmp_path / "alone.png")
        expect(lab.outputs()).to_contain_text(LAST)
        expect(lab.outputs().locator("img")).to_have_count(1)
        expect(lab.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    finally:
        settings.unlink()
        lab.stop()


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
