"""A running Studio and a browser, for every test that looks at the product as a person does.

`studio` starts the real thing once for the session (`workbench up` on a home of its own), makes
its first administrator by the printed link, and at the end stops it and sees that no process is
left. `page` is a fresh window; `browser` is pytest-playwright's.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.lab import Lab, lab_is_ready
from tests.hostile.members import come_in
from tests.running import environment_for, free_port, launched, welcome_link

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@dataclass(frozen=True)
class Studio:
    """A Studio that runs, and its first administrator."""

    url: str
    """With a slash at the end."""
    home: Path
    name: str
    password: str
    link: str
    """The administrator's one-time link, used."""
    environment: dict[str, str]

    def run(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """`workbench …` on this home."""
        return subprocess.run(
            [sys.executable, "-m", "workbench.cli.main", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def new_link(self, name: str) -> str:
        """A one-time link for somebody who has no account yet."""
        return welcome_link(self.environment, name)

    def sign_in(self, page: Page, name: str = "", password: str = "", *, to: str = "") -> None:
        """Fill in the sign-in page and send it; the administrator's, for the Lab, unless told."""
        page.goto(f"{self.url}hub/login" + (f"?next={quote(to, safe='')}" if to else ""))
        page.get_by_label("Name").fill(name or self.name)
        page.get_by_label("Password", exact=True).fill(password or self.password)
        page.get_by_role("button", name="Sign in").click()

    def arrive(self, page: Page, name: str) -> None:
        """Make somebody's account and sign them in, without a Lab of their own."""
        come_in(self.new_link(name), name, self.password, stay=False)
        self.sign_in(page, name, to="/services/studio/")
        page.wait_for_url(f"{self.url}services/studio/")

    def open_lab(self, page: Page) -> None:
        """Sign in, and wait until JupyterLab can be used."""
        self.sign_in(page)
        lab_is_ready(page)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The browser of the system, if there is one; Playwright's own otherwise."""
    found = os.environ.get("WORKBENCH_BROWSER") or next(filter(None, map(shutil.which, NAMES)), "")
    flags = ["--disable-background-networking", "--disable-component-update", "--no-first-run"]
    # Chromium refuses to run as root with its own sandbox; the tests visit only this Studio.
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    given = {**browser_type_launch_args, "args": flags}
    return {**given, "executable_path": found} if found else given


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window of a usual size, of somebody who is not signed in."""
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        yield context.new_page()


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Studio]:
    """The running Studio of this test session."""
    home = tmp_path_factory.mktemp("studio") / "home"
    environment = environment_for(home, free_port())
    with launched(environment) as (_, link):
        url = f"http://localhost:{environment['WORKBENCH_PORT']}/"
        name, password = "ada", "a-quite-long-passphrase"
        made = Studio(url, home, name, password, link, environment)
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(link)
            page.get_by_label("Name").fill(name)
            page.get_by_label("Password", exact=True).fill(password)
            page.get_by_label("Password again").fill(password)
            page.get_by_role("button", name="Open the Studio").click()
            lab_is_ready(page)
        yield made


@pytest.fixture
def lab(studio: Studio, browser: Browser) -> Iterator[Lab]:
    """The administrator's own project, in a window of its own."""
    made = Lab(studio, browser)
    yield made
    made.page.context.close()
