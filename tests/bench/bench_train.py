"""What training a network costs over a hand-written torch loop with the same batches and weights.

Prints one JSON line. Bound: <= 1.15 on 10^6 rows. Both train the suggested network by AdamW for
the same epochs on the same rows, with the loss of the held rows after each; medians of alternating
runs, in processes of their own. Reading the table and the baselines beside it are not in it.
"""

import json
import os
import statistics
import subprocess
import sys
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


def run(how: str, threads: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", RUN, how, str(threads)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
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
    return found


if __name__ == "__main__":
    print(json.dumps(main()))
