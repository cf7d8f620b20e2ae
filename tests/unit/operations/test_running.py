"""What is seen of a server from outside: its kernels, as it tells them, and its terminals."""

import json
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psutil
import pytest

from workbench.hub.processes import short_path
from workbench.operations import running
from workbench.wire import PERSON

LABEL = "prj-x"
IDLE = {"execution_state": "idle", "last_activity": "2026-11-25T09:00:00.000000Z"}
BUSY = IDLE | {"execution_state": "busy"}


class Told(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers what it is told to."""

    daemon_threads = True


@contextmanager
def telling(home: Path, answers: dict[str, Any]) -> Iterator[running.Running]:
    """A server on its socket that answers these lists, or bytes as they are."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers[PERSON] == "studio"
            given = answers[self.path.rpartition("/")[2]]
            body = given if isinstance(given, bytes) else json.dumps(given).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PATCH = do_GET

        def address_string(self) -> str:
            return "studio"

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    path = running.folder_of(home) / f"{LABEL}.sock"
    with short_path(path) as short, Told(short, Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running.Running(LABEL, psutil.Process(), datetime.now(UTC))
        finally:
            server.shutdown()
            thread.join()
            path.unlink()


def test_a_server_tells_of_its_kernels(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 60) / ("b" * 60)  # further than an address of a socket reaches
    with telling(deep, {"kernels": [IDLE, BUSY], "terminals": []}) as server:
        seen = running.look(deep, server)
    assert (seen.answers, seen.kernels, seen.busy, seen.works) == (True, 2, 1, True)
    assert seen.used_at == datetime(2026, 11, 25, 9, tzinfo=UTC)
    with telling(deep, {"kernels": [IDLE], "terminals": []}) as server:
        assert not running.look(deep, server).works
    with telling(deep, {"kernels": [], "terminals": []}) as server:
        seen = running.look(deep, server)
    assert (seen.works, seen.used_at) == (False, None)


@pytest.mark.parametrize(
    "kernels",
    [b"{", b"{}", b'["a"]', b"[" + b" " * running.LARGEST + b"]", b"\xff\xfe"],
)
def test_a_server_that_answers_nonsense_may_be_at_work(tmp_path: Path, kernels: bytes) -> None:
    with telling(tmp_path, {"kernels": kernels, "terminals": []}) as server:
        seen = running.look(tmp_path, server)
    assert not seen.answers and seen.works


def test_a_server_without_a_socket_may_be_at_work(tmp_path: Path) -> None:
    seen = running.look(tmp_path, running.Running(LABEL, psutil.Process(), datetime.now(UTC)))
    assert seen.works and not seen.answers


def test_what_a_kernel_says_of_the_future_ends_now(tmp_path: Path) -> None:
    future = IDLE | {"last_activity": (datetime.now(UTC) + timedelta(days=9)).isoformat()}
    with telling(tmp_path, {"kernels": [future], "terminals": [{}]}) as server:
        used = running.look(tmp_path, server).used_at
    assert used is not None and used <= datetime.now(UTC)


SERVER = """
import os, pty, sys
pid, terminal = pty.fork()
if not pid:
    os.execvp("bash", ["bash", "--norc", "--noprofile"])
for line in sys.stdin:
    os.write(terminal, line.encode())
"""


def until(told: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not told():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_command_in_a_terminal_is_work_and_a_shell_that_waits_is_not() -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, text=True)
    assert server.stdin is not None
    process = psutil.Process(server.pid)

    def names() -> list[str]:
        return [each.name() for each in running.commands_in(process)]

    def typed(line: str) -> None:
        assert server.stdin is not None
        server.stdin.write(line + "\n")
        server.stdin.flush()

    try:
        until(lambda: [each.name() for each in process.children()] == ["bash"])
        until(lambda: names() == [])
        typed("sleep 300")
        until(lambda: names() == ["sleep"])
        next(iter(running.commands_in(process))).kill()
        until(lambda: names() == [])
        typed("while :; do :; done")
        until(lambda: names() == ["bash"])
    finally:
        for each in process.children(recursive=True):
            each.kill()
        server.kill()
        server.communicate()
