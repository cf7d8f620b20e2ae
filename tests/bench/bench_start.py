"""Start-up and size of the Studio: seconds to the URL, and resident memory process by process.

Prints one JSON line. Bound: a second start reaches its URL in <= 15 s on 2 cores. The home is
new, without the tour; the first start (which migrates databases) is shown for comparison.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
SETTLE_S = 5.0


def started(environment: dict[str, str]) -> tuple["subprocess.Popen[str]", float]:
    """A launcher that has printed its URL, and the seconds that took."""
    began = time.monotonic()
    launcher = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli.main", "up", "--no-tour"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert launcher.stdout is not None
    for line in launcher.stdout:
        if line.startswith("Open "):
            return launcher, time.monotonic() - began
    raise SystemExit("the Studio did not start")


def stopped(launcher: "subprocess.Popen[str]") -> None:
    """Ctrl-C, and wait for the end."""
    launcher.send_signal(signal.SIGINT)
    launcher.wait(60)
    assert launcher.stdout is not None
    launcher.stdout.close()


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
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        environment = os.environ | {
            "WORKBENCH_HOME": f"{folder}/home",
            "WORKBENCH_PORT": str(port),
            "PYTHONPATH": str(ROOT),
        }
        launcher, first = started(environment)
        stopped(launcher)
        launcher, second = started(environment)
        time.sleep(SETTLE_S)
        idle = memory(launcher)
        stopped(launcher)
    return {
        "first_start_s": round(first, 1),
        "second_start_s": round(second, 1),
        "idle_unique_mib": idle,
        "idle_total_mib": sum(idle.values()),
    }


if __name__ == "__main__":
    print(json.dumps(main()))
