"""Git in a project: what it knows there, and in whose name it commits."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jupyterlab_git import JupyterLabGit
from traitlets.config import Config

from tests.unit.history.conftest import notebook
from workbench.hub import committing, gitconfig
from workbench.hub.committing import PersonsGit, begin, take_over
from workbench.hub.inside import asking


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder where there is no sandbox: git's files lie elsewhere."""
    own, made = tmp_path / "own", tmp_path / "files"
    made.mkdir()
    gitconfig.write(own, gitconfig.files("loans", "prj-1", "studio.example", str(own)))
    for name, value in gitconfig.environment(str(own)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return made


def git(home: Path, *command: str) -> str:
    done = subprocess.run(
        ["git", *command], cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def as_person(name: str, panel: PersonsGit, what: str, *given: Any) -> Any:
    """What the Git panel does when somebody presses a button."""

    async def run() -> Any:
        asking.set(name)
        return await getattr(panel, what)(*given)

    answer = asyncio.run(run())
    assert answer["code"] == 0, answer
    return answer


@pytest.fixture
def panel(home: Path) -> PersonsGit:
    begin(home)
    return PersonsGit(JupyterLabGit(config=Config()), "studio.example")


def test_a_folder_is_a_repository_from_the_start(home: Path) -> None:
    begin(home)
    assert git(home, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(home, "rev-list", "--all") == "", "nothing is committed by itself"
    (home / ".git" / "mine").touch()
    begin(home)
    assert (home / ".git" / "mine").exists()


def test_where_there_is_no_git_nothing_happens(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing.shutil, "which", lambda name: None)
    begin(home)
    assert not (home / ".git").exists()


def test_what_is_not_the_projects_work_is_not_offered(home: Path) -> None:
    begin(home)
    for path in (
        *(".cache/x", ".local/share/x", ".ipython/x", ".jupyter/x", ".bash_history", ".ssh/key"),
        *(".netrc", ".env", "in/.ipynb_checkpoints/x", "a/__pycache__/x.pyc", "rooms.db"),
        *("work.ipynb", "in/data.csv", "in/.hidden", ".gitignore", ".github/workflows/x.yml"),
    ):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).touch()
    git(home, "add", "--all")
    assert set(git(home, "ls-files").splitlines()) == {
        *(".gitignore", ".github/workflows/x.yml", "in/.hidden", "in/data.csv", "work.ipynb"),
    }


def test_whoever_presses_commit_is_the_author(home: Path, panel: PersonsGit) -> None:
    (home / "a.txt").write_text("a")
    git(home, "add", "a.txt")
    as_person("ada", panel, "commit", "First", False, str(home), "Ed <ed@elsewhere.example>")
    told = git(home, "log", "-1", "--format=%an <%ae> | %cn <%ce>")
    assert told == "ada <ada@studio.example> | loans <prj-1@studio.example>"
    (home / "a.txt").write_text("b")
    git(home, "add", "a.txt")
    as_person("ed", panel, "commit", "", True, str(home))
    assert git(home, "log", "-1", "--format=%an %cn") == "ada loans", "amended, it stays hers"
    (home / "a.txt").write_text("c")
    git(home, "commit", "-a", "-m", "In a terminal")
    assert git(home, "log", "-1", "--format=%an <%ae>") == "loans <prj-1@studio.example>"


def test_two_at_once_are_not_mixed_up(home: Path, panel: PersonsGit) -> None:
    async def press(name: str) -> list[str]:
        asking.set(name)
        told = []
        for _ in range(5):
            _, said, _ = await panel._Git__execute(["git", "var", "GIT_AUTHOR_IDENT"], str(home))
            told.append(said.partition(" <")[0])
        return told

    async def both() -> list[list[str]]:
        names = ("ada", "", "ed")
        return await asyncio.gather(*(asyncio.create_task(press(name)) for name in names))

    assert asyncio.run(both()) == [["ada"] * 5, ["loans"] * 5, ["ed"] * 5]


def test_a_merge_of_notebooks_is_nbdimes_and_the_persons(
    home: Path, panel: PersonsGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    sources = [f"x{number} = {number}" for number in range(3)]
    (home / "a.ipynb").write_text(notebook(*sources))
    git(home, "add", "a.ipynb")
    git(home, "commit", "-m", "First")
    git(home, "checkout", "-q", "-b", "side")
    (home / "a.ipynb").write_text(notebook(*sources, "from_side = 1"))
    git(home, "commit", "-a", "-m", "Side")
    git(home, "checkout", "-q", "main")
    (home / "a.ipynb").write_text(notebook("x0 = 'main'", *sources[1:]))
    git(home, "commit", "-a", "-m", "Main")
    as_person("ada", panel, "merge", "side", str(home))
    merged = (home / "a.ipynb").read_text()
    assert "from_side = 1" in merged and "x0 = 'main'" in merged and "<<<<" not in merged
    assert git(home, "log", "-1", "--format=%an %P").split()[0] == "ada"
    assert "nbdiff" in git(home, "diff", "HEAD~1", "--", "a.ipynb")


def test_the_panels_handlers_get_it(home: Path) -> None:
    settings: dict[str, Any] = {"git": object()}
    take_over(settings, Config(), "studio.example")
    assert isinstance(settings["git"], PersonsGit)
    without: dict[str, Any] = {}
    take_over(without, Config(), "studio.example")
    assert without == {}
