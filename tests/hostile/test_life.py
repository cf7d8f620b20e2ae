"""The life of a Studio: killed in any order, backed up while people work, deleted, restored."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus

from tests.hostile.conftest import PASSWORD, made
from tests.hostile.members import Member, come_in
from tests.running import environment_for, free_port, launched, process_in, processes_of
from tests.together.peers import Ledger, Peer, written

pytestmark = pytest.mark.studio

ROWS = "".join(f"{20 + n % 50},{n * 37 % 900},{n % 2}\n" for n in range(60))
TABLE = f"age,income,outcome\n{ROWS}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return environment_for(tmp_path / "home", free_port())


@pytest.fixture
def home(environment: dict[str, str]) -> Path:
    return Path(environment["WORKBENCH_HOME"])


def workbench(environment: dict[str, str], *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "workbench.cli.main", *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def products(member: Member, project: str) -> set[str]:
    answer = member.call(
        "GET", "data/products", params={"limit": 500}, headers={"x-workbench-project": project}
    )
    return {each["name"] for each in answer.raise_for_status().json()["items"]}


def writing(environment: dict[str, str], project: str, table: Path) -> Iterator[str]:
    for number in range(40):
        name = f"table-{number}"
        workbench(
            environment, "data", "register", "--source", str(table), "--name", name,
            "--project", project,
        )  # fmt: skip
        yield name


def test_backed_up_at_work_deleted_restored(
    environment: dict[str, str], home: Path, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE)
    archive = tmp_path / "backup.tar.gz"
    with launched(environment) as (_, link):
        url = f"http://localhost:{environment['WORKBENCH_PORT']}/"
        come_in(link, "ada", PASSWORD, stay=False)
        ada = Member(url, "ada", PASSWORD)
        project = made(ada, "kept")
        label = project.replace("_", "-")
        inside = ada.enter(url.rstrip("/").replace("://", f"://{label}.", 1), label)
        terminal = inside.terminal()
        terminal.run("echo mine > note.txt")
        registered: list[str] = []
        going = threading.Event()

        def work() -> None:
            for name in writing(environment, project, table):
                registered.append(name)
                if going.is_set():
                    return

        worker = threading.Thread(target=work)
        worker.start()
        while not registered:
            time.sleep(0.05)
        before = list(registered)
        told = workbench(environment, "backup", str(archive))
        assert told["file"] == str(archive)
        going.set()
        worker.join()
        terminal.close()
        keys = [str(c.value) for c in ada.http.cookies.jar if c.name == "studio-session"]
        # A window stays open: edited, and registered in, after the backup.
        kernel = inside.ask("POST", "api/kernels", json={"name": "python3"}).raise_for_status()
        today = Peer(inside, "01-tour.ipynb", Ledger())
        today.connect()
        mark = today.insert()
        today.close()
        inside.ask(
            "PUT", "api/contents/today.txt", json={"type": "file", "format": "text", "content": "x"}
        ).raise_for_status()
    assert archive.stat().st_mode & 0o077 == 0
    shutil.rmtree(home)
    workbench(environment, "restore", str(archive))
    with launched(environment):
        left_open(url, ada, today)
        ada.close()
        ada = Member(url, "ada", PASSWORD)
        found = products(ada, project)
        assert set(before) <= found
        headers = {"x-workbench-project": project}
        for name in found:
            ada.call(
                "POST", "data:preview", json={"product": name}, headers=headers
            ).raise_for_status()
        verified = ada.call("POST", "audit:verify", json={}, headers=headers).json()
        assert verified["ok"]
        for key in keys:
            asked = httpx.get(
                f"http://127.0.0.1:{environment['WORKBENCH_PORT']}/services/studio/api/v1/session",
                headers={"authorization": f"Bearer {key}", "host": url.split("/")[2]},
            )
            assert asked.status_code == 401, "a session from before the restore"
        inside = ada.enter(url.rstrip("/").replace("://", f"://{label}.", 1), label)
        terminal = inside.terminal()
        assert "mine" in terminal.run("cat note.txt")
        assert "No such file" in terminal.run("cat today.txt 2>&1")
        known = [each["id"] for each in inside.ask("GET", "api/kernels").json()]
        assert kernel.json()["id"] not in known
        # Its room was opened after the backup: the window stays apart until it is loaded anew.
        with pytest.raises(InvalidStatus):
            inside.socket(f"api/collaboration/room/{today.room}")
        today.close()
        fresh = Peer(inside, "01-tour.ipynb", Ledger()).connect()
        assert mark not in written(fresh.read())
        fresh.insert()
        fresh.close()
        terminal.close()
        next(writing(environment, project, table))
        ada.close()


def left_open(url: str, ada: Member, window: Peer) -> None:
    """A browser from before the restore is told to sign in, whatever of it asks; nothing breaks."""
    base = window.inside.base
    for method, address in (
        ("GET", f"{url}services/studio/api/v1/session"),
        ("POST", f"{url}services/studio/api/v1/projects/projects"),
        ("GET", f"{base}/api/contents"),
        ("PUT", f"{base}/api/contents/01-tour.ipynb"),
        ("GET", f"{base.partition('/user')[0]}/services/studio/api/v1/session"),
    ):
        answer = ada.http.request(
            method,
            address,
            headers={"accept": "application/json", "origin": window.inside.origin},
            follow_redirects=False,
        )
        assert answer.status_code in (401, 403), (address, answer.status_code, answer.text[:200])
        assert answer.json()["hint"], address
    for page in (f"{url}services/studio/", f"{url}hub/home", f"{base}/lab"):
        answer = ada.http.get(page)
        assert answer.status_code == 200, (page, answer.text[:200])
        assert "/hub/login" in str(answer.url), page
    with pytest.raises(InvalidStatus) as refused:
        window.inside.socket(f"api/collaboration/room/{window.room}")
    assert refused.value.response.status_code == 401


PARTS = {
    "hub": "workbench.hub ",
    "gateway": "workbench.hub.gateway",
    "service": "workbench.api.serve",
    "proxy": "configurable-http-proxy",
    "server": "workbench.hub.inside",
    "keeper": "workbench.hub.kernels.keeper",
    "dashboards": "workbench.publishing.serve",
    "worker": "multiprocessing",
}


def part(home: Path, mark: str) -> psutil.Process | None:
    for process in processes_of(home):
        try:
            command = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        if mark in command + " " and "hub.logged" not in command and "bwrap" not in process.name():
            return process
    return None


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def preview(member: Member, project: str) -> None:
    """Something that a worker does."""
    headers = {"x-workbench-project": project}
    answer = member.call("POST", "data:preview", json={"product": "table"}, headers=headers)
    assert len(answer.raise_for_status().json()["rows"]) > 0


def test_whatever_is_killed_comes_back(environment: dict[str, str], home: Path) -> None:
    with launched(environment) as (launcher, link):
        url = f"http://localhost:{environment['WORKBENCH_PORT']}/"
        come_in(link, "ada", PASSWORD, stay=False)
        ada = Member(url, "ada", PASSWORD)
        project = made(ada, "kept")
        label = project.replace("_", "-")
        origin = url.rstrip("/").replace("://", f"://{label}.", 1)
        ada.enter(origin, label).terminal().close()
        (home / "projects" / project / "files" / "table.csv").write_text(TABLE)
        headers = {"x-workbench-project": project}
        asked = {"source": "table.csv", "name": "table"}
        ada.call("POST", "data:register", json=asked, headers=headers).raise_for_status()
        preview(ada, project)
        seed = int(os.environ.get("WORKBENCH_SEED") or time.time_ns() % 1_000_000)
        print(f"WORKBENCH_SEED={seed}")
        order = [*PARTS, "gateway"]
        random.Random(seed).shuffle(order)
        for name in order:
            inside = name in ("server", "keeper")
            victim = process_in(project, PARTS[name]) if inside else part(home, PARTS[name])
            assert victim is not None, name
            victim.send_signal(signal.SIGKILL)
            while alive(victim):
                time.sleep(0.02)
            until = time.monotonic() + 90
            while True:
                try:
                    ada.session()
                    again = ada.enter(origin, label, wait_s=60)
                    assert again.ask("GET", "api/contents").status_code == 200
                    assert ada.http.get(f"{url}services/dashboards/").status_code < 500
                    preview(ada, project)
                    break
                except (httpx.HTTPError, AssertionError, ValueError):
                    assert time.monotonic() < until, f"after the {name} was killed: {seed}"
                    time.sleep(0.5)
            assert launcher.poll() is None
        verified = ada.call("POST", "audit:verify", json={}).json()
        assert verified["ok"]
        ada.close()
