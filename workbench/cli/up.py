"""`workbench up`: start the Studio, watch over it, and leave no process behind.

The hub runs as a process of its own (`python -m workbench.hub`); it starts the proxy, the
service and people's servers. On Linux each of them ends when its parent does; whatever a
kill -9 leaves elsewhere is stopped by the next start, from the account in `run/processes.json`.
"""

import importlib.util
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator
from compileall import compile_dir
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
from filelock import FileLock, Timeout

import workbench
from workbench.core import Conflict, Limited, Settings, Unavailable, WorkbenchError
from workbench.core.logfiles import LIMIT_BYTES, turn_over
from workbench.security.bounds import lend

from .processes import Family, listener

log = logging.getLogger(__name__)

LEAST_FREE = 10**9
START_S = 120.0
LOOK_S = 2.0
HUB_GRACE_S = 20.0
GRACE_S = 10.0
REVIVALS, WITHIN_S = 5, 600.0
FOREIGN = ("JUPYTERHUB_", "CONFIGPROXY_", "WORKBENCH_STUDIO_URL", "WORKBENCH_PROJECT")


class Asked(BaseException):
    """Somebody asked the Studio to stop: Ctrl-C, SIGTERM, a closed terminal."""


def up(settings: Settings, *, open_browser: bool = False, tour: bool = True) -> int:
    """Start the Studio on a home and stay until it is stopped.

    Args:
        settings: Where the home is, and which port to open.
        open_browser: Open the address in the person's browser.
        tour: Make the example project on a first start.

    Returns:
        0: it was stopped, or one runs on this home already (its address is printed).

    Raises:
        WorkbenchError: The port is taken, the disk is full, the home cannot be written, or the
            hub ended by itself.
    """
    home = settings.home
    check_home(home)
    (home / "run").mkdir(exist_ok=True, mode=0o700)
    (home / "logs").mkdir(exist_ok=True, mode=0o700)
    lock = FileLock(home / "studio.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"The Studio runs already.\nOpen {running_url(settings)}", flush=True)
        return 0
    with lock:
        if problem := lend():
            log.info("limits without control groups: %s", problem)
        return _Studio(settings).run(open_browser, tour)


def welcome_link(settings: Settings, name: str = "", *, person: bool = False) -> str:
    """A new one-time link: it makes the account of that name, or sets its password.

    Args:
        settings: Where the home is.
        name: Whose link; the first administrator's if empty.
        person: An account without administrator's rights.
    """
    check_home(settings.home)
    asked = [*([name] if name else []), *(["--person"] if person else [])]
    token = _ask_hub(settings, "welcome", *asked)["welcome"]
    return f"{running_url(settings)}hub/welcome?token={token}"


def running_url(settings: Settings) -> str:
    """The address of the Studio on this home; the one it would have if none runs."""
    file = settings.home / "run" / "up.json"
    if file.is_file():
        return str(json.loads(file.read_text())["url"])
    return settings.address


def check_home(home: Path) -> None:
    """Make the home if need be.

    Raises:
        Unavailable: It cannot be written.
        Limited: Its disk is nearly full.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=home) as file:
            file.write(b"written")
        free = shutil.disk_usage(home).free
    except OSError as error:
        raise Unavailable(
            f"The Studio's home {home} cannot be written: {error.strerror}.",
            hint="Choose another with WORKBENCH_HOME=…, or change its owner.",
        ) from error
    if free < LEAST_FREE:
        raise Limited(
            f"The disk of {home} has {free // 10**6:,} MB left, and the Studio needs "
            f"{LEAST_FREE // 10**6:,}.",
            hint="Free space, or choose another home with WORKBENCH_HOME=….",
        )


def check_port(settings: Settings) -> None:
    """See that nobody else listens where the Studio is to be opened.

    Raises:
        Conflict: Somebody does; the hint names a port that is free.
    """
    problem = _bind(settings.host, settings.port)
    if problem is None:
        return
    if problem.errno in (13, 99):
        raise Unavailable(
            f"The Studio cannot listen at {settings.host}:{settings.port}: {problem.strerror}.",
            hint="Choose another with WORKBENCH_PORT=8000 and WORKBENCH_HOST=127.0.0.1.",
        )
    after = range(settings.port + 1, min(settings.port + 50, 65536))
    free = next((port for port in after if _bind(settings.host, port) is None), 8000)
    by = listener(settings.port)
    raise Conflict(
        f"Port {settings.port} is taken{f' by {by}' if by else ''}.",
        hint=f"Stop that, or use another: WORKBENCH_PORT={free} workbench up",
    )


@contextmanager
def step(what: str) -> Iterator[None]:
    """A line that says what is being done, and, when it is done, how long it took."""
    began = time.monotonic()
    print(f"{what} …", end=" ", flush=True)
    try:
        yield
    except BaseException:
        print(flush=True)
        raise
    print(f"{time.monotonic() - began:.1f} s", flush=True)


class _Studio:
    """One run of the Studio."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = settings.home
        self.url = settings.address
        self.log = self.home / "logs" / "hub.log"
        self.note = self.home / "run" / "up.json"
        self.family = Family(self.home / "run" / "processes.json")
        self.hub: subprocess.Popen[bytes] | None = None
        self.config = ""
        self.ended: list[float] = []

    def run(self, open_browser: bool, tour: bool) -> int:
        before = {
            number: signal.signal(number, _raise_asked)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            link = self.start()
            if tour:
                self.first_start()
            self.tell(link)
            if open_browser:
                webbrowser.open(link)
            self.watch()
        except Asked:
            print("\nStopping …", end=" ", flush=True)
            began = time.monotonic()
            self.stop()
            print(f"{time.monotonic() - began:.1f} s", flush=True)
        except BaseException:
            self.stop()
            raise
        finally:
            self.note.unlink(missing_ok=True)
            for number, handler in before.items():
                signal.signal(number, handler)
        return 0

    def start(self) -> str:
        """Heal, check, start, wait; the address to open."""
        self.note.unlink(missing_ok=True)
        self.family.recall()
        if self.family.alive():
            with step("Stopping what a former Studio left"):
                self.family.stop(GRACE_S)
        check_port(self.settings)
        self.note.write_text(json.dumps({"url": self.url, "pid": os.getpid()}))
        with step(f"Preparing {self.home}"):
            # A sandbox reads it and cannot make it; without it every start takes twice as long.
            compile_dir(Path(workbench.__file__).parent, quiet=2)
            found = _ask_hub(self.settings, "prepare")
        self.config = found["config"]
        with step("Starting the hub"):
            self.hub = self.launch(self.config)
            self.wait_for("hub/login")
        with step("Starting the Studio's service"):
            self.wait_for("services/studio/api/v1/health")
        token = found["welcome"]
        return f"{self.url}hub/welcome?token={token}" if token else self.url

    def launch(self, config: str) -> "subprocess.Popen[bytes]":
        """The hub, in a session of its own: a Ctrl-C reaches the launcher alone."""
        if self.log.exists() and self.log.stat().st_size > LIMIT_BYTES:
            turn_over(self.log, datetime.now(UTC))
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "workbench.hub", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(self.settings),
                cwd=self.home,
            )

    def wait_for(self, page: str) -> None:
        """Wait until a page answers.

        Raises:
            Unavailable: It does not in two minutes, or the hub ended.
        """
        until = time.monotonic() + START_S
        # It asks itself: a certificate it made is as good as another.
        with httpx.Client(timeout=5, trust_env=False, verify=False) as client:
            while time.monotonic() < until:
                self.check_hub()
                try:
                    if client.get(f"{self.url}{page}").status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                self.family.look(self.hub.pid if self.hub else 0)
                time.sleep(0.2)
        raise Unavailable(
            f"{self.url}{page} did not answer in {START_S:.0f} s.",
            hint=f"{gist(self.log)} See {self.log.parent}.".strip(),
        )

    def check_hub(self) -> None:
        """Raise Unavailable if the hub ended by itself."""
        status = self.hub.poll() if self.hub else None
        if status is not None:
            how = f"exit {status}" if status >= 0 else f"signal {-status}"
            raise Unavailable(
                f"The hub ended by itself ({how}). {gist(self.log)}".strip(),
                hint=f"The whole story is in {self.log}; start again with `workbench up`.",
            )

    def first_start(self) -> None:
        """Make the example project, once for each home."""
        done = self.home / "run" / "toured"
        if done.exists() or importlib.util.find_spec("workbench.tour") is None:
            return
        import workbench.tour

        make: Callable[[Settings, str], object] | None = getattr(
            workbench.tour, "first_start", None
        )
        if make is None:
            return
        try:
            make(self.settings, self.url)
            done.touch()
        except WorkbenchError as error:
            print(f"The tour did not end well: {error} {error.hint}", flush=True)
            print("The Studio works without it; `workbench tour` makes it again.", flush=True)

    def tell(self, link: str) -> None:
        """The last lines: where to go."""
        print(f"\nOpen {link}\n", flush=True)
        if "token=" in link:
            print("The link works once, within a day; `workbench welcome` makes a new one.")
        else:
            print("A forgotten password: `workbench welcome` makes a link that sets a new one.")
        print("Ctrl-C stops the Studio.", flush=True)

    def watch(self) -> None:
        """Stay until somebody asks to stop; a hub that was killed is started again."""
        while True:
            if self.hub is not None and self.hub.poll() is not None:
                self.revive(self.hub.returncode)
            if self.hub is not None:
                self.family.look(self.hub.pid)
            time.sleep(LOOK_S)

    def revive(self, status: int) -> None:
        """Start the hub again.

        Raises:
            Unavailable: It ended by itself too often: something is wrong with it.
        """
        now = time.monotonic()
        self.ended = [*(at for at in self.ended if now - at < WITHIN_S), now]
        if len(self.ended) > REVIVALS:
            self.check_hub()
        how = f"signal {-status}" if status < 0 else f"exit {status}"
        with step(f"The hub ended ({how}); starting it again"):
            self.family.stop(GRACE_S)
            self.hub = self.launch(self.config)
            self.wait_for("hub/login")
            self.wait_for("services/studio/api/v1/health")

    def stop(self) -> None:
        """End the hub, which ends the rest; then whatever is left. A second Ctrl-C kills."""
        hurry = [False]

        def faster(number: int, frame: FrameType | None) -> None:
            hurry[0] = True

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, faster)
        if self.hub is not None:
            self.family.look(self.hub.pid)
            self.hub.terminate()
            until = time.monotonic() + HUB_GRACE_S
            while self.hub.poll() is None and time.monotonic() < until and not hurry[0]:
                time.sleep(0.05)
        self.family.stop(0.0 if hurry[0] else GRACE_S)


def gist(log: Path) -> str:
    """The line of a log that says best why its process ended; empty if none does."""
    if not log.is_file():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        lines = file.read().decode(errors="replace").splitlines()
    telling = [line.strip() for line in lines if line.strip() and not line.startswith(" ")]
    for line in reversed(telling):
        service = re.search(r"Service (\w+) exited", line)
        if service:
            return f"Its service {service[1]} ended. {gist(log.with_name(f'{service[1]}.log'))}"
        if re.search(r"Error|ERROR|CRITICAL", line):
            return f"It said: {_sentence(line)[:200]}."
    return f"It said last: {_sentence(telling[-1])[:200]}." if telling else ""


def _sentence(line: str) -> str:
    """What a line of a log says, whatever the setting `log_format` is."""
    try:
        told = json.loads(line)
    except ValueError:
        return line
    if not isinstance(told, dict):
        return line
    raised = str(told.get("exception") or "").strip().splitlines()
    return raised[-1] if raised else str(told.get("message", line))


def _ask_hub(settings: Settings, module: str, *arguments: str) -> dict[str, Any]:
    # A process, as hub and shell are floors of their own: what they share is this answer.
    done = subprocess.run(
        [sys.executable, "-m", f"workbench.hub.{module}", *arguments],
        env=_environment(settings),
        stdout=subprocess.PIPE,
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise Unavailable(
            f"The hub could not be prepared (exit {done.returncode}).",
            hint="Its own words stand above; is nexus-workbench[hub] installed?",
        ) from error
    if done.returncode:
        raise WorkbenchError.from_problem(answer)
    return answer


def _environment(settings: Settings) -> dict[str, str]:
    """This environment with the settings in it, and without another hub's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    for name, value in settings.model_dump(mode="json").items():
        if name == "urls":
            for port, url in value.items():
                env[f"WORKBENCH_URL_{port.upper().replace('.', '__')}"] = url
        elif isinstance(value, list):
            env[f"WORKBENCH_{name.upper()}"] = ",".join(value)
        elif isinstance(value, dict):
            env[f"WORKBENCH_{name.upper()}"] = json.dumps(value)
        elif isinstance(value, str | int | float):
            env[f"WORKBENCH_{name.upper()}"] = str(value)
    return env


def _bind(host: str, port: int) -> OSError | None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def _raise_asked(number: int, frame: FrameType | None) -> None:
    raise Asked
