"""A whole home of the version before there were teams: it opens, and everything in it works.

`homes/0001.tar.gz` is a backup of a home that the Studio made at schema 0001 (`workbench up` with
its tour, one account, two files written in its Lab); its keys were made for it and open nothing.
`homes/0001.json` is what that version itself answered about it.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import workbench
from tests.hostile.members import Member
from tests.running import environment_for, free_port, launched
from workbench.cli.backup import restore_backup, upgrade
from workbench.core import load_settings
from workbench.core.snapshot import revision_of
from workbench.core.store import newest_migration

HERE = Path(__file__).parent
BEFORE: dict[str, Any] = json.loads((HERE / "homes/0001.json").read_text())
PROJECT = "fair-lending"
NAME, PASSWORD = "admin", "an-old-passphrase"


def unpacked(home: Path) -> Path:
    restore_backup(load_settings(home=home), HERE / "homes/0001.tar.gz")
    assert revision_of(home / "studio.db") == "0001"
    return home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old home after `workbench upgrade`."""
    found = unpacked(tmp_path_factory.mktemp("old") / "home")
    done = upgrade(load_settings(home=found))
    assert (done.before, done.after) == ("0001", newest_migration())
    assert Path(done.backup).is_file()
    return found


@pytest.fixture
def wb(home: Path) -> Iterator[Any]:
    with workbench.connect(home=home, project=PROJECT) as connected:
        yield connected


def kept(old: Any, new: Any) -> bool:
    """Whether an answer has all that the older one had; it may say more."""
    if isinstance(old, dict):
        return all(name in new and kept(value, new[name]) for name, value in old.items())
    if isinstance(old, list):
        return len(old) == len(new) and all(kept(*both) for both in zip(old, new, strict=True))
    if isinstance(old, float):
        return bool(old == pytest.approx(new, rel=1e-5))
    return bool(old == new)


def plain(answer: Any) -> Any:
    return answer.model_dump(mode="json")


def test_tables_models_and_reports_are_as_they_were(wb: Any) -> None:
    assert wb.data.preview(product="mortgages", limit=3).rows == BEFORE["preview"]
    assert kept(BEFORE["model"], plain(wb.models.get_model(id="approvals")))
    report = plain(wb.ethics.get_report(id=BEFORE["report"]["id"]))
    assert kept(BEFORE["report"], report)
    jobs = [[each.id, each.action, each.state] for each in wb.pipelines.list_jobs().items]
    assert jobs == BEFORE["jobs"]


def test_the_model_answers_what_it_answered(wb: Any) -> None:
    told = plain(wb.models.predict(model="approvals", product="mortgages", limit=3))
    assert kept(BEFORE["prediction"], told)


def test_the_record_is_whole_and_goes_on(wb: Any, tmp_path: Path) -> None:
    table = tmp_path / "said.csv"
    table.write_text("a,b\n1,2\n")
    assert wb.data.query(sql="SELECT count(*) FROM mortgages").rows == [[2380]]
    wb.data.register(str(table), name="said")
    assert wb.audit.verify().ok
    hashes = [each.hash for each in wb.audit.list_events(limit=1000).items]
    assert hashes[-len(BEFORE["events"]) :] == BEFORE["events"]
    assert len(hashes) > len(BEFORE["events"])


def test_it_goes_back_to_the_version_before_and_forward_again(tmp_path: Path) -> None:
    home = unpacked(tmp_path / "home")
    settings = load_settings(home=home)
    before = rows(home)
    upgrade(settings)
    assert rows(home) == before
    while revision_of(home / "studio.db") != "0001":
        upgrade(settings, back=True)
    assert rows(home) == before
    assert upgrade(settings).after == newest_migration()
    assert rows(home) == before


def rows(home: Path) -> dict[str, list[Any]]:
    """What the tables of schema 0001 hold, by the columns they had then."""
    columns = {
        "projects": "id, name, title, description, owner, made_at",
        "jobs": "id, project, actor, action, request, state, progress, note, result, error, "
        "attempt, stop, trace, made_at, started_at, finished_at",
    }
    tables = ("answers", "events", "grants", "job_lines", "jobs", "projects", "records")
    with closing(sqlite3.connect(home / "studio.db")) as database:
        return {
            table: database.execute(
                f"SELECT {columns.get(table, '*')} FROM {table} ORDER BY 1, 2, 3"
            ).fetchall()
            for table in tables
        }


@pytest.mark.studio
def test_the_old_account_signs_in_and_opens_the_old_project(tmp_path: Path) -> None:
    home = unpacked(tmp_path / "home")
    environment = environment_for(home, free_port())
    with launched(environment) as (_, link):
        assert "token=" not in link  # it knows its administrator
        member = Member(link, NAME, PASSWORD)
        found = member.call("GET", "projects/projects").raise_for_status().json()["items"]
        project = next(each for each in found if each["name"] == PROJECT)
        assert project["role"] == "owner"
        label = project["id"].replace("_", "-")
        inside = member.enter(link.rstrip("/").replace("://", f"://{label}.", 1), label)
        listed = inside.ask("GET", "api/contents").raise_for_status().json()["content"]
        assert {"notes.md", "old.ipynb"} <= {each["name"] for each in listed}
        notes = inside.ask("GET", "api/contents/notes.md").raise_for_status().json()["content"]
        assert notes == "# Written with the version before\n"
        headers = {"x-workbench-project": project["id"]}
        asked = {"product": "mortgages", "limit": 3}
        told = member.call("POST", "data:preview", json=asked, headers=headers)
        assert told.raise_for_status().json()["rows"] == BEFORE["preview"]
        member.close()
