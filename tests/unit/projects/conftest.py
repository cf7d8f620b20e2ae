"""Ada's project, and people who ask something of it."""

from collections.abc import Callable
from typing import Any

import pytest

from workbench.core import Actor, Context, Engines, call_here
from workbench.security import grant

Ask = Callable[..., Any]


@pytest.fixture
def shared(ctx: Context) -> str:
    """The id of a project of Ada's that is called `churn`."""
    made = call_here(ctx.fresh(), "projects.create_project", {"name": "churn", "title": "Churn"})
    return str(made.id)


@pytest.fixture
def ask(engines: Engines, shared: str) -> Ask:
    """`ask("ada", "invite", role="editor")`: a person who proved who they are; anna governs."""

    def run(who: str, verb: str, /, *, within: str = shared, key: str = "", **request: Any) -> Any:
        ctx = Context(Actor(name=who, fresh=True, admin=who == "anna"), within, engines)
        return call_here(ctx, f"projects.{verb}", request, key=key)

    return run


@pytest.fixture
def give(ctx: Context, shared: str) -> Callable[..., None]:
    """`give(bob="editor")`: roles without invitations."""

    def run(**roles: Any) -> None:
        with ctx.store.begin() as tx:
            for person, role in roles.items():
                grant(tx, shared, f"person:{person}", role)

    return run
