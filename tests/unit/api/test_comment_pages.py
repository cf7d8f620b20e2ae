"""Comments on the page of a notebook: hostile text, who is offered what, forms, the outline."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.api.pages import notebooks
from workbench.api.pages.outline import outline
from workbench.core import Actor, Context, Engines, call_here
from workbench.projects import Project
from workbench.security import grant

from .test_pages import Browser, ada, client, project, sign_in, text

__all__ = ["ada", "client", "project", "sign_in"]

HOSTILE = "</p><script>alert(1)</script><img src=x onerror=alert(1)> **@vic** {{ 7777*1111 }}\nnext"
NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "id": "top", "source": ["\n", "# <b>Who</b> leaves?\n"]},
        {"cell_type": "code", "id": "c2", "source": "x = 1"},
        {"cell_type": "code", "source": []},
    ],
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {},
}


@pytest.fixture
def page(engines: Engines, project: Project) -> str:
    """The page of a notebook that Ada owns and Vic may look at."""
    folder = engines.settings.home / "projects" / project.id / "files" / "a b"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "first?.ipynb").write_text(json.dumps(NOTEBOOK))
    inside = Context(Actor(name="ada"), project.id, engines)
    with inside.store.begin() as tx:
        grant(tx, project.id, "person:vic", "viewer")
    return f"projects/{project.id}/notebooks/a%20b/first%3F.ipynb"


def say(engines: Engines, project: Project, who: str, said: str, part: str = "c2") -> str:
    anchor = {"document": "a b/first?.ipynb", "part": part}
    made = call_here(
        Context(Actor(name=who), project.id, engines),
        "comments.create_comment",
        {"text": said, "anchor": anchor, "quote": "It was <i>here</i>"},
    )
    return str(made.id)


def test_a_hostile_comment_stays_text(
    ada: Browser, engines: Engines, project: Project, page: str
) -> None:
    say(engines, project, "ada", HOSTILE)
    say(engines, project, "ada", "About what is gone.", part="gone")
    shown = ada.get(page)
    assert HOSTILE.replace("\n", " ") in text(shown).replace("** @vic **", "**@vic**")
    assert "<mark>@vic</mark>" in shown.text and "8640247" not in text(shown)
    assert not re.search(r"<script(?![^>]* src=)|<img|<i>here|<[^>]+ on\w+=", shown.text)
    told = text(shown)
    assert "Cell 2 x = 1" in told and "Cell no longer there It was <i>here</i>" in told
    assert told.index("Cell 2 x = 1") < told.index("Cell no longer there")
    policy = shown.headers["content-security-policy"]
    assert "connect-src 'self'" in policy and "default-src 'none'" in policy
    assert set(re.findall(r'<form method="post" action="([^"]+)"', shown.text)) == {
        f"/services/studio/{page}"
    }
    assert "connect-src 'none'" in ada.get("").headers["content-security-policy"]


def test_a_viewer_asks_replies_changes_and_resolves_their_own(
    sign_in: Callable[[str], Browser], engines: Engines, project: Project, page: str
) -> None:
    vic, of_ada = sign_in("vic"), say(engines, project, "ada", "Look here, @vic.")
    overview = vic.get(f"projects/{project.id}")
    assert "Mentions of you ada in a b/first?.ipynb" in text(overview)
    assert f"first%3F.ipynb#{of_ada}" in overview.text
    seen = vic.post(f"projects/{project.id}", do="see", comments=of_ada)
    assert "marked as read" in text(seen) and "Mentions of you" not in text(seen)

    made = vic.post(page, do="comment", part="top Who leaves?", text="One\r\nTwo")
    assert "Your comment is written." in text(made) and "Cell 1 <b>Who</b> leaves?" in text(made)
    found = call_here(
        Context(Actor(name="ada"), project.id, engines),
        "comments.list_comments",
        {"document": "a b/first?.ipynb"},
    ).items
    mine = found[-1]
    assert (mine.anchor.part, mine.quote) == ("top", "Who leaves?")
    assert mine.comments[0].text == "One\nTwo" and mine.comments[0].made_by == "person:vic"
    assert "I do" in text(vic.post(page, do="reply", id=of_ada, text="I do."))
    changed = vic.post(page, do="change", id=mine.id, text="Three")
    assert "Three" in text(changed) and "edited" in text(changed)
    # Offered for one's own thread only; asked for nevertheless, the door says no.
    assert changed.text.count(">Resolve<") == 1
    assert vic.post(page, do="resolve", id=of_ada).status_code == 403
    assert vic.post(page, do="delete", id=of_ada).status_code == 403
    assert "The thread is resolved." in text(vic.post(page, do="resolve", id=mine.id))
    assert vic.post(page, do="nonsense").status_code == 400


def test_what_was_typed_stays_where_it_was_typed(
    ada: Browser, engines: Engines, project: Project, page: str
) -> None:
    id = say(engines, project, "ada", "Here.")
    long = "word " * 2_001
    wrong = ada.post(page, do="reply", id=id, text=long)
    assert wrong.status_code == 400 and "too long" in text(wrong)
    assert re.search(rf'id="reply-{id}"[^>]*>word word', wrong.text)
    gone = ada.post(page, do="reply", id="cmt_none", text="Too late.")
    assert gone.status_code == 404 and "no comment 'cmt_none'" in text(gone)
    again = {"do": "comment", "part": "", "text": "Once.", "key": "the same form"}
    ada.post(page, **again)
    assert ada.post(page, **again).text.count('dir="auto">Once.</p>') == 1


def test_whoever_is_no_member_neither_reads_nor_writes(
    sign_in: Callable[[str], Browser], engines: Engines, project: Project, page: str
) -> None:
    say(engines, project, "ada", "Among us.")
    eve = sign_in("eve")
    assert eve.get(page).status_code == 403
    wrong = eve.post(page, do="comment", part="", text="Let me in.")
    assert wrong.status_code == 403 and "Among us" not in text(wrong)


async def test_the_outline_of_any_file(tmp_path: Path) -> None:
    found = await notebooks.outlined(json.dumps(NOTEBOOK).encode())
    assert [each["id"] for each in found] == ["top", "c2", ""]
    assert [each["label"] for each in found] == ["<b>Who</b> leaves?", "x = 1", ""]
    deep = b'{"cells": ' + b"[" * 100_000
    for wrong in (b"", b"{}", b"[1]", b'{"cells": 3}', b'{"cells": [3, null]}', b"\xff", deep):
        assert await notebooks.outlined(wrong) == [], wrong[:20]
    assert outline(b'{"cells": [{"id": 5, "source": {"a": 1}}]}')[0]["id"] == "5"
