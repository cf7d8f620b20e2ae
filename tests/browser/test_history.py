"""Git in the project's folder: one commits in the Lab's Git panel, another reads it as a page."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.hostile.conftest import PASSWORD, invited, label, made
from tests.hostile.members import Inside, Member, come_in

from .conftest import Studio
from .lab import lab_is_ready

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("WORKBENCH_SHOTS", "")
WAIT_MS = 60_000


@dataclass
class Shared:
    """A project of Nora's, in which Mara works and Vic looks."""

    id: str
    origin: str
    inside: Inside
    """Nora in its Lab, without a browser."""


def shot(page: Page, name: str) -> None:
    """Keep a picture of the page in light and in dark, if a folder is named."""
    if SHOTS:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=f"{SHOTS}/{name}-{scheme}.png", full_page=True)
        page.emulate_media(color_scheme="light")


def notebook(*sources: str) -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def shared(studio: Studio) -> Iterator[Shared]:
    people = {}
    for name in ("nora", "mara", "victor"):
        come_in(studio.new_link(name), name, PASSWORD, stay=False)
        people[name] = Member(studio.url, name, PASSWORD)
    nora = people["nora"]
    project = made(nora, "loans")
    invited(nora, project, people["mara"], "editor")
    invited(nora, project, people["victor"], "viewer")
    origin = studio.url.rstrip("/").replace("://", f"://{label(project)}.", 1)
    inside = nora.enter(origin, label(project))
    save(inside, notebook("import workbench", "rate = 0.1", "print(rate)"))
    yield Shared(project, origin, inside)
    for member in people.values():
        member.close()


def save(inside: Inside, content: dict[str, Any]) -> None:
    """Put the notebook into the project's folder."""
    body = {"type": "notebook", "format": "json", "content": content}
    inside.ask("PUT", "api/contents/study.ipynb", json=body).raise_for_status()


@pytest.fixture
def mara(studio: Studio, shared: Shared, page: Page) -> Page:
    """Mara in the project's JupyterLab, with the Git panel open."""
    studio.sign_in(page, "mara", PASSWORD, to="/services/studio/")
    page.wait_for_url(f"{studio.url}services/studio/")
    name = label(shared.id)
    page.goto(f"{shared.origin}/user/{name}/lab?reset")
    lab_is_ready(page)
    page.get_by_role("tab", name=re.compile("^Git")).click()
    expect(page.locator("#jp-git-sessions")).to_be_visible()
    return page


def press(page: Page, button: str) -> None:
    """Press what the Git panel shows beside the notebook under the pointer."""
    panel = page.locator("#jp-git-sessions")
    expect(panel.get_by_text("study.ipynb").first).to_be_visible(timeout=WAIT_MS)
    panel.get_by_text("study.ipynb").first.hover()
    panel.get_by_role("button", name=button).click()


def commit(page: Page, message: str) -> None:
    """Say why, and press Commit."""
    panel = page.locator("#jp-git-sessions")
    box = panel.get_by_role("textbox", name=re.compile("^Commit message"))
    box.fill(message)
    button = panel.get_by_role("button", name="Commit", exact=True)
    expect(button).to_be_enabled(timeout=WAIT_MS)
    button.click()
    expect(box).to_have_value("", timeout=WAIT_MS)


def test_one_commits_and_a_viewer_reads(
    studio: Studio, shared: Shared, mara: Page, browser: Browser
) -> None:
    press(mara, "Track this file")
    shot(mara, "git-staged")
    commit(mara, "A first look at the rates")
    terminal = shared.inside.terminal()
    assert terminal.run("git --no-pager log -1 --format='%an|%ae|%cn|%s'").strip() == (
        "mara|mara@localhost|loans|A first look at the rates"
    )
    left = terminal.run("git status --short").split()
    assert left == ["??", "01-tour.ipynb", "??", "02-jobs.ipynb"]

    save(shared.inside, notebook("import workbench", "rate = 0.2", "print(rate)", "rate * 2"))
    press(mara, "Diff this file")
    expect(mara.locator(".nbdime-Widget, .jp-git-diff-root").first).to_be_visible(timeout=WAIT_MS)
    expect(mara.get_by_text("rate = 0.2").first).to_be_visible(timeout=WAIT_MS)
    shot(mara, "git-diff")
    press(mara, "Stage this change")
    commit(mara, "A higher rate, <b>doubled</b>")
    assert terminal.run("git --no-pager log --format=%an | sort | uniq -c").split() == ["2", "mara"]
    terminal.run("git checkout -q -b terminal; echo x > x.txt; git add x.txt; git commit -qm Own")
    assert terminal.run("git --no-pager log -1 --format=%an").strip() == "loans"
    terminal.run("git checkout -q main")
    terminal.close()

    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        vic = context.new_page()
        studio.sign_in(vic, "victor", PASSWORD)
        vic.goto(f"{studio.url}services/studio/projects/{shared.id}")
        vic.get_by_role("link", name="History").click()
        row = vic.get_by_role("row", name=re.compile("A first look at the rates"))
        expect(row).to_contain_text("mara@localhost", timeout=WAIT_MS)
        shot(vic, "history")
        vic.get_by_role("link", name="A higher rate, <b>doubled</b>").click()
        expect(vic.get_by_role("heading", name="Cell 2")).to_be_visible(timeout=WAIT_MS)
        expect(vic.locator("del")).to_have_text("rate = 0.1")
        expect(vic.locator("ins").first).to_have_text("rate = 0.2")
        shot(vic, "commit")
        vic.go_back()
        vic.get_by_role("link", name="A first look at the rates").click()
        vic.get_by_role("link", name=re.compile("As it was then")).click()
        frame = vic.frame_locator("iframe.notebook")
        expect(frame.get_by_text("0.1")).to_be_visible(timeout=WAIT_MS)
        expect(frame.get_by_text("0.2")).to_have_count(0)
        shot(vic, "notebook-then")
        vic.get_by_role("link", name="As it is now").click()
        expect(frame.get_by_text("0.2")).to_be_visible(timeout=WAIT_MS)
        vic.get_by_role("link", name="Its history").click()
        expect(vic.get_by_role("row")).to_have_count(3, timeout=WAIT_MS)
        vic.goto(f"{studio.url}services/studio/projects/{shared.id}/history?branch=terminal")
        expect(vic.get_by_role("link", name="Own")).to_be_visible(timeout=WAIT_MS)
        shot(vic, "history-branch")


def test_a_branch_is_made_in_the_panel(shared: Shared, mara: Page) -> None:
    panel = mara.locator("#jp-git-sessions")
    panel.get_by_role("button", name="New Branch").click()
    dialog = mara.get_by_role("dialog")
    dialog.get_by_role("textbox").first.fill("attempt")
    shot(mara, "git-branch")
    dialog.get_by_role("button", name="Create Branch").click()
    expect(panel.get_by_text("attempt").first).to_be_visible(timeout=WAIT_MS)
    terminal = shared.inside.terminal()
    assert terminal.run("git branch --show-current").strip() == "attempt"
    terminal.close()
