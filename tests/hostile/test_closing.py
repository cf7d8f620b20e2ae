"""A project that is put away or deleted: nothing of it goes on, and nothing of it is left."""

import time
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tests.hostile.conftest import Team, label, made
from tests.hostile.members import Inside, Terminal

# A socket that was cut is closed by the collector.
pytestmark = [
    pytest.mark.studio,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SOON_S = 10.0
"""Within this nothing runs any more; a server that does not heed is killed after eight."""
WRITING = "while :; do mkdir -p /home/project/again; echo x > /home/project/again/x; done"


def of(project: str) -> list[psutil.Process]:
    """Everything that runs in a project's sandbox, and the sandbox itself."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("WORKBENCH_PROJECT") != project:
                continue
            for each in (*process.parents(), process):
                if each.name() == "bwrap" or each == process:
                    found |= {one.pid: one for one in (each, *each.children(recursive=True))}
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return list(found.values())


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def at_work(team: Team, project: str) -> tuple[Inside, Terminal, list[psutil.Process]]:
    """A server with a kernel, a terminal, and a process that wants to outlive them all."""
    inside = team.enter(team.alice, project)
    inside.ask("POST", "api/kernels", json={"name": "python3"}).raise_for_status()
    terminal = inside.terminal()
    terminal.run(f"env -i setsid nohup sh -c '{WRITING}' >/dev/null 2>&1 </dev/null &")
    until = time.monotonic() + 30
    while "x" not in terminal.run("cat again/x"):
        assert time.monotonic() < until
    running = of(project)
    told = " ".join(" ".join(each.cmdline()) for each in running if alive(each))
    assert all(mark in told for mark in ("hub.inside", "ipykernel_launcher", "again", "bwrap"))
    return inside, terminal, running


def changed(team: Team, project: str, method: str, path: str, **given: Any) -> float:
    """Do this to a project; when it was acknowledged."""
    headers = {"x-workbench-project": project}
    team.alice.call(method, path, headers=headers, **given).raise_for_status()
    return time.monotonic()


def wait_until_nothing_runs(running: list[psutil.Process], since: float) -> None:
    while left := [each for each in running if alive(each)]:
        assert time.monotonic() - since < SOON_S, [(each.pid, each.name()) for each in left]
        time.sleep(0.05)


def test_an_archived_project_stops_at_once_and_can_be_reopened(team: Team) -> None:
    project = made(team.alice, "put-away")
    inside, terminal, running = at_work(team, project)
    since = changed(team, project, "POST", "projects:archive_project", json={"id": project})
    wait_until_nothing_runs(running, since)
    with pytest.raises(ConnectionClosed):
        while True:
            terminal.socket.recv(timeout=5)
    terminal.close()
    origin, name = inside.origin, label(project)
    answer = team.alice.http.get(
        f"{origin}/user/{name}/api/contents", headers={"accept": "application/json"}
    )
    assert answer.status_code == 403, answer.text
    page = team.alice.http.get(f"{origin}/user/{name}/lab")
    assert "/services/studio/projects/" in str(page.url)
    assert not [each for each in of(project) if alive(each)]

    changed(team, project, "POST", "projects:reopen_project", json={"id": project})
    terminal = team.enter(team.alice, project).terminal()
    assert "x" in terminal.run("cat again/x")
    terminal.close()


def test_a_deleted_project_stops_at_once_and_leaves_no_file(team: Team) -> None:
    project = made(team.alice, "thrown-away")
    _, terminal, running = at_work(team, project)
    since = changed(
        team,
        project,
        "DELETE",
        f"projects/projects/{project}",
        params={"confirm": "thrown-away"},
    )
    wait_until_nothing_runs(running, since)
    terminal.close()
    folder = team.home / "projects"
    until = time.monotonic() + 5
    while left := [*folder.glob(f"*{project}"), *(team.home / "blobs").glob(f"*{project}")]:
        assert time.monotonic() < until, left
        time.sleep(0.05)
    assert not (team.home / "run" / "servers" / f"{label(project)}.sock").exists()
