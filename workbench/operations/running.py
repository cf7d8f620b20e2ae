"""What runs in the projects' servers: what idle ones are told from, and what a page shows.

Who starts a server leaves a note of its process in `run/servers`; who passes requests on to it
touches a file beside it. A server answers for its kernels itself, and its people may have it
answer anything: that decides about this server alone. What runs in terminals is seen in the
process table.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from workbench.core.ids import project_of
from workbench.wire import PERSON

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 5.0
GRACE_S = 8.0
LARGEST = 1 << 20
SHELLS = frozenset({"bash", "sh", "dash", "zsh", "fish", "ksh", "tcsh", "csh"})


@dataclass(frozen=True)
class Running:
    """A server's process."""

    label: str
    process: psutil.Process
    since: datetime


@dataclass(frozen=True)
class Look:
    """What goes on in a server now."""

    answers: bool
    serves: bool = True
    """False: JupyterLab was stopped, and cells that had been started go on."""
    kernels: int = 0
    busy: int = 0
    commands: int = 0
    used_at: datetime | None = None
    """When a kernel or terminal last did something."""

    @property
    def works(self) -> bool:
        """Whether stopping it would, or might, end work."""
        return not self.answers or self.busy > 0 or self.commands > 0


def folder_of(home: Path) -> Path:
    """Where sockets and notes of the servers are; only the Studio's user may pass."""
    folder = home / "run" / "servers"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def note(home: Path, label: str, pid: int) -> None:
    """Note that a server was started."""
    created = psutil.Process(pid).create_time()
    file = folder_of(home) / f"{label}.json"
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"pid": pid, "created": created}))
    new.replace(file)
    touch(home, label)


def forget(home: Path, label: str) -> None:
    """Note that a server has ended."""
    for suffix in (".json", ".used"):
        (folder_of(home) / f"{label}{suffix}").unlink(missing_ok=True)


def touch(home: Path, label: str, at: datetime | None = None) -> None:
    """Note that a server is used, now or at a time; one before what is known changes nothing."""
    file = folder_of(home) / f"{label}.used"
    moment = at.timestamp() if at else time.time()
    with suppress(FileNotFoundError):
        if file.stat().st_mtime >= moment:
            return
    file.touch(mode=0o600)
    os.utime(file, (moment, moment))


def used_at(home: Path, running: Running) -> datetime:
    """When a server was last used; when it was started, if never."""
    with suppress(FileNotFoundError):
        seconds = (folder_of(home) / f"{running.label}.used").stat().st_mtime
        return max(datetime.fromtimestamp(seconds, UTC), running.since)
    return running.since


def running(home: Path) -> list[Running]:
    """The servers whose process lives, by label."""
    found = []
    for file in sorted(folder_of(home).glob("prj-*.json")):
        with suppress(psutil.Error, FileNotFoundError, ValueError, KeyError):
            told = json.loads(file.read_text())
            process = psutil.Process(int(told["pid"]))
            created = process.create_time()
            if abs(created - float(told["created"])) < 0.1 and _lives(process):
                found.append(Running(file.stem, process, datetime.fromtimestamp(created, UTC)))
    return found


def project_within(home: Path, pid: int) -> str:
    """The project in whose server a process runs; empty if in none.

    Whatever is started in a sandbox stays below the process that was noted: an orphan is given
    to the sandbox's own first process.
    """
    servers = {each.process.pid: each.label for each in running(home)}
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.parents()):
            if each.pid in servers:
                return project_of(servers[each.pid])
    return ""


def end(server: Running) -> None:
    """End all that runs in a project's sandbox: asked first, killed after eight seconds."""
    inside = server.process
    with suppress(psutil.Error):
        while inside.name() == "bwrap" and (children := inside.children()):
            inside = min(children, key=lambda each: each.create_time())
        inside.terminate()
        # Whoever started it may be slow to take notice.
        until = time.monotonic() + GRACE_S
        while _lives(server.process) and time.monotonic() < until:
            time.sleep(0.05)
    with suppress(psutil.Error):
        for each in [*server.process.children(recursive=True), server.process]:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def look(home: Path, server: Running) -> Look:
    """See what goes on in a server; takes as long as it lets one wait, at most some seconds."""
    import httpx

    commands = len(commands_in(server.process))
    if not (folder_of(home) / f"{server.label}.sock").exists():
        return Look(answers=False, serves=False, commands=commands)
    try:
        with reached(home, server.label) as client:
            kernels = listed(asked(client, "GET", "api/kernels"))
            terminals = listed(asked(client, "GET", "api/terminals"))
    except httpx.ConnectError:
        # Nobody listens: the server was killed, and what is in its kernels goes on.
        return Look(answers=False, serves=False, commands=commands)
    except (httpx.HTTPError, OSError, ValueError):
        return Look(answers=False, commands=commands)
    states = [each.get("execution_state") for each in kernels]
    times = [_moment(each.get("last_activity")) for each in [*kernels, *terminals]]
    return Look(
        answers=True,
        kernels=len(kernels),
        busy=sum(state in ("busy", "starting", "restarting") for state in states),
        commands=commands,
        used_at=max(filter(None, times), default=None),
    )


def commands_in(server: psutil.Process) -> list[psutil.Process]:
    """What runs in a server's terminals, or was left behind there; a shell that waits does not.

    A program that was started in the background and outlived its shell belongs to the sandbox.
    """
    found: list[psutil.Process] = []
    with suppress(psutil.Error):
        inside = server
        while inside.name() == "bwrap" and (children := inside.children()):
            # The first one started is the server, what came later was left behind.
            first, *left = sorted(children, key=lambda each: each.create_time())
            found += [each for each in left if _lives(each)]
            inside = first
        found += _commands_below(inside)
    return found


def memory_of(process: psutil.Process) -> tuple[int, int]:
    """The bytes that a process and all it started hold, and how many they are."""
    total, count = 0, 0
    with suppress(psutil.Error):
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.Error):
                total += int(each.memory_info().rss)
                count += 1
    return total, count


def _commands_below(process: psutil.Process) -> list[psutil.Process]:
    """What runs in the terminals that a process, or one that it started, has opened."""
    found: list[psutil.Process] = []
    for child in process.children():
        with suppress(psutil.Error):
            found += _commands_of(child) if _has_terminal(child) else _commands_below(child)
    return found


def _commands_of(child: psutil.Process) -> list[psutil.Process]:
    if child.name() not in SHELLS:
        return [child]
    if child.status() == psutil.STATUS_RUNNING:
        return [child]  # a loop of the shell's own
    return [each for each in child.children() if _lives(each)]


def _has_terminal(process: psutil.Process) -> bool:
    if sys.platform != "linux":
        return process.terminal() is not None
    # psutil looks for the terminal's name, which is another inside the sandbox.
    told = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return told[4] != "0"


def _lives(process: psutil.Process) -> bool:
    return bool(process.status() != psutil.STATUS_ZOMBIE)


@contextmanager
def reached(home: Path, label: str) -> "Iterator[httpx.Client]":
    """A client of a project's server, at its path.

    Raises:
        FileNotFoundError: It does not run on this machine.
    """
    if not (folder_of(home) / f"{label}.sock").exists():
        raise FileNotFoundError(f"{label} has no socket")
    import httpx

    # An address of this kind has at most 108 bytes, and a home may lie deeper.
    folder = os.open(folder_of(home), os.O_PATH) if sys.platform == "linux" else None
    place = f"/proc/self/fd/{folder}" if folder is not None else str(folder_of(home))
    try:
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=f"{place}/{label}.sock"),
            base_url=f"http://project/user/{label}/",
            headers={PERSON: "studio"},
            timeout=TIMEOUT_S,
        ) as client:
            yield client
    finally:
        if folder is not None:
            os.close(folder)


def asked(client: "httpx.Client", method: str, path: str, **given: Any) -> Any:
    """What a project's server answers, from JSON: a stranger's word.

    Raises:
        httpx.HTTPError: It does not, or says that it went wrong.
        ValueError: It answers too much, or no JSON.
    """
    began, body = time.monotonic(), b""
    wait_s = client.timeout.read or TIMEOUT_S
    with client.stream(method, path, **given) as answer:
        for piece in answer.raise_for_status().iter_bytes():
            body += piece
            if len(body) > LARGEST or time.monotonic() > began + wait_s:
                raise ValueError("it answers too much")
    return json.loads(body)


def listed(told: Any) -> list[dict[str, Any]]:
    """An answer that is a list of objects; ValueError if it is not."""
    if not isinstance(told, list) or not all(isinstance(each, dict) for each in told):
        raise ValueError("it answers no list")
    return told


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    # Nothing is used in the future: a server cannot put off its end for ever so.
    return min(found, datetime.now(UTC)) if found.tzinfo else None
