"""What every engine of the port `models.registry` does."""

from pathlib import Path

import pytest

from workbench.core import NotFound, Unavailable
from workbench.models.ports import Registry, Run
from workbench.models.registry import MlflowRegistry


@pytest.fixture(scope="module", params=["mlflow+sqlite://"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return MlflowRegistry(request.param, tmp_path_factory.mktemp("home"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "estimator.json").write_text("{}")
    return folder


def run(project: str = "prj_1") -> Run:
    return Run(
        project=project,
        name="customers-churned",
        params={"seed": 0},
        epochs=[{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}],
        metrics={"auc": 0.9},
        tags={"workbench.seed": "0"},
    )


def test_a_run_is_kept_with_its_files(registry: Registry, files: Path, tmp_path: Path) -> None:
    first = registry.record(run(), files)
    second = registry.record(run(), files)
    assert first.name == second.name
    assert int(second.version) == int(first.version) + 1
    assert registry.files("prj_1", first.run) == ["model/estimator.json"]
    fetched = registry.fetch(first.run, "model/estimator.json", tmp_path)
    assert fetched.read_text() == "{}"


def test_projects_do_not_see_each_others_runs(registry: Registry, files: Path) -> None:
    kept = registry.record(run("prj_2"), files)
    assert kept.name != registry.record(run("prj_3"), files).name
    with pytest.raises(NotFound, match=kept.run):
        registry.files("prj_1", kept.run)
    with pytest.raises(NotFound, match="'nothing'"):
        registry.files("prj_1", "nothing")


def test_an_alias_moves_and_goes(registry: Registry, files: Path) -> None:
    first, second = registry.record(run(), files), registry.record(run(), files)
    registry.alias(first.uri, "candidate")
    registry.alias(second.uri, "candidate")
    registry.unalias(second.uri, "candidate")
    with pytest.raises(Unavailable):
        registry.alias("models:/nobody/1", "candidate")


def test_what_is_forgotten_is_gone(registry: Registry, files: Path) -> None:
    kept = registry.record(run(), files)
    registry.forget(kept)
    with pytest.raises(Unavailable):
        registry.alias(kept.uri, "candidate")
