"""Repositories made to harm whoever reads them: nothing of theirs runs or is read outside."""

import os
import shutil
import stat
import struct
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha1
from pathlib import Path

import pytest

from tests.unit.history.conftest import Repository, notebook
from workbench.core import Context, Engines, Invalid, Limited, NotFound, WorkbenchError, call_here
from workbench.history import reading
from workbench.history.types import Commit, plain

SECRET = "what another project keeps to itself"


def read_all(repository: Repository) -> str:
    """Everything the actions say, or the errors they raise."""
    said = []
    for verb in ("list_branches", "list_commits"):
        try:
            said.append(repository.ask(verb).model_dump_json())
        except WorkbenchError as error:
            said.append(f"{error}")
    for commit in repository.git("rev-list", "--all").split():
        try:
            said.append(repository.ask("get_commit", id=commit).model_dump_json())
        except WorkbenchError as error:
            said.append(f"{error}")
    return "\n".join(said)


def read_all_of(repository: Repository, id: str) -> str:
    """What the actions say of one commit, where git itself finds none any more."""
    said = []
    for verb, asked in (("get_commit", {"id": id}), ("list_commits", {}), ("list_branches", {})):
        try:
            said.append(repository.ask(verb, **asked).model_dump_json())
        except WorkbenchError as error:
            said.append(f"{error} {error.hint}")
    return "\n".join(said)


def test_programs_that_a_repository_names_do_not_run(
    repository: Repository, marker: Callable[[Path], str], tmp_path: Path
) -> None:
    repository.write("a.txt", "one\n")
    repository.write("a.ipynb", notebook("one"))
    repository.write("a.bin", b"\0one")
    repository.commit("First")
    repository.write("a.txt", "two\n")
    repository.write("a.ipynb", notebook("two"))
    repository.write("a.bin", b"\0two")
    repository.commit("Second")
    program = marker(repository.folder)
    for inside in (program, "/srv/project/planted.sh"):
        for key in (
            *("core.fsmonitor", "core.pager", "core.editor", "core.askPass", "core.sshCommand"),
            *("diff.external", "diff.evil.command", "diff.evil.textconv", "filter.evil.smudge"),
            *("filter.evil.clean", "gpg.program", "log.showSignature", "credential.helper"),
            *("core.gitProxy", "uploadpack.packObjectsHook", "core.alternateRefsCommand"),
        ):
            repository.git("config", "--add", key, inside)
    for hook in (repository.folder / ".git/hooks", repository.folder / "hooks"):
        hook.mkdir(exist_ok=True)
        for name in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
            shutil.copy(program, hook / name)
    repository.git("config", "core.hooksPath", "hooks")
    repository.write(".gitattributes", "* diff=evil filter=evil\n")
    repository.write(".git/info/attributes", "* diff=evil filter=evil\n")
    found = repository.ask("list_commits").items
    assert [each.title for each in found] == ["Second", "First"]
    files = repository.ask("get_commit", id=found[0].id).files
    assert [each.kind for each in files] == ["binary", "notebook", "text"]
    assert files[2].hunks[0].lines == ["-one", "+two"]
    assert not (tmp_path / "ran").exists()
    assert not (repository.folder / "ran").exists()


def test_another_projects_repository_cannot_be_borrowed(
    repository: Repository, ctx: Context
) -> None:
    hers = ctx.home / "projects" / "prj_hers" / "files"
    hers.mkdir(parents=True)
    other = Repository(hers, ctx)
    other.git("init", "--quiet", "--initial-branch=main")
    other.write("secret.txt", SECRET)
    stolen = other.commit("Hers")
    repository.commit("Mine")
    repository.write(".git/objects/info/alternates", f"{hers}/.git/objects\n")
    (repository.folder / ".git/refs/heads/stolen").write_text(f"{stolen}\n")
    with pytest.raises(WorkbenchError):
        repository.ask("get_commit", id=stolen)
    with pytest.raises(WorkbenchError):
        repository.ask("list_commits", branch="stolen")
    git = repository.folder / ".git"
    for plant in (
        lambda: git.symlink_to(hers / ".git"),
        lambda: git.write_text(f"gitdir: {hers}/.git\n"),
    ):
        shutil.rmtree(git) if git.is_dir() and not git.is_symlink() else git.unlink()
        plant()
        for ask in (
            lambda: repository.ask("list_commits"),
            lambda: repository.ask("get_commit", id=stolen),
        ):
            with pytest.raises(Invalid, match="cannot read"):
                ask()


def test_a_file_outside_cannot_be_read_by_a_link(repository: Repository, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    repository.write("a.txt", "a")
    repository.commit("First")
    (repository.folder / "link").symlink_to(secret)
    (repository.folder / "a.ipynb").symlink_to(secret)
    second = repository.commit("Second")
    files = repository.ask("get_commit", id=second).files
    assert {each.kind for each in files} == {"link"}
    assert SECRET not in read_all(repository)
    with pytest.raises(NotFound):
        reading.notebook_at(repository.ctx.home, repository.ctx.project, second, "a.ipynb")
    for name in ("HEAD", "config", "packed-refs"):
        place = repository.folder / ".git" / name
        kept = place.read_bytes() if place.exists() else b""
        place.unlink(missing_ok=True)
        place.symlink_to(secret)
        assert SECRET not in read_all_of(repository, second)
        place.unlink()
        if kept:
            place.write_bytes(kept)


@pytest.mark.parametrize("what", ["pipe", "loop", "empty", "file"])
def test_what_is_no_repository(folder: Path, ctx: Context, what: str) -> None:
    git = folder / ".git"
    if what == "pipe":
        os.mkfifo(git)
    elif what == "loop":
        git.symlink_to(".git")
    elif what == "empty":
        git.mkdir()
    else:
        git.write_bytes(os.urandom(1000))
    with pytest.raises((Invalid, Limited)):
        call_here(ctx.fresh(), "history.list_commits", {})


def test_text_that_means_something_to_whoever_shows_it(repository: Repository) -> None:
    repository.write("a.txt", "\x1b[31mred\x1b[0m \u202etxt.exe\r\n<script>\n")
    message = "<script>alert(1)</script>\x1b]0;title\x07\n\n\u202ebackwards \x08\x08"
    repository.write("<b>.txt", "x")
    repository.write("new\nline.txt", "x")
    repository.write(os.fsdecode(b"\xff.txt"), "x")
    id = repository.commit(message, who="Eve <i>\u2066\x1b[1m")
    found = repository.ask("get_commit", id=id)
    said = found.model_dump_json()
    for odd in ("\\u001b", "\x1b", "\u202e", "\u2066", "\\b", "\\r"):
        assert odd not in said
    assert found.title.startswith("<script>alert(1)</script>␛")
    assert {file.path for file in found.files} >= {"<b>.txt", "new\nline.txt", "�.txt"}


def test_a_message_in_any_encoding(repository: Repository) -> None:
    tree = repository.git("write-tree")
    for encoding, title in (("latin-1", "é"), ("rot13", "�"), ("no-such", "�"), ("\xff", "�")):
        body = (
            f"tree {tree}\nauthor é <a@b> 99999999999999999 +0000\n"
            f"committer x -5\nencoding {encoding}\n\n".encode("latin-1")
            + b"\xe9"
        )
        id = repository.git(
            "hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=body
        )
        found = repository.ask("get_commit", id=id)
        assert found.title == title, encoding
        assert found.at.year == 9999 and found.committed_at.year == 1970


def test_a_blob_of_a_gigabyte(repository: Repository) -> None:
    size = 1024**3
    header = f"blob {size}\0".encode()
    packed = zlib.compressobj(1)
    total, block = sha1(header), bytes(1024 * 1024)
    data = [packed.compress(header)]
    for _ in range(1024):
        total.update(block)
        data.append(packed.compress(block))
    id = total.hexdigest()
    place = repository.folder / f".git/objects/{id[:2]}/{id[2:]}"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b"".join([*data, packed.flush()]))
    tree = repository.git(
        "mktree", given=f"100644 blob {id}\ta.ipynb\n100644 blob {id}\ta.txt\n".encode()
    )
    commit = repository.git("commit-tree", tree, "-m", "Large")
    repository.git("update-ref", "HEAD", commit)
    files = repository.ask("get_commit", id=commit).files
    assert [(file.kind, file.size_after) for file in files] == [("large", size)] * 2
    with pytest.raises(Limited, match="too large"):
        reading.notebook_at(repository.ctx.home, repository.ctx.project, commit, "a.ipynb")


def test_a_message_of_many_megabytes(repository: Repository) -> None:
    tree = repository.git("write-tree")
    words = b"tree %s\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\n" % tree.encode()
    body = words + b"x" * (32 * 1024 * 1024)
    id = repository.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=body)
    with pytest.raises(Invalid):
        repository.ask("get_commit", id=id)
    body = words + b"x" * (512 * 1024)
    id = repository.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=body)
    assert len(repository.ask("get_commit", id=id).title) == 400


def test_a_tree_that_never_ends(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten names to the power of ten: each tree holds the one below it ten times."""
    blob = repository.git("hash-object", "-w", "--stdin", given=b"x")
    tree = repository.git(
        "mktree", given=b"".join(b"100644 blob %s\t%d\n" % (blob.encode(), n) for n in range(10))
    )
    for _ in range(9):
        rows = b"".join(b"040000 tree %s\t%d\n" % (tree.encode(), n) for n in range(10))
        tree = repository.git("mktree", given=rows)
    commit = repository.git("commit-tree", tree, "-m", "Ten billion files")
    repository.git("update-ref", "HEAD", commit)
    monkeypatch.setattr(reading, "TIME_S", 3.0)
    for ask in (
        lambda: repository.ask("get_commit", id=commit),
        lambda: repository.ask("list_commits"),
    ):
        began = time.monotonic()
        with pytest.raises(Limited):
            ask()
        assert time.monotonic() - began < 20


def test_what_takes_too_long_is_ended(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("First")
    os.mkfifo(repository.folder / ".git/packed-refs")  # git waits for whoever writes to it
    monkeypatch.setattr(reading, "TIME_S", 2.0)
    began = time.monotonic()
    with pytest.raises(Limited, match="longer than 2 s"):
        repository.ask("list_commits", branch="side")
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b"{",
        b'{"commits": 1}',
        b'{"commits": [1]}',
        b'{"commits": [{"id": "x"}]}',
        b'{"head": {}, "commits": [{}]}',
        b"\xff\xff",
        b'{"problem": {"a": 1}}',
    ],
)
def test_an_answer_that_somebody_inside_made_up(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    repository.commit("First")
    monkeypatch.setattr(reading, "_read", lambda *given: said)
    with pytest.raises(WorkbenchError):
        repository.ask("list_commits")
    with pytest.raises(WorkbenchError):
        repository.ask("get_commit", id="0" * 40)


def test_a_slow_repository_holds_up_no_other(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    began = threading.Semaphore(0)

    def read(folder: Path, *given: object) -> bytes:
        if "prj_slow" in str(folder):
            began.release()
            go.wait(60)
        return b'{"branches": []}'

    monkeypatch.setattr(reading, "_read", read)
    monkeypatch.setattr(reading, "why_not", lambda: "")
    home = engines.settings.home
    for project in ("prj_slow", "prj_quick"):
        (home / "projects" / project / "files" / ".git").mkdir(parents=True)
    with ThreadPoolExecutor(reading.WAITING) as pool:
        slow = [pool.submit(reading.branches, home, "prj_slow") for _ in range(reading.WAITING)]
        for _ in range(reading.OWN):
            assert began.acquire(timeout=10)
        until = time.monotonic() + 10
        while reading._waiting["prj_slow"] < reading.WAITING:
            assert time.monotonic() < until
            time.sleep(0.01)
        with pytest.raises(Limited, match="at once"):
            reading.branches(home, "prj_slow")
        assert reading.branches(home, "prj_quick") == []
        go.set()
        assert [each.result(20) for each in slow] == [[]] * reading.WAITING
    assert reading._waiting["prj_slow"] == 0


def test_half_a_character_is_shown_as_one() -> None:
    assert plain("\ud800a\u0000") == "\\ud800a␀"
    told = {
        "id": "0" * 40, "parents": [], "author": "\udfff", "email": "", "at": 10**30,
        "committer": "", "committed_at": -1, "title": "t", "message": "m", "files": [],
    }  # fmt: skip
    commit = Commit.model_validate(told)
    assert commit.model_dump_json().encode()


def test_a_corrupt_pack(repository: Repository) -> None:
    repository.write("a.txt", "a")
    repository.commit("First")
    repository.git("gc", "--quiet")
    for pack in (repository.folder / ".git/objects/pack").glob("*.pack"):
        pack.chmod(stat.S_IRUSR | stat.S_IWUSR)
        body = bytearray(pack.read_bytes())
        body[12:40] = struct.pack("28s", b"\xff" * 28)
        pack.write_bytes(bytes(body))
    with pytest.raises(Invalid, match="cannot read"):
        repository.ask("list_commits")


def test_names_are_never_options(repository: Repository) -> None:
    repository.write("--output=stolen", "x")
    repository.commit("First")
    for branch in ("--output=x", "-x", "main --all", "../../HEAD", "main^{/x}", "x\0y"):
        with pytest.raises(WorkbenchError):
            repository.ask("list_commits", branch=branch)
    assert len(repository.ask("list_commits", path="--output=stolen").items) == 1
    assert repository.ask("list_commits", path=":(exclude)x").items == []
    with pytest.raises(NotFound):
        repository.ask("get_commit", id="--help")
