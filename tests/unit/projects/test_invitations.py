"""Links that let one person in, once; and what they never do."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from workbench.core import (
    Actor,
    Conflict,
    Context,
    Engines,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    call_here,
)
from workbench.core.door import answers
from workbench.core.events import events, tail
from workbench.projects import look_invitation
from workbench.security import role_of

Ask = Callable[..., Any]
Give = Callable[..., None]


def token(invitation: Any) -> str:
    address, _, found = invitation.link.partition("?token=")
    assert address.endswith("/hub/join") and found.startswith(invitation.id + ".")
    return str(found)


def roles(ask: Ask) -> dict[str, str]:
    return {each.person: each.role for each in ask("ada", "list_members").items}


def test_whoever_has_the_link_becomes_a_member(ask: Ask, ctx: Context, shared: str) -> None:
    made = ask("ada", "invite", role="editor")
    assert (made.state, made.role, made.person, made.made_by) == ("open", "editor", "", "ada")
    assert made.until - made.made_at == timedelta(days=7)
    joined = ask("bob", "join", within="", token=token(made))
    assert (joined.id, joined.role, joined.title) == (shared, "editor", "Churn")
    assert roles(ask) == {"ada": "owner", "bob": "editor"}
    assert ask("bob", "list_projects", within="").items == [joined]
    found = ask("ada", "list_invitations").items[0]
    assert (found.state, found.used_by, found.link) == ("used", "bob", "")
    # It is the project's record that tells who joined.
    last = tail(ctx.store, project=shared)[-1]
    assert (last.action, last.actor, last.refs["invitation"]) == (
        "projects.join", "person:bob", made.id,
    )  # fmt: skip


def test_a_token_works_once(ask: Ask) -> None:
    key = token(ask("ada", "invite"))
    first = ask("bob", "join", within="", token=key)
    with pytest.raises(Forbidden, match="used already"):
        ask("carol", "join", within="", token=key)
    # A page that is loaded twice harms nothing, and gives nothing.
    assert ask("bob", "join", within="", token=key) == first
    ask("ada", "remove_member", person="bob")
    with pytest.raises(Forbidden, match="used already"):
        ask("bob", "join", within="", token=key)


def test_a_key_repeats_a_join(ask: Ask, ctx: Context, shared: str) -> None:
    link = token(ask("ada", "invite"))
    first = ask("bob", "join", within="", token=link, key="k")
    assert ask("bob", "join", within="", token=link, key="k") == first
    done = [e for e in tail(ctx.store, project=shared) if e.action == "projects.join"]
    assert len(done) == 1


@pytest.mark.parametrize("_", range(3))
def test_of_two_who_join_at_once_one_gets_in(ask: Ask, _: int) -> None:
    key = token(ask("ada", "invite"))
    ready, outcomes = threading.Barrier(4), list[str]()

    def try_it(person: str) -> None:
        ready.wait()
        try:
            outcomes.append(ask(person, "join", within="", token=key).role)
        except Forbidden:
            outcomes.append("Forbidden")

    people = ["bob", "carol", "dan", "eve"]
    threads = [threading.Thread(target=try_it, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["Forbidden", "Forbidden", "Forbidden", "viewer"]
    assert len(roles(ask)) == 2


def test_an_invitation_ends(ask: Ask, engines: Engines) -> None:
    key = token(ask("ada", "invite", days=0.5))
    late = datetime.now(UTC) + timedelta(hours=13)
    ctx = Context(Actor(name="bob"), "", engines, now=lambda: late)
    with pytest.raises(Forbidden, match="expired since"):
        call_here(ctx, "projects.join", {"token": key})
    assert look_invitation(ctx.store, ctx.home, key, late).state == "expired"
    assert look_invitation(ctx.store, ctx.home, key, datetime.now(UTC)).title == "Churn"
    assert ask("bob", "join", within="", token=key).role == "viewer"


def test_an_invitation_is_taken_back(ask: Ask) -> None:
    made = ask("ada", "invite")
    assert ask("ada", "revoke_invitation", id=made.id).state == "revoked"
    with pytest.raises(Forbidden, match="taken back"):
        ask("bob", "join", within="", token=token(made))
    with pytest.raises(Conflict, match="used or revoked already"):
        ask("ada", "revoke_invitation", id=made.id)


def test_only_the_person_invited_may_use_it(ask: Ask) -> None:
    key = token(ask("ada", "invite", person="bob"))
    with pytest.raises(Forbidden, match="for somebody else than carol"):
        ask("carol", "join", within="", token=key)
    assert ask("bob", "join", within="", token=key).role == "viewer"


def test_a_forged_token_lets_nobody_in(ask: Ask, ctx: Context) -> None:
    good, other = (token(ask("ada", "invite")) for _ in range(2))
    id, _, signature = good.partition(".")
    wrong = [
        "", ".", id, f"{id}.", f"{id}.{signature[:-1]}", f"{id}.{'0' * 64}", f"{id}.ü",
        f"{other.partition('.')[0]}.{signature}", f"{id}.{signature}0", "\x00.\udc80",
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(Forbidden) as caught:
            look_invitation(ctx.store, ctx.home, each, ctx.now())
        assert signature not in str(caught.value)
    with pytest.raises(Forbidden, match="no invitation of this Studio"):
        ask("bob", "join", within="", token=wrong[5])
    assert ask("bob", "join", within="", token=good).role == "viewer"


def test_a_lower_role_takes_nothing_away(ask: Ask, give: Give) -> None:
    give(bob="editor")
    assert ask("bob", "join", within="", token=token(ask("ada", "invite"))).role == "editor"
    assert ask("bob", "join", within="", token=token(ask("ada", "invite", role="owner"))).role
    assert roles(ask)["bob"] == "owner"


def test_no_link_brings_a_lost_role_back(ask: Ask, give: Give) -> None:
    give(bob="owner", carol="owner")
    theirs = token(ask("bob", "invite", role="owner"))
    for_bob = token(ask("ada", "invite", role="owner", person="bob"))
    carols = token(ask("carol", "invite", role="owner"))
    ask("ada", "remove_member", person="bob")
    ask("ada", "set_role", person="carol", role="editor")
    for person, key in (("bob", theirs), ("bob", for_bob), ("carol", carols)):
        with pytest.raises(Forbidden, match="taken back"):
            ask(person, "join", within="", token=key)
    assert roles(ask) == {"ada": "owner", "carol": "editor"}


def test_nobody_joins_an_archived_project(ask: Ask) -> None:
    key = token(ask("ada", "invite"))
    ask("ada", "archive_project", id="churn")
    with pytest.raises(Refused, match="'Churn' is archived"):
        ask("bob", "join", within="", token=key)
    ask("ada", "reopen_project", id="churn")
    assert ask("bob", "join", within="", token=key).role == "viewer"


def test_only_people_join_and_not_from_inside_a_project(
    ask: Ask, engines: Engines, shared: str
) -> None:
    key = token(ask("ada", "invite"))
    for actor in (
        Actor(name="bob", within="prj_other"),
        Actor(kind="project", name="prj_other"),
        Actor(kind="assistant", name="bob", on_behalf_of="bob"),
    ):
        with pytest.raises(Forbidden):
            call_here(Context(actor, "", engines), "projects.join", {"token": key})
        assert role_of(Context(actor, "", engines).store, actor, shared) is None


def test_the_link_is_kept_nowhere(ask: Ask, ctx: Context, shared: str) -> None:
    made = ask("ada", "invite", key="once")
    signature = token(made).partition(".")[2]
    with ctx.store.read() as connection:
        kept = connection.execute(sa.select(answers.c.answer)).scalars().all()
        told = [str(row) for row in connection.execute(sa.select(events))]
    assert any(made.id in each for each in kept)
    assert not [each for each in (*kept, *told) if signature in each]
    assert signature not in repr(made)
    assert ask("ada", "invite", key="once") == made.model_copy(update={"link": ""})
    assert [each.link for each in ask("ada", "list_invitations").items] == [made.link]
    file = ctx.home / "keys" / "invitations"
    assert file.stat().st_mode & 0o777 == 0o600 and len(file.read_bytes()) == 32
    assert list(file.parent.glob("invitations.*")) == []


def test_only_owners_see_and_make_invitations(ask: Ask, give: Give, ctx: Context) -> None:
    give(bob="editor")
    made = ask("ada", "invite")
    for verb, request in (
        ("invite", {}),
        ("list_invitations", {}),
        ("revoke_invitation", {"id": made.id}),
    ):
        with pytest.raises(Forbidden):
            ask("bob", verb, **request)
    with pytest.raises(Forbidden, match="confirm who they are"):
        call_here(ctx.fresh(), "projects.invite", {})


def test_an_invitation_of_another_project_is_not_found(ask: Ask, ctx: Context) -> None:
    made = ask("ada", "invite")
    with pytest.raises(NotFound):
        ask("ada", "revoke_invitation", within=ctx.project, id=made.id)
    assert ask("ada", "list_invitations", within=ctx.project).items == []


def test_invitations_are_paged(ask: Ask) -> None:
    made = {ask("ada", "invite").id for _ in range(5)}
    first = ask("ada", "list_invitations", limit=3)
    rest = ask("ada", "list_invitations", limit=3, after=first.next)
    assert rest.next is None and {each.id for each in (*first.items, *rest.items)} == made


@pytest.mark.parametrize("days", [0, -1, 366, float("nan"), float("inf")])
def test_how_long_an_invitation_is_good(ask: Ask, days: float) -> None:
    with pytest.raises(Invalid, match="cannot be good for"):
        ask("ada", "invite", days=days)


@pytest.mark.parametrize("person", ["Bob", "<b>", "-b", "bob\n", "b" * 33, "ada lovelace", "bób"])
def test_who_can_be_named(ask: Ask, person: str) -> None:
    for verb, more in (
        ("invite", {}),
        ("set_role", {"role": "viewer"}),
        ("remove_member", {}),
        ("transfer_project", {}),
    ):
        with pytest.raises(Invalid, match="Nobody can be called"):
            ask("ada", verb, person=person, **more)
