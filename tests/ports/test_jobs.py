"""What every engine of `pipelines.jobs` must do. A new one adds a URL, no test."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import workbench
from tests.postgres import Postgres
from workbench.core import Actor, Context, Engines, blobs, call_here, load_settings
from workbench.projects import resolve


@pytest.fixture(params=["sqlite:///", "postgresql://"], ids=["sqlite", "postgresql"])
def ctx(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Context]:
    workbench.load_rooms()
    url = str(request.param)
    if url.startswith("postgresql"):
        server: Postgres = request.getfixturevalue("postgres")
        url = server.database()
    urls = {"core.store": url, "pipelines.jobs": f"dbos+{url}"}
    engines = Engines(load_settings(home=tmp_path / "home", urls=urls))
    ada = Actor(name="ada")
    yield Context(ada, resolve(engines, ada, None), engines)
    engines.close()


def test_a_job_runs_and_tells_what_came_of_it(ctx: Context, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = "".join(f"{i},{i % 7},{'yes' if i % 7 > 3 else 'no'}\n" for i in range(120))
    table.write_text("a,b,c\n" + rows)
    blob = ctx.engine(blobs).link(ctx.project, table)
    product = call_here(
        ctx.fresh(), "data.register", {"source": f"blob:{blob.id}", "name": "things"}
    )
    asked = {"product": product.id, "target": "c"}
    job = call_here(ctx.fresh(), "models.train", asked, key="one")
    assert call_here(ctx.fresh(), "models.train", asked, key="one").id == job.id
    until = time.monotonic() + 300
    while (now := call_here(ctx.fresh(), "pipelines.get_job", {"id": job.id})).state in (
        "queued",
        "running",
    ):
        assert time.monotonic() < until, now
        time.sleep(0.2)
    assert now.state == "done", now.error
    assert str(now.result["model"]).startswith("mdl_")
