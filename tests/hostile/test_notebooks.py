"""A notebook that a job runs is a stranger: what it sees, and how far its key goes."""

import time
from typing import Any

import pytest

from tests.hostile.conftest import Team, invited, made
from tests.hostile.members import Member
from tests.hostile.test_terminal import called

pytestmark = pytest.mark.studio

LOOK = """\
import os, time
from pathlib import Path

Path("key").write_text(os.environ["WORKBENCH_TOKEN"])
for place in ({home!r}, {home!r} + "/keys", {home!r} + "/studio.db"):
    try:
        print(place, sorted(os.listdir(place))[:3])
    except OSError as error:
        print(place, type(error).__name__)
print("actor", wb.security.whoami().actor)
try:
    wb.projects.invite(role="owner")
except Exception as error:
    print("invite", type(error).__name__, flush=True)
until = time.time() + 60
while not Path("enough").exists() and time.time() < until:
    time.sleep(0.2)
"""


def run(owner: Member, project: str, code: str) -> str:
    headers = {"x-workbench-project": project}
    asked = owner.call("POST", "notebooks:run", json={"code": code}, headers=headers)
    return str(asked.raise_for_status().json()["id"])


def job_of(owner: Member, project: str, id: str) -> Any:
    headers = {"x-workbench-project": project}
    return owner.call("GET", f"pipelines/jobs/{id}", headers=headers).json()


def test_its_key_holds_in_its_own_project_while_it_runs(team: Team) -> None:
    project = made(team.alice, "noted")
    invited(team.alice, project, team.mallory, "editor")
    there = team.enter(team.mallory, project).terminal()
    elsewhere = team.enter(team.mallory, team.theirs).terminal()
    id = run(team.alice, project, LOOK.format(home=str(team.home)))
    key = there.run("while ! test -s key; do sleep 0.2; done; cat key").split()[0]
    assert key.startswith("session-")
    assert called(there, key) == "200"
    assert called(elsewhere, key) == "401"
    there.run("touch enough")
    until = time.monotonic() + 60
    while (job := job_of(team.alice, project, id))["state"] not in ("done", "failed"):
        assert time.monotonic() < until
        time.sleep(0.3)
    assert job["state"] == "done", job
    assert called(there, key) == "401"
    copy = there.run(f"cat {job['result']['notebook']}")
    for each in (there, elsewhere):
        each.close()
    for place in ("", "/keys", "/studio.db"):
        assert f"{team.home}{place} FileNotFoundError" in copy, copy
    assert f"actor project:{project}" in copy
    assert "invite Forbidden" in copy


def test_who_may_only_look_runs_nothing(team: Team) -> None:
    headers = {"x-workbench-project": team.theirs}
    answer = team.vera.call("POST", "notebooks:run", json={"code": "1"}, headers=headers)
    assert answer.status_code == 403, answer.text
