"""Who is in a project: one owner always remains, and the project belongs to one of them."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from workbench.core import Conflict, Context, Forbidden, NotFound, Refused, WorkbenchError
from workbench.core.events import tail
from workbench.projects.spaces import projects
from workbench.security import grants
from workbench.security.sessions import find, issue

Ask = Callable[..., Any]
Give = Callable[..., None]


def state(ctx: Context, project: str) -> tuple[str, dict[str, str]]:
    """Whose a project is, and everybody's role in it."""
    with ctx.store.read() as connection:
        owner = connection.execute(sa.select(projects.c.owner).where(projects.c.id == project))
        held = connection.execute(
            sa.select(grants.c.actor, grants.c.role).where(grants.c.project == project)
        )
        return str(owner.scalar_one()), {row.actor: row.role for row in held}


def test_members_are_listed_by_name(ask: Ask, give: Give) -> None:
    give(carol="viewer", bob="editor", zoe="owner")
    first = ask("carol", "list_members", limit=3)
    assert [(m.person, m.role) for m in first.items] == [
        ("ada", "owner"), ("bob", "editor"), ("carol", "viewer"),
    ]  # fmt: skip
    rest = ask("carol", "list_members", limit=3, after=first.next)
    assert [m.person for m in rest.items] == ["zoe"] and rest.next is None


def test_a_role_holds_from_the_next_call_on(
    ask: Ask, give: Give, ctx: Context, shared: str
) -> None:
    give(bob="viewer", carol="editor")
    assert ask("ada", "set_role", person="bob", role="owner").role == "owner"
    assert ask("bob", "set_role", person="carol", role="viewer").role == "viewer"
    last = tail(ctx.store, project=shared)[-1]
    assert (last.actor, last.refs) == ("person:bob", {"member": "person:carol", "role": "viewer"})
    with pytest.raises(Forbidden):
        ask("carol", "set_role", person="carol", role="owner")
    with pytest.raises(NotFound, match="dan is not in this project"):
        ask("ada", "set_role", person="dan", role="viewer")


def test_the_only_owner_stays(ask: Ask, give: Give, ctx: Context, shared: str) -> None:
    give(bob="editor")
    before = state(ctx, shared)
    for verb, more in (("set_role", {"role": "editor"}), ("remove_member", {})):
        with pytest.raises(Refused, match="ada is the only owner"):
            ask("ada", verb, person="ada", **more)
    assert state(ctx, shared) == before
    assert tail(ctx.store, project=shared)[-1].outcome == "Refused"
    assert ask("ada", "set_role", person="ada", role="owner").role == "owner"


def test_a_member_leaves(ask: Ask, give: Give, ctx: Context) -> None:
    give(bob="viewer", carol="editor")
    with pytest.raises(Forbidden, match="bob may not take carol out"):
        ask("bob", "remove_member", person="carol")
    assert ask("bob", "remove_member", person="bob").role == "viewer"
    assert ask("ada", "remove_member", person="carol").person == "carol"
    with pytest.raises(NotFound):
        ask("ada", "remove_member", person="carol")
    with pytest.raises(Forbidden, match="bob is in no project"):
        ask("bob", "list_members")


def test_who_is_removed_is_signed_out_of_the_project(
    ask: Ask, give: Give, ctx: Context, shared: str
) -> None:
    give(bob="viewer")
    keys = {
        who: issue(ctx.store, "person", person=who, project=shared, now=ctx.now())
        for who in ("ada", "bob")
    }
    ask("ada", "remove_member", person="bob")
    assert find(ctx.store, keys["bob"], "person", ctx.now()) is None
    assert find(ctx.store, keys["ada"], "person", ctx.now()) is not None


def test_a_project_goes_to_another_owner_when_its_own_leaves(
    ask: Ask, give: Give, ctx: Context, shared: str
) -> None:
    give(bob="owner", carol="owner")
    ask("bob", "create_project", within="", name="churn")
    ask("ada", "remove_member", person="ada")
    # Bob has a project of that name already, so it is Carol's.
    assert state(ctx, shared) == ("person:carol", {"person:bob": "owner", "person:carol": "owner"})
    with pytest.raises(Conflict, match="each has a project 'churn'"):
        ask("carol", "set_role", person="carol", role="viewer")
    assert state(ctx, shared)[0] == "person:carol"
    assert ask("ada", "create_project", within="", name="churn").role == "owner"


def test_a_project_is_transferred(ask: Ask, give: Give, ctx: Context, shared: str) -> None:
    give(bob="viewer")
    with pytest.raises(NotFound, match="carol is not in this project"):
        ask("ada", "transfer_project", person="carol")
    with pytest.raises(Conflict, match="'churn' is ada's already"):
        ask("ada", "transfer_project", person="ada")
    given = ask("ada", "transfer_project", person="bob")
    assert (given.owner, given.role) == ("person:bob", "editor")
    assert state(ctx, shared) == ("person:bob", {"person:ada": "editor", "person:bob": "owner"})
    assert ask("ada", "get_project", id=shared) == given
    with pytest.raises(Forbidden):
        ask("ada", "transfer_project", person="ada")


def test_a_name_taken_is_not_transferred(ask: Ask, give: Give, ctx: Context, shared: str) -> None:
    give(bob="editor")
    ask("bob", "create_project", within="", name="churn")
    before = state(ctx, shared)
    with pytest.raises(Conflict, match="bob has a project 'churn' already"):
        ask("ada", "transfer_project", person="bob")
    assert state(ctx, shared) == before


@pytest.mark.parametrize("_", range(3))
def test_two_owners_who_remove_each_other_at_once(
    ask: Ask, give: Give, ctx: Context, shared: str, _: int
) -> None:
    give(bob="owner")
    ready, outcomes = threading.Barrier(2), list[str]()

    def try_it(who: str, whom: str) -> None:
        ready.wait()
        try:
            ask(who, "remove_member", person=whom)
            outcomes.append("done")
        except (Refused, Forbidden, NotFound) as error:
            outcomes.append(type(error).__name__)

    threads = [
        threading.Thread(target=try_it, args=pair) for pair in (("ada", "bob"), ("bob", "ada"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owner, held = state(ctx, shared)
    assert outcomes.count("done") == 1 and held == {owner: "owner"}


@pytest.mark.parametrize("seed", range(6))
def test_whatever_people_do_an_owner_remains(
    ask: Ask, give: Give, ctx: Context, shared: str, seed: int
) -> None:
    chance = random.Random(seed)
    people = ["ada", "bob", "carol", "dan"]
    give(bob="owner", carol="editor", dan="viewer")
    done = 0
    for _ in range(40):
        who, whom = chance.choice(people), chance.choice(people)
        verb = chance.choice(["set_role", "set_role", "remove_member", "transfer_project"])
        more = {"role": chance.choice(["viewer", "editor", "owner"])} if verb == "set_role" else {}
        before = state(ctx, shared)
        try:
            ask(who, verb, person=whom, **more)
            done += 1
        except WorkbenchError:
            assert state(ctx, shared) == before
        owner, held = state(ctx, shared)
        assert held[owner] == "owner"
        missing = [name for name in people if f"person:{name}" not in held]
        give(**dict.fromkeys(missing, "editor"))
    assert done >= 5
