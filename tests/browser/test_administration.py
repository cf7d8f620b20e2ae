"""The administrator's pages: what runs, what is wrong, what an id means, in light and dark."""

import os
import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import Studio

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("WORKBENCH_SHOTS", "")


def shot(page: Page, name: str) -> None:
    """Keep a picture of the page in light and in dark, if a folder is named."""
    if SHOTS:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=f"{SHOTS}/{name}-{scheme}.png", full_page=True)


def test_an_administrator_sees_and_stops_what_runs(studio: Studio, page: Page) -> None:
    page.on("dialog", lambda asked: asked.accept())
    studio.sign_in(page, to="/services/studio/")
    page.get_by_role("link", name="Administration").click()
    tabs = page.get_by_role("navigation", name="Administration")
    expect(tabs.get_by_role("link", name="People")).to_have_attribute("aria-current", "page")
    shot(page, "people")

    tabs.get_by_role("link", name="Projects").click()
    page.get_by_role("link", name="Measure each project").click()
    expect(page.get_by_role("row", name="ada's own")).to_contain_text("B")
    shot(page, "projects")

    tabs.get_by_role("link", name="Servers").click()
    row = page.get_by_role("row", name="ada's own")
    expect(row).to_contain_text("idle")
    expect(row).to_contain_text("MB")
    shot(page, "servers")
    page.set_viewport_size({"width": 390, "height": 800})
    shot(page, "servers-small")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.keyboard.press("Tab")
    row.get_by_role("button", name="Stop the server of ada's own").press("Enter")
    expect(page.get_by_role("status")).to_have_text("The server of ada's own is stopped.")

    tabs.get_by_role("link", name="Jobs").click()
    expect(page.get_by_text("Nothing runs now, and nothing waits.")).to_be_visible()
    shot(page, "jobs")


def test_health_says_what_needs_somebody_and_what_an_id_means(studio: Studio, page: Page) -> None:
    studio.sign_in(page, to="/services/studio/")
    page.wait_for_url(f"{studio.url}services/studio/")
    page.goto(f"{studio.url}services/studio/projects/prj_nothing")
    trace = re.search(r"trc_\w+", page.inner_text("main"))
    assert trace
    shot(page, "problem")
    page.goto(f"{studio.url}services/studio/admin/health")
    expect(page.get_by_role("heading", name="Something needs you")).to_be_visible()
    expect(page.get_by_text("There is no backup of this Studio.")).to_be_visible()
    for name in ("hub", "proxy", "gateway", "service", "worker", "launcher"):
        expect(page.get_by_role("rowheader", name=name, exact=True).first).to_be_visible()
    page.get_by_label("The id").fill(trace[0])
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_label("What the logs say")).to_contain_text("projects.get_project")
    shot(page, "health")
    page.get_by_role("button", name="Remove what is old now").click()
    expect(page.get_by_role("status")).to_have_text("What was old is removed.")
    assert studio.run("backup").returncode == 0
    page.reload()
    expect(page.get_by_text("There is no backup of this Studio.")).to_have_count(0)
    shot(page, "health-well")
