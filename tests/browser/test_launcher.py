"""The launcher after the worst: kill -9, and a start that heals it."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from .conftest import environment_for, free_port, launched, processes_of

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


def test_a_hub_that_dies_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    environment = environment_for(tmp_path / "home", free_port())
    with launched(environment) as (launcher, _):
        psutil.Process(launcher.pid).children()[0].kill()
        assert launcher.wait(60) == 1
        assert processes_of(tmp_path / "home") == []
