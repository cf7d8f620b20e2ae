"""Two people and a viewer talk about a cell: mention, reply, resolve, rename, a cell that goes."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

import workbench
from workbench.core import Actor, Context, Engines, call_here, load_settings
from workbench.security import grant

from .conftest import Studio
from .lab import lab_is_ready

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("WORKBENCH_SHOTS", "")
LIVE_MS = 8_000
"""It takes a second on an idle machine; a test's machine is not idle."""
HOSTILE = "<img src=x onerror=\"document.title='gone'\"> & [a](javascript:alert(1))"


@dataclass
class Person:
    """Somebody at a browser of their own."""

    name: str
    context: BrowserContext
    page: Page

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("region", name=re.compile("^Comments$"))

    @property
    def cells(self) -> Locator:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell")

    def thread(self, said: str) -> Locator:
        return self.panel.get_by_role("article").filter(has_text=said)

    def shot(self, name: str) -> None:
        """Keep a picture of the page in light and in dark, if a folder is named."""
        if SHOTS:
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                self.page.screenshot(path=f"{SHOTS}/{name}-{scheme}.png")
            self.page.emulate_media(color_scheme="light")


@pytest.fixture(scope="module")
def project(studio: Studio) -> str:
    """Ines's project with Ben as editor and Kim as viewer; its id."""
    workbench.load_rooms()
    engines = Engines(load_settings(home=studio.home))
    try:
        ctx = Context(Actor(name="ines"), "", engines)
        made = call_here(ctx, "projects.create_project", {"name": "churn", "title": "Who leaves"})
        with ctx.store.begin() as tx:
            grant(tx, made.id, "person:ben", "editor")
            grant(tx, made.id, "person:kim", "viewer")
    finally:
        engines.close()
    return str(made.id)


@pytest.fixture(scope="module")
def people(studio: Studio, browser: Browser, project: str) -> Iterator[dict[str, Person]]:
    """Ines, Ben and Kim, each signed in at a browser of their own."""
    made = {}
    for name in ("ines", "ben", "kim"):
        context = browser.new_context(viewport={"width": 1400, "height": 860})
        made[name] = Person(name, context, context.new_page())
        studio.arrive(made[name].page, name)
    yield made
    for person in made.values():
        person.context.close()


@pytest.fixture(scope="module")
def together(studio: Studio, people: dict[str, Person], project: str) -> tuple[Person, Person]:
    """Ines and Ben in one notebook."""
    for person in (people["ines"], people["ben"]):
        person.page.goto(f"{studio.url}services/studio/projects/{project}")
        person.page.get_by_role("link", name="Open in JupyterLab").click()
        lab_is_ready(person.page)
        person.page.goto(re.sub(r"/lab.*", "/lab/tree/01-tour.ipynb", person.page.url))
        expect(person.cells.first).to_be_visible(timeout=60_000)
        person.page.locator("#jupyterlab-splash").wait_for(state="detached")
    return people["ines"], people["ben"]


def test_a_comment_with_a_mention_arrives_by_itself(together: tuple[Person, Person]) -> None:
    ines, ben = together
    ben.page.get_by_role("tab", name=re.compile("^Comments")).click()
    expect(ben.panel.get_by_text("No comments in this notebook yet.")).to_be_visible()
    ben.shot("comments-empty")

    ines.cells.nth(1).locator(".jp-InputPrompt").click()
    ines.page.keyboard.press("Control+Alt+m")
    field = ines.panel.get_by_role("textbox", name="Comment on cell 2")
    expect(field).to_be_focused()
    ines.page.keyboard.type("Why this order, @b")
    expect(ines.panel.get_by_role("option")).to_have_text(["@ben"])
    ines.shot("comments-names")
    ines.page.keyboard.press("Enter")
    expect(field).to_have_value("Why this order, @ben ")
    ines.page.keyboard.insert_text(HOSTILE)  # as if it were pasted
    expect(field).to_have_value(f"Why this order, @ben {HOSTILE}")
    ines.page.keyboard.press("Control+Enter")
    expect(ines.thread("Why this order")).to_be_visible()
    began = time.monotonic()

    expect(ben.page.get_by_text("ines mentions you in 01-tour.ipynb")).to_be_visible(
        timeout=LIVE_MS
    )
    print(f"\nseen by the other after {time.monotonic() - began:.1f} s")
    expect(ben.thread("Why this order")).to_be_visible(timeout=LIVE_MS)
    ben.shot("comments-mentioned")
    ben.page.get_by_role("button", name="Show", exact=True).click()
    expect(ben.cells.nth(1)).to_have_class(re.compile("jp-mod-active"))
    expect(ben.panel.get_by_role("region", name="Mentions of you")).to_have_count(0)

    for person in together:
        expect(person.thread("Why this order")).to_contain_text(HOSTILE)
        expect(person.panel.locator("img, a")).to_have_count(0)
        expect(person.panel.locator("mark")).to_have_text(["@ben"])
        mark = person.cells.nth(1).get_by_role("button", name="1 open comment thread")
        expect(mark).to_be_visible()
        assert "gone" not in person.page.title()


def test_a_reply_an_edit_and_a_resolution_are_seen_by_both(
    together: tuple[Person, Person],
) -> None:
    ines, ben = together
    ben.thread("Why this order").get_by_role("button", name="Reply").click()
    ben.page.keyboard.type("By the tour,")
    ben.page.keyboard.press("Enter")
    ben.page.keyboard.type("@ines")
    ben.page.keyboard.press("Escape")
    ben.page.keyboard.press("Control+Enter")
    expect(ines.thread("By the tour,\n@ines")).to_be_visible(timeout=LIVE_MS)
    expect(ines.panel.get_by_role("region", name="Mentions of you")).to_be_visible(timeout=LIVE_MS)
    said = ben.panel.locator(".nx-Said").filter(has_text="By the tour")
    said.get_by_role("button", name="Edit").click()
    said.get_by_role("textbox").fill("By the tour, @ines: see cell 1.")
    said.get_by_role("button", name="Save").click()
    expect(ines.thread("see cell 1.")).to_contain_text("edited", timeout=LIVE_MS)
    expect(ines.panel.get_by_role("button", name="Edit")).to_have_count(1)
    ines.shot("comments-thread")

    ines.thread("Why this order").get_by_role("button", name="Resolve").click()
    for person in together:
        expect(person.thread("Why this order")).to_have_count(0, timeout=LIVE_MS)
        expect(person.page.locator(".nx-Marker")).to_have_count(0)
    ben.panel.get_by_role("button", name="Show 1 resolved thread").click()
    expect(ben.thread("Why this order")).to_contain_text("Resolved by ines")
    ben.shot("comments-resolved")
    ben.thread("Why this order").get_by_role("button", name="Reopen").click()
    expect(ines.thread("Why this order")).to_be_visible(timeout=LIVE_MS)


def test_a_viewer_reads_and_asks_without_a_server(
    studio: Studio, people: dict[str, Person], together: tuple[Person, Person], project: str
) -> None:
    ines, kim = people["ines"], people["kim"]
    # Not until all is loaded: the notebook in the frame takes its time on a busy machine.
    kim.page.goto(
        f"{studio.url}services/studio/projects/{project}/notebooks/01-tour.ipynb",
        wait_until="domcontentloaded",
    )
    thread = kim.page.get_by_role("article").filter(has_text="Why this order")
    expect(thread).to_contain_text(HOSTILE)
    expect(kim.page.locator("#comments img")).to_have_count(0)
    kim.shot("comments-page")
    thread.locator("summary", has_text="Reply").click()
    thread.get_by_role("textbox").fill("I do not see it either, @ines.")
    thread.get_by_role("button", name="Send the reply").click()
    expect(kim.page.get_by_text("Your comment is written.")).to_be_visible()
    expect(thread).to_contain_text("I do not see it either")
    expect(ines.thread("I do not see it either")).to_be_visible(timeout=LIVE_MS)
    new = kim.page.get_by_role("form", name="New comment")
    new.get_by_label("About").select_option(index=1)
    new.get_by_label("Comment").fill("From the page.")
    new.get_by_role("button", name="Comment").click()
    expect(ines.thread("From the page.")).to_be_visible(timeout=LIVE_MS)
    # And the other way round, without loading the page again.
    ines.thread("From the page.").get_by_role("button", name="Reply").click()
    ines.page.keyboard.type("To the page.")
    ines.page.keyboard.press("Control+Enter")
    expect(kim.page.get_by_text("To the page.")).to_be_visible(timeout=LIVE_MS)
    kim.shot("comments-page-two")


def test_threads_follow_a_rename_and_outlive_their_cell(together: tuple[Person, Person]) -> None:
    ines, ben = together
    ines.page.get_by_role("menuitem", name="File", exact=True).click()
    ines.page.get_by_text("Rename Notebook…").click()
    dialog = ines.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("renamed.ipynb")
    dialog.get_by_role("button", name="Rename").click()
    for person in together:
        expect(person.panel.get_by_text("renamed.ipynb")).to_be_visible(timeout=LIVE_MS)
        expect(person.thread("Why this order")).to_be_visible(timeout=LIVE_MS)
    ines.cells.nth(1).locator(".jp-InputPrompt").click()
    ines.page.keyboard.press("d")
    ines.page.keyboard.press("d")
    for person in together:
        expect(person.panel.get_by_text("Cell no longer there")).to_be_visible(timeout=LIVE_MS)
    ben.shot("comments-gone")
