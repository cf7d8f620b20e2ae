"""The clock of the machine is set while the Studio's service runs: back, and forward."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import workbench
from tests.running import ROOT, environment_for, free_port
from workbench.core import Actor, Engines, Forbidden, load_settings
from workbench.core.store import stores
from workbench.hub.passwords import STEP_S, code_at, step_of
from workbench.projects import resolve
from workbench.security import sessions, welcome

pytestmark = pytest.mark.studio
HOUR, DAY = 3600.0, 86400.0
TABLE = "age,outcome\n" + "".join(f"{20 + n * 37 % 40},{n % 2}\n" for n in range(80))


@dataclass
class Service:
    """The Studio's service on a machine whose clock may be set."""

    home: Path
    clock: Path
    http: httpx.Client

    def set(self, seconds: float) -> None:
        """Set the clock off the true time by this much."""
        new = self.clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.clock)

    def ask(self, method: str, path: str, **given: Any) -> Any:
        answer = self.http.request(method, f"/api/v1/{path}", **given)
        assert answer.is_success, answer.text
        return answer.json()

    def table(self) -> str:
        """A file of the project that whoever runs this works in."""
        folder = self.home / "projects" / self.ask("GET", "session")["project"]["id"] / "files"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "table.csv").write_text(TABLE)
        return "table.csv"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("clock")
    home, clock = folder / "home", folder / "clock"
    clock.write_text("0")
    environment = environment_for(home, port := free_port())
    base = f"http://127.0.0.1:{port}/services/studio"
    own = Path(__file__).parent / "clock"
    environment["PYTHONPATH"] = os.pathsep.join([str(own), environment["PYTHONPATH"]])
    environment["STUDIO_TEST_CLOCK"] = str(clock)
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.api.serve"],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + 90
        while True:
            try:
                httpx.get(f"{base}/api/v1/health").raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                assert time.monotonic() < until
                time.sleep(0.1)
        key = (home / "keys" / "local").read_text()
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=base, headers=headers, timeout=60) as http:
            yield Service(home, clock, http)
    finally:
        process.terminate()
        assert process.wait(30) in (0, -15)


def test_what_is_done_stays_in_order(service: Service) -> None:
    table = service.table()
    made = []
    for number, off in enumerate((0, 0, -HOUR, -HOUR, DAY, DAY, 0, -DAY, 0)):
        service.set(off)
        body = {"source": table, "name": f"table-{number}"}
        made.append(service.ask("POST", "data:register", json=body)["id"])
    assert len(set(made)) == len(made)
    listed, after = [], None
    while True:
        page = service.ask(
            "GET", "data/products", params={"limit": 2} | ({"after": after} if after else {})
        )
        listed += [each["id"] for each in page["items"]]
        if not (after := page["next"]):
            break
    assert sorted(listed) == sorted(made), "a page of the list was lost or given twice"
    events = service.ask("GET", "audit/events", params={"limit": 200})["items"]
    told = [e["seq"] for e in events]
    assert told == sorted(told, reverse=True)
    done = [e for e in reversed(events) if e["action"] == "data.register"]
    refs = [str(e["refs"]) for e in done if any(id in str(e["refs"]) for id in made)]
    assert [next(i for i in made if i in ref) for ref in refs] == made
    assert service.ask("POST", "audit:verify", json={})["ok"]


def test_a_job_ends_whatever_the_clock_says(service: Service) -> None:
    table = service.table()
    service.set(0)
    service.ask("POST", "data:register", json={"source": table, "name": "trained"})
    for off in (-HOUR, DAY):
        service.set(0)
        job = service.ask(
            "POST", "models:train", json={"product": "trained", "target": "outcome", "seed": 1}
        )
        service.set(off)
        until = time.monotonic() + 120
        while (now := service.ask("GET", f"pipelines/jobs/{job['id']}"))["state"] not in (
            "done", "failed", "cancelled",
        ):  # fmt: skip
            assert time.monotonic() < until, now
            time.sleep(0.2)
        assert now["state"] == "done", now["error"]
    service.set(0)
    assert len(service.ask("GET", "pipelines/jobs")["items"]) == 2
    assert service.ask("POST", "audit:verify", json={})["ok"]


def test_nobody_is_let_in_for_longer_than_the_clock_was_set(service: Service) -> None:
    service.set(0)
    workbench.load_rooms()
    engines = Engines(load_settings(home=service.home))
    store, now = engines.get(stores), datetime.now(UTC)
    ada = Actor(name="ada")
    project = resolve(engines, ada, None)
    key = sessions.issue(store, "person", person="ada", project=project, now=now)
    life = sessions.LIFE["person"].total_seconds()

    def status() -> int:
        headers = {"authorization": f"Bearer {key}"}
        return service.http.get("/api/v1/session", headers=headers).status_code

    for off, told in ((0, 200), (life - 60, 200), (-HOUR, 200), (life + 60, 401)):
        service.set(off)
        assert status() == told, off
    ticket = sessions.issue(store, "ticket", person="ada", project=project, now=now)
    assert sessions.spend(store, ticket, now + timedelta(days=1)) is None
    proof = sessions.confirmation("browser")
    sessions.issue(store, "confirmed", person="ada", now=now, key=proof)
    assert sessions.find(store, proof, "confirmed", now - timedelta(hours=1))
    assert not sessions.find(store, proof, "confirmed", now + timedelta(minutes=16))
    engines.close()
    service.set(0)
    service.http.get("/api/v1/session").raise_for_status()


def test_links_and_codes_are_used_once_on_any_clock(service: Service) -> None:
    now = datetime.now(UTC)
    token = welcome.issue(service.home, "grace", admin=False, now=now)
    welcome.look(service.home, token, now - timedelta(hours=1))
    with pytest.raises(Forbidden, match="expired"):
        welcome.look(service.home, token, now + timedelta(days=2))
    welcome.spend(service.home, token, now)
    for off in (-1, 0, 1):
        with pytest.raises(Forbidden, match="used"):
            welcome.spend(service.home, token, now + timedelta(hours=off))
    secret, at = "JBSWY3DPEHPK3PXP", now.timestamp()
    used = step_of(secret, code_at(secret, int(at // STEP_S)), 0, at)
    assert used == int(at // STEP_S)
    # A code that was used, or one before it, opens nothing again when the clock goes back to it.
    assert step_of(secret, code_at(secret, used), used, at - HOUR) is None
    assert step_of(secret, code_at(secret, used - 1), used, at) is None
    assert step_of(secret, code_at(secret, used - 120), used, at - HOUR) is None


def test_an_invitation_ends_by_the_clock_that_is_shown(service: Service) -> None:
    service.set(0)
    body = {"name": f"invited-{time.monotonic_ns()}"}
    project = service.ask("POST", "projects/projects", json=body)["id"]
    headers = {"x-workbench-project": project}
    link = service.ask(
        "POST", "projects:invite", json={"role": "viewer", "days": 1}, headers=headers
    )["link"]
    token = link.partition("token=")[2]
    service.set(2 * DAY)
    answer = service.http.post("/api/v1/projects:join", json={"token": token})
    assert answer.status_code == 403
    assert "expired" in answer.json()["detail"]
    service.set(0)
