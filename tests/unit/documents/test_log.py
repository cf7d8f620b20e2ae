"""The log after a crash at each point where it is put on record or made small."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from tests.unit.documents.conftest import Ask
from workbench.core import Context, NotFound
from workbench.core.events import tail
from workbench.documents import Document, log, sweep
from workbench.documents.files import written
from workbench.documents.operations import perform
from workbench.documents.shared import changed, graph_of
from workbench.documents.types import AddNode, Move, Operation, RemoveNode, SetParam


class Crash(Exception):
    """The process ends here."""


Wrote = Callable[..., int]


@pytest.fixture
def wrote(ctx: Context, credit: Document) -> Wrote:
    """`wrote("person:ada", Move(…), …)`: each operation an edit in a room; the newest's number."""

    def write(actor: str, *operations: Operation) -> int:
        with ctx.store.begin() as tx:
            doc, seq = log.load(tx, ctx.project, credit.id)
            bodies = [changed(doc, lambda o=each: perform(doc, [o])) for each in operations]  # type: ignore[misc]
            entries = [log.Entry(actor, log.ROOM, body) for body in bodies]
            log.append(tx, ctx.project, credit.id, entries, ctx.now())
        return seq + len(operations)

    return write


@pytest.fixture
def sat(wrote: Wrote) -> int:
    """Two sittings of Ada with one of Bob between; the newest edit's number."""
    wrote("person:ada", *(Move(id="wide", at=(float(x), 0.0)) for x in range(40)))
    wrote("person:bob", *(SetParam(id="wide", param="units", value=n) for n in range(1, 30)))
    wrote("person:ada", AddNode(layer="tanh", id="last"), RemoveNode(id="last"))
    return wrote("person:ada", Move(id="bend", at=(5.0, 6.0)))


def everything(ctx: Context, document: str) -> dict[str, list[Any]]:
    """All that the log has of a document, to the byte, and all of the record."""
    with ctx.store.read() as connection:
        found: dict[str, list[Any]] = {
            table.name: [
                tuple(row)
                for row in connection.execute(
                    table.select()
                    .where(table.c.document == document)
                    .order_by(*table.primary_key.columns)
                )
            ]
            for table in (log.updates, log.heads, log.snapshots)
        }
    return found | {"record": [event.hash for event in tail(ctx.store)]}


def file_of(ctx: Context, document: str, upto: int | None = None) -> str:
    with ctx.store.read() as connection:
        doc, seq = log.load(connection, ctx.project, document, upto)
    return written(graph_of(doc), document, seq)


def told(ctx: Context) -> list[tuple[str, int, int]]:
    """What the record says of edits in rooms: whose, how many, up to which number."""
    return [
        (each.actor, each.refs["edits"], each.refs["seq"])
        for each in tail(ctx.store, project=ctx.project)
        if "edits" in each.refs
    ]


def crash_at(patch: pytest.MonkeyPatch, at: int) -> list[int]:
    """Let every later transaction crash at that statement that it writes; what ran is counted."""
    ran: list[int] = []

    execute = sa.Connection.execute

    def counted(self: sa.Connection, statement: Any, *given: Any, **more: Any) -> Any:
        if getattr(statement, "is_dml", False):
            ran.append(len(ran))
            if len(ran) > at:
                raise Crash
        return execute(self, statement, *given, **more)

    patch.setattr(sa.Connection, "execute", counted)
    return ran


STATEMENTS = {"record": 3, "compact": 5}
"""What each writes: two events and the head; the head, rows less, rows, snapshots less, one."""


@pytest.mark.parametrize("at", range(STATEMENTS["record"]))
def test_a_crash_while_it_is_put_on_record_changes_nothing(
    ctx: Context, credit: Document, sat: int, at: int
) -> None:
    before = everything(ctx, credit.id)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, at)
        log.record(ctx, credit.id)
    assert everything(ctx, credit.id) == before
    sweep(ctx.engines)
    assert told(ctx) == [("person:ada", 43, sat), ("person:bob", 29, sat)]
    sweep(ctx.engines)
    assert len(told(ctx)) == 2


@pytest.mark.parametrize("at", range(STATEMENTS["compact"]))
def test_a_crash_while_it_is_made_small_changes_nothing(
    ctx: Context, credit: Document, sat: int, at: int
) -> None:
    log.record(ctx, credit.id)
    before, file = everything(ctx, credit.id), file_of(ctx, credit.id)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
        crash_at(patch, at)
        log.compact(ctx, credit.id)
    assert everything(ctx, credit.id) == before
    log.compact(ctx, credit.id)
    assert file_of(ctx, credit.id) == file
    with ctx.store.read() as connection:
        rows = log.read(connection, credit.id, 0)
    assert [(row.first, row.seq, row.actor) for row in rows] == [
        (1, 1, "person:ada"),
        (2, 41, "person:ada"),
        (42, 70, "person:bob"),
        (71, sat, "person:ada"),
    ]


def test_these_are_all_the_crash_points(ctx: Context, credit: Document, sat: int) -> None:
    for name, count in STATEMENTS.items():
        with pytest.MonkeyPatch.context() as patch:
            ran = crash_at(patch, 1000)
            getattr(log, name)(ctx, credit.id)
        assert len(ran) == count, name


def test_a_crash_between_record_and_making_it_small(
    ctx: Context, credit: Document, sat: int, wrote: Wrote
) -> None:
    log.record(ctx, credit.id)
    newest = wrote("person:bob", Move(id="wide", at=(1.0, 1.0)))
    file = file_of(ctx, credit.id)
    sweep(ctx.engines)
    assert file_of(ctx, credit.id) == file
    assert told(ctx)[-1] == ("person:bob", 1, newest)
    assert sum(edits for _, edits, _ in told(ctx)) == 43 + 29 + 1


def test_a_second_time_finds_nothing_to_do(ctx: Context, credit: Document, sat: int) -> None:
    for _ in range(2):
        log.record(ctx, credit.id)
        log.compact(ctx, credit.id)
        after = everything(ctx, credit.id)
        log.record(ctx, credit.id)
        log.compact(ctx, credit.id)
        assert everything(ctx, credit.id) == after


def test_an_edit_that_comes_while_it_is_made_small_stays(
    ctx: Context, credit: Document, sat: int, wrote: Wrote, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.record(ctx, credit.id)
    sittings, made = log.sittings, []

    def slowly(rows: Any) -> Any:
        made.append(wrote("person:bob", SetParam(id="wide", param="bias", value=False)))
        return sittings(rows)

    monkeypatch.setattr(log, "sittings", slowly)
    log.compact(ctx, credit.id)
    monkeypatch.undo()
    assert made == [sat + 1]
    with ctx.store.read() as connection:
        doc, seq = log.load(connection, ctx.project, credit.id)
    assert seq == sat + 1
    assert graph_of(doc).nodes["wide"].params == {"units": 29, "bias": False}


def test_of_two_that_make_it_small_one_does(
    ctx: Context, credit: Document, sat: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.record(ctx, credit.id)
    file, sittings = file_of(ctx, credit.id), log.sittings

    def overtaken(rows: Any) -> Any:
        monkeypatch.setattr(log, "sittings", sittings)
        log.compact(ctx, credit.id)
        return sittings(rows)

    monkeypatch.setattr(log, "sittings", overtaken)
    log.compact(ctx, credit.id)
    assert file_of(ctx, credit.id) == file
    with ctx.store.read() as connection:
        assert len(log.read(connection, credit.id, 0)) == 4


def test_a_document_that_is_deleted_while_it_is_made_small_stays_deleted(
    ctx: Context, credit: Document, ask: Ask, sat: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.record(ctx, credit.id)
    sittings = log.sittings

    def deleted(rows: Any) -> Any:
        ask("delete_document", id=credit.id)
        return sittings(rows)

    monkeypatch.setattr(log, "sittings", deleted)
    log.compact(ctx, credit.id)
    found = everything(ctx, credit.id)
    assert [found[name] for name in ("document_updates", "document_heads")] == [[], []]
    assert found["document_snapshots"] == []
    with pytest.raises(NotFound):
        file_of(ctx, credit.id)


def test_the_ends_of_sittings_stay_what_they_were(ctx: Context, credit: Document, sat: int) -> None:
    ends = [0, 1, 41, 70, sat]
    before = [file_of(ctx, credit.id, end) for end in ends]
    log.record(ctx, credit.id)
    log.compact(ctx, credit.id)
    assert [file_of(ctx, credit.id, end) for end in ends] == before


def test_a_log_of_two_by_turns_does_not_grow(ctx: Context, credit: Document) -> None:
    def size() -> int:
        body = sa.cast(log.updates.c.body, sa.LargeBinary)
        query = sa.select(sa.func.sum(sa.func.length(body)))
        with ctx.store.read() as connection:
            found = connection.execute(query.where(log.updates.c.document == credit.id))
            return int(found.scalar_one())

    with ctx.store.begin() as tx:
        doc, _ = log.load(tx, ctx.project, credit.id)
        entries = []
        for turn in range(300):
            move = Move(id=("wide", "bend")[turn % 3 % 2], at=(float(turn), 0.0))
            update = changed(doc, partial(perform, doc, [move]))
            entries.append(log.Entry(f"person:{'ab'[turn % 2]}", log.ROOM, update))
        log.append(tx, ctx.project, credit.id, entries, ctx.now())
    before = size()
    log.record(ctx, credit.id)
    log.compact(ctx, credit.id)
    # By a few bytes at most: how long the numbers of clients are is chance.
    assert size() <= 1.05 * before
