"""Who has been here, and who may come in."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from workbench.core import Actor, Context, Forbidden, NotFound, Refused, call_here
from workbench.security.grants import grant
from workbench.security.people import is_active, is_known, list_people, seen
from workbench.security.sessions import find, issue

NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.fixture
def boss(ctx: Context) -> Context:
    """The administrator, who has just signed in."""
    return ctx.fresh(actor=Actor(name="boss", admin=True, fresh=True))


@contextmanager
def signed_in(ctx: Context, *names: str) -> Iterator[None]:
    for name in names:
        with ctx.store.begin() as tx:
            seen(tx, name, NOW)
    yield


def test_people_come_from_sign_ins_and_from_roles(ctx: Context) -> None:
    with ctx.store.begin() as tx:
        grant(tx, "prj_other", "person:ada", "viewer")
        grant(tx, "prj_other", "project:prj_other", "editor")
        grant(tx, "prj_other", "person:emmy", "editor")
    with signed_in(ctx, "grace", "ada"):
        page = list_people(ctx)
    assert [(one.name, one.projects, one.made_at) for one in page.items] == [
        ("ada", 2, NOW),
        ("emmy", 1, None),
        ("grace", 0, NOW),
    ]
    assert all(one.active for one in page.items)
    assert is_known(ctx.store, "emmy")
    assert not is_known(ctx.store, "nobody")
    assert not is_known(ctx.store, "prj_other")


def test_a_list_comes_in_pages(ctx: Context) -> None:
    with signed_in(ctx, "p1", "p2", "p3", "p4"):
        first = list_people(ctx, limit=3)
        rest = list_people(ctx, limit=3, after=first.next)
    assert [one.name for one in first.items] == ["ada", "p1", "p2"]
    assert ([one.name for one in rest.items], rest.next) == (["p3", "p4"], None)


def test_only_the_first_sign_in_is_dated(ctx: Context) -> None:
    with ctx.store.begin() as tx:
        seen(tx, "grace", NOW)
    with ctx.store.begin() as tx:
        seen(tx, "grace", NOW + timedelta(days=1))
    assert list_people(ctx, after="b").items[0].made_at == NOW


def test_a_sign_in_tells_who_is_administrator(ctx: Context, boss: Context) -> None:
    for admin in (False, True, True, False):
        with ctx.store.begin() as tx:
            seen(tx, "grace", NOW, admin=admin)
        grace = list_people(ctx, after="b").items[0]
        assert (grace.admin, grace.active, grace.made_at) == (admin, True, NOW)
    call_here(boss.fresh(), "security.deactivate_person", {"name": "grace"})
    with ctx.store.begin() as tx:
        seen(tx, "grace", NOW, admin=True)
    assert not is_active(ctx.store, "grace")


def test_eight_first_sign_ins_at_once_make_one_person(ctx: Context) -> None:
    def one(_: int) -> None:
        with ctx.store.begin() as tx:
            seen(tx, "grace", NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    assert [one.name for one in list_people(ctx).items] == ["ada", "grace"]


def test_who_is_shut_out_stays_out_until_let_in(ctx: Context, boss: Context) -> None:
    with signed_in(ctx, "grace"):
        out = call_here(boss.fresh(), "security.deactivate_person", {"name": "grace"})
    assert (out.name, out.active) == ("grace", False)
    assert not is_active(ctx.store, "grace")
    with signed_in(ctx, "grace"):
        assert not is_active(ctx.store, "grace")
    again = call_here(boss.fresh(), "security.activate_person", {"name": "grace"})
    assert again.active
    assert is_active(ctx.store, "grace")
    assert list_people(ctx, after="b").items[0].made_at == NOW


def test_somebody_who_never_signed_in_can_be_shut_out(ctx: Context, boss: Context) -> None:
    assert is_active(ctx.store, "ada")
    call_here(boss.fresh(), "security.deactivate_person", {"name": "ada"})
    assert not is_active(ctx.store, "ada")
    assert list_people(ctx).items[0].projects == 1


def test_who_is_shut_out_is_signed_out_of_every_project(ctx: Context, boss: Context) -> None:
    now = ctx.now()
    keys = {
        name: issue(ctx.store, "person", person=name, project="prj_1", now=now)
        for name in ("ada", "grace")
    }
    call_here(boss.fresh(), "security.deactivate_person", {"name": "ada"})
    assert find(ctx.store, keys["ada"], "person", now) is None
    assert find(ctx.store, keys["grace"], "person", now) is not None


def test_nobody_shuts_themselves_out(boss: Context) -> None:
    with (
        signed_in(boss, "boss"),
        pytest.raises(Refused, match="boss cannot be shut out by boss"),
    ):
        call_here(boss.fresh(), "security.deactivate_person", {"name": "boss"})
    assert is_active(boss.store, "boss")


@pytest.mark.parametrize("verb", ["activate_person", "deactivate_person"])
def test_a_stranger_is_not_found(boss: Context, verb: str) -> None:
    with pytest.raises(NotFound, match="nobody called 'nobody'"):
        call_here(boss.fresh(), f"security.{verb}", {"name": "nobody"})
    assert is_active(boss.store, "nobody")
    assert not is_known(boss.store, "nobody")


def test_it_needs_a_fresh_session(ctx: Context, as_person: Callable[[str], Context]) -> None:
    stale = ctx.fresh(actor=Actor(name="boss", admin=True))
    with pytest.raises(Forbidden, match="confirm who they are"):
        call_here(stale, "security.deactivate_person", {"name": "ada"})
    assert is_active(ctx.store, "ada")


def test_the_event_names_the_person(ctx: Context, boss: Context) -> None:
    call_here(boss.fresh(), "security.deactivate_person", {"name": "ada"})
    from workbench.core.events import events

    with ctx.store.read() as connection:
        row = connection.execute(
            events.select().where(events.c.action == "security.deactivate_person")
        ).one()
    assert row.actor == "person:boss"
    assert "ada" in str(row.refs)
