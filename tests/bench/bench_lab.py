"""Lab page ready: with our extension over without it, on the same hub, in one run.

Prints one JSON line. Bound: ratio <= 1.10. Both sides get the page through the same rewriting
step; without ours it drops our entry from the page's list of extensions, so everything else
(server, other extensions, browser cache) is equal. Medians of alternating loads.
"""

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, sync_playwright

ROOT = Path(__file__).parents[2]
ROUNDS = 9
OURS = "@nexus-workbench/studio"
PASSWORD = "a-quite-long-passphrase"


def rewritten(route: Route, ours: bool) -> None:
    """The Lab's page, with or without our extension in its configuration."""
    answer = route.fetch()
    text = answer.text()
    found = re.search(r'(<script id="jupyter-config-data"[^>]*>)(.*?)(</script>)', text, re.DOTALL)
    if found:
        config = json.loads(found[2])
        kept = [e for e in config["federated_extensions"] if ours or e["name"] != OURS]
        config["federated_extensions"] = kept
        safe = json.dumps(config).replace("<", "\\u003c")
        text = text[: found.start()] + found[1] + safe + found[3] + text[found.end() :]
    route.fulfill(response=answer, body=text)


def loaded(page: Page, url: str, ours: bool) -> float:
    """Seconds from asking for the page until the Lab can be used."""
    pattern = re.compile(r"/user/[^/]+/lab(\?.*)?$")
    page.route(pattern, lambda route: rewritten(route, ours))
    began = time.perf_counter()
    page.goto(f"{url}?reset")
    page.wait_for_selector("#jp-main-dock-panel", timeout=60_000)
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
    taken = time.perf_counter() - began
    page.unroute(pattern)
    return taken


def measured(url: str, link: str) -> dict[str, Any]:
    """The medians of alternating loads, after one of each to warm up."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("WORKBENCH_BROWSER") or next(
        filter(None, map(shutil.which, names)), None
    )
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=[*flags, "--disable-background-networking"]
        )
        page = browser.new_page()
        page.goto(link)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password again").fill(PASSWORD)
        page.get_by_role("button", name="Open the Studio").click()
        page.wait_for_url(re.compile(r"/user/[^/]+/lab"), timeout=90_000)
        lab = re.sub(r"/lab.*", "/lab", page.url)
        times: dict[bool, list[float]] = {True: [], False: []}
        for turn in range(ROUNDS + 1):
            for ours in (True, False) if turn % 2 else (False, True):
                taken = loaded(page, lab, ours)
                if turn:
                    times[ours].append(taken)
        browser.close()
    with_ours, without = statistics.median(times[True]), statistics.median(times[False])
    return {
        "ratio": round(with_ours / without, 3),
        "with_s": round(with_ours, 2),
        "without_s": round(without, 2),
        "loads": ROUNDS,
    }


def main() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        launcher = subprocess.Popen(
            [sys.executable, "-m", "workbench.cli.main", "up", "--no-tour"],
            env=os.environ
            | {
                "WORKBENCH_HOME": f"{folder}/home",
                "WORKBENCH_PORT": str(port),
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert launcher.stdout is not None
        try:
            lines = iter(launcher.stdout.readline, "")
            link = next(line for line in lines if line.startswith("Open "))
            return measured(f"http://127.0.0.1:{port}/", link.removeprefix("Open ").strip())
        finally:
            launcher.send_signal(signal.SIGINT)
            launcher.wait(60)
            launcher.stdout.close()


if __name__ == "__main__":
    print(json.dumps(main()))
