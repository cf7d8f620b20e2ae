"""A server that nobody uses is stopped; one in which something runs is not, however long it takes.

And what an administrator sees of it meanwhile, and what a scraper reads: of the Studio and of the
hub with one token.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hostile.members import Inside, Loopback, Member, come_in
from tests.running import environment_for, free_port, launched
from workbench.core import Actor, Context, Engines, load_settings
from workbench.core.events import tail
from workbench.core.ids import label_of
from workbench.core.jobs import runner
from workbench.core.store import stores
from workbench.operations import running
from workbench.operations.access import metrics_token
from workbench.pipelines import ledger

pytestmark = [pytest.mark.studio, pytest.mark.soak]

IDLE_S = 8.0
PASSWORD = "a-quite-long-passphrase"


@dataclass
class World:
    """A Studio that stops idle servers soon, and its administrator's project."""

    home: Path
    ada: Member
    project: str

    @property
    def label(self) -> str:
        return label_of(self.project)

    def enter(self) -> Inside:
        origin = self.ada.url.rstrip("/").replace("://", f"://{self.label}.", 1)
        return self.ada.enter(origin, self.label, wait_s=120)

    def runs(self) -> bool:
        return any(each.label == self.label for each in running.running(self.home))

    def used(self) -> float:
        return (running.folder_of(self.home) / f"{self.label}.used").stat().st_mtime

    def listed(self) -> list[dict[str, Any]]:
        answer = self.ada.call("GET", "operations/servers")
        return list(answer.raise_for_status().json()["items"])

    def stop(self) -> None:
        """As an administrator does."""
        answer = self.ada.call("POST", "operations:stop_server", json={"id": self.project})
        assert answer.status_code == 200, answer.text

    def outlives(self) -> None:
        """The server is at work for longer than an idle one would be left alone."""
        began = time.time()
        until(lambda: not self.runs() or self.used() > began + 2 * IDLE_S, 60)
        assert self.runs()

    def ends(self) -> None:
        until(lambda: not self.runs(), IDLE_S + 60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("idle") / "home"
    own = {"WORKBENCH_IDLE_S": str(IDLE_S), "WORKBENCH_LOG_FORMAT": "json"}
    environment = environment_for(home, free_port()) | own
    with launched(environment) as (_, link):
        url = f"http://localhost:{environment['WORKBENCH_PORT']}/"
        come_in(link, "ada", PASSWORD, stay=False)
        ada = Member(url, "ada", PASSWORD)
        made = ada.call("POST", "projects/projects", json={"name": "calm"})
        yield World(home, ada, str(made.raise_for_status().json()["id"]))
        ada.close()


def until(told: Callable[[], Any], wait_s: float) -> None:
    """Wait until something is so."""
    end = time.monotonic() + wait_s
    while not told():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@contextmanager
def cell(inside: Inside, code: str) -> Iterator[None]:
    """A cell that runs in a kernel of its own, which is shut down at the end."""
    kernel = inside.ask("POST", "api/kernels", json={}).raise_for_status().json()["id"]
    with closing(inside.socket(f"api/kernels/{kernel}/channels")) as socket:
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "session": uuid.uuid4().hex,
            "username": "ada",
            "version": "5.3",
            "date": datetime.now(UTC).isoformat(),
        }
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        socket.send(json.dumps({**asked, "channel": "shell", "buffers": []}))
        told = ""
        while "stream" not in told:  # the cell has printed something
            told = str(json.loads(socket.recv(timeout=60)).get("msg_type"))
    try:
        yield
    finally:
        # Unless its server was stopped meanwhile.
        ended = inside.ask("DELETE", f"api/kernels/{kernel}")
        assert ended.status_code in (204, 503), ended.text


def test_a_running_cell_keeps_its_server(world: World) -> None:
    inside = world.enter()
    with cell(inside, "print('begun', flush=True)\nimport time\ntime.sleep(600)"):
        world.outlives()
        (told,) = world.listed()
        assert (told["busy"], told["kernels"], told["answers"]) == (1, 1, True)
        assert told["title"] == "calm" and told["memory_bytes"] > 5 * 10**7
    world.ends()
    assert world.listed() == []


def test_a_command_in_a_terminal_keeps_its_server_also_when_the_terminal_is_closed(
    world: World,
) -> None:
    inside = world.enter()
    terminal = inside.terminal()
    terminal.run("true")
    (waits,) = world.listed()
    assert waits["commands"] == 0  # a shell that waits is no work
    terminal.run("setsid sh -c 'echo $$ > pid; exec sleep 600' >/dev/null 2>&1 &")
    world.outlives()
    assert world.listed()[0]["commands"] >= 1
    for each in inside.ask("GET", "api/terminals").json():
        inside.ask("DELETE", f"api/terminals/{each['name']}").raise_for_status()
    terminal.close()
    world.outlives()
    again = inside.terminal()
    again.run("kill $(cat pid)")
    again.close()
    world.ends()


def test_a_job_of_the_project_keeps_its_server(world: World) -> None:
    world.enter()
    engines = Engines(load_settings(home=world.home))
    with closing(engines):
        ctx = Context(Actor(name="ada"), world.project, engines)
        job = engines.get(runner).plan(ctx, "models.train", {})
        with engines.get(stores).begin() as tx:
            engines.get(runner).put(tx, job)
            ledger.begin_attempt(tx, job.id, ctx.now(), "")
        try:
            world.outlives()
            assert world.listed()[0]["jobs"] == 1
        finally:
            with engines.get(stores).begin() as tx:
                ledger.finish(tx, job.id, ctx.now(), "cancelled")
    world.ends()


def test_an_administrator_stops_a_server_and_it_is_on_the_record(world: World) -> None:
    inside = world.enter()
    with cell(inside, "print('begun', flush=True)\nimport time\ntime.sleep(600)"):
        # The cell goes on without its server; stopped once more, it ends, too.
        world.stop()
        (told,) = world.listed()
        assert not told["serves"] and world.runs()
        world.stop()
        until(lambda: not world.runs(), 30)
        assert world.listed() == []
    world.enter()  # it starts again when somebody opens it
    with closing(Engines(load_settings(home=world.home))) as engines:
        done = [e for e in tail(engines.get(stores)) if e.action == "operations.stop_server"]
        assert sorted(e.refs["busy"] for e in done) == [0, 1]
        assert {e.actor for e in done} == {"person:ada"}


def test_health_knows_every_process(world: World) -> None:
    answer = world.ada.call("POST", "operations:check_health", json={})
    told = answer.raise_for_status().json()
    names = {each["name"] for each in told["processes"]}
    assert {"launcher", "hub", "proxy", "gateway", "service", "dashboards", "worker"} <= names
    assert not any("does not run" in each["sentence"] for each in told["findings"])


def test_one_token_reads_the_metrics_of_the_studio_and_of_the_hub(world: World) -> None:
    token = metrics_token(load_settings(home=world.home))
    with httpx.Client(transport=Loopback(), timeout=30) as scraper:
        for path, name in (
            ("services/studio/metrics", "studio_servers"),
            ("hub/metrics", "jupyterhub_"),
        ):
            url = f"{world.ada.url}{path}"
            right = scraper.get(url, headers={"authorization": f"Bearer {token}"})
            assert right.status_code == 200 and name in right.text, right.text[:300]
            assert scraper.get(url).status_code in (401, 403), path
            wrong = scraper.get(url, headers={"authorization": f"Bearer {token[:-1]}"})
            assert wrong.status_code in (401, 403), path
        # It reads metrics, and nothing else.
        headers = {"authorization": f"Bearer {token}"}
        for path in ("hub/api/users", "services/studio/api/v1/session"):
            assert scraper.get(f"{world.ada.url}{path}", headers=headers).status_code in (401, 403)


def test_the_logs_of_all_processes_are_lines_of_json(world: World) -> None:
    for name in ("hub", "gateway", "studio", "dashboards"):
        lines = (world.home / "logs" / f"{name}.log").read_text().splitlines()
        told = [json.loads(each) for each in lines if each.startswith("{")]
        assert told and all({"time", "level", "logger", "message"} <= set(each) for each in told), (
            name
        )
        assert len(told) > 0.9 * len(lines), (name, [x for x in lines if not x.startswith("{")][:5])


def test_an_id_that_a_person_quotes_is_found(world: World) -> None:
    missing = world.ada.call("GET", "models/models/nothing")
    trace = missing.json()["trace"]
    assert missing.status_code == 404 and missing.headers["x-trace-id"] == trace
    found = world.ada.call("POST", "operations:find_logs", json={"id": trace})
    (entry, *_) = [each for each in found.raise_for_status().json()["items"] if not each["around"]]
    told = json.loads(entry["text"])
    assert entry["file"] == "studio.log" and told["actor"] == "person:ada"
    assert told["message"] == "models.get_model: NotFound" and told["project"]
