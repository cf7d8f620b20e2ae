"""The hub and whatever a project's people make of their keeper."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from workbench.hub.keeping import Kept


class Pair:
    """A sandbox whose first process is the test."""

    def __init__(self) -> None:
        self.kept = Kept(self._start)

    def _start(self, number: int) -> "subprocess.Popen[bytes]":
        self.inside = socket.socket(fileno=socket.dup(number))
        return subprocess.Popen(["sleep", "60"])

    def say(self, text: str) -> None:
        self.inside.send(text.encode())


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.kept.process.kill()
    made.kept.process.wait()
    made.kept.close()
    made.inside.close()


def test_it_is_told_to_serve_and_to_leave(pair: Pair) -> None:
    assert pair.kept.lives and not pair.kept.serves
    with socket.socket(socket.AF_UNIX) as listening:
        pair.say(json.dumps({"serves": False, "kernels": 1}))  # Of before.
        pair.kept.serve(listening)
    message, (given,), _, _ = socket.recv_fds(pair.inside, 100, 1)
    socket.close(given)
    assert message == b"serve" and pair.kept.serves
    pair.kept.leave()
    assert pair.inside.recv(100) == b"leave"
    pair.say(json.dumps({"serves": False, "kernels": 2}))
    assert not pair.kept.serves and pair.kept.kernels == 2


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "null", "x", '{"serves": true, "kernels": 1e999}', "[" * 4000, '{"serves": 1}'],
)
def test_whatever_it_says_the_hub_goes_on(pair: Pair, text: str) -> None:
    pair.say(text)
    pair.say(json.dumps({"serves": True, "kernels": 3}))
    assert pair.kept.serves and pair.kept.kernels == 3


def test_nobody_keeps_the_hub_busy_by_talking(pair: Pair) -> None:
    pair.inside.setblocking(False)
    for _ in range(100):
        try:
            pair.say("x" * 4000)
        except BlockingIOError:
            break
    began = time.monotonic()
    assert not pair.kept.serves
    assert time.monotonic() - began < 0.1


def test_a_keeper_that_is_gone_is_noticed(pair: Pair) -> None:
    pair.inside.close()
    pair.kept.leave()
    assert not pair.kept.serves
    pair.kept.process.kill()
    pair.kept.process.wait()
    assert not pair.kept.lives
