"""Processes that the hub starts: none of them outlives it."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent ends, even by kill -9.

    Survives `exec`. Linux only: elsewhere the next start of the Studio stops what was left.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def is_same(pid: int, created: float) -> bool:
    """Whether that process still runs, and is not another that was given its number.

    Args:
        pid: The process number.
        created: When it was started, in seconds since the epoch.
    """
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return bool(alive and abs(process.create_time() - created) < 0.1)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name of that path which fits in the 108 bytes of a unix socket's address."""
    if len(os.fsencode(path)) < 108:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def stop_tree(pid: int, grace_s: float) -> None:
    """End a process and all it started: asked first, killed after `grace_s`.

    A notebook server ends its kernels when asked; kernels have process groups of their own, so
    what is left of the tree is found by descent and not by group.
    """
    try:
        first = psutil.Process(pid)
        tree = [first, *first.children(recursive=True)]
        first.terminate()
    except psutil.NoSuchProcess:
        return
    await asyncio.to_thread(psutil.wait_procs, [first], grace_s)
    left = [process for process in tree if process.is_running()]
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    await asyncio.to_thread(psutil.wait_procs, left, 5)
