"""What every database of `core.store` must do. A new one adds a URL, no test."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import workbench
from tests.postgres import Postgres, passfile
from workbench.cli.backup import upgrade
from workbench.cli.doctor import databases
from workbench.core import (
    Actor,
    Conflict,
    Context,
    Engines,
    Invalid,
    Limited,
    Refused,
    Store,
    Unavailable,
    WorkbenchError,
    call_here,
    load_settings,
)
from workbench.core.context import utc_now
from workbench.core.databases import locate
from workbench.core.events import append, tail
from workbench.core.snapshot import step_back
from workbench.core.store import known_revisions, metadata, stores
from workbench.projects import resolve
from workbench.security.grants import grant, revoke
from workbench.security.policy import standing

URLS = ["sqlite:///", "postgresql://"]


@pytest.fixture(params=URLS, ids=lambda url: url.partition(":")[0])
def url(request: pytest.FixtureRequest) -> str:
    workbench.load_rooms()
    if request.param.startswith("postgresql"):
        server: Postgres = request.getfixturevalue("postgres")
        return server.database()
    return str(request.param)


@pytest.fixture
def opened(url: str, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the same database again, as another process does."""
    made: list[Store] = []

    def open_one() -> Store:
        made.append(Store(url, tmp_path))
        return made[-1]

    yield open_one
    for each in made:
        each.close()


@pytest.fixture
def engines(url: str, tmp_path: Path) -> Iterator[Engines]:
    found = Engines(load_settings(home=tmp_path / "home", urls={"core.store": url}))
    yield found
    found.close()


@pytest.fixture
def ada(engines: Engines) -> Context:
    person = Actor(name="ada")
    return Context(person, resolve(engines, person, None), engines)


def event(tx: sa.Connection, action: str = "a.b") -> int:
    return append(
        tx,
        at=utc_now(),
        trace="t",
        project="p",
        actor="person:ada",
        action=action,
        outcome="done",
        request="sha256:",
        refs={"näme": [1, 0.1, None]},
    )


# --- its shape --------------------------------------------------------------------------------


def test_migrations_make_exactly_the_tables_the_code_uses(opened: Callable[[], Store]) -> None:
    with opened().read() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [each for each in found if "index" not in str(each[0])] == []


def test_the_schema_goes_down_and_up_and_keeps_what_it_has(
    opened: Callable[[], Store], url: str, tmp_path: Path
) -> None:
    with opened().begin() as tx:
        event(tx)
        grant(tx, "prj_1", "person:ada", "owner")
    database = locate(url, tmp_path, "studio.db")
    steps = sorted(known_revisions(), reverse=True)
    assert [step_back(database) for _ in steps[1:]] == steps[1:]
    with pytest.raises(Refused, match="no step back"):
        step_back(database)
    again = opened()
    assert [each.refs for each in tail(again)] == [{"näme": [1, 0.1, None]}]
    with again.read() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == steps[0]


def test_a_newer_database_is_refused(opened: Callable[[], Store]) -> None:
    with opened().begin() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused, match="schema 9999; this Studio knows up to"):
        opened()


def _open(url: str, home: Path) -> None:
    workbench.load_rooms()
    Store(url, home).close()


def test_processes_that_open_a_new_database_at_once_migrate_it_once(
    url: str, tmp_path: Path
) -> None:
    _together(_open, [(url, tmp_path)] * 2)
    store = Store(url, tmp_path)
    with store.read() as connection:
        versions = connection.execute(sa.text("SELECT version_num FROM alembic_version")).all()
    store.close()
    assert [tuple(each) for each in versions] == [(max(known_revisions()),)]


# --- a write and its event ----------------------------------------------------------------------


def test_a_write_that_raises_changes_nothing(opened: Callable[[], Store]) -> None:
    store = opened()
    with pytest.raises(RuntimeError), store.begin() as tx:
        grant(tx, "prj_1", "person:ada", "owner")
        event(tx)
        raise RuntimeError
    assert tail(store) == []
    with store.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM grants")).scalar() == 0


def test_a_change_and_its_event_are_there_together_or_not_at_all(ada: Context) -> None:
    made = call_here(ada.fresh(), "projects.create_project", {"name": "one"})
    with pytest.raises(Conflict, match="a project 'one' already"):
        call_here(ada.fresh(), "projects.create_project", {"name": "one"})
    told = [each for each in tail(ada.store) if each.action == "projects.create_project"]
    assert [each.refs for each in told if each.outcome == "done"][-1] == {"project": made.id}
    names = [each.name for each in call_here(ada.fresh(), "projects.list_projects", {}).items]
    assert names.count("one") == 1
    assert call_here(ada.fresh(), "audit.verify", {}).ok


def test_a_read_sees_one_moment(opened: Callable[[], Store]) -> None:
    one, other = opened(), opened()
    count = sa.text("SELECT count(*) FROM events")
    with one.read() as connection:
        before = connection.execute(count).scalar()
        with other.begin() as tx:
            event(tx)
        assert connection.execute(count).scalar() == before
    with one.read() as connection:
        assert connection.execute(count).scalar() == 1


def test_what_the_database_has_no_place_for_is_an_error_of_ours(
    opened: Callable[[], Store],
) -> None:
    store = opened()
    if store.lite:
        return  # SQLite keeps any text
    with pytest.raises(Invalid, match="cannot keep such a value"), store.begin() as tx:
        grant(tx, "prj_1", "person:\0", "owner")
    with pytest.raises(Invalid, match="too long"), store.begin() as tx:
        grant(tx, "p" * 65, "person:ada", "owner")


# --- several at once ----------------------------------------------------------------------------


def _write(url: str, home: Path, count: int) -> None:
    store = Store(url, home)
    for _ in range(count):
        with store.begin() as tx:
            event(tx)
    store.close()


def test_processes_that_write_at_once_make_one_chain(
    opened: Callable[[], Store], url: str, tmp_path: Path
) -> None:
    store = opened()
    _together(_write, [(url, tmp_path, 20)] * 2)
    found = tail(store, after=0)
    assert [each.seq for each in found] == list(range(1, 41))
    assert all(b.before == a.hash for a, b in pairwise(found))


def _create(url: str, home: Path, project: str, ready: Any, told: Any) -> None:
    workbench.load_rooms()
    engines = Engines(load_settings(home=home, urls={"core.store": url}))
    ctx = Context(Actor(name="ada"), project, engines)
    for name in ("a", "b", "c", "d", "e"):
        ready.wait()
        request = {"name": name}
        made = call_here(ctx.fresh(), "projects.create_project", request, key=f"key-{name}")
        told.put((name, made.id))
    engines.close()


def test_two_processes_with_one_key_make_one_thing(ada: Context, url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    told = spawn.SimpleQueue()
    _together(_create, [(url, ada.home, ada.project, spawn.Barrier(2, timeout=60), told)] * 2)
    made = [told.get() for _ in range(10)]
    assert len(set(made)) == 5
    done = [each for each in tail(ada.store) if each.action == "projects.create_project"]
    assert len([each for each in done if each.refs["project"] in dict(made).values()]) == 5


# --- what others did ----------------------------------------------------------------------------


def test_the_token_changes_with_every_commit_of_anybody(opened: Callable[[], Store]) -> None:
    store, other = opened(), opened()
    first = _settled(store)
    with other.begin() as tx:
        event(tx)
    second = _within(1.0, store.token, lambda token: token != first)
    with store.begin() as tx:
        event(tx)
    assert store.token() != second


def _revoke(url: str, home: Path, project: str) -> None:
    store = Store(url, home)
    with store.begin() as tx:
        revoke(tx, project, "person:ben")
    store.close()


def test_a_role_that_another_process_takes_away_is_gone_within_a_second(
    ada: Context, url: str
) -> None:
    ben = Context(Actor(name="ben"), ada.project, ada.engines)
    with ada.store.begin() as tx:
        grant(tx, ada.project, "person:ben", "viewer")
    assert call_here(ben.fresh(), "data.list_products", {}).items == []
    _together(_revoke, [(url, ada.home, ada.project)])
    assert standing(ada.store, ben.actor, ada.project).role is None
    answers = _within(1.0, lambda: _title(ben, "data.list_products"), lambda told: told != "")
    assert answers in ("Forbidden", "NotFound")


# --- faults -------------------------------------------------------------------------------------


def test_a_full_disk_is_limited_and_nothing_changes(opened: Callable[[], Store]) -> None:
    store = opened()
    full = (
        "INSERT INTO grants SELECT 'p' || i, hex(randomblob(2000)), 'owner' FROM "
        "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 4000) "
        "SELECT * FROM n)"
    )
    if not store.lite:
        # Its server says so with this code; a disk of its own takes root to fill.
        full = (
            "DO $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' "
            "USING ERRCODE = '53100'; END $$"
        )
    with pytest.raises(Limited, match="The disk is full"), store.begin() as tx:
        if store.lite:
            pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
            tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        event(tx)
        tx.exec_driver_sql(full)
    assert tail(store) == []


def test_a_connection_that_was_cut_is_unavailable_once_at_most(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.database()
    store = Store(url, tmp_path)
    token = store.token()
    with pytest.raises(Unavailable, match="database cannot be used") as told, store.begin() as tx:
        event(tx)
        postgres.cut(url)
        event(tx)
    assert "doctor" in told.value.hint
    with store.begin() as tx:
        event(tx)
    assert len(tail(store)) == 1
    assert _within(1.0, lambda: _token(store), lambda seen: seen not in (None, token))
    store.close()


def test_a_server_that_is_gone_is_unavailable_until_it_is_back(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    server = Postgres(tmp_path_factory.mktemp("own"))
    server.start()
    try:
        store = Store(server.database(), tmp_path)
        with store.begin() as tx:
            event(tx)
        server.stop()
        for ask in (lambda: tail(store), lambda: _write_one(store)):
            with pytest.raises(Unavailable, match="database cannot be used"):
                ask()
        assert _within(1.0, lambda: _token(store), lambda seen: seen is None) is None
        server.start()
        _write_one(store)
        assert len(tail(store)) == 2 and store.token()
        store.close()
    finally:
        server.stop()


def test_what_holds_the_writers_lock_too_long_is_unavailable(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.core.databases.BUSY_S", 1)
    url = postgres.database()
    one, other = Store(url, tmp_path), Store(url, tmp_path)
    with one.begin() as tx:
        event(tx)
        with pytest.raises(Unavailable, match="lock timeout"):
            _write_one(other)
    _write_one(other)
    assert len(tail(one)) == 2
    one.close()
    other.close()


# --- where it is --------------------------------------------------------------------------------


def test_an_address_gets_the_driver_and_its_password_from_a_file(tmp_path: Path) -> None:
    found = locate("postgresql://studio@db:5433/studio?passfile=keys/pgpass", tmp_path, "")
    assert found.drivername == "postgresql+psycopg" and (found.host, found.port) == ("db", 5433)
    assert found.query["passfile"] == str(tmp_path / "keys/pgpass")
    assert locate("sqlite:///", tmp_path, "x.db").database == str(tmp_path / "x.db")


@pytest.mark.parametrize(
    "url", ["postgresql://ada:hidden@db", "mysql://ada:hidden@db/x", "postgresql://a:hidden@b:x/c"]
)
def test_another_address_is_invalid_and_its_password_stays_hidden(url: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as told:
        locate(url, tmp_path, "studio.db")
    assert "hidden" not in f"{told.value} {told.value.hint}"


def test_a_wrong_password_is_unavailable_and_stays_hidden(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.locked("wary", "the right one")
    passfile(tmp_path, "wary", "a wrong one")
    with pytest.raises(Unavailable, match="password authentication failed") as told:
        Store(url, tmp_path)
    assert "a wrong one" not in f"{told.value} {told.value.hint}"
    passfile(tmp_path, "wary", "the right one")
    Store(url, tmp_path).close()


def test_upgrade_goes_back_only_when_somebody_made_a_copy(
    postgres: Postgres, tmp_path: Path
) -> None:
    workbench.load_rooms()
    url = postgres.database()
    settings = load_settings(home=tmp_path, urls={"core.store": url})
    newest = max(known_revisions())
    made = upgrade(settings)
    assert (made.before, made.after, made.backup) == ("", newest, "")
    with pytest.raises(Refused, match="in a postgresql database, outside of the home"):
        upgrade(settings, back=True)
    back = upgrade(settings, back=True, unsaved=True)
    assert (back.before, int(back.after)) == (newest, int(newest) - 1)
    assert upgrade(settings).after == newest


def test_the_doctor_says_whether_it_answers(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.database()
    settings = load_settings(home=tmp_path, urls={"core.store": url}, hub_db_url=url)
    looked = databases(settings)
    assert looked.ok and "records in postgresql" in looked.found
    gone = f"postgresql://ada:hidden@/none?host={tmp_path}"
    looked = databases(load_settings(home=tmp_path, hub_db_url=gone))
    assert looked.ok is False and looked.found.startswith("accounts: The Studio's database cannot")
    assert "hidden" not in f"{looked.found} {looked.hint}"


def test_the_port_opens_it(engines: Engines) -> None:
    assert isinstance(engines.get(stores), Store)


# --- for the above --------------------------------------------------------------------------------


def _together(run: Callable[..., None], given: list[tuple[Any, ...]]) -> None:
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=run, args=each) for each in given]
    for each in running:
        each.start()
    for each in running:
        each.join()
    assert [each.exitcode for each in running] == [0] * len(running)


def _write_one(store: Store) -> None:
    with store.begin() as tx:
        event(tx)


def _settled(store: Store) -> Any:
    """The token when it shows everything that was committed."""
    return _within(5.0, lambda: (store.token(), time.sleep(0.15), store.token()), _same)[0]


def _same(told: Any) -> bool:
    return bool(told[0] == told[2])


def _token(store: Store) -> Any:
    try:
        return store.token()
    except Unavailable:
        return None


def _title(ctx: Context, name: str) -> str:
    try:
        call_here(ctx.fresh(), name, {})
    except WorkbenchError as error:
        return type(error).__name__
    return ""


def _within(limit_s: float, ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """What `ask` answers as soon as it is what is wanted; the test fails if it is too late."""
    until = time.monotonic() + limit_s
    while not wanted(found := ask()):
        assert time.monotonic() < until, found
        time.sleep(0.02)
    return found
