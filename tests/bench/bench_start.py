"""Start-up and size of the Studio: seconds to the URL, and resident memory process by process.

Prints one JSON line. Bound: a second start reaches its URL in <= 15 s on 2 cores. The home is
new, without the tour; the first start (which migrates databases) is shown for comparison.
"""

import json
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.running import environment_for, free_port, launched  # noqa: E402

SETTLE_S = 5.0


def memory(launcher: "subprocess.Popen[str]") -> dict[str, int]:
    """Unique memory (MiB) of every process of the Studio, by what it is."""
    found: dict[str, int] = {}
    for process in (root := psutil.Process(launcher.pid), *root.children(True)):
        words = process.cmdline()
        module = next((w for a, w in pairwise(words) if a == "-m"), "")
        name = module or next((Path(w).name for w in words[1:] if "/" in w), process.name())
        found[name] = found.get(name, 0) + process.memory_full_info().uss // 2**20
    return found


def main() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        environment = environment_for(Path(folder) / "home", free_port())
        took = []
        idle: dict[str, int] = {}
        for _ in range(2):
            began = time.monotonic()
            with launched(environment) as (launcher, _):
                took.append(round(time.monotonic() - began, 1))
                time.sleep(SETTLE_S)
                idle = memory(launcher)
    return {
        "first_start_s": took[0],
        "second_start_s": took[1],
        "idle_unique_mib": idle,
        "idle_total_mib": sum(idle.values()),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
