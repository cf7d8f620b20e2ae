"""How the shell shows what people wrote."""

from datetime import UTC, datetime

from workbench.cli.show import text
from workbench.comments import Anchor, Comment, Mention, Thread
from workbench.core import Page

AT = datetime(2026, 5, 4, 3, 2, tzinfo=UTC)


def comment(id: str, said: str, **more: object) -> Comment:
    body = {"id": id, "thread": "cmt_1", "made_by": "person:ada", "text": said, "mentions": []}
    return Comment.model_validate(body | {"made_at": AT} | more)


def test_threads_are_shown_with_what_was_said() -> None:
    said = [comment("cmt_1", "", deleted_at=AT), comment("cmt_2", "So\n\x1b[2Jit \u202eis.")]
    anchor = Anchor(document="a.ipynb", part="c4")
    page = Page[Thread](
        items=[Thread(id="cmt_1", anchor=anchor, quote="", comments=said, resolved_at=AT)],
        next="cmt_1",
    )
    assert text(page).splitlines() == [
        "a.ipynb c4 (resolved)",
        "  cmt_1  2026-05-04 03:02  ada: (deleted)",
        "  cmt_2  2026-05-04 03:02  ada: So  [2Jit  is.",
        "More: --after cmt_1",
    ]
    mention = Mention(comment=said[1], anchor=Anchor(document="b.ipynb"))
    assert text(Page[Mention](items=[mention])).splitlines()[0] == "b.ipynb"
