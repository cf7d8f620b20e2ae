"""What a durable job costs over DBOS alone, and how much faster two workers search than one.

Prints one JSON line. Bounds: a job that does nothing takes <= 30 ms longer than the function
(p50), >= 100 such jobs a second, two workers >= 1.5 times one. DBOS alone on SQLite stands beside.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ALONE = """
import json, logging, statistics, sys, time
from dbos import DBOS

DBOS(config={"name": "alone", "system_database_url": f"sqlite:///{sys.argv[1]}/dbos.db",
             "log_level": "ERROR", "console_log_level": "ERROR"})

@DBOS.step()
def nothing() -> str:
    return "nothing"

@DBOS.workflow()
def flow() -> str:
    return nothing()

DBOS.launch()
flow()
took = []
for _ in range(100):
    began = time.perf_counter()
    flow()
    took.append(time.perf_counter() - began)
began = time.perf_counter()
for each in [DBOS.start_workflow(flow) for _ in range(200)]:
    each.get_result()
print(json.dumps({"p50_ms": 1000 * statistics.median(took),
                  "per_s": 200 / (time.perf_counter() - began)}))
DBOS.destroy()
"""
ROOM = '''
"""Nothing, as a job."""

from workbench.core import Context, Job, action


@action(effect="job", undo="irreversible")
def nothing(ctx: Context) -> Job:
    """Do nothing."""
    return {"nothing": "nothing"}
'''
OURS = """
import json, statistics, sys, time
import workbench
from pathlib import Path
from workbench.core import Actor, Context, Engines, blobs, call_here, load_settings
from workbench.pipelines import ledger
from workbench.projects import resolve

folder, what = Path(sys.argv[1]), sys.argv[2]
workbench.load_rooms(["bare.room"])
engines = Engines(load_settings(home=folder / "home", rooms=["bare.room"]))
ada = Actor(name="ada")
ctx = Context(ada, resolve(engines, ada, None), engines)


def ended(ids):
    left = set(ids)
    while left:
        left = {id for id in left
                if ledger.row_of(ctx.store, id).state in ("queued", "running")}
        time.sleep(0.005)
    states = {ledger.row_of(ctx.store, id).state for id in ids}
    assert states == {"done"}, states


def job(action, **request):
    return call_here(ctx.fresh(), action, request).id


if what == "nothing":
    ended([job("room.nothing")])
    took = []
    for _ in range(50):
        began = time.perf_counter()
        ended([job("room.nothing")])
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    ids = [job("room.nothing") for _ in range(200)]
    while ledger.active(ctx.store, ctx.project):
        time.sleep(0.02)
    took_all = time.perf_counter() - began
    ended(ids)
    print(json.dumps({"p50_ms": 1000 * statistics.median(took), "per_s": 200 / took_all}))
else:
    import numpy as np

    random = np.random.default_rng(0)
    x = random.normal(size=(40_000, 12))
    y = (x[:, 0] * x[:, 1] + x[:, 2] + random.normal(0, 0.5, len(x))).round(3)
    names = [f"x{i}" for i in range(12)]
    lines = [",".join(map(str, row)) for row in np.column_stack([x.round(4), y])]
    file = folder / "t.csv"
    file.write_text("\\n".join([",".join([*names, "y"]), *lines]) + "\\n")
    blob = engines.get(blobs).link(ctx.project, file)
    call_here(ctx.fresh(), "data.register", {"source": f"blob:{blob.id}", "name": "t"})
    found = {}
    for workers in (1, 2, 1, 2):
        id = job("models.tune", product="t", target="y", estimator="lightgbm", trials=12,
                 workers=workers, name=f"m{workers}")
        ended([id])
        told = ledger.lines_after(ctx.store, id, 0)
        began = next(line.at for line in told if line.text == "starting workers")
        last = [line.at for line in told if line.kind == "metric"][-1]
        found.setdefault(workers, []).append((last - began).total_seconds())
    print(json.dumps({"one_s": min(found[1]), "two_s": min(found[2])}))
engines.close()
"""


def run(code: str, *given: str) -> dict[str, float]:
    """One run, in a process and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "bare"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "room.py").write_text(ROOM)
        script = package / "run.py"
        script.write_text(code)
        done = subprocess.run(
            [sys.executable, str(script), folder, *given],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([folder, str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def main() -> dict[str, Any]:
    pairs = [(run(ALONE), run(OURS, "nothing")) for _ in range(2)]
    alone, ours = ([each[place] for each in pairs] for place in (0, 1))
    searched = run(OURS, "search")
    return {
        "job_p50_ms": round(statistics.median(each["p50_ms"] for each in ours), 1),
        "dbos_p50_ms": round(statistics.median(each["p50_ms"] for each in alone), 2),
        "jobs_per_s": round(statistics.median(each["per_s"] for each in ours), 2),
        "dbos_per_s": round(statistics.median(each["per_s"] for each in alone), 1),
        "search_one_worker_s": round(searched["one_s"], 1),
        "search_two_workers_s": round(searched["two_s"], 1),
        "search_speedup": round(searched["one_s"] / searched["two_s"], 2),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
