"""A running Studio and a browser, for every test that looks at the product as a person does.

`studio` starts the real thing once for the session (`workbench up` on a home of its own), makes
its first administrator by the printed link, and at the end stops it and sees that no process is
left. `page` is a fresh window; `browser` is pytest-playwright's.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
START_S = 180.0
LAB_MS = 90_000


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
        code = (
            "import sys; from workbench.core import load_settings;"
            "from workbench.cli.up import welcome_link;"
            "print(welcome_link(load_settings(), sys.argv[1], person=True))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, name],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    def sign_in(self, page: Page, name: str = "", password: str = "") -> None:
        """Fill in the sign-in page and send it; the administrator's unless told."""
        page.goto(f"{self.url}hub/login")
        page.get_by_label("Name").fill(name or self.name)
        page.get_by_label("Password", exact=True).fill(password or self.password)
        page.get_by_role("button", name="Sign in").click()

    def open_lab(self, page: Page) -> None:
        """Sign in, and wait until JupyterLab can be used."""
        self.sign_in(page)
        lab_is_ready(page)


def lab_is_ready(page: Page) -> None:
    """Wait until JupyterLab has drawn itself and put away its splash."""
    page.wait_for_url(re.compile(r"/user/[^/]+/lab"), timeout=LAB_MS)
    expect(page.locator("#jp-main-dock-panel")).to_be_visible(timeout=LAB_MS)
    expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=LAB_MS)


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that has this home in its command or its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values()]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(home) in t for t in told):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


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
        url = f"http://127.0.0.1:{environment['WORKBENCH_PORT']}/"
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


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_for(home: Path, port: int) -> dict[str, str]:
    """The environment of a Studio on that home."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    own = {"WORKBENCH_HOME": str(home), "WORKBENCH_PORT": str(port), "PYTHONPATH": path}
    return os.environ | own


@contextmanager
def launched(environment: dict[str, str]) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """`workbench up` and the address it printed; at the end a Ctrl-C, after which none is left."""
    home = Path(environment["WORKBENCH_HOME"])
    launcher = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli.main", "up", "--no-tour"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert launcher.stdout is not None
    try:
        yield launcher, _printed_link(launcher, home)
        if launcher.poll() is None:
            launcher.send_signal(signal.SIGINT)
            assert launcher.wait(60) == 0
            assert processes_of(home) == []
    finally:
        if launcher.poll() is None:
            launcher.terminate()
            launcher.wait(60)
        launcher.stdout.close()


def _printed_link(launcher: "subprocess.Popen[str]", home: Path) -> str:
    lines: list[str] = []
    told = threading.Event()

    def read() -> None:
        assert launcher.stdout is not None
        for line in launcher.stdout:
            lines.append(line)
            if line.startswith("Open "):
                told.set()
        told.set()

    threading.Thread(target=read, daemon=True).start()
    began = time.monotonic()
    told.wait(START_S)
    for line in lines:
        if line.startswith("Open "):
            return line.removeprefix("Open ").strip()
    logs = "\n".join(
        f"== {log.name}\n{log.read_text()[-2000:]}" for log in sorted((home / "logs").glob("*.log"))
    )
    pytest.fail(f"No address in {time.monotonic() - began:.0f} s:\n{''.join(lines)}\n{logs}")
