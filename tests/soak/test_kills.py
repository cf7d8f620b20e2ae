"""The Studio's service killed at random moments, again and again, while somebody writes.

After every kill: whatever was acknowledged is there, nothing is there twice, the record holds,
and repeating what was not acknowledged (same key) is harmless.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import workbench
from tests.running import free_port
from workbench.core import WorkbenchError, new_id

ROUNDS = 12

pytestmark = pytest.mark.soak


def started(home: Path, port: int) -> "subprocess.Popen[bytes]":
    """A service on the home that answers."""
    service = subprocess.Popen(
        [sys.executable, "-m", "workbench.api.serve"],
        env={
            **os.environ,
            "WORKBENCH_HOME": str(home),
            "WORKBENCH_PORT": str(port),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        start_new_session=True,
    )
    note = home / "run" / "studio.json"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            url = json.loads(note.read_text())["url"]
            if httpx.get(f"{url}api/v1/health", timeout=1).status_code == 200:
                return service
        except (OSError, ValueError, httpx.HTTPError):
            time.sleep(0.1)
    raise AssertionError("the service does not answer")


def killed(service: "subprocess.Popen[bytes]") -> None:
    """kill -9 for the service and its workers."""
    if service.poll() is None:
        os.killpg(service.pid, signal.SIGKILL)


@pytest.fixture
def services() -> "Iterator[list[subprocess.Popen[bytes]]]":
    """Those of the test; none is left after it."""
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for each in made:
        killed(each)
        each.wait()


def test_kills_at_random_moments_lose_and_double_nothing(
    tmp_path: Path, services: "list[subprocess.Popen[bytes]]"
) -> None:
    rng = random.Random(20_261_123)
    home, acknowledged = tmp_path / "home", {}
    home.mkdir()
    for turn in range(ROUNDS):
        service = started(home, free_port())
        services.append(service)
        url = json.loads((home / "run" / "studio.json").read_text())["url"]
        token = (home / "keys" / "local").read_text()
        wb = workbench.connect(url, token=token)
        kill_at = time.monotonic() + rng.uniform(0.2, 4.0)
        pending: list[tuple[int, str]] = []
        value, cut = turn * 1000, list[threading.Timer]()
        while time.monotonic() < kill_at:
            value += 1
            pending = [(value, new_id("key"))]
            if time.monotonic() > kill_at - 0.3 and not cut:
                # The last ones are cut off in the middle.
                cut.append(threading.Timer(rng.uniform(0, 0.3), killed, [service]))
                cut[0].start()
            try:
                made = wb.data.register(f"sql:SELECT {value} AS x", name="t", key=pending[0][1])
                acknowledged[made.version] = value
                pending = []
            except (WorkbenchError, httpx.HTTPError):
                break
        for timer in cut:
            timer.join()
        killed(service)
        service.wait()
        wb.close()
        service = started(home, free_port())
        services.append(service)
        url = json.loads((home / "run" / "studio.json").read_text())["url"]
        wb = workbench.connect(url, token=token)
        for again, key in pending:
            first = wb.data.register(f"sql:SELECT {again} AS x", name="t", key=key)
            second = wb.data.register(f"sql:SELECT {again} AS x", name="t", key=key)
            assert first == second
            acknowledged[first.version] = again
        versions = [each.version for each in wb.data.versions("t").items]
        assert versions == sorted(acknowledged), "every acknowledged version, and no other"
        for version in rng.sample(versions, min(3, len(versions))):
            assert wb.data.preview("t", version=version).rows == [[acknowledged[version]]]
        assert wb.audit.verify().ok
        told = wb.audit.list_events(limit=1000)
        assert told.next is None
        assert [e.action for e in told.items].count("data.register") == len(versions)
        wb.close()
        os.killpg(service.pid, signal.SIGTERM)
        service.wait(20)
    assert len(acknowledged) > ROUNDS
