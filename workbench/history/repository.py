"""What git says of a repository: a program of its own, run by `reading` inside a sandbox.

    python -I repository.py FOLDER '{"do": "list", "limit": 20, …}'

It imports nothing of the Studio, so that it starts in no time. Only git's plumbing runs, with
what a repository can name for git to run switched off; that something else may run all the same
is what the sandbox is for. The answer is a line of JSON, for `read` followed by a file's bytes.
"""

import json
import os
import re
import resource
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

MEMORY = 1024**3
CPU_S = 30
FILES = 100
"""Files of a commit that are compared."""
LISTED = 20
"""Files of a commit that are named in a list."""
LINES = 4000
"""Changed lines of a commit that are told."""
WIDE = 400
"""Characters of a line."""
LARGEST = 1024 * 1024
"""The largest text that is compared, in bytes."""
LARGEST_NOTEBOOK = 16 * 1024 * 1024
MESSAGE = 16 * 1024
OBJECT = 1024 * 1024
"""The largest commit, in bytes."""
SAID = 8 * 1024 * 1024
"""The most that is read of what one git command prints, in bytes."""
CHANGES = {"A": "added", "D": "removed", "R": "renamed", "C": "copied"}
ABSENT = re.compile(r"0+")
OFF = (
    *("core.fsmonitor=false", "core.hooksPath=/dev/null", "core.attributesFile=/dev/null"),
    *("protocol.allow=never", "safe.directory=*", "diff.renameLimit=400"),
)

Json = dict[str, Any]


class Problem(Exception):
    """Why there is no answer; `reading` knows the words."""


class Repository:
    """A repository that may have been made to harm whoever reads it."""

    def __init__(self, folder: str) -> None:
        self._git = ["git", f"--git-dir={folder}/.git", "--no-pager", "--literal-pathspecs"]
        self._git += [word for each in OFF for word in ("-c", each)]
        self._environment = {
            **os.environ,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
        }
        if self.run("rev-parse", "--git-dir")[1]:
            raise Problem("unreadable")

    def say(self, *command: str, given: bytes = b"", most: int = SAID) -> bytes:
        """What a command prints.

        Raises:
            Problem: It fails, or prints more than `most` bytes.
        """
        said, code = self.run(*command, given=given, most=most)
        if code:
            raise Problem("unreadable")
        return said

    def run(self, *command: str, given: bytes = b"", most: int = SAID) -> tuple[bytes, int]:
        """What a command prints, and its exit status."""
        with self._started(*command) as process:
            assert process.stdin is not None and process.stdout is not None
            # What is given fits into a pipe: ids of a hundred commits.
            process.stdin.write(given)
            process.stdin.close()
            said = process.stdout.read(most + 1)
            if len(said) > most:
                process.kill()
                raise Problem("too much")
        return said, process.returncode

    def _started(self, *command: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [*self._git, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        )

    def head(self, name: str) -> str:
        """The id of the commit that a name means; empty if there is none."""
        said, code = self.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )
        return "" if code else said.decode().strip()

    def sizes(self, ids: list[str]) -> dict[str, tuple[str, int]]:
        """Of each object its kind and its size in bytes; those that are missing are left out."""
        given = "".join(f"{each}\n" for each in ids).encode()
        found = {}
        for line in self.say("cat-file", "--batch-check", given=given).decode().splitlines():
            words = line.split()
            if len(words) == 3 and words[2].isdigit():
                found[words[0]] = (words[1], int(words[2]))
        return found

    def blob(self, id: str, most: int) -> bytes:
        """The bytes of an object that has no more than `most`."""
        return self.say("cat-file", "blob", id, most=most)

    def commits(self, ids: list[str]) -> list[Json]:
        """Commits by their ids, without what they changed."""
        sizes = self.sizes(ids)
        found = []
        for each in ids:
            kind, size = sizes.get(each, ("", 0))
            if kind != "commit" or size > OBJECT:
                raise Problem("unreadable")
            found.append(read_commit(each, self.say("cat-file", "commit", each, most=OBJECT)))
        return found

    def changes(self, commits: list[Json], path: str) -> dict[str, "Changes"]:
        """Of each commit the files, or the one file, that are not as in its first parent."""
        lines = (f"{' '.join([each['id'], *each['parents'][:1]])}\n" for each in commits)
        with self._started(
            *("diff-tree", "--stdin", "-r", "-z", "--root", "--raw", "-M", "--full-index"),
            *("--no-abbrev", "--no-ext-diff", "--no-textconv"),
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("".join(lines).encode())
            process.stdin.close()
            found = read_changes(words(process.stdout), {each["id"] for each in commits}, path)
        if process.returncode:
            raise Problem("unreadable")
        return found


class Changes(NamedTuple):
    """The first files that a commit changed, and how many there are in all."""

    files: list[Json]
    total: int


def read_commit(id: str, body: bytes) -> Json:
    """A commit object."""
    head, _, message = body.partition(b"\n\n")
    fields: dict[str, list[bytes]] = {}
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        fields.setdefault(name.decode("ascii", "replace"), []).append(value)
    encoding = fields.get("encoding", [b"utf-8"])[0].decode("ascii", "replace")
    author, email, at = read_person(fields.get("author", [b""])[0], encoding)
    committer, _, committed_at = read_person(fields.get("committer", [b""])[0], encoding)
    title, _, rest = text(message[:MESSAGE], encoding).strip().partition("\n")
    return {
        "id": id,
        "parents": [each.decode("ascii", "replace") for each in fields.get("parent", [])[:64]],
        "author": author,
        "email": email,
        "at": at,
        "committer": committer,
        "committed_at": committed_at,
        "title": title[:WIDE],
        "message": rest.strip(),
    }


def read_person(line: bytes, encoding: str) -> tuple[str, str, int]:
    """Name, address and time of `Ada <ada@example.org> 1700000000 +0100`."""
    found = re.fullmatch(rb"(.*?) ?<([^>]*)> ?(-?\d{1,18})?.*", line, re.DOTALL)
    if found is None:
        return text(line[:WIDE], encoding), "", 0
    name, email, at = found.groups()
    return text(name[:WIDE], encoding), text(email[:WIDE], encoding), int(at or 0)


def words(said: IO[bytes]) -> Iterator[bytes]:
    """What ends with a zero each, one by one: a commit may change a million files."""
    rest = b""
    while part := said.read(65536):
        *whole, rest = (rest + part).split(b"\0")
        yield from whole


def read_changes(said: Iterator[bytes], commits: set[str], path: str) -> dict[str, Changes]:
    """What `diff-tree --stdin -z --raw` prints: ids of commits, each with its files after it."""
    found: dict[str, Changes] = {}
    current = ""
    for word in said:
        line = word.decode("ascii", "replace")
        if line in commits:
            current = line
        if not line.startswith(":"):
            continue
        old_mode, new_mode, before, after, status = line[1:].split(" ")
        was = text(next(said)) if status[0] in "RC" else ""
        name = text(next(said))
        if path and path not in (name, was):
            continue
        files, total = found.get(current, Changes([], 0))
        if total < FILES:
            change = {"path": name, "was": was, "change": CHANGES.get(status[0], "changed")}
            files.append(change | {"ids": (before, after), "modes": (old_mode, new_mode)})
        found[current] = Changes(files, total + 1)
    return found


def text(data: bytes, encoding: str = "utf-8") -> str:
    """Bytes as text, whatever they are."""
    try:
        return data.decode(encoding, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def branches(repository: Repository) -> Json:
    """The branches, the last one changed first."""
    current, _ = repository.run("symbolic-ref", "--quiet", "HEAD")
    said = repository.say(
        *("for-each-ref", "--count=200", "--sort=-committerdate"),
        *("--format=%(refname)%00%(objectname)%00%(committerdate:unix)", "refs/heads/"),
    )
    found = []
    for line in filter(None, text(said).split("\n")):
        name, id, at = line.split("\0")
        if at.isdigit():
            is_current = name == text(current).strip()
            short = name.removeprefix("refs/heads/")
            found.append({"name": short, "commit": id, "at": int(at), "current": is_current})
    return {"branches": found}


def listed(repository: Repository, asked: Json) -> Json:
    """A part of a list of commits."""
    branch, start = str(asked["branch"]), str(asked["start"])
    head = repository.head(start or (f"refs/heads/{branch}" if branch else "HEAD"))
    if not head:
        if branch or start:
            raise Problem("no commit")
        if not repository.run("rev-parse", "--verify", "--quiet", "HEAD")[1]:
            raise Problem("unreadable")  # it names a commit that is not there
        return {"head": "", "commits": []}
    path = str(asked["path"])
    numbers = (f"--skip={int(asked['skip'])}", f"--max-count={int(asked['limit'])}")
    only = ["--", path] if path else ["--"]
    ids = repository.say("rev-list", *numbers, head, *only).decode().split()
    found = repository.commits(ids)
    changes = repository.changes(found, path)
    for each in found:
        files, total = changes.get(each["id"], Changes([], 0))
        each["files"] = [told(file) for file in files[:LISTED]]
        each["more"] = max(0, total - LISTED)
    return {"head": head, "commits": found}


def told(file: Json) -> Json:
    """A file's change without what only the comparison needs."""
    return {name: value for name, value in file.items() if name not in ("ids", "modes")}


def shown(repository: Repository, asked: Json) -> Json:
    """One commit with what it changed."""
    id = repository.head(str(asked["commit"]))
    if not id:
        raise Problem("no commit")
    found = repository.commits([id])[0]
    files, total = repository.changes([found], str(asked["path"])).get(id, Changes([], 0))
    sizes = repository.sizes([each for file in files for each in file["ids"]])
    left = LINES
    done = []
    for file in files:
        compared = compare(repository, file, sizes, left)
        left -= sum(len(hunk["lines"]) for hunk in every_hunk(compared))
        done.append(told(file) | compared)
    return {"commit": found | {"files": done, "more": total - len(files)}}


def every_hunk(compared: Json) -> list[Json]:
    """The hunks of a text, or of all cells of a notebook."""
    cells = compared.get("cells", [])
    return [*compared.get("hunks", []), *(hunk for cell in cells for hunk in cell["hunks"])]


def compare(
    repository: Repository, file: Json, sizes: dict[str, tuple[str, int]], left: int
) -> Json:
    """What changed in a file, in at most `left` lines."""
    before, after = file["ids"]
    size_before, size_after = (sizes.get(each, ("", 0))[1] for each in (before, after))
    compared: Json = {"size_before": size_before, "size_after": size_after}
    mode = max(file["modes"])
    if mode == "160000":
        return compared | {"kind": "repository"}
    is_notebook = file["path"].endswith(".ipynb") and mode != "120000"
    if max(size_before, size_after) > (LARGEST_NOTEBOOK if is_notebook else LARGEST):
        return compared | {"kind": "large"}
    if left <= 0:
        return compared | {"kind": "text", "cut": True}
    sides = [
        b"" if ABSENT.fullmatch(id) else repository.blob(id, LARGEST_NOTEBOOK) for id in file["ids"]
    ]
    if is_notebook:
        cells = runpy.run_path(str(Path(__file__).with_name("cells.py")))["compare_notebooks"]
        if (found := cells(*sides, left)) is not None:
            return {**compared, "kind": "notebook", **found}
        if max(size_before, size_after) > LARGEST:
            return compared | {"kind": "large"}
    if any(is_binary(each) for each in sides):
        return compared | {"kind": "binary"}
    hunks, cut = read_hunks(difference(repository, before, after, sides), left)
    kind = "link" if mode == "120000" else "text"
    return compared | {"kind": kind, "hunks": hunks, "cut": cut}


def is_binary(data: bytes) -> bool:
    """Whether it is no text: in UTF-8, without a zero."""
    try:
        return "\0" in data.decode()
    except UnicodeDecodeError:
        return True


def difference(repository: Repository, before: str, after: str, sides: list[bytes]) -> list[str]:
    """The lines of a unified difference, from its first hunk on."""
    absent = [bool(ABSENT.fullmatch(each)) for each in (before, after)]
    if any(absent):
        mark, data = ("+", sides[1]) if absent[0] else ("-", sides[0])
        lines = text(data).split("\n")
        ends = [] if lines[-1] else [lines.pop()]
        told = [f"{mark}{line}" for line in lines]
        told += [] if ends or not lines else ["\\ No newline at end of file"]
        start = "@@ -0,0 +1 @@" if absent[0] else "@@ -1 +0,0 @@"
        return [start, *told] if lines else []
    if before == after:
        return []
    said = repository.say(
        *("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--text", "--unified=3"),
        *(before, after),
    )
    lines = text(said).split("\n")[:-1]
    first = next((at for at, line in enumerate(lines) if line.startswith("@@ ")), len(lines))
    return lines[first:]


def read_hunks(lines: list[str], left: int) -> tuple[list[Json], bool]:
    """The hunks of a difference, in at most `left` lines, and whether more was left out."""
    hunks: list[Json] = []
    cut = len(lines) > left
    for line in lines[:left]:
        if start := re.match(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@", line):
            hunks.append({"before": int(start[1]), "after": int(start[2]), "lines": []})
        elif hunks:
            cut = cut or len(line) > WIDE
            hunks[-1]["lines"].append(line if len(line) <= WIDE else f"{line[:WIDE]}…")
    return hunks, cut


def read(repository: Repository, asked: Json) -> tuple[Json, bytes]:
    """A file of a commit."""
    id = repository.head(str(asked["commit"]))
    if not id:
        raise Problem("no commit")
    said = repository.say("ls-tree", "-z", "--full-tree", id, "--", str(asked["path"]))
    mode, kind, blob = [*said.partition(b"\t")[0].decode().split(" "), "", ""][:3]
    if kind != "blob" or mode not in ("100644", "100755"):
        raise Problem("no file")
    most = int(asked["largest"])
    if repository.sizes([blob]).get(blob, ("", most + 1))[1] > most:
        raise Problem("too large")
    return {}, repository.blob(blob, most)


def answer(folder: str, asked: Json) -> tuple[Json, bytes]:
    """What is asked for."""
    repository = Repository(folder)
    if asked["do"] == "read":
        return read(repository, asked)
    if asked["do"] == "branches":
        return branches(repository), b""
    return (listed if asked["do"] == "list" else shown)(repository, asked), b""


def main() -> None:
    """Answer, within what one may use."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        told, data = answer(sys.argv[1], json.loads(sys.argv[2]))
    except Problem as problem:
        told, data = {"problem": str(problem)}, b""
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + data)


if __name__ == "__main__":
    main()
