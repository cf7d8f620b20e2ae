"""A Studio with a product, a model and a report in it, and every face on it."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import workbench
from workbench.api.client import InProcess, Workbench, connect
from workbench.api.rest import application
from workbench.core import Actor, Context, Engines, load_settings, local_person
from workbench.core.store import stores
from workbench.projects import resolve
from workbench.security.guard import LocalGuard, local_key

TABLE = "age,income,sex,outcome\n" + "".join(
    f"{20 + i % 50},{1000 + (i * 37) % 900},{'f' if i % 2 else 'm'},"
    f"{'yes' if (i * 37) % 900 > 400 else 'no'}\n"
    for i in range(240)
)


@dataclass
class World:
    """What the faces are asked about."""

    home: Path
    url: str
    token: str
    python: Workbench
    http: Workbench
    refs: dict[str, str]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    workbench.load_rooms()
    home = tmp_path_factory.mktemp("home")
    engines = Engines(load_settings(home=home))
    me = Actor(name=local_person(), admin=True, fresh=True)
    project = resolve(engines, me, None)
    here = Workbench(InProcess(Context(me, project, engines)), project)
    server = uvicorn.Server(
        uvicorn.Config(
            application(engines, LocalGuard(home, me.name, engines.get(stores))),
            port=0,
            log_level="error",
            ws="none",
            lifespan="off",
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    (home / "run").mkdir(exist_ok=True)
    (home / "run" / "studio.json").write_text(json.dumps({"url": url}))
    http = connect(url, token=local_key(home), project="default")
    yield World(home, url, local_key(home), here, http, _made(here, home))
    http.close()
    server.should_exit = True
    thread.join()
    here.close()


def _made(wb: Workbench, folder: Path) -> dict[str, str]:
    table = folder / "people.csv"
    table.write_text(TABLE)
    product = wb.call(
        "data.register", {"source": str(table), "name": "people", "sensitive": ["sex"]}
    )
    made: Any = {"product": product.ref, "table": str(table)}
    job = wb.call(
        "models.train",
        {"product": product.ref, "target": "outcome", "estimator": "logistic", "name": "outcomes"},
    ).wait(show=lambda _: None)
    made |= {"job": job.id, "model": job.result["model"]}
    report = wb.call("ethics.assess", {"model": made["model"]}).wait(show=lambda _: None)
    made |= {"report": report.result["report"]}
    made |= {"document": wb.call("documents.create_document", {"name": "drawn"}).id}
    made |= {"event": wb.call("audit.list_events").items[0].id}
    stopped = wb.call("pipelines.get_job", {"id": job.id})
    assert stopped.state == "done"
    return dict(made)
