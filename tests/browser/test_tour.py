"""The tour as a person meets it: in the panel, in its notebook, on its dashboard."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .conftest import Studio

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def made(studio: Studio) -> dict[str, Any]:
    """What `workbench tour --json` says while the Studio runs."""
    done = studio.run("tour", "--json", timeout_s=400)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_tour_says_what_it_made(made: dict[str, Any]) -> None:
    for part in ("product", "model", "report", "events"):
        assert made[part]["id"] and made[part]["figures"] and made[part]["sentence"]
    assert made["product"]["figures"]["rows"] == 2380
    beside = made["model"]["figures"]["beside"]
    assert {"majority", "logistic", "lightgbm"} <= set(beside)
    assert made["events"]["figures"]["ok"]


def test_repeating_the_tour_makes_nothing_twice(studio: Studio, made: dict[str, Any]) -> None:
    again = json.loads(studio.run("tour", "--json").stdout)
    for part in ("product", "job", "model", "report"):
        assert again[part]["id"] == made[part]["id"]


def test_the_notebook_runs_in_the_lab(studio: Studio, made: dict[str, Any], page: Page) -> None:
    studio.open_lab(page)
    page.goto(re.sub(r"/lab.*", "/lab/tree/01-tour.ipynb", page.url))
    notebook = page.locator(".jp-NotebookPanel")
    expect(notebook.locator(".jp-CodeCell").first).to_be_visible(timeout=60_000)
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']")).to_be_attached(
        timeout=60_000
    )
    notebook.locator(".jp-CodeCell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(notebook.get_by_text(re.compile(r"All [\d,]+ events are as they were"))).to_be_visible(
        timeout=180_000
    )
    expect(notebook.get_by_text("Traceback")).to_have_count(0)
    expect(notebook.locator("[data-mime-type='application/vnd.jupyter.stderr']")).to_have_count(0)


def test_the_dashboard_is_behind_the_sign_in(
    studio: Studio, made: dict[str, Any], page: Page
) -> None:
    page.goto(f"{studio.url}services/dashboards/tour")
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    page.get_by_label("Name").fill(studio.name)
    page.get_by_label("Password", exact=True).fill(studio.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Is it fair?")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("of favourable decisions by race")).to_be_visible()
