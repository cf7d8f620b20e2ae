"""Rooms: who is in them, what they are told, and what is on the disk when."""

import asyncio
import sys
import threading
import time
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from tests.unit.documents.conftest import Ask
from tests.unit.documents.windows import Window, all_safe, person
from workbench.core import Context, Limited, NotFound
from workbench.core.events import tail
from workbench.documents import Document, LiveRooms, log, sweep, wire
from workbench.documents.shared import changed, graph_of, root
from workbench.documents.types import AddNode, Connect, RemoveNode, Rename, SetParam
from workbench.security import grant, revoke


@pytest.fixture
def window(live: LiveRooms, ctx: Context, credit: Document) -> Any:
    """`window("bob")`: Bob's editor, entered."""

    def opened(name: str) -> Window:
        return Window(live, person(ctx, name), credit.id)

    return opened


def stored(ctx: Context, document: Document) -> Any:
    with ctx.store.read() as connection:
        doc, _ = log.load(connection, ctx.project, document.id)
    return graph_of(doc)


async def test_what_one_does_the_other_sees_and_it_is_on_the_disk(
    window: Any, ctx: Context, credit: Document
) -> None:
    ada, bob = await window("ada").enter(), await window("bob").enter()
    await ada.edit(SetParam(id="wide", param="units", value=128))
    await ada.safe()
    assert stored(ctx, credit).nodes["wide"].params["units"] == 128
    await bob.until(lambda: bob.graph.nodes["wide"].params["units"] == 128)
    assert ada.seq == 2
    await bob.until(lambda: bob.meaning["nodes"]["bend"]["outputs"]["out"] == ["B", 128])
    await ada.leave()
    await bob.leave()


async def test_two_parameters_of_one_node_both_stand(window: Any) -> None:
    ada, bob = await window("ada").enter(), await window("bob").enter()
    await ada.edit(SetParam(id="wide", param="units", value=16))
    await bob.edit(SetParam(id="wide", param="bias", value=False))
    await all_safe([ada, bob])
    assert ada.graph.nodes["wide"].params == {"units": 16, "bias": False}
    assert ada.graph == bob.graph
    await ada.leave()
    await bob.leave()


async def test_delete_against_connect_leaves_nothing_dangling(window: Any) -> None:
    ada, bob = await window("ada").enter(), await window("bob").enter()
    await ada.edit(AddNode(layer="tanh", id="last"))
    await all_safe([ada, bob])
    await ada.edit(RemoveNode(id="last"))
    await bob.edit(Connect(source="bend", target="last"))
    await all_safe([ada, bob])
    assert ada.graph == bob.graph
    assert "last" not in ada.graph.nodes
    assert all("last" not in (each.source, each.target) for each in ada.graph.edges.values())
    await ada.leave()
    await bob.leave()


async def test_an_edit_by_word_is_seen_in_the_window(window: Any, ask: Ask) -> None:
    ada = await window("ada").enter()
    operation = {"op": "set_param", "id": "wide", "param": "units", "value": 32}
    await asyncio.to_thread(ask, "edit", as_="bob", id="credit", operations=[operation])
    await ada.until(lambda: ada.graph.nodes["wide"].params["units"] == 32)
    await ada.edit(SetParam(id="wide", param="bias", value=False))
    await ada.safe()
    assert ada.seq == 3
    await ada.leave()


async def test_an_edit_of_another_process_comes_before_ones_own(
    window: Any, ctx: Context, credit: Document, live: LiveRooms
) -> None:
    ada = await window("ada").enter()
    with ctx.store.read() as connection:
        doc, _ = log.load(connection, ctx.project, credit.id)
    from workbench.documents.operations import perform
    from workbench.documents.shared import changed

    update = changed(doc, lambda: perform(doc, [Rename(id="wide", name="hidden")]))
    with ctx.store.begin() as tx:  # nobody tells the room
        entry = log.Entry("person:bob", "documents.edit", update)
        log.append(tx, ctx.project, credit.id, [entry], ctx.now())
    await ada.edit(SetParam(id="wide", param="units", value=8))
    await ada.safe()
    await ada.until(lambda: ada.graph.nodes["wide"].name == "hidden")
    assert ada.seq == 3
    await ada.leave()


async def test_who_may_only_look_is_told_and_nothing_is_changed(
    window: Any, ctx: Context, credit: Document
) -> None:
    vic, ada = await window("vic").enter(), await window("ada").enter()
    assert vic.hello["may_write"] is False and ada.hello["may_write"] is True
    await vic.edit(SetParam(id="wide", param="units", value=1))
    await vic.until(lambda: bool(vic.notices))
    assert vic.notices[0]["kind"] == "refused"
    await ada.edit(SetParam(id="wide", param="bias", value=False))
    await ada.safe()
    assert ada.graph.nodes["wide"].params == {"units": 64, "bias": False}
    assert stored(ctx, credit).nodes["wide"].params == {"units": 64, "bias": False}
    await vic.leave()
    await ada.leave()


async def test_a_stranger_does_not_come_in(window: Any, live: LiveRooms, ctx: Context) -> None:
    with pytest.raises(Exception, match="zed is in no project"):
        await window("zed").enter()
    with pytest.raises(NotFound, match="no document 'doc_none'"):
        await live.enter(ctx.fresh(), "doc_none")


async def test_who_loses_the_right_to_look_is_let_go(window: Any, ctx: Context) -> None:
    bob = await window("bob").enter()
    with ctx.store.begin() as tx:
        revoke(tx, ctx.project, "person:bob")
    await bob.until(lambda: bob.notices and bob.peer.leaving)
    assert bob.notices[-1]["kind"] == "closed"
    await bob.leave()


async def test_who_becomes_a_viewer_cannot_write_any_more(window: Any, ctx: Context) -> None:
    bob = await window("bob").enter()
    with ctx.store.begin() as tx:
        grant(tx, ctx.project, "person:bob", "viewer")
    await bob.edit(SetParam(id="wide", param="units", value=1))
    await bob.until(lambda: bool(bob.notices))
    assert bob.notices[0]["kind"] == "refused"
    await bob.leave()


async def test_presence_is_in_the_name_of_who_it_is(window: Any) -> None:
    ada, bob = await window("ada").enter(), await window("bob").enter()
    claimed = {"user": {"name": "the owner"}, "selection": ["wide"]}
    await bob.send(wire.present([wire.Presence(77, 1, claimed)]), counts=False)
    await ada.until(lambda: 77 in ada.present)
    assert ada.present[77]["user"]["name"] == "bob"
    assert ada.present[77]["selection"] == ["wide"]
    # Nobody else can move Bob's pointer, or take it away.
    await ada.send(wire.present([wire.Presence(77, 2, {"selection": []})]), counts=False)
    await ada.send(wire.present([wire.Presence(77, 3, None)]), counts=False)
    late = await window("ada").enter()
    await late.until(lambda: 77 in late.present)
    assert late.present[77]["selection"] == ["wide"]
    await bob.leave()
    await ada.until(lambda: ada.present[77] is None)
    await ada.leave()
    await late.leave()


@pytest.mark.parametrize(
    "message", [b"", b"\x00", b"\x00\x02\xff\xff\xff", b"\x00\x02\x05abc", b"\x01\x03\xff\xff\xff"]
)
async def test_garbage_ends_the_connection_and_nothing_else(
    window: Any, ctx: Context, credit: Document, message: bytes
) -> None:
    ada, bob = await window("ada").enter(), await window("bob").enter()
    await bob.send(message, counts=False)
    await bob.until(lambda: bob.notices and bob.peer.leaving)
    assert bob.notices[-1]["kind"] == "refused"
    await ada.edit(SetParam(id="wide", param="units", value=3))
    await ada.safe()
    assert stored(ctx, credit).nodes["wide"].params["units"] == 3
    await ada.leave()
    await bob.leave()


async def test_who_was_away_brings_what_they_made(
    window: Any, ctx: Context, credit: Document
) -> None:
    ada, bob = await window("ada").enter(), await window("bob").enter()
    await bob.leave()
    from workbench.documents.operations import perform
    from workbench.documents.shared import changed

    changed(bob.doc, lambda: perform(bob.doc, [SetParam(id="wide", param="bias", value=False)]))
    await ada.edit(SetParam(id="wide", param="units", value=5))
    await ada.safe()
    await bob.enter()
    await all_safe([ada, bob])
    assert ada.graph.nodes["wide"].params == {"units": 5, "bias": False}
    assert stored(ctx, credit) == ada.graph
    await ada.leave()
    await bob.leave()


async def test_a_disk_that_is_full_acknowledges_nothing(
    window: Any, ctx: Context, credit: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await window("ada").enter()
    before = log.append

    def full(*_: object) -> int:
        raise Limited("The disk is full; nothing was changed.", hint="Free space.")

    monkeypatch.setattr(log, "append", full)
    await ada.edit(SetParam(id="wide", param="units", value=7))
    await ada.until(lambda: ada.notices and ada.peer.leaving)
    assert ada.counted < ada.sent
    assert "cannot be kept now: The disk is full" in ada.notices[-1]["text"]
    await ada.leave()
    monkeypatch.setattr(log, "append", before)
    await ada.enter()
    await ada.safe()
    assert stored(ctx, credit).nodes["wide"].params["units"] == 7
    await ada.leave()


async def test_what_was_edited_is_on_the_record_when_they_leave(
    window: Any, ctx: Context, credit: Document
) -> None:
    ada, bob = await window("ada").enter(), await window("bob").enter()
    for units in range(10, 20):
        await ada.edit(SetParam(id="wide", param="units", value=units))
    await bob.edit(SetParam(id="wide", param="bias", value=False))
    await all_safe([ada, bob])
    await ada.leave()
    await bob.leave()
    told = [e for e in tail(ctx.store, project=ctx.project) if "edits" in e.refs]
    assert {(e.actor, e.refs["edits"]) for e in told} == {("person:ada", 10), ("person:bob", 1)}
    assert all(e.refs["document"] == credit.id for e in told)


async def test_a_sitting_becomes_one_row_and_keeps_what_it_came_to(
    window: Any, ctx: Context, credit: Document, ask: Ask
) -> None:
    ada = await window("ada").enter()
    for units in range(1, 200):
        await ada.edit(SetParam(id="wide", param="units", value=units))
    await ada.safe()
    await ada.leave()
    query = sa.select(sa.func.count()).where(log.updates.c.document == credit.id)
    with ctx.store.read() as connection:
        assert connection.execute(query).scalar_one() == 2
    assert stored(ctx, credit).nodes["wide"].params["units"] == 199
    newest, oldest = (await asyncio.to_thread(ask, "history", id=credit.id)).items
    assert (newest.first, newest.seq, newest.actor) == (2, 200, "person:ada")
    assert oldest.seq == 1
    found = await asyncio.to_thread(ask, "get_document", id=f"{credit.id}@1")
    assert found.graph.nodes["wide"].params["units"] == 64
    again = await window("bob").enter()
    await again.until(lambda: "wide" in again.graph.nodes)
    assert again.graph.nodes["wide"].params["units"] == 199 and again.hello["seq"] == 200
    await again.leave()


async def test_a_document_of_a_later_studio_is_refused(
    window: Any, live: LiveRooms, ctx: Context, credit: Document
) -> None:
    from workbench.documents.shared import changed, root

    with ctx.store.read() as connection:
        doc, _ = log.load(connection, ctx.project, credit.id)
    update = changed(doc, lambda: root(doc, "meta").update({"schema": 99}))
    with ctx.store.begin() as tx:
        log.append(tx, ctx.project, credit.id, [log.Entry("x", "y", update)], ctx.now())
    with pytest.raises(Exception, match="schema 99"):
        await live.enter(ctx.fresh(), credit.id)


async def test_a_document_that_is_deleted_is_closed_for_all(
    window: Any, ask: Ask, credit: Document
) -> None:
    ada, bob = await window("ada").enter(), await window("bob").enter()
    await asyncio.to_thread(ask, "delete_document", id=credit.id)
    for each in (ada, bob):
        await each.until(lambda w=each: w.notices and w.peer.leaving)
        assert each.notices[-1]["text"] == "This graph was deleted."
        await each.leave()


async def test_who_comes_again_and_says_nothing_new_is_not_refused(
    window: Any, ctx: Context, credit: Document
) -> None:
    ada = await window("ada").enter()
    for units in (1, 2, 3):  # each overwrites: the document has deletions, which step 2 repeats
        await ada.edit(SetParam(id="wide", param="units", value=units))
    await ada.safe()
    await ada.leave()
    vic = await window("vic").enter()
    await vic.until(lambda: "wide" in vic.graph.nodes)
    await vic.leave()
    await vic.enter()
    await vic.safe()
    assert not vic.notices and not vic.peer.leaving
    await vic.leave()
    with ctx.store.read() as connection:
        assert log.head(connection, ctx.project, credit.id) == 4


class Held:
    """The log's `append`, which waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, then: Any = None) -> None:
        self._go, self._append, self._then = threading.Event(), log.append, then
        self._patch = monkeypatch
        monkeypatch.setattr(log, "append", self)

    def __call__(self, *given: Any) -> int:
        self._go.wait(5)
        if self._then is not None:
            raise self._then
        return self._append(*given)

    def let_go(self) -> None:
        self._go.set()

    def mend(self) -> None:
        self._patch.setattr(log, "append", self._append)


async def test_edits_behind_one_that_fails_do_not_stop_the_writer(
    window: Any, ctx: Context, credit: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await (await window("ada").enter()).safe()
    held = Held(monkeypatch, Limited("The disk is full.", hint="Free space."))
    await ada.edit(SetParam(id="wide", param="units", value=7))
    await asyncio.sleep(0.1)
    await ada.edit(SetParam(id="wide", param="units", value=8))  # queued behind it
    held.let_go()
    await ada.until(lambda: ada.peer.leaving)
    await ada.leave()
    held.mend()
    await ada.enter()
    await ada.safe()
    assert stored(ctx, credit).nodes["wide"].params["units"] == 8
    await ada.leave()


async def test_nobody_sees_what_is_not_on_the_disk(
    window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await (await window("ada").enter()).safe()
    held = Held(monkeypatch)
    await ada.edit(SetParam(id="wide", param="units", value=7))
    await asyncio.sleep(0.1)
    bob = await window("bob").enter()
    await bob.until(lambda: "wide" in bob.graph.nodes)
    assert bob.graph.nodes["wide"].params["units"] == 64
    assert bob.meaning["nodes"]["wide"]["outputs"]["out"] == ["B", 64]
    held.let_go()
    await all_safe([ada, bob])
    assert bob.graph.nodes["wide"].params["units"] == 7
    await ada.leave()
    await bob.leave()


async def test_an_edit_that_is_sent_again_is_not_safe_before_the_first_is(
    window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await (await window("ada").enter()).safe()
    held = Held(monkeypatch)
    await ada.edit(AddNode(layer="tanh", id="new"))
    await asyncio.sleep(0.1)
    again = window("ada")  # the same window, by a new line
    again.doc = ada.doc
    await again.enter()
    await asyncio.sleep(0.2)
    assert again.counted < again.sent
    held.let_go()
    await again.safe()
    await ada.leave()
    await again.leave()


async def test_an_edit_is_told_once(
    window: Any, live: LiveRooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await window("ada").enter(), await window("bob").enter()
    await all_safe([ada, bob])
    told: list[str] = []

    def watched(name: str, send: Any) -> Any:
        def sent(message: bytes) -> None:
            if message[:2] == bytes([wire.SYNC, wire.UPDATE]):
                told.append(name)
            send(message)

        return sent

    for each in (ada, bob):
        monkeypatch.setattr(each.peer, "send", watched(each.ctx.actor.name, each.peer.send))
    commit = live._commit

    def slowly(by_room: Any) -> Any:
        found = commit(by_room)
        time.sleep(0.2)
        return found

    monkeypatch.setattr(live, "_commit", slowly)
    await ada.edit(SetParam(id="wide", param="units", value=7))
    await asyncio.sleep(0.1)
    assert ada.room is not None
    await live._catch_up(ada.room)  # the log has it, and the room has not told of it
    await ada.safe()
    assert told == ["bob"]
    await ada.leave()
    await bob.leave()


async def test_a_large_graph_is_read_beside_and_comes_to_the_same(
    window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By its name: the package's own `rooms` is the port.
    monkeypatch.setattr(sys.modules["workbench.documents.rooms"], "LARGE", 2)
    ada, bob = await window("ada").enter(), await window("bob").enter()
    for units in range(10, 40):
        await ada.edit(SetParam(id="wide", param="units", value=units))
        await asyncio.sleep(0.003)
    await bob.until(lambda: bob.meaning["nodes"]["bend"]["outputs"]["out"] == ["B", 39])
    late = await window("ada").enter()
    assert bob.meaning["nodes"] == late.meaning["nodes"]
    for each in (ada, bob, late):
        await each.leave()


async def test_one_that_cannot_be_read_keeps_nobody_else_from_the_record(
    window: Any, ctx: Context, credit: Document, ask: Ask
) -> None:
    other = await asyncio.to_thread(ask, "create_document", name="other")
    for document, change in (
        (credit.id, lambda doc: root(doc, "meta").update({"schema": 99})),
        (other.id, lambda doc: root(doc, "training").update({"epochs": 3})),
    ):
        with ctx.store.begin() as tx:
            doc, _ = log.load(tx, ctx.project, document)
            update = changed(doc, partial(change, doc))
            entry = log.Entry("person:ada", log.ROOM, update)
            log.append(tx, ctx.project, document, [entry], ctx.now())
    sweep(ctx.engines)  # as when the service starts
    told = [e.refs["document"] for e in tail(ctx.store, project=ctx.project) if "edits" in e.refs]
    assert told == [other.id]
