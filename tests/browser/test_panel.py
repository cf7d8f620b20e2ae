"""A stranger's table goes through the panel: registered, trained on, looked at, assessed."""

import csv
import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import Studio
from .lab import lab_is_ready
from .pictures import shot

pytestmark = pytest.mark.browser

WAIT_MS = 90_000
ROWS = 600


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Loans whose approval follows the income, and the sex a little; some incomes are missing."""
    chance = random.Random(7)
    file = tmp_path / "village_loans.csv"
    with file.open("w", newline="") as opened:
        out = csv.writer(opened)
        out.writerow(["income", "years", "region", "sex", "approved"])
        for _ in range(ROWS):
            income = round(chance.gauss(30, 8), 1)
            sex = chance.choice(["female", "male"])
            score = (income - 30) / 8 + (0.6 if sex == "male" else 0) + chance.gauss(0, 0.7)
            out.writerow(
                [
                    "" if chance.random() < 0.04 else income,
                    chance.randint(0, 30),
                    chance.choice(["north", "south", "coast"]),
                    sex,
                    "yes" if score > 0 else "no",
                ]
            )
    return file


def front(page: Page) -> Locator:
    """The page of the tab in front."""
    return page.locator(".jp-MainAreaWidget:not(.lm-mod-hidden) .nx-Page")


def at_the_panel(studio: Studio, page: Page) -> None:
    """JupyterLab as it is first arranged: other tests leave other panels in front."""
    studio.open_lab(page)
    page.goto(re.sub(r"/lab.*", "/lab?reset", page.url))
    lab_is_ready(page)


def open_table(page: Page, table: Path) -> None:
    """Choose the file on the page that registers tables."""
    page.get_by_role("button", name="New", exact=True).click()
    front(page).locator("input[type=file]").set_input_files(str(table))
    expect(front(page).get_by_role("button", name="Register", exact=True)).to_be_visible(
        timeout=WAIT_MS
    )


def test_a_table_becomes_an_assessed_model(studio: Studio, page: Page, table: Path) -> None:
    """Steps 2 to 5 of the first hour: grid, questions, product, job, model, report."""
    at_the_panel(studio, page)
    open_table(page, table)
    grid = front(page).get_by_role("table", name="The first rows of village_loans.csv")
    expect(grid.get_by_role("columnheader", name=re.compile(r"^region"))).to_contain_text(
        "category"
    )
    expect(front(page).get_by_text("sex looks sensitive")).to_be_visible()
    expect(front(page).get_by_label("sex", exact=True)).to_be_checked()
    front(page).get_by_label("Description").fill("Loans of one village, made for a test.")
    front(page).get_by_role("button", name="Register", exact=True).click()

    expect(front(page).get_by_role("heading", name="village_loans")).to_be_visible(timeout=WAIT_MS)
    expect(front(page).get_by_text(f"Rows 1 to 50 of {ROWS}")).to_be_visible()
    expect(front(page).get_by_text("missing", exact=True).first).to_be_visible(timeout=WAIT_MS)
    front(page).get_by_role("tab", name="Profile").click()
    profile = front(page).get_by_role("article", name="income")
    expect(profile).to_contain_text(re.compile(r"\d\.\d % missing"), timeout=WAIT_MS)
    front(page).get_by_role("tab", name="Query").click()
    asked = front(page).get_by_label("SQL")
    asked.fill("SELECT sex, count(*) AS n FROM village_loans GROUP BY sex ORDER BY sex")
    asked.press("Control+Enter")
    expect(front(page).get_by_role("cell", name="female")).to_be_visible(timeout=WAIT_MS)
    asked.fill("SELECT nothing_like_it FROM village_loans")
    asked.press("Control+Enter")
    expect(front(page).get_by_role("alert")).to_contain_text("nothing_like_it", timeout=WAIT_MS)

    front(page).get_by_role("button", name="Train a model on it").click()
    expect(front(page).get_by_label("Target", exact=True)).to_have_value("approved")
    expect(front(page).get_by_role("checkbox", name=re.compile(r"^sex"))).to_be_checked()
    expect(front(page).get_by_role("img", name=re.compile("from left to right"))).to_be_visible(
        timeout=WAIT_MS
    )
    front(page).get_by_label("Estimator").select_option("logistic")
    front(page).get_by_role("button", name="Train", exact=True).click()
    front(page).get_by_role("button", name="Open the model").click(timeout=WAIT_MS)

    expect(front(page).get_by_role("heading", name="village_loans-approved")).to_be_visible(
        timeout=WAIT_MS
    )
    expect(front(page).locator(".nx-Verdict")).to_contain_text("untouched rows")
    figures = front(page).get_by_role("table", name="All figures with their 95 % intervals")
    expect(figures.get_by_role("columnheader")).to_contain_text(
        ["Figure", "logistic (this model)", "majority", "lightgbm"]
    )
    front(page).get_by_label("income").fill("55")
    front(page).get_by_role("button", name="Predict").click()
    expect(front(page).get_by_text("approved: yes")).to_be_visible(timeout=WAIT_MS)
    front(page).get_by_label("income").fill("a lot")
    expect(front(page).get_by_text("This is no number.")).to_be_visible()
    expect(front(page).get_by_role("button", name="Predict")).to_be_disabled()
    expect(front(page).get_by_text("has no fairness report")).to_be_visible(timeout=WAIT_MS)
    expect(front(page).get_by_role("link", name="Release it on the Studio")).to_have_attribute(
        "href", re.compile(r"/services/studio/projects/prj_\w+/models/mdl_\w+@0\?alias=production")
    )
    front(page).get_by_label("Promote to").select_option("candidate")
    expect(front(page).get_by_role("button", name="Promote to candidate")).to_be_enabled()

    front(page).get_by_role("button", name="Assess", exact=True).click()
    front(page).get_by_role("button", name="Open the report").click(timeout=WAIT_MS)
    expect(front(page).get_by_role("heading", name="How it was measured")).to_be_visible(
        timeout=WAIT_MS
    )
    groups = front(page).get_by_role("table", name="Groups of sex")
    expect(groups.get_by_role("rowheader")).to_have_text(["female", "male"])
    expect(front(page).locator(".nx-Verdict")).to_contain_text(re.compile("Passes|Fails|Too few"))
    front(page).get_by_role("button", name="Open the model").click()
    expect(front(page).get_by_role("table", name="Fairness reports")).to_be_visible(timeout=WAIT_MS)


def test_settings_are_searched_and_the_search_is_looked_at(
    studio: Studio, page: Page, table: Path
) -> None:
    at_the_panel(studio, page)
    open_table(page, table)
    front(page).get_by_label("Name", exact=True).fill("searched")
    front(page).get_by_role("button", name="Register", exact=True).click()
    front(page).get_by_role("button", name="Train a model on it").click(timeout=WAIT_MS)
    settings = front(page).get_by_label("Settings to try")
    settings.fill("0")
    expect(front(page).get_by_text("A whole number from 1 to 1,000.")).to_be_visible()
    settings.fill("4")
    expect(front(page).get_by_text("The search chooses layers")).to_be_visible()
    front(page).get_by_label("Estimator").select_option("lightgbm")
    front(page).get_by_role("button", name="Search, then train the best").click()
    expect(front(page).get_by_role("heading", name="Search settings")).to_be_visible(
        timeout=WAIT_MS
    )
    front(page).get_by_role("button", name="Open the search").click(timeout=WAIT_MS)
    trials = front(page).get_by_role("table", name="Trials, the best first")
    expect(trials.get_by_role("row")).to_have_count(5, timeout=WAIT_MS)
    expect(trials.get_by_role("row").nth(1)).to_contain_text("the best")
    front(page).get_by_role("button", name="Open the model").click()
    expect(front(page).get_by_role("heading", name="searched-approved")).to_be_visible(
        timeout=WAIT_MS
    )
    expect(front(page).get_by_text("num leaves")).to_be_visible()
    front(page).get_by_role("button", name="a search", exact=True).click()
    expect(trials).to_be_visible()
    section = page.locator('#nexus-studio-panel [data-section="studies"]')
    section.get_by_role("button", name="Searches").click()
    expect(section.get_by_role("button", name="lightgbm for approved")).to_contain_text("4 tried")
    shot(page, "searches")


def test_what_is_no_table_is_refused_in_a_sentence(
    studio: Studio, page: Page, tmp_path: Path
) -> None:
    """A picture named .csv: no stack trace, nothing registered, and another file can be chosen."""
    file = tmp_path / "picture.csv"
    file.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 8)
    at_the_panel(studio, page)
    page.get_by_role("button", name="New", exact=True).click()
    front(page).locator("input[type=file]").set_input_files(str(file))
    alert = front(page).get_by_role("alert")
    expect(alert).to_contain_text("picture.csv", timeout=WAIT_MS)
    expect(alert).not_to_contain_text("Traceback")
    expect(front(page).get_by_role("button", name="Choose a file")).to_be_enabled()
