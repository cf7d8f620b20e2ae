"""A whole Studio on PostgreSQL: its records, its jobs, and JupyterHub's accounts."""

from pathlib import Path

import pytest

from tests.hostile.members import Member, come_in
from tests.postgres import Postgres, passfile
from tests.running import environment_for, free_port, launched, processes_of, welcome_link

pytestmark = [pytest.mark.studio, pytest.mark.soak]
PASSWORD = "a-quite-long-passphrase"
SECRET = "known-to-the-database-alone"


def test_a_team_works_on_postgresql_and_is_there_after_a_restart(
    postgres: Postgres, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    passfile(home, "studio", SECRET)
    url = postgres.locked("studio", SECRET)
    postgres.run("CREATE DATABASE accounts OWNER studio TEMPLATE template0")
    environment = environment_for(home, free_port()) | {
        "WORKBENCH_URL_CORE__STORE": url,
        "WORKBENCH_URL_PIPELINES__JOBS": f"dbos+{url}",
        "WORKBENCH_HUB_DB_URL": url.replace("/studio?", "/accounts?"),
    }
    with launched(environment) as (_, link):
        address = f"http://localhost:{environment['WORKBENCH_PORT']}/"
        come_in(link, "ada", PASSWORD, stay=False)
        come_in(welcome_link(environment, "ben"), "ben", PASSWORD, stay=False)
        ada, ben = (Member(address, name, PASSWORD) for name in ("ada", "ben"))
        made = ada.call("POST", "projects/projects", json={"name": "lake"})
        project = made.raise_for_status().json()["id"]
        headers = {"x-workbench-project": project}
        invited = ada.call("POST", "projects:invite", json={"role": "editor"}, headers=headers)
        token = invited.raise_for_status().json()["link"].partition("token=")[2]
        ben.call("POST", "projects:join", json={"token": token}).raise_for_status()
        label = project.replace("_", "-")
        origin = address.rstrip("/").replace("://", f"://{label}.", 1)
        inside = ben.enter(origin, label)
        note = {"type": "file", "format": "text", "content": "kept"}
        inside.ask("PUT", "api/contents/note.txt", json=note).raise_for_status()
        told = [" ".join(each.cmdline()) for each in processes_of(home)]
        assert told and not any(SECRET in each for each in told)
        ada.close()
        ben.close()
    with launched(environment) as (_, link):
        assert "token=" not in link
        ben = Member(address, "ben", PASSWORD)
        found = ben.call("GET", "projects/projects").raise_for_status().json()["items"]
        assert {each["name"]: each["role"] for each in found}["lake"] == "editor"
        kept = ben.enter(origin, label).ask("GET", "api/contents/note.txt")
        assert kept.raise_for_status().json()["content"] == "kept"
        ben.close()
    assert not [each for each in ("studio.db", "hub.sqlite", "jobs.db") if (home / each).exists()]
    logs = [each.read_text() for each in (home / "logs").rglob("*.log")]
    assert logs and not any(SECRET in each for each in logs)
