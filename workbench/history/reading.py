"""Have git read a project's repository, in a sandbox, and check what comes back.

A hook, a filter, a program named in the repository's own configuration: whatever git is made to
run there runs inside, without a network, and sees no more than the project's files, unwritable.
So does a repository that points to another: nothing else is there.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from workbench.core import Invalid, Limited, NotFound, Record, Unavailable
from workbench.security import sandbox

from .types import Branch, Commit

SEEN = "/srv/project"
"""Where the project's files are seen inside."""
TIME_S = 30.0
ANSWER = 16 * 1024 * 1024
"""The longest answer that is taken, in bytes."""
LARGEST = 50 * 1024 * 1024
"""The largest notebook that is read, in bytes."""
AT_ONCE, OWN, WAITING = 4, 2, 6
"""Readings at the same time, of one project among them, and of one project that run or wait: one
that is made to be slow holds up nobody else's."""

R = TypeVar("R", bound=Record)

_turns = threading.BoundedSemaphore(AT_ONCE)
_own: defaultdict[str, threading.BoundedSemaphore] = defaultdict(
    lambda: threading.BoundedSemaphore(OWN)
)
_waiting: Counter[str] = Counter()
_counting = threading.Lock()


def branches(home: Path, project: str) -> list[Branch]:
    """The branches of a repository; none if there is no repository."""
    if not _exists(home, project):
        return []
    told, _ = _ask(home, project, {"do": "branches"})
    return [_checked(Branch, each) for each in _list(told, "branches")]


def commits(
    home: Path, project: str, *, path: str, branch: str, start: str, skip: int, limit: int
) -> tuple[str, list[Commit]]:
    """The commit a list begins at, and a part of the list.

    Raises:
        NotFound: There is no such branch.
    """
    if not _exists(home, project):
        if branch or start:
            raise NotFound(f"There is no branch {branch[:80]!r}.", hint="Nothing is committed yet.")
        return "", []
    asked = {"do": "list", "path": path, "branch": branch, "start": start}
    told, _ = _ask(home, project, asked | {"skip": skip, "limit": limit})
    found = [_checked(Commit, each) for each in _list(told, "commits")]
    return str(told.get("head", "")), found[:limit]


def commit(home: Path, project: str, id: str, path: str = "") -> Commit:
    """A commit with what it changed.

    Raises:
        NotFound: There is none with that id.
    """
    missing = NotFound(f"There is no commit {id!r}.", hint="See history.list_commits.")
    if not _exists(home, project):
        raise missing
    told, _ = _ask(home, project, {"do": "show", "commit": id, "path": path})
    found = _checked(Commit, told.get("commit"))
    if not found.id.startswith(id):
        raise missing
    return found


def notebook_at(home: Path, project: str, id: str, path: str) -> bytes:
    """A notebook as it was in a commit.

    Raises:
        NotFound: There was none of that name.
        Limited: It has more than `LARGEST` bytes.
    """
    known = re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", id) and path.endswith(".ipynb")
    if not (known and "\0" not in path and _exists(home, project)):
        raise NotFound(f"There was no notebook {path[:200]!r}.", hint="See the commit's files.")
    asked = {"do": "read", "commit": id, "path": path, "largest": LARGEST}
    _, data = _ask(home, project, asked, LARGEST + 4096)
    return data


def why_not() -> str:
    """Why no history can be read on this machine, in a sentence; empty if it can."""
    if sandbox.which("git") is None:
        return "git is not installed."
    if problem := sandbox.why_not():
        return f"There is no sandbox, and nobody's repository is read outside one. {problem}"
    return ""


def _exists(home: Path, project: str) -> bool:
    """Whether there is something git could read; whatever it is, it is read inside only."""
    folder = _files(home, project)
    return os.path.lexists(folder / ".git") and not folder.is_symlink()


def _files(home: Path, project: str) -> Path:
    return home / "projects" / project / "files"


def _ask(
    home: Path, project: str, request: dict[str, Any], most: int = ANSWER
) -> tuple[dict[str, Any], bytes]:
    """What `repository.py` answers inside: an object, and bytes after it."""
    if problem := why_not():
        raise Unavailable(
            f"The history cannot be shown here. {problem}",
            hint="`workbench doctor` says what this machine lacks.",
        )
    with _turn(project):
        answer = _read(_files(home, project), sandbox.user_of(project), request, most)
    head, _, rest = answer.partition(b"\n")
    try:
        told = json.loads(head)
    except ValueError as error:
        raise _unreadable() from error
    if not isinstance(told, dict):
        raise _unreadable()
    if "problem" in told:
        raise _problem(str(told["problem"]), request)
    return told, rest


@contextmanager
def _turn(project: str) -> Iterator[None]:
    """Wait until one more may read."""
    late = Limited("Too many look at this history at once.", hint="Repeat it in a minute.")
    with _counting:
        if _waiting[project] >= WAITING:
            raise late
        _waiting[project] += 1
        own = _own[project]
    try:
        with ExitStack() as held:
            for each in (own, _turns):
                if not each.acquire(timeout=TIME_S):
                    raise late
                held.callback(each.release)
            yield
    finally:
        with _counting:
            _waiting[project] -= 1


def _read(folder: Path, user: int | None, request: dict[str, Any], most: int) -> bytes:
    if user is not None:
        sandbox.give(folder, user)  # a restored project that nobody has opened since
    process = sandbox.start(
        [
            *(sys.executable, "-I", str(Path(__file__).with_name("repository.py"))),
            *(SEEN, json.dumps(request)),
        ],
        sandbox.Confined(None, read_only={folder: SEEN}, temporary_mb=64, user=user),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    clock = threading.Timer(TIME_S, end)
    clock.start()
    try:
        with process.stdout as out:
            answer = out.read(most + 1)
    finally:
        clock.cancel()
        process.kill()
        process.wait()
    if late.is_set():
        raise Limited(
            f"Git takes longer than {TIME_S:.0f} s for this repository.",
            hint="Ask for less at once, or look at it in a terminal of the project.",
        )
    if len(answer) > most:
        raise Limited(
            f"Git says more than {most:,} bytes about this.", hint="Ask for fewer commits."
        )
    return answer


def _problem(problem: str, request: dict[str, Any]) -> Exception:
    path = str(request.get("path", ""))[:200]
    if problem == "no commit":
        what = request.get("commit") or request.get("branch") or request.get("start") or "HEAD"
        return NotFound(f"There is no commit {str(what)[:80]!r}.", hint="See the list of commits.")
    if problem == "no file":
        return NotFound(f"That commit has no file {path!r}.", hint="See the list of its files.")
    if problem == "too large":
        return Limited(
            f"{path!r} is too large to be shown: more than {LARGEST:,} bytes.",
            hint="Look at it in a terminal of the project.",
        )
    if problem == "too much":
        return Limited("Git says too much about this.", hint="Ask for fewer commits at once.")
    return _unreadable()


def _unreadable() -> Invalid:
    return Invalid(
        "Git cannot read this project's repository.",
        hint="Somebody who can work in the project sees why in a terminal: `git fsck`.",
    )


def _list(told: dict[str, Any], name: str) -> list[Any]:
    found = told.get(name)
    if not isinstance(found, list):
        raise _unreadable()
    return found


def _checked(kind: type[R], told: Any) -> R:
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        raise _unreadable() from error
