"""What every test may use: a home of its own, and contexts in it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import workbench
from tests.postgres import Postgres
from workbench.core import Actor, Context, Engines, load_settings
from workbench.projects import resolve


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgresql", action="store_true", help="Keep the records of every test on PostgreSQL."
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay together: what they share is made once."""
    items.sort(key=lambda item: item.path)


@pytest.fixture(autouse=True)
def _no_outside(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A test knows no home and no Studio but its own."""
    for name in ("WORKBENCH_STUDIO_URL", "WORKBENCH_PROJECT", "JUPYTERHUB_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    if request.config.getoption("postgresql"):
        server: Postgres = request.getfixturevalue("postgres")
        monkeypatch.setenv("WORKBENCH_URL_CORE__STORE", server.database())


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server; tests that stop it start one of their own."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    workbench.load_rooms()
    opened = Engines(load_settings(home=tmp_path / "home"))
    yield opened
    opened.close()


@pytest.fixture
def ctx(engines: Engines) -> Context:
    """Ada, in her own project. Take `ctx.fresh()` for a second call."""
    ada = Actor(name="ada")
    return Context(ada, resolve(engines, ada, None), engines)


@pytest.fixture
def as_person(engines: Engines, ctx: Context) -> Callable[[str], Context]:
    """Somebody else, in Ada's project."""
    return lambda name: Context(Actor(name=name), ctx.project, engines)
