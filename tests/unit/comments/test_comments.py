"""Threads, replies, rights, mentions, documents that move, projects that end."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from workbench.comments import comments, mentions, threads
from workbench.comments.actions import LONGEST, MOST
from workbench.core import (
    Actor,
    Conflict,
    Context,
    Engines,
    Forbidden,
    Invalid,
    Limited,
    NotFound,
    call_here,
)
from workbench.core.door import answers
from workbench.core.events import tail

from .conftest import NOTEBOOK

Ask = Callable[..., Any]
HOSTILE = "<img src=x onerror=alert(1)> [link](javascript:alert(1)) {{ 7 * 7 }} @bob"


def listed(ask: Ask, who: str = "vic", document: str = NOTEBOOK) -> list[Any]:
    found = ask(who, "list_comments", document=document)
    assert found.next is None
    return list(found.items)


def test_a_thread_with_replies_says_who_wrote_what(ask: Ask, say: Ask) -> None:
    first = say("ada", "  Why drop <b>age</b>?  ", quote="df  =\n df.drop('age')")
    reply = say("vic", "It tells the target.", first)
    other = say("bob", "And here?", part="c2")
    assert reply.thread == first.thread == first.id != other.thread
    one, two = listed(ask)
    assert [(each.made_by, each.text) for each in one.comments] == [
        ("person:ada", "Why drop <b>age</b>?"),
        ("person:vic", "It tells the target."),
    ]
    assert one.anchor.model_dump() == {"kind": "notebook", "document": NOTEBOOK, "part": "c1"}
    assert (one.quote, one.resolved_at) == ("df = df.drop('age')", None)
    assert (two.id, two.anchor.part) == (other.id, "c2")
    # A reply to a reply is in the same thread.
    assert say("bob", "Right.", reply).thread == first.id


def test_threads_come_in_pages(ask: Ask, say: Ask) -> None:
    made = [say("ada", f"{at}").id for at in range(5)]
    seen: list[str] = []
    after: str | None = None
    while True:
        page = ask("bob", "list_comments", document=NOTEBOOK, limit=2, after=after)
        seen += [each.id for each in page.items]
        if page.next is None:
            break
        after = page.next
    assert seen == made
    assert ask("bob", "list_comments", document=NOTEBOOK, limit=-3).items[0].id == made[0]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"text": " \n "}, "needs some text"),
        ({"text": "a\0b"}, "holds the character NUL"),
        ({"text": "x" * (LONGEST + 1)}, "10,001 characters is too long"),
        ({"anchor": None}, "one of the two"),
        ({"reply_to": "cmt_1"}, "one of the two"),
        ({"anchor": {"document": "../other.ipynb"}}, "no path of a document"),
        ({"anchor": {"document": "/etc/passwd"}}, "no path of a document"),
        ({"anchor": {"document": "a//b.ipynb"}}, "no path of a document"),
        ({"anchor": {"document": ""}}, "no path of a document"),
        ({"anchor": {"document": "a.ipynb", "part": "p" * 129}}, "No part of a document"),
        ({"anchor": {"kind": "dream", "document": "a"}}, "anchor"),
    ],
)
def test_what_is_no_comment_is_invalid(ask: Ask, request_: dict[str, Any], told: str) -> None:
    good = {"text": "Yes.", "anchor": {"document": NOTEBOOK}}
    with pytest.raises(Invalid, match=told):
        ask("ada", "create_comment", **(good | request_))
    assert listed(ask) == []


def test_hostile_text_stays_the_text_it_is(ask: Ask, say: Ask, ctx: Context, shared: str) -> None:
    say("vic", HOSTILE)
    (thread,) = listed(ask)
    assert thread.comments[0].text == HOSTILE and thread.comments[0].mentions == ["bob"]
    event = tail(ctx.store, project=shared)[-1]
    assert set(event.refs) == {"comment", "thread"} and "img" not in event.model_dump_json()


def test_who_may_what(ask: Ask, say: Ask) -> None:
    of_ada, of_vic = say("ada", "Mine."), say("vic", "A viewer asks.", part="c2")
    for who in ("bob", "ada", "vic"):
        with pytest.raises(Forbidden, match="may not change it"):
            ask(who, "update_comment", id=(of_vic if who != "vic" else of_ada).id, text="Theirs")
    for who, id in (("bob", of_ada.id), ("vic", of_ada.id), ("bob", of_vic.id)):
        with pytest.raises(Forbidden, match="may not delete it"):
            ask(who, "delete_comment", id=id)
    with pytest.raises(Forbidden, match="ada began this thread, so vic, a viewer"):
        ask("vic", "resolve", id=of_ada.id)
    assert ask("vic", "resolve", id=of_vic.id).resolved_by == "person:vic"
    assert ask("bob", "resolve", id=of_ada.id).resolved_by == "person:bob"
    assert ask("vic", "reopen", id=of_ada.id).resolved_at is None
    with pytest.raises(Forbidden, match="viewer here and may not do"):
        ask("vic", "move", document=NOTEBOOK, to="elsewhere.ipynb")
    assert ask("vic", "update_comment", id=of_vic.id, text="I ask.").id == of_vic.id
    ask("ada", "delete_comment", id=of_vic.id)  # an owner may delete anybody's
    assert [each.id for each in listed(ask)] == [of_ada.id]
    for verb, more in (("list_comments", {"document": NOTEBOOK}), ("resolve", {"id": of_ada.id})):
        with pytest.raises(Forbidden, match="in no project"):
            ask("eve", verb, **more)


def test_a_role_that_is_lost_is_lost_here_too(ask: Ask, say: Ask) -> None:
    first = say("bob", "Mine.")
    ask("ada", "projects.remove_member", person="bob")
    with pytest.raises(Forbidden, match="in no project"):
        ask("bob", "update_comment", id=first.id, text="Still mine.")


@pytest.mark.parametrize("kind", ["project", "assistant", "service"])
def test_only_people_write(ask: Ask, say: Ask, engines: Engines, shared: str, kind: str) -> None:
    first = say("ada", "For @bob.")
    name = shared if kind == "project" else "ada"
    asking = {
        "create_comment": {"text": "I am ada.", "anchor": {"document": NOTEBOOK}},
        "update_comment": {"id": first.id, "text": "Other."},
        "delete_comment": {"id": first.id},
        "resolve": {"id": first.id},
        "reopen": {"id": first.id},
        "move": {"document": NOTEBOOK, "to": "b.ipynb"},
        "list_mentions": {},
        "see_mentions": {"comments": [first.id]},
    }
    for verb, request in asking.items():
        actor = Actor(kind=kind, name=name, on_behalf_of="ada")  # type: ignore[arg-type]
        with pytest.raises(Forbidden, match=r"Only people comment|is in no project"):
            call_here(Context(actor, shared, engines), f"comments.{verb}", request)
    assert [each.id for each in listed(ask, "project")] == [first.id], "a kernel may read"


def test_a_comment_is_changed_and_its_mentions_follow(ask: Ask, say: Ask) -> None:
    first = say("ada", "@bob and @vic, look. @ada too.")
    assert first.mentions == ["bob", "vic", "ada"]
    ask("bob", "see_mentions", comments=[first.id])
    assert ask("ada", "update_comment", id=first.id, text="@bob, @val!").mentions == ["bob", "val"]
    (comment,) = listed(ask)[0].comments
    assert (comment.text, comment.mentions) == ("@bob, @val!", ["bob", "val"])
    assert comment.edited_at is not None
    unseen = {who: len(ask(who, "list_mentions").items) for who in ("ada", "bob", "vic", "val")}
    assert unseen == {"ada": 0, "bob": 0, "vic": 0, "val": 1}, "bob has seen it"


def test_mentions_of_me(ask: Ask, say: Ask) -> None:
    say("ada", "@eve and @nobody are not here; a@bob.example is an address.")
    first = say("ada", "@bob?", part="c7")
    second = say("vic", "@Bob: again", first)
    found = ask("bob", "list_mentions").items
    assert [each.comment.id for each in found] == [second.id, first.id]
    assert (found[0].anchor.document, found[0].anchor.part) == (NOTEBOOK, "c7")
    assert ask("vic", "list_mentions").items == []
    page = ask("bob", "list_mentions", limit=1)
    assert page.next == second.id
    assert ask("bob", "list_mentions", limit=1, after=page.next).items == [found[1]]
    assert ask("vic", "see_mentions", comments=[first.id]).mentions == 0, "not of vic"
    assert ask("bob", "see_mentions", comments=[first.id, second.id, "cmt_x"]).mentions == 2
    assert ask("bob", "list_mentions").items == []
    assert all(each.seen_at for each in ask("bob", "list_mentions", unseen=False).items)
    ask("vic", "delete_comment", id=second.id)
    assert len(ask("bob", "list_mentions", unseen=False).items) == 1


def test_a_thread_is_resolved_and_opens_with_a_reply(ask: Ask, say: Ask) -> None:
    first = say("ada", "Done?")
    ask("bob", "resolve", id=first.id)
    assert listed(ask)[0].resolved_by == "person:bob"
    with pytest.raises(Conflict, match="resolved already"):
        ask("ada", "resolve", id=first.id)
    reply = say("vic", "Not yet.", first)
    assert listed(ask)[0].resolved_at is None and listed(ask)[0].resolved_by is None
    with pytest.raises(Conflict, match="is open"):
        ask("ada", "reopen", id=first.id)
    with pytest.raises(NotFound, match="no thread"):
        ask("ada", "resolve", id=reply.id)


def test_deleting_leaves_nothing_and_takes_no_reply_along(ask: Ask, say: Ask, ctx: Context) -> None:
    first = say("ada", "A secret.", key="first")
    reply = say("bob", "I see.", first)
    ask("ada", "delete_comment", id=first.id)
    (thread,) = listed(ask)
    assert [(each.text, each.deleted_at is None) for each in thread.comments] == [
        ("", False), ("I see.", True),
    ]  # fmt: skip
    with ctx.store.read() as connection:
        kept = connection.execute(sa.select(answers.c.answer)).scalars().all()
    assert not [each for each in kept if "secret" in each], "nor as a kept answer"
    for verb, more in (("delete_comment", {}), ("update_comment", {"text": "Back."})):
        with pytest.raises(NotFound, match="no comment"):
            ask("ada", verb, id=first.id, **more)
    ask("vic", "create_comment", text="In its place.", reply_to=first.id)
    for each in listed(ask)[0].comments[1:]:
        ask("ada", "delete_comment", id=each.id)
    assert listed(ask) == []
    with pytest.raises(NotFound, match="no comment"):
        say("bob", "Too late.", reply)


def test_a_reply_that_comes_as_the_thread_goes_is_refused_whole(
    ask: Ask, say: Ask, engines: Engines, shared: str
) -> None:
    from workbench.comments import create_comment
    from workbench.core import commit

    first = say("ada", "Soon gone.")
    late = Context(Actor(name="bob"), shared, engines)
    create_comment(late, "Wait!", reply_to=first.id)
    ask("ada", "delete_comment", id=first.id)
    with pytest.raises(NotFound, match="no thread"):
        commit(late, "comments.create_comment", {})
    assert listed(ask) == []


def test_a_thread_takes_only_so_many(ask: Ask, say: Ask, ctx: Context, shared: str) -> None:
    first = say("ada", "Many.")
    row = {"project": shared, "thread": first.id, "made_by": "person:ada", "text": "x"}
    with ctx.store.begin() as tx:
        tx.execute(
            comments.insert(),
            [row | {"id": f"cmt_{at:04}", "made_at": "2026-01-01T00:00:00Z"} for at in range(MOST)],
        )
    with pytest.raises(Limited, match="takes no more"):
        say("bob", "One more.", first)


def test_repeating_with_a_key_is_harmless(ask: Ask, say: Ask) -> None:
    once = say("ada", "Once, @bob.", key="k1")
    assert say("ada", "Once, @bob.", key="k1") == once and len(listed(ask)) == 1
    with pytest.raises(Conflict, match="used for another request"):
        say("ada", "Twice.", key="k1")
    settled = ask("bob", "resolve", id=once.id, key="k2")
    assert ask("bob", "resolve", id=once.id, key="k2") == settled
    gone = ask("ada", "delete_comment", id=once.id, key="k3")
    assert ask("ada", "delete_comment", id=once.id, key="k3") == gone


def test_threads_follow_a_notebook_and_a_folder(ask: Ask, say: Ask) -> None:
    first = say("ada", "Here.")
    for document in ("notes/deep/b.ipynb", "Notes/c.ipynb", "notes.ipynb", "notes_x/d.ipynb"):
        ask("ada", "create_comment", text="There.", anchor={"document": document})
    assert ask("bob", "move", document=NOTEBOOK, to="notes/%_renamed.ipynb").threads == 1
    assert [each.id for each in listed(ask, document="notes/%_renamed.ipynb")] == [first.id]
    assert listed(ask) == []
    assert ask("bob", "move", document="notes", to="kept/old notes").threads == 2
    for document in (
        "kept/old notes/%_renamed.ipynb", "kept/old notes/deep/b.ipynb", "Notes/c.ipynb",
        "notes.ipynb", "notes_x/d.ipynb",
    ):  # fmt: skip
        assert len(listed(ask, document=document)) == 1, document
    for document, to in ((NOTEBOOK, "b.ipynb"), ("notes.ipynb", "notes.ipynb")):
        with pytest.raises(NotFound, match="no comment on"):
            ask("bob", "move", document=document, to=to)
    for to in ("../out.ipynb", "x/" * 700 + "y.ipynb"):
        with pytest.raises(Invalid, match="no path"):
            ask("bob", "move", document="notes.ipynb", to=to)
    with pytest.raises(Invalid, match="too long"):
        ask("bob", "move", document="kept", to="k" * 1020)


def test_projects_do_not_see_each_others(ask: Ask, say: Ask, ctx: Context) -> None:
    first = say("ada", "Here, @bob.")
    there = {"within": ctx.project}
    assert ask("ada", "list_comments", document=NOTEBOOK, **there).items == []
    for verb, more in (("resolve", {}), ("delete_comment", {}), ("update_comment", {"text": "x"})):
        with pytest.raises(NotFound):
            ask("ada", verb, id=first.id, **more, **there)
    with pytest.raises(NotFound):
        ask("ada", "create_comment", text="x", reply_to=first.id, **there)


def test_an_archived_project_is_read_only_here_too(ask: Ask, say: Ask) -> None:
    first = say("ada", "Before.")
    ask("ada", "projects.archive_project", id="churn")
    assert len(listed(ask)) == 1
    with pytest.raises(Forbidden, match="archived"):
        say("bob", "After.", first)


def test_a_projects_comments_go_with_it(ask: Ask, say: Ask, ctx: Context, shared: str) -> None:
    say("vic", "A reply, @ada.", say("ada", "For @bob."))
    elsewhere = {"document": NOTEBOOK}
    ask("ada", "create_comment", within=ctx.project, text="Stays.", anchor=elsewhere)
    assert ask("ada", "projects.get_deletion", id="churn").comments == 2
    ask("ada", "projects.delete_project", id="churn", confirm="churn")
    with ctx.store.read() as connection:
        for table, left in ((threads, 1), (comments, 1), (mentions, 0)):
            found = connection.execute(sa.select(table.c.project)).scalars().all()
            assert found == [ctx.project] * left, table.name
