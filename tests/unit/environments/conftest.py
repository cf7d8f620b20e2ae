"""Projects of one Studio, whose downloads they share, and a folder of small packages."""

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import workbench
from workbench.core import Actor, Context, Engines, commit, load_settings
from workbench.core.door import undo
from workbench.environments import building, indexes, install, prepare_folder
from workbench.environments.places import SEEN
from workbench.projects import prepare_folder as prepare_files
from workbench.projects import resolve
from workbench.security import sandbox


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> None:
    """Write a wheel with these files."""
    info = f"{name}-{version}.dist-info"
    content = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as packed:
        for path, text in content.items():
            packed.writestr(path, text)
            sha = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
            lines.append(f"{path},sha256={sha.decode()},{len(text)}")
        packed.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,", ""]))


def source(folder: Path, name: str, version: str, marker: Path) -> None:
    """Write a package as source code; whoever builds it leaves a mark."""
    root = f"{name}-{version}"
    info = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    setup = f"open({str(marker)!r}, 'w')\nfrom setuptools import setup\nsetup(name={name!r})\n"
    with tarfile.open(folder / f"{root}.tar.gz", "w:gz") as packed:
        for path, text in (("PKG-INFO", info), ("setup.py", setup)):
            member = tarfile.TarInfo(f"{root}/{path}")
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text.encode()))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    workbench.load_rooms()
    opened = Engines(load_settings(home=tmp_path_factory.mktemp("studio") / "home"))
    yield opened
    opened.close()


@pytest.fixture
def person() -> str:
    return "ada"


@pytest.fixture
def ctx(studio: Engines, person: str, request: pytest.FixtureRequest) -> Context:
    """A person of this test alone, in their own project."""
    name = f"{person}-{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    return Context(Actor(name=name), resolve(studio, Actor(name=name), None), studio)


@pytest.fixture
def folder(ctx: Context) -> Path:
    return prepare_folder(ctx.settings, ctx.project)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the step that takes most of the time and changes nothing else."""
    monkeypatch.setattr(building.Bench, "compile", lambda self, interpreter: None)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages beside the machine's own index."""
    folder = tmp_path / "shop"
    folder.mkdir()
    folder.chmod(0o755)
    real = indexes.configured

    def configured(settings: Any) -> indexes.Indexes:
        found = real(settings)
        links = [found.environment.get("UV_FIND_LINKS", ""), str(folder)]
        found.environment["UV_FIND_LINKS"] = ",".join(filter(None, links))
        found.folders.append(folder)
        return found

    monkeypatch.setattr(indexes, "configured", configured)
    return folder


def done(ctx: Context, packages: list[str], python: str = "") -> dict[str, Any]:
    """What a job does with `install`: run it, then commit, or undo it."""
    now = ctx.fresh()
    try:
        result: Any = install(now, packages, python)
    except BaseException:
        undo(now)
        raise
    commit(now, "environments.install", {"packages": packages})
    for then in now.afters:
        then()
    return dict(result)


Inside = Callable[..., str]


@pytest.fixture
def inside(ctx: Context, folder: Path, tmp_path: Path) -> Inside:
    """Run a command where the project's code runs; what it printed."""
    if problem := sandbox.why_not():
        pytest.skip(f"there is no sandbox here: {problem}")
    files, user = prepare_files(ctx.settings, ctx.project), sandbox.user_of(ctx.project)
    if user is not None:
        sandbox.give(files, user)

    def run(*command: str, **environment: str) -> str:
        confined = sandbox.Confined(
            files, read_only={folder: SEEN}, environment=environment, user=user
        )
        with open(tmp_path / "said", "w+b") as out:
            process = sandbox.start(command, confined, stdout=out, stderr=out)
            code = process.wait(60)
            out.seek(0)
            said = out.read().decode().strip()
        assert code == 0, said
        return said

    return run
