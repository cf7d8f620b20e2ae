"""Somebody at work in a project: a browser's window, the project's files, its server."""

import json
import os
import re
from typing import TYPE_CHECKING

import psutil
from playwright.sync_api import Browser, Locator, Page, expect

from tests.running import process_in
from tests.together.cells import notebook
from tests.together.peers import until

if TYPE_CHECKING:
    from tests.browser.conftest import Studio

LAB_MS = 90_000
"""How long JupyterLab may take to be ready, in milliseconds."""


def lab_is_ready(page: Page) -> None:
    """Wait until JupyterLab has drawn itself and put away its splash."""
    page.wait_for_url(re.compile(r"/user/[^/]+/lab"), timeout=LAB_MS)
    expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=LAB_MS)
    expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=LAB_MS)


class Lab:
    """Somebody's JupyterLab, project and files."""

    def __init__(self, studio: "Studio", browser: Browser, project: str = "") -> None:
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
