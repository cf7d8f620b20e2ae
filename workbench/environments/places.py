"""Where environments lie on disk, and which one a project's kernels use.

<home>/cache/packages/             the bench: what is downloaded, and what is being built
<home>/projects/<id>/environments/ shown unwritable inside, at /opt/environments
    <digest>/                      complete: it came here by one rename
        jupyter/kernels/project/   the kernel that uses it
    current -> <digest>            changed by one rename, too
    jupyter -> current/jupyter     what JUPYTER_PATH names
"""

import os
import shutil
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.core import Conflict, Settings
from workbench.security import sandbox

SEEN = "/opt/environments"
"""Where a project finds its environments, inside."""
CURRENT = "current"
GONE = ".gone-"
"""Before the name of what is being removed."""
NEW = ".new"
"""After the name of what is not complete yet."""


def prepare_folder(settings: Settings, project: str) -> Path:
    """The folder of a project's environments, made if need be: show it inside at `SEEN`."""
    folder = settings.home / "projects" / project / "environments"
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o755)  # the project's own user reads it
    return folder


def seen(folder: Path) -> str:
    """Where a project's code finds that folder; where there is no sandbox, where it is."""
    return str(folder) if sandbox.why_not() else SEEN


def bench(home: Path) -> Path:
    """Where environments are built. Everything in it can be removed while nothing is installed."""
    folder = home / "cache" / "packages"
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o711)  # whoever builds passes through it
    return folder


def unfinished(home: Path, project: str) -> Path:
    """What an install of this project is building, or was when something killed it."""
    return home / "cache" / "packages" / f"{project}{NEW}"


def builder() -> int | None:
    """The numeric user that builds, where there are such: no project's, so that none owns files
    that others' environments have too.
    """
    return None if sandbox.why_not() else sandbox.user_of("packages")


def lock_of(folder: Path) -> FileLock:
    """The lock of one project's installs. Its file lies where the project does not see it.

    Raises:
        Conflict: An install runs in this project.
    """
    lock = FileLock(
        folder.with_name("environments.lock"), timeout=0, mode=0o600, thread_local=False
    )
    try:
        lock.acquire()
    except Timeout as error:
        raise Conflict(
            "Packages are being installed in this project already.",
            hint="Wait for that job, or cancel it; then repeat.",
        ) from error
    return lock


def chosen(folder: Path) -> str:
    """The name of the environment in use; empty if there is none."""
    link = folder / CURRENT
    if not link.is_symlink():
        return ""
    name = os.readlink(link)
    return name if (folder / name / "bin" / "python").is_symlink() else ""


def choose(folder: Path, name: str) -> None:
    """Use this environment from now on; none if the name is empty."""
    if not name:
        (folder / CURRENT).unlink(missing_ok=True)
        return
    _link(folder / "jupyter", f"{CURRENT}/jupyter")
    _link(folder / CURRENT, name)


def _link(link: Path, to: str) -> None:
    if link.is_symlink() and os.readlink(link) == to:
        return
    new = link.with_name(link.name + NEW)
    new.unlink(missing_ok=True)
    new.symlink_to(to)
    new.replace(link)


def clear(folder: Path, keep: set[str]) -> int:
    """Remove every environment but these, and what an earlier removal left; how many."""
    count = 0
    for each in list(folder.iterdir()):
        if each.is_symlink() or not each.is_dir() or each.name in keep:
            continue
        # Renamed first: a folder of that name is complete, always.
        gone = each if each.name.startswith(GONE) else each.rename(folder / (GONE + each.name))
        shutil.rmtree(gone)
        count += 1
    return count


def measure(folder: Path) -> int:
    """Bytes of the files below a folder; links are not followed."""
    size = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(at, name)).st_size
            except FileNotFoundError:
                continue  # moved while we count
    return size


def same_python(version: str) -> bool:
    """Whether packages of the Studio can be imported by a Python of that version."""
    return version.split(".")[:2] == [str(each) for each in sys.version_info[:2]]
