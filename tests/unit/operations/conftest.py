"""An administrator, and what stands for the hub."""

from collections.abc import Callable

import pytest

from workbench.core import Actor, Context, Engines
from workbench.operations.ports import servers


class Stopper:
    """Remembers whom it was asked to stop."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.then: Callable[[], None] = lambda: None

    def stop(self, project: str) -> None:
        self.then()
        self.asked.append(project)


@pytest.fixture
def root(engines: Engines) -> Context:
    return Context(Actor(name="root1", admin=True), "", engines)


@pytest.fixture
def stopper(engines: Engines) -> Stopper:
    found = Stopper()
    engines.put(servers, found)
    return found
