"""What goes with a project, what stays, and what is done after a kill in between."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from workbench.core import (
    Actor,
    Conflict,
    Context,
    Engines,
    Forbidden,
    Invalid,
    Record,
    Shelf,
    blobs,
    call_here,
    new_id,
)
from workbench.core.door import answers
from workbench.core.events import tail
from workbench.core.shelf import records
from workbench.pipelines.ledger import jobs, lines
from workbench.projects import deletion, resolve, sweep
from workbench.projects.links import invitations
from workbench.projects.spaces import projects
from workbench.security import grants
from workbench.security.sessions import issue, sessions

Ask = Callable[..., Any]


class Thing(Record):
    id: str
    version: int = 0


def furnish(ctx: Context, ask: Ask, project: str, job: str = "job_done") -> None:
    """A product, an upload, a model's files, a job with its log, an invitation, an answer."""
    own = ctx.home / "projects" / project
    (own / "files" / "deep").mkdir()
    (own / "files" / "deep" / "a.txt").write_text("12345")
    (own / "files" / "elsewhere").symlink_to(ctx.home)
    (own / "delta").mkdir()
    (own / "delta" / "part").write_text("123")
    (ctx.home / "mlflow" / project).mkdir(parents=True)
    (ctx.home / "mlflow" / project / "model").write_text("12")
    ctx.engine(blobs).create(project, "x.csv", 5)
    log = ctx.home / "logs" / "jobs" / f"{job}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("said")
    with ctx.store.begin() as tx:
        shelf = Shelf("prd", "product", Thing)
        shelf.put(tx, project, Thing(id=f"prd_{project}"))
        shelf.put(tx, project, Thing(id=f"prd_{project}", version=1))
        put_job(tx, project, job, "done")
        tx.execute(lines.insert().values(job=job, seq=1, at="", kind="log", text="said", values={}))
    issue(ctx.store, "project", project=project, now=ctx.now())
    ask("ada", "invite", within=project, key=f"kept-{project}")


def put_job(tx: sa.Connection, project: str, id: str, state: str) -> None:
    tx.execute(
        jobs.insert().values(
            id=id, project=project, actor={}, action="models.train", request={}, state=state,
            progress=0.0, note="", attempt=1, stop=False, trace="", made_at="",
        )
    )  # fmt: skip


def rows(ctx: Context, project: str) -> dict[str, int]:
    """How many rows of a project there are in each table."""
    tables = (jobs, records, answers, invitations, grants, sessions)
    with ctx.store.read() as connection:
        found = {
            table.name: connection.execute(
                sa.select(sa.func.count()).select_from(table).where(table.c.project == project)
            ).scalar_one()
            for table in tables
        }
        found["projects"] = connection.execute(
            sa.select(sa.func.count()).select_from(projects).where(projects.c.id == project)
        ).scalar_one()
        found["job_lines"] = connection.execute(
            sa.select(sa.func.count()).select_from(lines)
        ).scalar_one()
    return found


def left(home: Path, project: str) -> list[str]:
    return sorted(str(each.relative_to(home)) for each in home.rglob(f"*{project}*"))


def test_what_goes_and_what_stays(ask: Ask, ctx: Context, shared: str) -> None:
    furnish(ctx, ask, shared)
    kept_before = rows(ctx, ctx.project)
    told = ask("ada", "get_deletion", id="churn")
    assert (told.project, told.name, told.products, told.models) == (shared, "churn", 1, 0)
    assert (told.jobs, told.files) == (1, 1) and told.bytes > 10
    with pytest.raises(Invalid, match="called 'churn', not 'Churn'"):
        ask("ada", "delete_project", id=shared, confirm="Churn")
    assert left(ctx.home, shared) and rows(ctx, shared)["records"] == 2

    assert ask("ada", "delete_project", id=shared, confirm="churn") == told
    assert set(rows(ctx, shared).values()) == {0}
    assert left(ctx.home, shared) == [] and not list((ctx.home / "logs" / "jobs").iterdir())
    assert (ctx.home / "projects").exists(), "a link is removed, not what it leads to"
    assert tail(ctx.store, project=shared)[-1].action == "projects.delete_project"
    assert call_here(ctx.fresh(), "audit.verify", {}).ok
    with pytest.raises(Forbidden, match="in no project"):
        ask("ada", "get_deletion", id=shared)
    assert rows(ctx, ctx.project) == kept_before | {"job_lines": 0}
    assert ask("ada", "create_project", within="", name="churn").id != shared


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_project_with_jobs_is_not_deleted_nor_archived(
    ask: Ask, ctx: Context, shared: str, state: str
) -> None:
    with ctx.store.begin() as tx:
        put_job(tx, shared, "job_1", state)
        put_job(tx, shared, "job_2", state)
    for verb, more in (("delete_project", {"confirm": "churn"}), ("archive_project", {})):
        with pytest.raises(Conflict, match="2 jobs of this project are queued or running"):
            ask("ada", verb, id="churn", **more)
    assert rows(ctx, shared)["projects"] == 1 and left(ctx.home, shared)


@pytest.mark.parametrize("point", ["before", "renamed", "half"])
def test_a_kill_after_the_commit_is_healed(
    ask: Ask, ctx: Context, shared: str, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    furnish(ctx, ask, shared)
    other = ask("ada", "create_project", within="", name="other").id
    furnish(ctx, ask, other, "job_other")
    real, calls = deletion._remove, list[Path]()

    def killed(folder: Path) -> None:
        calls.append(folder)
        if point == "renamed" and len(calls) == 2:
            raise OSError("killed")
        if point == "half" and len(calls) == 4:
            shutil.rmtree(folder / "delta")
            raise OSError("killed")
        real(folder)

    if point == "before":
        monkeypatch.setattr(deletion, "_erase", lambda *_: None)
    else:
        monkeypatch.setattr(deletion, "_remove", killed)
    ask("ada", "delete_project", id="churn", confirm="churn")
    monkeypatch.undo()
    assert left(ctx.home, shared), "there is something to heal"

    here = left(ctx.home, other)
    assert sweep(ctx.home, ctx.store) == 1
    assert left(ctx.home, shared) == [] and left(ctx.home, other) == here
    assert rows(ctx, other)["projects"] == 1
    assert sweep(ctx.home, ctx.store) == 0


def test_what_a_late_call_wrote_is_swept(ask: Ask, ctx: Context, shared: str) -> None:
    ask("ada", "delete_project", id="churn", confirm="churn")
    (ctx.home / "projects" / shared / "delta").mkdir(parents=True)
    with ctx.store.begin() as tx:
        Shelf("prd", "product", Thing).put(tx, shared, Thing(id="prd_late"))
    assert sweep(ctx.home, ctx.store) == 1
    assert left(ctx.home, shared) == [] and rows(ctx, shared)["records"] == 0


def test_files_that_are_merely_unknown_stay(ask: Ask, ctx: Context) -> None:
    # Another database was put in place, or a project is being made this very moment.
    for name in (new_id("prj"), f".deleted-{new_id('prj')}"):
        (ctx.home / "projects" / name / "files").mkdir(parents=True)
    before = sorted((ctx.home / "projects").iterdir())
    assert sweep(ctx.home, ctx.store) == 0
    assert sorted((ctx.home / "projects").iterdir()) == before


def test_a_folder_closed_to_oneself_goes_too(ask: Ask, ctx: Context, shared: str) -> None:
    closed = ctx.home / "projects" / shared / "files" / "closed"
    (closed / "deeper").mkdir(parents=True)
    (closed / "deeper" / "a").write_text("x")
    closed.chmod(0)
    ask("ada", "delete_project", id="churn", confirm="churn")
    assert left(ctx.home, shared) == []


def test_a_default_that_was_deleted_is_made_anew(ask: Ask, engines: Engines, ctx: Context) -> None:
    ada = Actor(name="ada")
    assert resolve(engines, ada, None) == ctx.project
    ask("ada", "delete_project", within=ctx.project, id="default", confirm="default")
    new = resolve(engines, ada, None)
    assert new != ctx.project and ask("ada", "get_project", within=new, id="default").id == new
