"""Ada's project, its members, and what they say to each other."""

from collections.abc import Callable
from typing import Any

import pytest

from workbench.core import Actor, Context, Engines, call_here
from workbench.security import grant

Ask = Callable[..., Any]
NOTEBOOK = "notes/first.ipynb"


@pytest.fixture
def shared(ctx: Context) -> str:
    """A project of Ada's with Bob as editor, Vic and Val as viewers."""
    made = call_here(ctx.fresh(), "projects.create_project", {"name": "churn"})
    with ctx.store.begin() as tx:
        for person, role in (("bob", "editor"), ("vic", "viewer"), ("val", "viewer")):
            grant(tx, made.id, f"person:{person}", role)  # type: ignore[arg-type]
    return str(made.id)


@pytest.fixture
def ask(engines: Engines, shared: str) -> Ask:
    """`ask("ada", "resolve", id=…)`: a person of the project; `project`: its own key."""

    def run(who: str, verb: str, /, *, within: str = shared, key: str = "", **request: Any) -> Any:
        actor = (
            Actor(kind="project", name=within, within=within)
            if who == "project"
            else Actor(name=who, fresh=True, admin=who == "anna")
        )
        name = verb if "." in verb else f"comments.{verb}"
        return call_here(Context(actor, within, engines), name, request, key=key)

    return run


@pytest.fixture
def say(ask: Ask) -> Callable[..., Any]:
    """`say("ada", "Why?")` begins a thread; `say("bob", "So.", first)` replies."""

    def run(who: str, text: str, to: Any = None, part: str = "c1", **more: Any) -> Any:
        about = {"reply_to": to.id} if to else {"anchor": {"document": NOTEBOOK, "part": part}}
        return ask(who, "create_comment", text=text, **about, **more)

    return run
