"""A document in Ada's project, and ways to change it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from workbench.core import Context, call_here
from workbench.documents import Document, LiveRooms
from workbench.documents.rooms import rooms
from workbench.security import grant

Ask = Callable[..., Any]


@pytest.fixture
def ask(ctx: Context) -> Ask:
    """`ask("edit", id=…)`: an action of the documents, as Ada; `as_="bob"` as somebody else."""

    def run(verb: str, /, *, as_: str = "", **request: Any) -> Any:
        from tests.unit.documents.windows import person

        return call_here(person(ctx, as_) if as_ else ctx.fresh(), f"documents.{verb}", request)

    return run


@pytest.fixture
def credit(ctx: Context, ask: Ask) -> Document:
    """A small network that Bob may edit and Vic look at."""
    with ctx.store.begin() as tx:
        grant(tx, ctx.project, "person:bob", "editor")
        grant(tx, ctx.project, "person:vic", "viewer")
    made: Document = ask("create_document", name="credit")
    ask(
        "edit",
        id=made.id,
        operations=[
            {"op": "add_node", "layer": "dense", "id": "wide", "params": {"units": 64}},
            {"op": "add_node", "layer": "relu", "id": "bend"},
            {"op": "disconnect", "source": "table", "target": "target"},
            {"op": "connect", "source": "table", "target": "wide"},
            {"op": "connect", "source": "wide", "target": "bend"},
            {"op": "connect", "source": "bend", "target": "target"},
        ],
    )
    return made


@pytest.fixture
async def live(ctx: Context) -> AsyncIterator[LiveRooms]:
    """The rooms of a service."""
    opened = LiveRooms(ctx.engines)
    ctx.engines.put(rooms, opened)
    yield opened
    await opened.end()
