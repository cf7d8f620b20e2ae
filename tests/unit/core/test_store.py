"""The store: today's shape, older ones, newer ones, and what several processes see."""

import multiprocessing
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import workbench
from workbench.core import Refused, Store
from workbench.core.context import utc_now
from workbench.core.events import append, tail
from workbench.core.store import metadata


@pytest.fixture
def store(tmp_path: Path) -> Store:
    workbench.load_rooms()
    return Store("sqlite:///", tmp_path)


def event(store: Store, action: str = "a.b") -> int:
    with store.begin() as tx:
        return append(
            tx,
            at=utc_now(),
            trace="t",
            project="p",
            actor="person:ada",
            action=action,
            outcome="done",
            request="sha256:",
            refs={},
        )


def test_migrations_make_exactly_the_tables_the_code_uses(store: Store) -> None:
    with store.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [each for each in found if "index" not in str(each[0])] == []


def test_a_newer_database_is_refused(store: Store, tmp_path: Path) -> None:
    with store.begin() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(Refused, match="schema 9999; this Studio knows up to"):
        Store("sqlite:///", tmp_path)


def test_the_token_changes_with_every_commit_of_anybody(store: Store, tmp_path: Path) -> None:
    other = Store("sqlite:///", tmp_path)
    first = store.token()
    assert store.token() == first
    event(other)
    second = store.token()
    assert second != first
    event(store)
    assert store.token() != second
    other.close()


def _write(home: Path, count: int) -> None:
    store = Store("sqlite:///", home)
    for _ in range(count):
        event(store)
    store.close()


def test_processes_that_write_at_once_make_one_chain(store: Store, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(tmp_path, 15)) for _ in range(3)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    found = tail(store, after=0)
    assert [each.seq for each in found] == list(range(1, 46))
    assert all(b.before == a.hash for a, b in pairwise(found))


def test_a_write_that_raises_changes_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.begin() as tx:
        append(
            tx,
            at=utc_now(),
            trace="t",
            project="p",
            actor="a",
            action="x.y",
            outcome="done",
            request="",
            refs={},
        )
        raise RuntimeError
    assert tail(store) == []
