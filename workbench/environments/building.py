"""Build an environment with uv, in a sandbox, from wheels only.

Unpacking a wheel runs nothing of what is in it, so nobody's package can write to the folder of
downloads that all projects share, or to another project's environment. The network is there for
uv alone: no requirement names an address, and no project's code runs beside it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import workbench
from workbench.core import (
    Context,
    Invalid,
    Limited,
    Refused,
    Unavailable,
    WorkbenchError,
    canonical,
    digest,
)
from workbench.security import sandbox

from . import indexes, places
from .types import Environment, Locked

MOST = 200
"""Packages that can be asked for."""
MIB = 1024 * 1024
LEAST_FREE = 512 * MIB
"""Bytes that an install leaves free on the disk."""
POLL_S = 0.05
MEASURE_S = 2.0


@dataclass(frozen=True)
class Built:
    """A complete environment in its project's folder."""

    folder: str
    digest: str
    python: str
    locked: list[Locked]
    bytes: int


def check_packages(packages: list[str]) -> list[str]:
    """The requirements, each in its usual spelling.

    Raises:
        Invalid: One is no requirement.
        Refused: One names an address instead of a package.
    """
    if len(packages) > MOST:
        raise Invalid(f"{len(packages)} packages are too many.", hint=f"At most {MOST}.")
    checked: dict[str, None] = {}
    for each in packages:
        try:
            asked = Requirement(each.strip())
        except InvalidRequirement as error:
            raise Invalid(
                f"{each[:100]!r} names no package.",
                hint="Write a name and, if need be, versions: pandas, or pandas>=3,<4.",
            ) from error
        if asked.url:
            raise Refused(
                f"{asked.name} is asked for at an address of its own.",
                hint="Packages come from the Studio's index only: write its name and version.",
            )
        asked.name = canonicalize_name(asked.name)
        checked[str(asked)] = None
    return sorted(checked)


def check_python(python: str) -> str:
    """What uv is asked for: that version of Python, or the Studio's own."""
    if not python:
        number = ".".join(str(each) for each in sys.version_info[:2])
        own = Path(sys.base_prefix) / "bin" / f"python{number}"
        return str(own if own.exists() else Path(sys.executable).resolve())
    if not re.fullmatch(r"3\.\d{1,2}(\.\d{1,2})?", python):
        raise Invalid(
            f"{python[:40]!r} is no version of Python.",
            hint="For example 3.12; empty: the Studio's.",
        )
    return python


def build(
    ctx: Context, packages: list[str], python: str, before: Environment | None, limit: int | None
) -> Built:
    """Resolve, install and put in place what is asked for; only one at a time per project.

    Args:
        ctx: The job's.
        packages: Checked.
        python: Checked.
        before: The environment so far: its pins that need not move stay.
        limit: Bytes that it may take, if any.

    Raises:
        Invalid: No versions fit together, or there is no such package or Python.
        Refused: A package is published as source code only.
        Limited: It is too large.
        Unavailable: The index cannot be reached, or uv is not installed.
    """
    folder = places.prepare_folder(ctx.settings, ctx.project)
    with _bench(ctx, folder, limit) as at:
        at.check_size()
        ctx.job.progress(0.05, "looking for packages")
        at.uv("venv", "--relocatable", "--python", python, at.place("env"))
        environment = at.outside / "env"
        # Read now: what is installed may put something else in their place.
        interpreter = os.readlink(environment / "bin/python")
        number = _number(environment)
        lock = resolve(at, packages, number, before)
        locked = parse_lock(lock)
        content = digest({"python": number, "lock": lock})
        name = content.removeprefix("sha256:")[:20]
        if not (folder / name).is_dir():
            ctx.job.progress(0.3, f"installing {len(locked)} packages")
            at.uv("pip", "sync", "--require-hashes", *ONLY_WHEELS, *at.into, at.place("lock.txt"))
            ctx.job.progress(0.8, "compiling")
            at.compile(interpreter)
            _complete(environment, at.seen, name, number, lock)
            at.check_size()
            environment.rename(folder / name)
        else:
            _complete(folder / name, at.seen, name, number, lock)
        ctx.job.progress(0.95, "installed")
    return Built(name, content, number, locked, places.measure(folder / name))


ONLY_WHEELS = ("--only-binary", ":all:")


def resolve(at: "Bench", packages: list[str], python: str, before: Environment | None) -> str:
    """The lock: exact versions with hashes, in one spelling."""
    wanted = list(packages)
    if not any(Requirement(each).name == "ipykernel" for each in packages):
        try:
            wanted.append(f"ipykernel=={version('ipykernel')}")
        except PackageNotFoundError:
            wanted.append("ipykernel")
    at.write("requirements.in", "\n".join(wanted) + "\n")
    if before is not None and before.python.split(".")[:2] == python.split(".")[:2]:
        at.write("lock.txt", lock_text(before.locked))
    plain = ("--generate-hashes", "--no-header", "--no-annotate", "--no-strip-extras")
    files = ("-o", at.place("lock.txt"), at.place("requirements.in"))
    at.uv("pip", "compile", *plain, *ONLY_WHEELS, *at.into, *files)
    text = lock_text(parse_lock((at.outside / "lock.txt").read_text()))
    at.write("lock.txt", text)
    return text


def parse_lock(text: str) -> list[Locked]:
    """The packages of a lock, by name."""
    found: list[Locked] = []
    for entry in re.split(r"\n(?=\S)", text.replace("\\\n", " ")):
        head, *hashes = entry.split("--hash=")
        name, _, number = head.partition("==")
        if number:
            listed = sorted(each.strip() for each in hashes)
            found.append(Locked(name=name.strip(), version=number.strip(), hashes=listed))
    return sorted(found, key=lambda each: each.name)


def lock_text(locked: Sequence[Locked]) -> str:
    """A lock as pip and uv read it."""
    lines = (
        " \\\n    ".join([f"{each.name}=={each.version}", *(f"--hash={h}" for h in each.hashes)])
        for each in locked
    )
    return "".join(f"{line}\n" for line in lines)


def _number(environment: Path) -> str:
    text = (environment / "pyvenv.cfg").read_text()
    found = re.search(r"^version_info = (\d+\.\d+\.\d+)", text, re.M)
    if found is None:
        raise Unavailable("uv made an environment that names no Python.", hint="Upgrade uv.")
    return found[1]


def _complete(environment: Path, seen: str, name: str, python: str, lock: str) -> None:
    """What makes it a kernel, written anew each time: the Studio's packages may have moved."""
    packages = environment / "lib" / f"python{python.rpartition('.')[0]}" / "site-packages"
    lines = []
    if places.same_python(python):
        import sysconfig

        # Behind the project's own, whose versions win.
        for each in dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))):
            lines.append(f"import site; site.addsitedir({each!r})")
        lines.append(str(Path(workbench.__file__).parent.parent))
    _write(packages / "zz-studio.pth", "".join(f"{line}\n" for line in lines))
    kernel = {
        "argv": [
            f"{seen}/{name}/bin/python",
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ],
        "display_name": "Project",
        "language": "python",
        "metadata": {"debugger": True},
    }
    file = environment / "jupyter/kernels/project/kernel.json"
    _write(file, canonical(kernel).decode())
    _write(environment / "lock.txt", lock)


def _write(file: Path, text: str) -> None:
    if file.is_file() and file.read_bytes() == text.encode():
        return
    new = file.with_name(file.name + places.NEW)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as opened:
            opened.write(text)
            os.fchmod(opened.fileno(), 0o644)
        new.replace(file)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise Refused(
            f"A package brings something of its own where {file.name} goes.", hint="Leave it out."
        ) from error


@contextmanager
def _bench(ctx: Context, folder: Path, limit: int | None) -> "Iterator[Bench]":
    root = places.bench(ctx.home)
    outside = places.unfinished(ctx.home, ctx.project)
    if outside.exists():
        shutil.rmtree(outside)  # of an install that something killed
    user = places.builder()
    for each in (root / "uv", outside, outside / "home"):
        each.mkdir(exist_ok=True, mode=0o700)
    if user is not None:
        for each in (root / "uv", outside):
            sandbox.give(each, user)
    try:
        yield Bench(ctx, root, outside, places.seen(folder), user, limit)
    finally:
        shutil.rmtree(outside, ignore_errors=True)


class Bench:
    """One environment being built.

    Args:
        ctx: The job's.
        root: The folder with the downloads; what is being built lies in it, too, so that both
            are one file system inside and files can be shared by hard links.
        outside: The folder of this one.
        seen: Where the project will find its environments.
        user: Who builds.
        limit: Bytes that it may take.
    """

    def __init__(
        self,
        ctx: Context,
        root: Path,
        outside: Path,
        seen: str,
        user: int | None,
        limit: int | None,
    ) -> None:
        self._ctx, self._root, self.outside, self.seen = ctx, root, outside, seen
        self._user, self._limit = user, limit
        self._indexes = indexes.configured(ctx.settings)
        self._confines = not sandbox.why_not()
        self._top = places.SEEN if self._confines else str(root)
        self.into = ("--python", self.place("env/bin/python"))
        for name, file in self._indexes.files.items():
            self.write(name, file.read_text())

    def place(self, name: str) -> str:
        """The path of a file of this bench, for what runs in it."""
        return f"{self._top}/{self.outside.name}/{name}"

    def write(self, name: str, text: str) -> None:
        """Give what runs a file."""
        file = self.outside / name
        _write(file, text)
        if self._user is not None:
            os.chown(file, self._user, self._user)

    def uv(self, *command: str) -> None:
        """Run uv, with the network; what it says goes to the job's log."""
        environment = {
            "UV_CACHE_DIR": f"{self._top}/uv",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_BUILD": "1",
            "UV_NO_PROGRESS": "1",
            "UV_LINK_MODE": "hardlink",
            "NO_COLOR": "1",
            "PATH": f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin",
            **self._indexes.environment,
        }
        if "uv.toml" in self._indexes.files:
            environment["UV_CONFIG_FILE"] = self.place("uv.toml")
        if "ca.pem" in self._indexes.files:
            environment["SSL_CERT_FILE"] = self.place("ca.pem")
        folders = indexes.shown(self._indexes.folders)
        code, said = self._run([_uv(), *command], environment, {self._root: places.SEEN}, folders)
        for line in said.splitlines():
            self._ctx.job.log(_open_text(line))
        if code:
            raise explained(said)

    def compile(self, interpreter: str) -> None:
        """Compile what was installed, for nobody can once it is in use. Runs none of it."""
        command = [interpreter, "-I", "-S", "-m", "compileall", "-q", "-j", "2"]
        own = {self.outside / "env": f"{places.SEEN}/env"}
        target = f"{places.SEEN}/env/lib" if self._confines else str(self.outside / "env/lib")
        # Files for other versions of Python do not compile, and need not.
        self._run([*command, target], {}, own, None)

    def check_size(self) -> None:
        """Raise Limited if it takes more than it may, or the disk is nearly full."""
        size = places.measure(self.outside / "env")
        if self._limit is not None and size > self._limit:
            raise Limited(
                f"These packages take more than {self._limit // MIB:,} MiB.",
                hint="Ask for fewer, or have the project's limit raised (projects.set_limits).",
            )
        if (free := shutil.disk_usage(self._root).free) < LEAST_FREE:
            raise Limited(
                f"The disk has {free // MIB:,} MiB left; nothing was installed.",
                hint="Free space, then do it again.",
            )

    def _run(
        self,
        command: list[str],
        environment: dict[str, str],
        writable: dict[Path, str],
        network: dict[Path, str] | None,
    ) -> tuple[int, str]:
        """Run a command until it ends, the job is stopped or it is too large.

        Args:
            command: What to run.
            environment: Its own.
            writable: What it may change.
            network: What else it reads, if it has the network; None: it has not.
        """
        home = self.outside / "home"
        with tempfile.TemporaryFile() as out:
            if self._confines:
                confined = sandbox.Confined(
                    home,
                    read_only=network or {},
                    writable=writable,
                    environment=environment,
                    network=network is not None,
                    user=self._user,
                )
                process = sandbox.start(command, confined, stdout=out, stderr=out, umask=0o022)
            else:
                process = sandbox.start_bare(
                    command, home, environment, stdout=out, stderr=out, umask=0o022
                )
            try:
                self._wait(process)
            finally:
                sandbox.end(process)
            return process.returncode, _read(out)

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        measured = time.monotonic()
        while True:
            try:
                process.wait(POLL_S)
                return
            except subprocess.TimeoutExpired:
                self._ctx.job.check()
            if time.monotonic() - measured > MEASURE_S:
                self.check_size()
                measured = time.monotonic()


def _read(out: BinaryIO) -> str:
    out.seek(0)
    return out.read(1_000_000).decode("utf-8", "replace")


def _uv() -> str:
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        raise Unavailable(
            "The package uv is not installed.", hint="Install nexus-workbench[hub], which has it."
        ) from error


def _open_text(said: str) -> str:
    """What was said, without a password that an address had in it."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", said)


def explained(said: str) -> WorkbenchError:
    """The error that uv's account of its failure means."""
    text = " ".join(_open_text(said).split())
    cause = text.rpartition("cause: ")[2].partition(" hint: ")[0] or text
    cause = re.sub(r"^error: ", "", cause).rstrip(".")[:600]
    if source := re.search(r"Wheels are required for `([^`]+)`", text):
        return Refused(
            f"{source[1]} is published as source code only, and is not installed.",
            hint="Building it would run its code: choose another version, or put a wheel of it "
            "into the Studio's package index.",
        )
    if "No space left" in text:
        return Limited("The disk is full; nothing was installed.", hint="Free space, then repeat.")
    if "No solution found" in text:
        return Invalid(
            f"These packages cannot be installed together: {cause}.",
            hint="Check the names; ask for other versions, or for fewer bounds.",
        )
    if match := re.search(r"No interpreter found for (Python \S+)", text):
        return Invalid(
            f"This machine has no {match[1]}.",
            hint="Leave python empty for the Studio's own, or have an administrator install it.",
        )
    if re.search(r"[Hh]ash mismatch", text):
        return Refused(
            f"A file is not the one that was locked: {cause}.",
            hint="The index has changed it since; ask for another version.",
        )
    if re.search(r"Failed to fetch|error sending request|[Cc]onnect|dns error|timed out", text):
        return Unavailable(
            f"The package index cannot be used: {cause}.",
            hint="Try again later; an administrator sets it with `package_index`.",
        )
    return Unavailable(
        f"The packages could not be installed: {cause or 'uv stopped without a word'}.",
        hint="The job's log has all that uv said.",
    )
