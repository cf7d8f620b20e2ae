"""A job of five steps, each with an effect outside, while one process after another is killed.

After every run: the job is done, each effect is there once, and nothing that it started is left.
The table of what was killed is printed (`pytest -s`).
"""

import json
import os
import random
import signal
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import workbench
from tests.running import attempts
from tests.soak.test_kills import started
from workbench.core import WorkbenchError, catalogue, new_id

RUNS = int(os.environ.get("STUDIO_KILL_RUNS", "50"))
PORT = 18_965
STEPS = 5
SEED = 20_261_126

ROOM = '''
"""Letters that are sent outside the Studio."""

import os, time
from workbench.core import Context, Job, action


@action(effect="job", undo="irreversible", reach="machine")
def send(ctx: Context, out: str, pause_s: float = 0.3) -> Job:
    """Send letters, one in each step.

    Args:
        out: The folder where letters arrive.
        pause_s: How long each takes.
    """

    def letter(number: int) -> dict:
        time.sleep(pause_s / 2)
        key = f"{ctx.job.id}-{number}"
        with open(os.path.join(out, "tries"), "a") as tries:
            tries.write(f"{key}\\n")
        try:
            # Whoever receives it knows the key, and takes a letter once.
            os.close(os.open(os.path.join(out, key), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            ctx.job.log(f"letter {number} had arrived")
        time.sleep(pause_s / 2)
        return {"number": number, "attempt": ctx.job.attempt}

    sent = [ctx.job.step(f"letter {number}", lambda n=number: letter(n)) for number in range(5)]
    ctx.note(letters=len(sent))
    return {"letters": len(sent), "attempts": sent[-1]["attempt"]}
'''

pytestmark = pytest.mark.soak


def connected(home: Path) -> Any:
    """The service that runs on a home."""
    url = json.loads((home / "run" / "studio.json").read_text())["url"]
    return workbench.connect(url, token=(home / "keys" / "local").read_text())


KINDS = ("service", "attempt", "fork server", "worker")


def victims(service: int) -> dict[str, list[psutil.Process]]:
    """The processes that a job stands on, by what they are."""
    found = {"service": [psutil.Process(service)], "attempt": attempts(service)}
    for each in psutil.Process(service).children(recursive=True):
        if each in found["attempt"]:
            continue
        try:
            line = " ".join(each.cmdline())
        except psutil.Error:
            continue
        kind = "fork server" if "workbench.pipelines.forking" in line else "worker"
        found.setdefault(kind, []).append(each)
    return {kind: each for kind, each in found.items() if each}


def ended(wb: Any, id: str) -> Any:
    """The job once it has ended; None if the service went away meanwhile."""
    until = time.monotonic() + 90
    while time.monotonic() < until:
        try:
            job = wb.pipelines.get_job(id=id)
        except (WorkbenchError, httpx.HTTPError):
            return None
        if job.state not in ("queued", "running"):
            return job
        time.sleep(0.1)
    raise AssertionError(f"{id} does not end")


def test_every_job_ends_and_every_effect_happens_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(SEED)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "__init__.py").write_text("")
    (tmp_path / "outside" / "letters.py").write_text(textwrap.dedent(ROOM))
    monkeypatch.setenv("WORKBENCH_ROOMS", "outside.letters")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(catalogue)
    workbench.load_rooms(["outside.letters"])
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    out.mkdir()
    service, starts = started(home, PORT), 0
    counted: Counter[str] = Counter()
    attempts: dict[str, int] = {}
    jobs: list[str] = []
    try:
        for _ in range(RUNS):
            wb = connected(home)
            jobs.append(wb.letters.send(out=str(out), key=new_id("key")).id)
            time.sleep(rng.uniform(0.0, 4.0))
            there = victims(service.pid)
            kind = rng.choice([each for each in KINDS if each in there])
            victim = rng.choice(there[kind])
            counted[kind] += 1
            if victim.is_running():
                victim.send_signal(signal.SIGKILL)
            if kind == "service":
                service.wait(20)
                starts += 1
                service = started(home, PORT + starts)
                wb.close()
                wb = connected(home)
            job = ended(wb, jobs[-1])
            assert job is not None and job.state == "done", job
            attempts[job.id] = job.attempt
            wb.close()
        left = [each for each in victims(service.pid).get("attempt", []) if each.is_running()]
        assert not left, left
    finally:
        os.killpg(service.pid, signal.SIGKILL)
        service.wait(20)
        catalogue.clear()
        catalogue.update(before)
    arrived = {each.name for each in out.iterdir() if "-" in each.name}
    tries = Counter((out / "tries").read_text().split())
    again: Counter[str] = Counter()
    for key, number in tries.items():
        again[key.rpartition("-")[0]] += number - 1
    print(f"\n{RUNS} runs of {STEPS} steps, seed {SEED}")
    print("killed: " + ", ".join(f"{kind} {number}" for kind, number in counted.items()))
    told = Counter(attempts.values())
    print("attempts of a job: " + ", ".join(f"{n}: {told[n]} times" for n in sorted(told)))
    print(f"letters that arrived: {len(arrived)} of {RUNS * STEPS}")
    print(f"letters offered again, and known by their key: {again.total()}")
    assert arrived == {f"{job}-{number}" for job in jobs for number in range(STEPS)}
    # A kill costs the step that it was in; what was committed is not done again.
    assert all(again[job] <= attempts[job] - 1 for job in jobs), (again, attempts)
