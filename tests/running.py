"""A Studio that runs, as a process of its own, for tests that use it from outside."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
START_S = 180.0


def processes_of(home: Path) -> list[psutil.Process]:
    """Every process that has this home in its command or its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values()]
            if process.status() != psutil.STATUS_ZOMBIE and any(str(home) in t for t in told):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def attempts(service: int | None = None) -> list[psutil.Process]:
    """The processes of jobs' attempts below a process, or below this one: without their veils."""
    found = []
    for process in psutil.Process(service).children(recursive=True):
        try:
            line = process.cmdline()
            alone = "workbench.pipelines.attempt" in line and "--args" not in line
            if alone or process.name() == "attempt":
                found.append(process)
        except psutil.Error:
            continue
    return found


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_for(home: Path, port: int) -> dict[str, str]:
    """The environment of a Studio on that home."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    own = {"WORKBENCH_HOME": str(home), "WORKBENCH_PORT": str(port), "PYTHONPATH": path}
    return os.environ | own


@contextmanager
def launched(environment: dict[str, str]) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """`workbench up` and the address it printed; at the end a Ctrl-C, after which none is left."""
    home = Path(environment["WORKBENCH_HOME"])
    launcher = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli.main", "up", "--no-tour"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert launcher.stdout is not None
    try:
        yield launcher, _printed_link(launcher, home)
        if launcher.poll() is None:
            launcher.send_signal(signal.SIGINT)
            assert launcher.wait(60) == 0
            assert processes_of(home) == []
    finally:
        if launcher.poll() is None:
            launcher.terminate()
            launcher.wait(60)
        launcher.stdout.close()


def _printed_link(launcher: "subprocess.Popen[str]", home: Path) -> str:
    lines: list[str] = []
    told = threading.Event()

    def read() -> None:
        assert launcher.stdout is not None
        for line in launcher.stdout:
            lines.append(line)
            if line.startswith("Open "):
                told.set()
        told.set()

    threading.Thread(target=read, daemon=True).start()
    began = time.monotonic()
    told.wait(START_S)
    for line in lines:
        if line.startswith("Open "):
            return line.removeprefix("Open ").strip()
    logs = "\n".join(
        f"== {log.name}\n{log.read_text()[-2000:]}" for log in sorted((home / "logs").glob("*.log"))
    )
    pytest.fail(f"No address in {time.monotonic() - began:.0f} s:\n{''.join(lines)}\n{logs}")


def welcome_link(environment: dict[str, str], name: str) -> str:
    """A one-time link for somebody who has no account yet."""
    code = (
        "import sys; from workbench.core import load_settings;"
        "from workbench.cli.up import welcome_link;"
        "print(welcome_link(load_settings(), sys.argv[1], person=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def process_in(project: str, module: str) -> psutil.Process | None:
    """The process of a module of ours in the project's sandbox; None if there is none."""
    # Nothing inside the sandbox names the home.
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            inside = "bwrap" not in command[0] and module in command
            if inside and process.environ().get("WORKBENCH_PROJECT") == project:
                return process
        except (psutil.Error, IndexError):
            continue
    return None
