"""The one door: what is checked, in what order, and what one commit holds."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

import workbench
from workbench.core import (
    Conflict,
    Context,
    Done,
    Forbidden,
    Invalid,
    NotFound,
    Record,
    Refused,
    Unauthenticated,
    action,
    call,
    call_here,
    catalogue,
)
from workbench.core.door import answers
from workbench.core.events import event_hash, events, tail
from workbench.core.measures import calls
from workbench.core.shelf import Shelf
from workbench.security import grant

workbench.load_rooms()


class Note(Record):
    id: str
    name: str
    version: int = 0
    text: str = ""


shelf = Shelf("note", "note", Note)


@pytest.fixture(autouse=True)
def room() -> Iterator[None]:
    """Actions of a small room, gone after the test."""
    before = dict(catalogue)

    def put_note(ctx: Context, name: str, text: str = "") -> Note:
        """Keep a note.

        Args:
            name: Its name.
            text: What it says.
        """
        note = Note(id=f"note_{name}", name=name, text=text)
        ctx.stage(lambda tx: shelf.put(tx, ctx.project, note))
        ctx.note(note=note.id)
        return note

    def get_note(ctx: Context, id: str) -> Note:
        """A note."""
        return shelf.get(ctx.store, ctx.project, id)

    def refuse(ctx: Context) -> Done:
        """Always refused."""
        ctx.stage(lambda tx: shelf.put(tx, ctx.project, Note(id="note_no", name="no")))
        raise Refused("The rule says no.", hint="Ask the rule.")

    def nap(ctx: Context, seconds: float = 0.0) -> Done:
        """Sleep."""
        time.sleep(seconds)
        return Done()

    for run in (put_note, get_note, refuse, nap):
        run.__module__ = "workbench.demo.actions"
    action(effect="write", undo="irreversible")(put_note)
    action(effect="read", on="id")(get_note)
    action(effect="write", undo="irreversible")(refuse)
    action(effect="read", heavy=True)(nap)
    yield
    catalogue.clear()
    catalogue.update(before)


def happened(ctx: Context) -> list[tuple[str, str]]:
    return [(e.action, e.outcome) for e in tail(ctx.store, project=ctx.project)]


def test_a_write_and_its_event_are_one_commit(ctx: Context) -> None:
    call_here(ctx.fresh(), "demo.put_note", {"name": "a", "text": "hello"})
    assert call_here(ctx.fresh(), "demo.get_note", {"id": "a"}).text == "hello"
    assert happened(ctx)[-1] == ("demo.put_note", "done")


def test_a_write_that_fails_at_commit_leaves_neither(ctx: Context) -> None:
    call_here(ctx.fresh(), "demo.put_note", {"name": "a"})
    before = happened(ctx)
    with pytest.raises(Conflict, match="'a' version 0 was made by somebody else"):
        call_here(ctx.fresh(), "demo.put_note", {"name": "a", "text": "other"})
    assert happened(ctx) == before
    assert call_here(ctx.fresh(), "demo.get_note", {"id": "a"}).text == ""


def test_what_cannot_be_recorded_does_not_happen(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr("workbench.core.door.append", broken)
    with pytest.raises(Exception, match="disk is full; nothing was changed"):
        call_here(ctx.fresh(), "demo.put_note", {"name": "a"})
    with pytest.raises(NotFound):
        call_here(ctx.fresh(), "demo.get_note", {"id": "a"})


def test_a_refusal_is_recorded_and_nothing_else_is(ctx: Context) -> None:
    with pytest.raises(Refused):
        call_here(ctx.fresh(), "demo.refuse", {})
    assert happened(ctx)[-1] == ("demo.refuse", "Refused")
    assert shelf.find(ctx.store, ctx.project, "no") is None


def test_repeating_with_a_key_is_harmless(ctx: Context) -> None:
    first = call_here(ctx.fresh(), "demo.put_note", {"name": "a"}, key="k")
    again = call_here(ctx.fresh(), "demo.put_note", {"name": "a"}, key="k")
    assert again == first
    assert happened(ctx).count(("demo.put_note", "done")) == 1


def test_a_key_answers_one_request_only(ctx: Context) -> None:
    call_here(ctx.fresh(), "demo.put_note", {"name": "a"}, key="k")
    with pytest.raises(Conflict, match="'k' was used for another request"):
        call_here(ctx.fresh(), "demo.put_note", {"name": "b"}, key="k")


def test_two_at_once_with_one_key_act_once(ctx: Context) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(
                call_here(ctx.fresh(), "demo.put_note", {"name": "a"}, key="k")
            )
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8 and len({each.id for each in answers}) == 1
    assert happened(ctx).count(("demo.put_note", "done")) == 1


def test_a_key_of_somebody_else_is_another_key(
    ctx: Context, as_person: Callable[[str], Context]
) -> None:
    with ctx.store.begin() as tx:
        grant(tx, ctx.project, "person:bob", "editor")
    call_here(ctx.fresh(), "demo.put_note", {"name": "a"}, key="k")
    call_here(as_person("bob"), "demo.put_note", {"name": "b"}, key="k")
    with ctx.store.read() as connection:
        kept = connection.execute(
            sa.select(sa.func.count()).select_from(answers).where(answers.c.key == "k")
        ).scalar()
    assert kept == 2


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({}, "demo.put_note needs name."),
        ({"name": "a", "size": 3}, "demo.put_note has no parameter 'size'."),
        ({"name": 3}, "demo.put_note cannot take name 3: Input should be a valid string."),
    ],
)
def test_a_request_that_does_not_fit(ctx: Context, request_: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as caught:
        call_here(ctx.fresh(), "demo.put_note", request_)
    assert str(caught.value) == sentence
    assert caught.value.hint


def test_an_unknown_action_names_its_neighbours(ctx: Context) -> None:
    with pytest.raises(NotFound) as caught:
        call_here(ctx.fresh(), "demo.put_nite", {})
    assert "demo.put_note" in caught.value.hint


def test_roles_decide_and_hold_from_the_next_call_on(
    ctx: Context, as_person: Callable[[str], Context]
) -> None:
    call_here(ctx.fresh(), "demo.put_note", {"name": "a"})
    with pytest.raises(Forbidden, match="bob is in no project"):
        call_here(as_person("bob"), "demo.get_note", {"id": "a"})
    with ctx.store.begin() as tx:
        grant(tx, ctx.project, "person:bob", "viewer")
    assert call_here(as_person("bob"), "demo.get_note", {"id": "a"}).name == "a"
    with pytest.raises(Forbidden, match=r"bob is viewer here and may not do demo\.put_note"):
        call_here(as_person("bob"), "demo.put_note", {"name": "b"})
    with pytest.raises(Unauthenticated):
        call_here(as_person(""), "demo.get_note", {"id": "a"})


def test_refusals_are_counted_not_written_down(
    ctx: Context, as_person: Callable[[str], Context]
) -> None:
    before, count = happened(ctx), calls.count("demo.put_note", "Forbidden")
    for _ in range(20):
        with pytest.raises(Forbidden):
            call_here(as_person("bob"), "demo.put_note", {"name": "b"})
    assert happened(ctx) == before
    assert calls.count("demo.put_note", "Forbidden") == count + 20


def test_another_project_does_not_see_it(ctx: Context) -> None:
    call_here(ctx.fresh(), "demo.put_note", {"name": "a"})
    other = call_here(ctx.fresh(), "projects.create_project", {"name": "other"})
    with pytest.raises(NotFound):
        call_here(ctx.fresh(project=other.id), "demo.get_note", {"id": "a"})


async def test_slow_calls_do_not_hold_up_a_quick_one(ctx: Context) -> None:
    slow = [asyncio.create_task(call(ctx.fresh(), "demo.nap", {"seconds": 2.0})) for _ in range(12)]
    await asyncio.sleep(0.1)
    started = time.perf_counter()
    await call(ctx.fresh(), "security.whoami", {})
    quick = time.perf_counter() - started
    assert not any(task.done() for task in slow)
    assert quick < 0.25
    await asyncio.gather(*slow)


def test_the_record_shows_every_change(ctx: Context) -> None:
    for name in "abcde":
        call_here(ctx.fresh(), "demo.put_note", {"name": name})
    assert call_here(ctx.fresh(), "audit.verify", {}).ok
    forged = {"actor": "person:mallory"}
    with ctx.store.begin() as tx:
        tx.execute(sa.update(events).where(events.c.seq == 3).values(forged))
    found = call_here(ctx.fresh(), "audit.verify", {})
    assert (found.ok, found.broken_at) == (False, 3)
    with ctx.store.begin() as tx:
        row = dict(tx.execute(sa.select(events).where(events.c.seq == 3)).mappings().one())
        tx.execute(sa.update(events).where(events.c.seq == 3).values(hash=event_hash(row)))
    assert call_here(ctx.fresh(), "audit.verify", {}).broken_at == 4
