"""The disk is full, really: what then is refused in a sentence, and goes on when there is room."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.conftest import PASSWORD, Team, made
from tests.hostile.members import Member, browser, submit

pytestmark = pytest.mark.studio
TABLE = "age,outcome\n" + "".join(f"{20 + n % 60},{n % 2}\n" for n in range(3000))


def backup(team: Team, file: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "workbench.cli.main", "backup", str(file), "--json"],
        env=team.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_full_disk(team: Team, tmp_path: Path) -> None:
    if team.disk is None:
        pytest.skip("only root can mount a disk to fill")
    member = team.alice
    project = made(member, "crowded")
    own = {"headers": {"x-workbench-project": project}}
    folder = team.home / "projects" / project / "files"
    (folder / "rows.csv").write_text(TABLE)
    inside = team.enter(member, project)
    notebook: dict[str, Any] = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    asked = {"type": "notebook", "format": "json", "content": notebook}
    inside.ask("PUT", "api/contents/mine.ipynb", json=asked).raise_for_status()
    whole = (folder / "mine.ipynb").read_bytes()

    def register(name: str) -> Any:
        return member.call(
            "POST", "data:register", json={"source": "rows.csv", "name": name}, **own
        )

    def train() -> Any:
        body = {"product": "before", "target": "outcome", "seed": 1}
        return member.call("POST", "models:train", json=body, **own)

    def comment(text: str) -> Any:
        body = {"text": text, "anchor": {"document": "mine.ipynb"}}
        return member.call("POST", "comments/comments", json=body, **own)

    def listed() -> set[str]:
        answer = member.call("GET", "data/products", params={"limit": 100}, **own)
        return {each["name"] for each in answer.raise_for_status().json()["items"]}

    register("before").raise_for_status()
    team.disk.fill()
    try:
        for _ in range(3):  # the launcher keeps account of the processes that come and go
            inside.terminal().close()
            time.sleep(1)
        for answer in (register("full"), comment("x" * 9000), train()):
            if answer.status_code == 200 and answer.json().get("state"):
                job = wait(team, answer.json()["id"], own)
                assert job["state"] == "failed", job
                assert job["error"]["status"] in (429, 503), job
                continue
            assert answer.status_code in (429, 503), answer.text
            assert answer.json()["hint"], answer.text
        large = {**notebook, "metadata": {"x": "y" * 200_000}}
        answer = inside.ask("PUT", "api/contents/mine.ipynb", json={**asked, "content": large})
        assert answer.status_code >= 400
        assert "space" in answer.text or "full" in answer.text, answer.text
        assert (folder / "mine.ipynb").read_bytes() == whole
        # Whoever is in reads on, and whoever is not is told why they cannot come in.
        assert listed() == {"before"}
        member.call("POST", "data:preview", json={"product": "before"}, **own).raise_for_status()
        with browser() as http:
            page = submit(http, f"{team.url}hub/login", {"username": "vera", "password": PASSWORD})
        assert page.status_code == 429, page.text
        assert "The disk is full" in page.text
        done = backup(team, team.home / "backups" / "full.tar.gz")
        assert done.returncode == 1, done.stdout
        problem = json.loads(done.stderr[done.stderr.index("{") :])
        assert problem["hint"], problem
        assert not [*(team.home / "backups").glob("*full*")]
    finally:
        team.disk.free()
    register("after").raise_for_status()
    comment("there is room").raise_for_status()
    assert wait(team, train().raise_for_status().json()["id"], own)["state"] == "done"
    inside.ask("PUT", "api/contents/mine.ipynb", json=asked).raise_for_status()
    assert listed() == {"before", "after"}
    Member(team.url, "vera", PASSWORD).close()
    assert member.call("POST", "audit:verify", json={}, **own).json()["ok"]
    for file in ("studio.db", "hub.sqlite"):
        with closing(sqlite3.connect(f"file:{team.home / file}?mode=ro", uri=True)) as db:
            assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    assert backup(team, tmp_path / "after.tar.gz").returncode == 0


def wait(team: Team, job: str, own: dict[str, Any]) -> dict[str, Any]:
    until = time.monotonic() + 120
    while True:
        now = team.alice.call("GET", f"pipelines/jobs/{job}", **own).raise_for_status().json()
        if now["state"] in ("done", "failed", "cancelled"):
            return dict(now)
        assert time.monotonic() < until, now
        time.sleep(0.2)
