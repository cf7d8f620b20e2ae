"""The launcher after the worst: kill -9, and a start that heals it."""

import signal
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.running import environment_for, free_port, launched, processes_of

pytestmark = pytest.mark.browser


def test_a_start_after_kill_nine_heals(tmp_path: Path) -> None:
    environment = environment_for(tmp_path / "home", free_port())
    with launched(environment) as (first, link):
        assert "welcome?token=" in link
        hub = psutil.Process(first.pid).children()[0]
        hub.kill()
        first.send_signal(signal.SIGKILL)
        first.wait()

    began = time.monotonic()
    with launched(environment) as (second, link):
        assert "welcome?token=" in link
        assert time.monotonic() - began < 60
        started = psutil.Process(second.pid).create_time()
        assert all(each.create_time() >= started for each in processes_of(tmp_path / "home"))


@pytest.mark.soak  # tests/hostile/test_life.py kills it, too, among others
def test_a_hub_that_is_killed_is_started_again(tmp_path: Path) -> None:
    environment = environment_for(tmp_path / "home", free_port())
    with launched(environment) as (launcher, _):
        hub = psutil.Process(launcher.pid).children()[0]
        hub.kill()
        until = time.monotonic() + 90
        while True:
            assert launcher.poll() is None
            assert time.monotonic() < until
            now = psutil.Process(launcher.pid).children()
            if now and now[0].pid != hub.pid and answers(environment):
                break
            time.sleep(0.2)


def answers(environment: dict[str, str]) -> bool:
    try:
        page = httpx.get(f"http://127.0.0.1:{environment['WORKBENCH_PORT']}/hub/login", timeout=2)
    except httpx.TransportError:
        return False
    return page.status_code == 200
