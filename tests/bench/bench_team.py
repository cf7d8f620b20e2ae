"""A team's figures: sign-in to Lab beside a plain hub, fifty sign-ins, twenty idle servers.

Prints one JSON line. Bounds: sign-in to Lab ready at most 1.10 times a plain JupyterHub of the same
versions, cold and warm (medians of alternating rounds, each round a new person); nobody of fifty
fails; a role change is felt within 1 s. The rest is stated without a bound.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
import psutil  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from tests.hostile.members import Member, come_in  # noqa: E402
from tests.running import environment_for, free_port, launched  # noqa: E402

PASSWORD = "a-quite-long-passphrase"
ROUNDS = 5
PEOPLE = 50
SERVERS = 20

PLAIN = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/secret"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/homes/{{username}}"
c.Spawner.default_url = "/lab"
c.Spawner.cmd = ["{python}", "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"]
c.Spawner.environment = {{"JUPYTER_CONFIG_PATH": "{folder}/config"}}
c.ConfigurableHTTPProxy.command = ["{node}", "{proxy}"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
"""


@contextmanager
def plain_hub() -> Iterator[str]:
    """JupyterHub as it is installed, without any of ours."""
    from workbench.hub.proxy import find_proxy, node

    with tempfile.TemporaryDirectory() as folder:
        port, hub, api = free_port(), free_port(), free_port()
        proxy = find_proxy(Path(folder))
        assert proxy is not None
        config = Path(folder) / "jupyterhub_config.py"
        config.write_text(
            PLAIN.format(
                folder=folder,
                port=port,
                hub=hub,
                api=api,
                node=node(),
                proxy=proxy,
                python=sys.executable,
            )
        )
        labconfig = Path(folder) / "config" / "labconfig"
        labconfig.mkdir(parents=True)
        off = {"disabledExtensions": {"@nexus-workbench/studio": True}}
        (labconfig / "page_config.json").write_text(json.dumps(off))
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        url = f"http://127.0.0.1:{port}/"
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                try:
                    if httpx.get(f"{url}hub/login").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.2)
            yield url
        finally:
            tree = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            process.wait(30)
            for each in tree:
                if each.is_running():
                    each.kill()


def sign_in(browser: Browser, url: str, name: str, ours: bool) -> float:
    """Seconds from the click on *Sign in* until the Lab can be used."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{url}hub/login")
        page.locator("[name=username]").fill(name)
        page.locator("[name=password]").fill(PASSWORD)
        began = time.perf_counter()
        page.locator("[type=submit]").first.click()
        page.wait_for_url(re.compile(r"/user/[^/]+/lab"), timeout=120_000, wait_until="commit")
        page.wait_for_selector("#jp-main-dock-panel", timeout=120_000)
        page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=120_000)
        return time.perf_counter() - began


def beside(browser: Browser, plain: str, studio: str, ada: Member) -> dict[str, Any]:
    """Cold and warm, alternating; each round is somebody new, whose server has never run."""
    times: dict[tuple[str, str], list[float]] = {}
    for turn in range(ROUNDS + 1):
        name = f"person{turn}"
        link = ada.call("POST", "security:welcome_person", json={"name": name})
        come_in(link.raise_for_status().json()["link"], name, PASSWORD, stay=False)
        for ours in (True, False) if turn % 2 else (False, True):
            for state in ("cold", "warm"):
                taken = sign_in(browser, studio if ours else plain, name, ours)
                if turn:
                    times.setdefault(("ours" if ours else "plain", state), []).append(taken)
    found = {key: statistics.median(each) for key, each in times.items()}
    return {
        f"{state}_{what}": value
        for state in ("cold", "warm")
        for what, value in (
            ("ratio", round(found["ours", state] / found["plain", state], 2)),
            ("s", round(found["ours", state], 2)),
            ("plain_s", round(found["plain", state], 2)),
        )
    }


def crowd(url: str, ada: Member) -> dict[str, Any]:
    """Fifty people who sign in within a minute, evenly."""
    names = [f"crowd{n}" for n in range(PEOPLE)]
    for name in names:
        link = ada.call("POST", "security:welcome_person", json={"name": name})
        come_in(link.raise_for_status().json()["link"], name, PASSWORD, stay=False)
    took: list[float] = []
    failed: list[str] = []

    def one(number: int) -> None:
        time.sleep(number * 60 / PEOPLE)
        try:
            member = Member(url, names[number], PASSWORD, took=took)
            member.session()
            member.close()
        except (AssertionError, httpx.HTTPError) as error:
            failed.append(str(error)[:200])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "people": PEOPLE,
        "failed": failed,
        "pages": len(took),
        "page_p50_ms": round(statistics.median(took) * 1000),
        "page_p95_ms": round(statistics.quantiles(took, n=20)[-1] * 1000),
    }


def idle(url: str, ada: Member, home: str) -> dict[str, Any]:
    """The memory of twenty sandboxed servers that nobody uses."""
    for number in range(SERVERS):
        made = ada.call("POST", "projects/projects", json={"name": f"idle-{number}"})
        label = made.raise_for_status().json()["id"].replace("_", "-")
        ada.enter(url.rstrip("/").replace("://", f"://{label}.", 1), label, wait_s=120)
    unique: list[float] = []
    for process in psutil.process_iter():
        try:
            if (
                "workbench.hub.kernels.keeper" in process.cmdline()
                and "bwrap" not in process.name()
            ):
                tree = [process, *process.children(recursive=True)]
                unique.append(sum(each.memory_full_info().uss for each in tree) / 2**20)
        except psutil.NoSuchProcess:
            continue
    return {
        "servers": len(unique),
        "unique_mib_each": round(statistics.median(unique)),
        "unique_mib_all": round(sum(unique)),
    }


def felt(url: str, ada: Member) -> dict[str, Any]:
    """From the acknowledgement of a role change to the cut of a terminal's socket."""
    from websockets.exceptions import ConnectionClosed

    made = ada.call("POST", "projects/projects", json={"name": "felt"}).raise_for_status().json()
    project, label = made["id"], made["id"].replace("_", "-")
    headers = {"x-workbench-project": project}
    link = ada.call("POST", "security:welcome_person", json={"name": "eve"})
    come_in(link.raise_for_status().json()["link"], "eve", PASSWORD, stay=False)
    eve = Member(url, "eve", PASSWORD)
    invited = ada.call("POST", "projects:invite", json={"role": "editor"}, headers=headers)
    token = invited.raise_for_status().json()["link"].partition("token=")[2]
    eve.call("POST", "projects:join", json={"token": token}).raise_for_status()
    origin = url.rstrip("/").replace("://", f"://{label}.", 1)
    took = []
    for _ in range(10):
        terminal = eve.enter(origin, label).terminal()
        body = {"person": "eve", "role": "viewer"}
        ada.call("POST", "projects:set_role", json=body, headers=headers).raise_for_status()
        began = time.perf_counter()
        try:
            while True:
                terminal.socket.recv(timeout=5)
        except ConnectionClosed:
            took.append(time.perf_counter() - began)
        terminal.close()
        body = {"person": "eve", "role": "editor"}
        ada.call("POST", "projects:set_role", json=body, headers=headers).raise_for_status()
    return {"median_s": round(statistics.median(took), 2), "worst_s": round(max(took), 2)}


def main() -> dict[str, Any]:
    wanted = set(sys.argv[1:]) or {"beside", "felt", "crowd", "idle"}
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("WORKBENCH_BROWSER") or next(
        filter(None, map(shutil.which, names)), None
    )
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        environment = environment_for(home, free_port())
        with launched(environment) as (_, link):
            url = f"http://localhost:{environment['WORKBENCH_PORT']}/"
            come_in(link, "ada", PASSWORD)
            ada = Member(url, "ada", PASSWORD)
            if "beside" in wanted:
                with plain_hub() as plain, sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=found, args=flags)
                    told["sign_in_to_lab"] = beside(browser, plain, url, ada)
                    browser.close()
            if "felt" in wanted:
                told["role_change"] = felt(url, ada)
            if "crowd" in wanted:
                told["crowd"] = crowd(url, ada)
            if "idle" in wanted:
                told["idle"] = idle(url, ada, str(home))
            ada.close()
    return told


if __name__ == "__main__":
    print(json.dumps(main()))
