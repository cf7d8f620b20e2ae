"""How much memory and how many processors everything of one project has together.

Where the machine lends the Studio control groups (cgroup v2, with `memory` and `cpu`), each project
has one, and the kernel holds it. Elsewhere what a process inherits has to do: it runs on as many
whole processors as the project has, and may not choose others; memory is limited process by process
(`RLIMIT_DATA`), not for all of them together.
"""

import logging
import math
import os
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from workbench.core import Store
from workbench.core.ids import label_of

from .limits import MIB, limit_of

log = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
LEAF = "studio"
"""The group that the Studio moves into: only one without processes may hand anything on."""
PERIOD_US = 100_000


@dataclass(frozen=True)
class Bounds:
    """What a process of a project takes between fork and exec; what it starts inherits it.

    Attributes:
        group: The project's control group, if there are such.
        processors: The only ones it may run on; None: any.
        memory_mb: For each of its processes, in MiB; None: no limit of the project's own.
    """

    group: Path | None = None
    processors: frozenset[int] | None = None
    memory_mb: float | None = None

    def __bool__(self) -> bool:
        return self.group is not None or self.processors is not None

    def take(self) -> None:
        """Let them hold for this process. Allocates nothing to speak of: it runs after a fork."""
        if self.group is not None:
            number = os.open(self.group / "cgroup.procs", os.O_WRONLY)
            os.write(number, b"0")
            os.close(number)
        if self.processors is not None:
            os.sched_setaffinity(0, self.processors)


def bounds_of(store: Store, project: str) -> Bounds:
    """What a process of that project is held to, if it is started now."""
    memory = limit_of(store, project, "memory_mb", None)
    cpus = limit_of(store, project, "cpus", None)
    group = _group_of(project, memory, cpus)
    fewer = processors(project, cpus) if group is None and cpus is not None else None
    return Bounds(group, fewer, memory)


def processors(project: str, cpus: float) -> frozenset[int] | None:
    """Which processors a project runs on: always the same, and spread over the machine by its id.

    Args:
        project: Its id.
        cpus: Its limit; rounded up to whole processors.

    Returns:
        None where that is all there are, or the system knows no such thing.
    """
    if sys.platform != "linux":
        return None
    every = sorted(os.sched_getaffinity(0))
    count = math.ceil(cpus)
    if count >= len(every):
        return None
    first = int.from_bytes(sha256(project.encode()).digest()[:8]) % len(every)
    return frozenset((every * 2)[first : first + count])


def lend(root: Path = ROOT, own: Path = OWN) -> str:
    """Move the Studio into a group of its own, so that projects can have theirs beside it.

    Run once, by what starts everything. Returns why it cannot be; empty if it is done.
    """
    if problem := why_not(root, own):
        return problem
    here = _here(root, own)
    assert here is not None
    if here.name == LEAF:
        return ""
    leaf = here / LEAF
    try:
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text("0")
        try:
            (here / "cgroup.subtree_control").write_text("+cpu +memory")
        except OSError:
            (here / "cgroup.procs").write_text("0")
            leaf.rmdir()
            raise
    except OSError as error:
        return f"The Studio is not alone in its control group ({error.strerror})."
    for left in here.glob("prj-*"):
        try:
            left.rmdir()
        except OSError:
            log.info("%s is in use", left.name)
    return ""


def why_not(root: Path = ROOT, own: Path = OWN) -> str:
    """Why there can be no control groups of the Studio's own, in a sentence; empty if there can."""
    here = _here(root, own)
    if here is None or not (here / "cgroup.controllers").is_file():
        return "There is no cgroup v2 at /sys/fs/cgroup."
    found = (here / "cgroup.controllers").read_text().split()
    if missing := [name for name in ("cpu", "memory") if name not in found]:
        return f"Its control group has no controller for {' and '.join(missing)}."
    if not os.access(here, os.W_OK) or not os.access(here / "cgroup.procs", os.W_OK):
        return "The Studio may not make control groups."
    return ""


def _here(root: Path, own: Path) -> Path | None:
    """The group that this process is in; None without cgroup v2."""
    if not own.is_file():
        return None
    for line in own.read_text().splitlines():
        number, _, path = line.partition("::")
        if number == "0":
            return root / path.strip("/")
    return None


def _group_of(
    project: str,
    memory_mb: float | None,
    cpus: float | None,
    root: Path = ROOT,
    own: Path = OWN,
) -> Path | None:
    """The project's group, held to these limits from now on; None if there are no groups."""
    here = _here(root, own)
    if here is None or here.name != LEAF:
        return None
    group = here.parent / label_of(project)
    memory = "max" if memory_mb is None else f"{memory_mb * MIB:.0f}"
    share = "max" if cpus is None else f"{cpus * PERIOD_US:.0f}"
    try:
        group.mkdir(exist_ok=True)
        (group / "memory.max").write_text(memory)
        (group / "cpu.max").write_text(f"{share} {PERIOD_US}")
    except OSError as error:
        log.warning("%s has no control group: %s", project, error)
        return None
    return group
