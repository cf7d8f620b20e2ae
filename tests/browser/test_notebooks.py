"""A notebook that runs as a job: from the list of files to the copy with what came of it."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Studio
from tests.browser.lab import LAB_MS, Lab
from tests.browser.pictures import shot

pytestmark = pytest.mark.browser

CELL = "print('rows', sum(range(10)))\nimport matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);"


def test_from_the_files_to_the_copy(lab: Lab) -> None:
    lab.write("weekly.ipynb", CELL)
    page = lab.page
    page.goto(f"{lab.origin}/user/{lab.label}/lab?reset")
    page.locator('.jp-SideBar .lm-TabBar-tab[title^="File Browser"]').click()
    page.locator(".jp-DirListing-item", has_text="weekly.ipynb").click(button="right")
    page.get_by_role("menuitem", name="Run as a Job").click()
    done = page.get_by_role("button", name="Open the notebook")
    expect(done).to_be_visible(timeout=LAB_MS)
    expect(page.get_by_role("heading", name="Run: weekly.ipynb")).to_be_visible()
    expect(page.get_by_text("rows 45")).to_be_visible()
    shot(page, "notebook-job")
    done.click()
    tab = page.get_by_role("tab", name=re.compile(r"^weekly-job_\w+\.ipynb$"))
    expect(tab).to_be_visible(timeout=30_000)
    shown = page.locator(".jp-Notebook:visible .jp-Cell-outputArea")
    expect(shown).to_contain_text("rows 45", timeout=30_000)
    expect(shown.locator("img")).to_be_visible()
    shot(page, "notebook-copy")


def test_a_cell_as_a_job(lab: Lab) -> None:
    lab.write("cell.ipynb", "%%job later\nprint('from a job')", "wb.pipelines.list_jobs(limit=1)")
    lab.open("cell.ipynb")
    lab.run(0)
    expect(lab.outputs(0)).to_contain_text("notebooks.run", timeout=30_000)
    page = lab.page
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+Shift+S")
    expect(page.locator("#nexus-studio-panel").get_by_text("Run: later").first).to_be_visible(
        timeout=30_000
    )
    shot(page, "cell-job")


def test_what_takes_too_long_is_tried_again_and_then_says_so(lab: Lab) -> None:
    """How a job runs is said while it runs."""
    lab.write("endless.ipynb", "import time\ntime.sleep(600)")
    page = lab.page
    page.goto(f"{lab.origin}/user/{lab.label}/lab?reset")
    page.locator('.jp-SideBar .lm-TabBar-tab[title^="File Browser"]').click()
    page.locator(".jp-DirListing-item", has_text="endless.ipynb").click(button="right")
    page.get_by_role("menuitem", name="Run as a Job").click()
    page.get_by_text("How it runs").click(timeout=LAB_MS)
    save = page.get_by_role("button", name="Save", exact=True)
    expect(save).to_be_disabled()
    page.get_by_label("Priority").select_option("high")
    page.get_by_label("Stop an attempt after").fill("0.1")
    page.get_by_label("Try again").fill("1")
    shot(page, "job-terms")
    page.get_by_label("Stop an attempt after").fill("1000")
    save.click()
    expect(page.get_by_role("alert")).to_contain_text("may run for 60000 s makes no sense")
    page.get_by_label("Stop an attempt after").fill("0.1")
    save.click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_text("it failed, and is tried again in 1 s").first).to_be_visible(
        timeout=LAB_MS
    )
    shot(page, "job-again")
    expect(page.get_by_role("alert")).to_contain_text(
        "notebooks.run ran longer than 6 s and was stopped", timeout=LAB_MS
    )
    expect(page.get_by_text("2, tried again 1 of 1 times")).to_be_visible()
    shot(page, "job-late")


def test_on_a_schedule(lab: Lab, studio: Studio) -> None:
    """From the notebook's menu to a schedule that begins jobs; paused, and deleted."""
    lab.write("daily.ipynb", "print('good morning')")
    page = lab.page
    page.goto(f"{lab.origin}/user/{lab.label}/lab?reset")
    page.locator('.jp-SideBar .lm-TabBar-tab[title^="File Browser"]').click()
    page.locator(".jp-DirListing-item", has_text="daily.ipynb").click(button="right")
    page.get_by_role("menuitem", name="Run on a Schedule").click()
    expect(page.get_by_role("heading", name="New schedule")).to_be_visible(timeout=30_000)
    page.get_by_label("How often").select_option("every week")
    page.get_by_label("On", exact=True).select_option("Friday")
    page.get_by_label("At", exact=True).fill("07:15")
    page.get_by_label("On the clock of").select_option("UTC")
    shot(page, "schedule-new")
    page.get_by_role("button", name="Schedule", exact=True).click()
    expect(page.get_by_role("heading", name="Schedule: Run: daily.ipynb")).to_be_visible()
    expect(page.get_by_text("every Friday at 07:15, on the clock of UTC")).to_be_visible()
    shot(page, "schedule")
    found = json.loads(
        studio.run("pipelines", "list-schedules", "--project", lab.project, "--json").stdout
    )
    (made,) = [each for each in found["items"] if each["name"] == "Run: daily.ipynb"]
    assert (made["cron"], made["timezone"]) == ("15 7 * * 5", "UTC")
    assert made["request"] == {"notebook": "daily.ipynb"}
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("not while it is paused")).to_be_visible()
    page.keyboard.press("Alt+Shift+S")
    section = page.locator('#nexus-studio-panel [data-section="schedules"]')
    section.get_by_role("button", name="Schedules").click()
    expect(section.get_by_text("Run: daily.ipynb")).to_be_visible()
    expect(section.get_by_text("paused").first).to_be_visible()
    shot(page, "schedule-paused")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.get_by_text("The schedule is deleted")).to_be_visible()
    expect(section.get_by_text("Run: daily.ipynb")).to_have_count(0)
