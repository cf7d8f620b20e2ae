"""What training a network costs over a hand-written torch loop with the same batches and weights.

Prints one JSON line. Bound: <= 1.15 on 10^6 rows. Both train the suggested network by AdamW for
the same epochs on the same rows, with the loss of the held rows after each; medians of alternating
runs, in processes of their own. Reading the table and the baselines beside it are not in it.

And an epoch of a wider network (two layers of 512) by one process of one thread over the same epoch
by two workers of one thread each; their start is not in it.
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
ROWS, HELD, COLUMNS, EPOCHS = 1_000_000, 100_000, 16, 2
RUN = f"""
import json, sys, time
import numpy as np
import torch
from torch.nn import functional
from workbench.core.context import Quiet
from workbench.graphs import build, suggest
from workbench.models.estimators import Lesson
from workbench.models.networks import Network

random = np.random.default_rng(0)
x = random.normal(size=({ROWS} + {HELD}, {COLUMNS})).astype(np.float32)
y = (x[:, 0] * x[:, 1] + x[:, 2] + random.normal(0, 1, len(x)) > 0).astype(np.int64)
graph = suggest({COLUMNS}, {ROWS}, "classification")
batch = int(graph.training["batch_size"])


def ours():
    Network.fit(Lesson("classification", 2, (x[:{ROWS}], y[:{ROWS}]), (x[{ROWS}:], y[{ROWS}:]),
                       0, Quiet(), graph=graph, epochs={EPOCHS}))


def bare():
    torch.manual_seed(0)
    net = build(graph, {COLUMNS}, 2)
    optimiser = torch.optim.AdamW(net.parameters(), lr=graph.training["learning_rate"],
                                  weight_decay=graph.training["weight_decay"])
    features, target = torch.from_numpy(x), torch.from_numpy(y)
    for _ in range({EPOCHS}):
        net.train()
        for rows in torch.randperm({ROWS}).split(batch):
            optimiser.zero_grad()
            functional.cross_entropy(net(features[rows]), target[rows]).backward()
            optimiser.step()
        net.eval()
        with torch.inference_mode():
            for start in range({ROWS}, len(x), 8192):
                functional.cross_entropy(net(features[start:start + 8192]),
                                         target[start:start + 8192]).item()


torch.set_num_threads(int(sys.argv[2]))
began = time.perf_counter()
ours() if sys.argv[1] == "ours" else bare()
print(json.dumps({{"s": time.perf_counter() - began}}))
"""


CREW = f"""
import json, sys, tempfile, time
from pathlib import Path
import numpy as np
import torch
from tests.ports.test_clusters import context
from tests.unit.models.test_together import Heard
from workbench.graphs.suggest import plain
from workbench.models.estimators import Lesson
from workbench.models.networks import Network
from workbench.models.together import fit_together


class Timed(Heard):
    def metric(self, **values):
        super().metric(**values)
        self.epochs[-1]["at"] = time.perf_counter()


if __name__ == "__main__":
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    x = random.normal(size=({ROWS // 4} + {HELD // 10}, {COLUMNS})).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).astype(np.int64)
    graph = plain(2, 512, 0.0, {{"batch_size": 2048}})
    with tempfile.TemporaryDirectory() as folder:
        ctx = context(Path(folder), "local://?workers=2")
        ctx.job = Timed(Path(folder))
        lesson = Lesson("classification", 2, (x[:{ROWS // 4}], y[:{ROWS // 4}]),
                        (x[{ROWS // 4}:], y[{ROWS // 4}:]), 0, ctx.job, graph=graph, epochs=4)
        fit_together(ctx, lesson, 2) if sys.argv[1] == "2" else Network.fit(lesson)
        at = [each["at"] for each in ctx.job.epochs]
        print(json.dumps({{"s": (at[-1] - at[0]) / (len(at) - 1)}}))
"""


def crew(workers: int) -> float:
    """Seconds of an epoch by so many workers."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "crew.py"
        script.write_text(CREW)
        return started([str(script), str(workers)], {"OMP_NUM_THREADS": "1"})


def run(how: str, threads: int) -> float:
    return started(["-c", RUN, how, str(threads)], {})


def started(arguments: list[str], more: dict[str, str]) -> float:
    """What a process of its own says it took, in seconds."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | more,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1])["s"])


def main() -> dict[str, Any]:
    found: dict[str, Any] = {"rows": ROWS, "epochs": EPOCHS}
    for threads in (1, 2):
        pairs = [(run("bare", threads), run("ours", threads)) for _ in range(3)]
        found[f"ratio_{threads}_threads"] = round(
            statistics.median(ours for _, ours in pairs)
            / statistics.median(bare for bare, _ in pairs),
            3,
        )
        found[f"ours_{threads}_threads_s"] = round(statistics.median(o for _, o in pairs), 1)
    pairs = [(crew(1), crew(2)) for _ in range(3)]
    alone, both = (statistics.median(each) for each in zip(*pairs, strict=True))
    return found | {"two_workers_over_one": round(alone / both, 2), "alone_s": round(alone, 2)}


if __name__ == "__main__":
    print(json.dumps(main()))
