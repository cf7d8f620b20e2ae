"""Archive, limits, and the project an action means."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from workbench.core import Actor, Conflict, Context, Engines, Forbidden, Invalid, NotFound
from workbench.core.events import tail
from workbench.projects import Limits, archived, resolve

Ask = Callable[..., Any]
Give = Callable[..., None]


def test_an_archived_project_is_reopened(ask: Ask, ctx: Context, shared: str) -> None:
    put_away = ask("ada", "archive_project", id="churn")
    assert put_away.archived_at is not None and archived(ctx.store, shared)
    assert ask("ada", "get_project", id=shared) == put_away
    assert not archived(ctx.store, ctx.project) and not archived(ctx.store, "prj_none")
    with pytest.raises(Conflict, match="archived already"):
        ask("ada", "archive_project", id=shared)
    assert ask("ada", "reopen_project", id=shared).archived_at is None
    assert not archived(ctx.store, shared)
    with pytest.raises(Conflict, match="is not archived"):
        ask("ada", "reopen_project", id=shared)


@pytest.mark.parametrize(
    ("verb", "more"),
    [
        ("archive_project", {}),
        ("reopen_project", {}),
        ("get_deletion", {}),
        ("delete_project", {"confirm": "other"}),
    ],
)
def test_no_action_reaches_another_project(
    ask: Ask, ctx: Context, shared: str, verb: str, more: dict[str, str]
) -> None:
    other = ask("ada", "create_project", within="", name="other")
    before = len(tail(ctx.store))
    for name in ("other", other.id, "none"):
        with pytest.raises(NotFound, match="project chosen here is not"):
            ask("ada", verb, id=name, **more)
    assert len(tail(ctx.store)) == before and not archived(ctx.store, other.id)


def test_limits_are_set_and_left_out(ask: Ask, shared: str) -> None:
    assert ask("ada", "get_project", id=shared).limits is None
    limited = ask("anna", "set_limits", disk_mb=500, cpus=0.5)
    assert limited.limits == Limits(disk_mb=500, cpus=0.5)
    assert ask("ada", "get_project", id=shared) == limited
    assert ask("anna", "set_limits", jobs=2).limits == Limits(jobs=2)
    assert ask("anna", "set_limits").limits is None
    assert ask("ada", "get_project", id=shared).limits is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("disk_mb", 9), ("disk_mb", 10**7 + 1), ("memory_mb", 127), ("memory_mb", -1),
        ("cpus", 0.0), ("cpus", 1025), ("cpus", float("nan")), ("jobs", 0), ("jobs", 1001),
    ],
)  # fmt: skip
def test_limits_out_of_range(ask: Ask, shared: str, name: str, value: float) -> None:
    with pytest.raises(Invalid, match=f"A project's {name} cannot be"):
        ask("anna", "set_limits", **{name: value})
    assert ask("ada", "get_project", id=shared).limits is None


def test_an_editor_changes_none_of_it(ask: Ask, give: Give) -> None:
    give(bob="editor")
    for verb, request in (
        ("archive_project", {"id": "churn"}),
        ("set_limits", {"jobs": 5}),
        ("delete_project", {"id": "churn", "confirm": "churn"}),
    ):
        with pytest.raises(Forbidden):
            ask("bob", verb, **request)


def test_a_first_use_at_two_places_makes_one_project(engines: Engines) -> None:
    ready, found = threading.Barrier(4), list[str]()

    def use() -> None:
        ready.wait()
        found.append(resolve(engines, Actor(name="bob"), None))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    folders = [f.name for f in (engines.settings.home / "projects").iterdir()]
    assert folders == found[:1]
