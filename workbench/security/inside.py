"""What runs for a project beside its server, in a sandbox of its own: the notebooks of jobs.

A project's key holds for processes of its sandboxes alone. Its server's is noted where servers are;
these are noted here, by who started them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil


@contextmanager
def noted(home: Path, id: str, project: str, pid: int) -> Iterator[None]:
    """Note, for as long as it runs, that a process and all below it are a project's.

    Args:
        home: The Studio's.
        id: Whose process it is: a job's id.
        project: The project's id.
        pid: The process.
    """
    folder = _folder(home)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / f"{id}.json"
    new = file.with_suffix(".new")
    created = psutil.Process(pid).create_time()
    new.write_text(json.dumps({"project": project, "pid": pid, "created": created}))
    new.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def forget_all(home: Path) -> None:
    """Forget what a Studio that was killed had noted: all of that ended with it."""
    for file in _folder(home).glob("*.json"):
        file.unlink(missing_ok=True)


def project_beside(home: Path, pid: int) -> str:
    """The project that a process runs for, beside its server; empty if for none."""
    known: dict[int, tuple[str, float]] = {}
    for file in _folder(home).glob("*.json"):
        with suppress(FileNotFoundError, ValueError, KeyError):
            told = json.loads(file.read_text())
            known[int(told["pid"])] = (str(told["project"]), float(told["created"]))
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.parents()):
            project, created = known.get(each.pid, ("", 0.0))
            # One that was killed leaves its note, and its number may be another's by now.
            if project and abs(each.create_time() - created) < 0.1:
                return project
    return ""


def _folder(home: Path) -> Path:
    return home / "run" / "jobs"
