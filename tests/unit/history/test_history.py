"""What was committed, as everybody may read it."""

import pytest

from tests.unit.history.conftest import Repository, notebook
from workbench.core import Context, Invalid, NotFound, Unavailable, call_here
from workbench.history import reading


def test_a_project_without_a_repository_has_an_empty_history(ctx: Context) -> None:
    assert call_here(ctx.fresh(), "history.list_commits", {}).items == []
    assert call_here(ctx.fresh(), "history.list_branches", {}).items == []
    with pytest.raises(NotFound):
        call_here(ctx.fresh(), "history.get_commit", {"id": "0" * 40})


def test_a_repository_without_a_commit_has_an_empty_history(repository: Repository) -> None:
    assert repository.ask("list_commits").items == []
    with pytest.raises(NotFound, match="side"):
        repository.ask("list_commits", branch="side")


def test_who_committed_what_when_and_why(repository: Repository) -> None:
    repository.write("a.txt", "one\n")
    first = repository.commit("First")
    repository.write("a.txt", "one\ntwo\n")
    repository.write("ß ü/b.txt", "b\n")
    second = repository.commit("Second\n\nBecause of *this*.", who="Ed")
    newest, oldest = repository.ask("list_commits").items
    assert (newest.id, oldest.id) == (second, first)
    assert (newest.author, newest.email, newest.committer) == ("Ed", "ed@studio.example", "loans")
    assert (newest.title, newest.message) == ("Second", "Because of *this*.")
    assert [(file.path, file.change) for file in newest.files] == [
        ("a.txt", "changed"),
        ("ß ü/b.txt", "added"),
    ]
    assert newest.parents == [first] and oldest.parents == []


def test_lines_of_a_text(repository: Repository) -> None:
    repository.write("a.txt", "".join(f"{n}\n" for n in range(20)))
    repository.write("gone.txt", "gone")
    repository.commit("First")
    repository.write("a.txt", "".join(f"{n}\n" for n in range(20) if n != 10) + "end")
    (repository.folder / "gone.txt").unlink()
    repository.write("new.bin", b"\0\1\2")
    repository.write("latin.txt", "é".encode("latin-1"))
    found = repository.ask("get_commit", id=repository.commit("Second")[:10])
    files = {file.path: file for file in found.files}
    changed = files["a.txt"]
    assert [hunk.lines for hunk in changed.hunks] == [
        [" 7", " 8", " 9", "-10", " 11", " 12", " 13"],
        [" 17", " 18", " 19", "+end", "\\ No newline at end of file"],
    ]
    assert (changed.hunks[0].before, changed.hunks[0].after) == (8, 8)
    assert (files["gone.txt"].change, files["gone.txt"].hunks[0].lines[0]) == ("removed", "-gone")
    assert (files["new.bin"].kind, files["new.bin"].size_after) == ("binary", 3)
    assert files["latin.txt"].kind == "binary"


def test_cells_of_a_notebook(repository: Repository) -> None:
    repository.write("a.ipynb", notebook("import os", "x = 1\ny = 2", "print(x)", outputs="1"))
    repository.commit("First")
    again = notebook("import os", "x = 1\ny = 3", "print(x)", "print(y)", outputs="1")
    repository.write("a.ipynb", again.replace('"text": "1"', '"text": "2"', 1))
    second = repository.commit("Second")
    (file,) = repository.ask("get_commit", id=second, path="a.ipynb").files
    assert file.kind == "notebook" and not file.hunks
    told = [(cell.change, cell.number, cell.outputs) for cell in file.cells]
    assert told == [("changed", 1, True), ("changed", 2, False), ("added", 4, False)]
    assert file.cells[1].hunks[0].lines == [" x = 1", "-y = 2", "+y = 3"]
    assert file.cells[2].hunks[0].lines == ["+print(y)"]


def test_a_notebook_that_is_none_is_compared_as_text(repository: Repository) -> None:
    repository.write("a.ipynb", "{}\n")
    repository.commit("First")
    repository.write("a.ipynb", notebook("x"))
    (file,) = repository.ask("get_commit", id=repository.commit("Second")).files
    assert file.kind == "text" and file.hunks[0].lines[0] == "-{}"


def test_the_history_of_one_file(repository: Repository) -> None:
    for number in range(3):
        repository.write("a.txt", f"{number}\n")
        repository.write("b.txt", f"{number // 2}\n")
        repository.commit(f"Number {number}")
    found = repository.ask("list_commits", path="b.txt").items
    assert [each.title for each in found] == ["Number 2", "Number 0"]
    assert [[file.path for file in each.files] for each in found] == [["b.txt"], ["b.txt"]]
    assert repository.ask("list_commits", path="*.txt").items == []


def test_a_file_that_moved(repository: Repository) -> None:
    repository.write("a.txt", "a long enough text\n" * 20)
    repository.commit("First")
    repository.git("mv", "a.txt", "b.txt")
    second = repository.commit("Second")
    (file,) = repository.ask("get_commit", id=second, path="b.txt").files
    assert (file.path, file.was, file.change, file.hunks) == ("b.txt", "a.txt", "renamed", [])


def test_branches_and_a_merge(repository: Repository) -> None:
    repository.write("a.txt", "a\n")
    repository.commit("First")
    repository.git("checkout", "--quiet", "-b", "side/one")
    repository.write("side.txt", "s\n")
    repository.commit("Side")
    repository.git("checkout", "--quiet", "main")
    repository.write("b.txt", "b\n")
    repository.commit("Main")
    found = {each.name: each.current for each in repository.ask("list_branches").items}
    assert found == {"main": True, "side/one": False}
    side = [each.title for each in repository.ask("list_commits", branch="side/one").items]
    assert side == ["Side", "First"]
    repository.git("merge", "--quiet", "side/one", "-m", "Merged")
    merged = repository.ask("list_commits").items[0]
    assert len(merged.parents) == 2
    files = repository.ask("get_commit", id=merged.id).files
    assert [each.path for each in files] == ["side.txt"]


def test_a_list_goes_on_where_it_ended_whatever_is_committed_meanwhile(
    repository: Repository,
) -> None:
    for number in range(5):
        repository.commit(f"Number {number}")
    page = repository.ask("list_commits", limit=2)
    repository.commit("Meanwhile")
    titles = [each.title for each in page.items]
    while page.next:
        page = repository.ask("list_commits", limit=2, after=page.next)
        titles += [each.title for each in page.items]
    assert titles == [f"Number {number}" for number in reversed(range(5))]
    for wrong in ("x", "HEAD:0", f"{'0' * 40}:-1"):
        with pytest.raises(Invalid):
            repository.ask("list_commits", after=wrong)
    with pytest.raises(Invalid):
        repository.ask("list_commits", limit=0)


def test_a_notebook_as_it_was(repository: Repository) -> None:
    repository.write("in/a.ipynb", notebook("one"))
    first = repository.commit("First")
    repository.write("in/a.ipynb", notebook("two"))
    repository.commit("Second")
    home, project = repository.ctx.home, repository.ctx.project
    assert b'"one"' in reading.notebook_at(home, project, first, "in/a.ipynb")
    for id, path in (("HEAD", "in/a.ipynb"), (first, "no.ipynb"), (first, "in"), (first, "/etc")):
        with pytest.raises(NotFound):
            reading.notebook_at(home, project, id, path)


def test_a_large_history_is_told_in_parts(repository: Repository) -> None:
    for number in range(150):
        repository.write(f"files/{number}.txt", "line\n" * 100)
    found = repository.ask("list_commits").items
    assert found == []
    id = repository.commit("Many")
    (listed,) = repository.ask("list_commits").items
    assert (len(listed.files), listed.more) == (20, 130)
    shown = repository.ask("get_commit", id=id)
    assert (len(shown.files), shown.more) == (100, 50)
    assert sum(len(hunk.lines) for file in shown.files for hunk in file.hunks) <= 4000
    assert shown.files[-1].cut and not shown.files[0].cut


def test_without_git_or_a_sandbox_nothing_is_read(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("First")
    with monkeypatch.context() as patch:
        patch.setattr(reading.sandbox, "which", lambda name: None)
        with pytest.raises(Unavailable, match="git is not installed"):
            repository.ask("list_commits")
    with monkeypatch.context() as patch:
        patch.setattr(reading.sandbox, "why_not", lambda: "Windows has no user namespaces.")
        with pytest.raises(Unavailable, match="outside"):
            repository.ask("list_commits")
    assert repository.ask("list_commits").items[0].title == "First"
