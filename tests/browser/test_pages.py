"""Every page of the Studio in light, in dark and in a narrow window, with real content on it.

What a machine can see of a page is asked of each: it answers, it has one heading, its fields have
names, its text can be read (axe), the focus is seen, nothing scrolls sideways, no script
complains. With `WORKBENCH_SHOTS` (a folder) a picture of each is kept, for people.
"""

import base64
import io
import os
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.hostile.conftest import PASSWORD, invited, label, made
from tests.hostile.members import Inside, Member, come_in
from workbench.core import Engines, load_settings
from workbench.core.store import stores
from workbench.security import sessions

from .conftest import Studio
from .lab import LAB_MS, lab_is_ready

pytestmark = [pytest.mark.browser, pytest.mark.soak]
SHOTS = os.environ.get("WORKBENCH_SHOTS", "")
AXE = Path(__file__).parents[2] / "extensions/node_modules/axe-core/axe.min.js"
STUDIO = "services/studio/"
WAIT_S = 120
RULES = """async within => {
  const found = await axe.run(within, {
    iframes: false, resultTypes: ['violations'],
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'],
  });
  return found.violations.flatMap(each => each.nodes.map(
    node => `${each.id}: ${node.target} ${node.any.map(any => any.message)}`));
}"""
FOCUS = """() => {
  const at = document.activeElement, drawn = getComputedStyle(at);
  const lined = drawn.outlineStyle !== 'none' && parseFloat(drawn.outlineWidth) > 0;
  return at !== document.body && lined;
}"""

PAGES = {
    # name: who looks, at which address, what it answers
    "front": ("olga", "services/studio/", 200),
    "front-administrator": ("ada", "services/studio/", 200),
    "join": ("new", "services/studio/join?token={token}", 200),
    "join-used": ("vic", "services/studio/join?token={used}", 200),
    "account": ("olga", "services/studio/account", 200),
    "admin-people": ("ada", "services/studio/people", 200),
    "admin-projects": ("ada", "services/studio/admin/projects?measure=yes", 200),
    "admin-servers": ("ada", "services/studio/admin/servers", 200),
    "admin-jobs": ("ada", "services/studio/admin/jobs", 200),
    "admin-health": ("ada", "services/studio/admin/health?id={trace}", 200),
    "overview": ("olga", "{project}", 200),
    "overview-editor": ("ed", "{project}", 200),
    "overview-viewer": ("vic", "{project}", 200),
    "overview-empty": ("ed", "{empty}", 200),
    "people": ("olga", "{project}/people", 200),
    "people-viewer": ("vic", "{project}/people", 200),
    "settings": ("olga", "{project}/settings", 200),
    "settings-administrator": ("ada", "{empty}/settings", 200),
    "settings-viewer": ("vic", "{project}/settings", 200),
    "jobs": ("olga", "{project}/jobs", 200),
    "record": ("vic", "{project}/record", 200),
    "history": ("vic", "{project}/history", 200),
    "commit": ("vic", "{project}/history/{commit}", 200),
    "product": ("vic", "{project}/products/{product}", 200),
    "model": ("ed", "{project}/models/{model}", 200),
    "model-viewer": ("vic", "{project}/models/{model}", 200),
    "report": ("vic", "{project}/reports/{report}", 200),
    "notebook": ("ed", "{project}/notebooks/study.ipynb", 200),
    "notebook-viewer": ("vic", "{project}/notebooks/study.ipynb", 200),
    "notebook-then": ("vic", "{project}/notebooks/study.ipynb?commit={first}", 200),
    "notebook-broken": ("vic", "{project}/notebooks/broken.ipynb", 200),
    "problem": ("vic", "services/studio/projects/one/two/three", 404),
    "forbidden": ("vic", "services/studio/admin/health", 403),
    "hub-sign-in": ("nobody", "hub/login", 200),
    "hub-join": ("nobody", "hub/join?token={token}", 200),
    "hub-welcome": ("nobody", "{welcome}", 200),
    "hub-change-password": ("olga", "hub/change-password", 200),
    "hub-second-factor": ("olga", "hub/second-factor", 200),
    "hub-confirm": ("olga", "hub/confirm?next=%2Fservices%2Fstudio%2F", 200),
    "hub-home": ("olga", "hub/home", 200),
    "hub-error": ("olga", "hub/nothing-here", 404),
}
"""What somebody can come to by an address."""


@dataclass
class Team:
    """People who are signed in, and the words that addresses are made of."""

    url: str
    words: dict[str, str]
    pages: dict[str, Page]
    complaints: list[str] = field(default_factory=list)

    def address(self, path: str) -> str:
        filled = path.format(**self.words)
        return filled if filled.startswith("http") else f"{self.url}{filled}"


def chart(values: list[float]) -> str:
    """A picture a notebook would have drawn."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.4), layout="constrained")
    axes = figure.subplots()
    axes.hist(values, bins=24, color="#0f6b6f")
    axes.set_xlabel("income, thousands")
    axes.set_ylabel("loans")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    return base64.b64encode(drawn.getvalue()).decode()


def notebook(rate: str, *, table: str) -> dict[str, Any]:
    """A notebook as it is when it was run: words, a picture, a table as HTML."""
    import pandas

    loans = pandas.read_csv(io.StringIO(table))
    regions = loans.groupby("region").size().to_frame("loans")
    shown: list[tuple[str, dict[str, str]]] = [
        ("import pandas\nloans = pandas.read_csv('loans.csv')", {}),
        ("loans.income.hist(bins=24)", {"image/png": chart(list(loans.income))}),
        (
            "loans.groupby('region').size().to_frame('loans')",
            {"text/html": regions.to_html(border=0), "text/plain": str(regions)},
        ),
        (f"limit = {rate}\nlimit", {"text/plain": rate}),
    ]
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "markdown",
            "id": "cell-0",
            "metadata": {},
            "source": "# Who gets a loan\nWhat the income says, and what it does **not** say.",
        }
    ]
    for number, (source, data) in enumerate(shown, 1):
        output = {
            "output_type": "execute_result",
            "data": data,
            "metadata": {},
            "execution_count": number,
        }
        cells.append(
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "source": source,
                "outputs": [output] if data else [],
                "execution_count": number,
            }
        )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def loans(chance: random.Random) -> str:
    """A table whose approval follows the income, and the sex a little."""
    lines = ["income,years,region,sex,approved"]
    for _ in range(500):
        income, sex = round(chance.gauss(30, 8), 1), chance.choice(["female", "male"])
        score = (income - 30) / 8 + (0.6 if sex == "male" else 0) + chance.gauss(0, 0.7)
        region = chance.choice(["north", "south", "coast"])
        said = "yes" if score > 0 else "no"
        lines.append(f"{income},{chance.randint(0, 30)},{region},{sex},{said}")
    return "\n".join(lines)


def finished(member: Member, project: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
    """A job, when it has ended."""
    headers = {"x-workbench-project": project}
    asked = member.call("POST", path, json=request, headers=headers).raise_for_status().json()
    until = time.monotonic() + WAIT_S
    while True:
        job = member.call("GET", f"pipelines/jobs/{asked['id']}", headers=headers).json()
        if job["state"] not in ("queued", "running"):
            return dict(job)
        assert time.monotonic() < until, job
        time.sleep(0.3)


def worked(olga: Member, inside: Inside, project: str) -> dict[str, str]:
    """What a project has after a while: data, a model, a report, a failure, history, talk."""
    headers = {"x-workbench-project": project}

    def ask(path: str, **request: Any) -> Any:
        return olga.call("POST", path, json=request, headers=headers).raise_for_status().json()

    def save(name: str, **body: Any) -> None:
        inside.ask("PUT", f"api/contents/{name}", json=body).raise_for_status()

    table = loans(random.Random(7))
    save("loans.csv", type="file", format="text", content=table)
    product = ask(
        "data:register",
        source="loans.csv",
        description="Loans of one village, made for a test.",
        sensitive=["sex"],
    )["id"]
    lesson = {"product": product, "target": "approved", "estimator": "logistic"}
    trained = finished(olga, project, "models:train", lesson)
    model = trained["result"]["model"]
    failed = finished(
        olga, project, "models:train", {**lesson, "exclude": ["income", "years", "region", "sex"]}
    )
    assert (trained["state"], failed["state"]) == ("done", "failed"), failed
    report = finished(olga, project, "ethics:assess", {"model": model})["result"]["report"]
    repeated = {"action": "models.train", "request": lesson, "timezone": "Europe/Berlin"}
    ask("pipelines/schedules", **repeated, cron="30 6 * * 1-5", name="Train: approved")
    paused = ask("pipelines/schedules", **repeated, cron="0 7 1 * *", name="Train: each month")
    ask("pipelines:pause_schedule", id=paused["id"])

    save("broken.ipynb", type="file", format="text", content="not json")
    terminal = inside.terminal()
    commits = []
    for rate, why in (("0.1", "A first look at the incomes"), ("0.2", "A wider limit")):
        save("study.ipynb", type="notebook", format="json", content=notebook(rate, table=table))
        terminal.run(f"git add study.ipynb; git commit -qm '{why}'")
        commits.append(terminal.run("git rev-parse HEAD").strip())
    terminal.close()
    anchor = {"document": "study.ipynb", "part": "cell-2"}
    thread = ask("comments/comments", text="Is the step at 40 real, @ed?", anchor=anchor)
    ask("comments/comments", text="With 500 rows it may be chance.", reply_to=thread["thread"])
    return {
        "product": product,
        "model": model,
        "report": report,
        "first": commits[0],
        "commit": commits[1],
    }


def offered(owner: Member, project: str, role: str) -> str:
    """An invitation that nobody has used yet."""
    headers = {"x-workbench-project": project}
    made = owner.call("POST", "projects:invite", json={"role": role}, headers=headers)
    return str(made.raise_for_status().json()["link"]).partition("token=")[2]


@pytest.fixture(scope="module")
def team(studio: Studio, browser: Browser) -> Iterator[Team]:
    people = {"ada": Member(studio.url, "ada", studio.password)}
    for name in ("olga", "ed", "vic", "new"):
        come_in(studio.new_link(name), name, PASSWORD, stay=False)
        people[name] = Member(studio.url, name, PASSWORD)
    olga = people["olga"]
    asked = {"name": "loans", "title": "Loans of the village", "description": "Who gets one."}
    project = str(olga.call("POST", "projects/projects", json=asked).json()["id"])
    invited(olga, project, people["ed"], "editor")
    used = offered(olga, project, "viewer")
    people["vic"].call("POST", "projects:join", json={"token": used}).raise_for_status()
    empty = made(people["ed"], "draft")
    invited(people["ed"], empty, people["ada"], "viewer")
    inside = olga.enter(
        studio.url.rstrip("/").replace("://", f"://{label(project)}.", 1), label(project)
    )
    words = worked(olga, inside, project) | {
        "project": f"{STUDIO}projects/{project}",
        "empty": f"{STUDIO}projects/{empty}",
        "token": offered(olga, project, "editor"),
        "used": used,
        "welcome": studio.new_link("somebody"),
        "trace": traced(people["vic"]),
    }
    for member in people.values():
        member.close()
    contexts = {name: browser.new_context(reduced_motion="reduce") for name in (*people, "nobody")}
    found = Team(studio.url, words, {})
    for name, context in contexts.items():
        page = found.pages[name] = context.new_page()
        page.on("console", lambda said: found.complaints.extend(complaint(said)))
        page.on("pageerror", lambda error: found.complaints.append(str(error)))
        if name != "nobody":
            page.goto(f"{studio.url}hub/login?next=%2Fservices%2Fstudio%2Faccount")
            page.get_by_label("Name").fill(name)
            page.get_by_label("Password", exact=True).fill(
                studio.password if name == "ada" else PASSWORD
            )
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("heading", level=1)).to_be_visible()
    yield found
    for context in contexts.values():
        context.close()


def traced(member: Member) -> str:
    """The id that a page quotes when something is wrong."""
    told = member.http.get(f"{member.url}{STUDIO}projects/prj_nothing").text
    found = re.search(r"trc_\w+", told)
    assert found, told[:500]
    return found[0]


def complaint(said: ConsoleMessage) -> list[str]:
    """What a script complains about; what a page or its frame answers is theirs to say."""
    expected = re.search(r"status of 40[0134]", said.text)
    return [said.text] if said.type in ("error", "warning") and not expected else []


def looked_at(page: Page, name: str, scheme: str) -> list[str]:
    """What is wrong with the page that is shown; keeps a picture if a folder is named."""
    wrong = [f"{scheme}: {each}" for each in rules(page)]
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}-{scheme}.png", full_page=True)
    return wrong


def rules(page: Page, within: str = "html") -> list[str]:
    """What axe has against a part of the page."""
    page.evaluate(AXE.read_text())
    return list(page.evaluate(RULES, within))


def narrow(page: Page, name: str) -> list[str]:
    """What does not fit into the window of a phone."""
    page.set_viewport_size({"width": 390, "height": 844})
    wide = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}-narrow.png", full_page=True)
    return [f"narrow: {wide} px do not fit"] if wide > 0 else []


def shape(page: Page) -> list[str]:
    """Whether a reader of screens and a keyboard find their way."""
    wrong = []
    if page.locator("html[lang]").count() != 1:
        wrong.append("no language")
    if (headings := page.locator("h1:visible").count()) != 1:
        wrong.append(f"{headings} first headings")
    page.keyboard.press("Tab")
    if not page.evaluate(FOCUS):
        wrong.append("the focus is not seen")
    return wrong


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_shown_to_anybody(team: Team, name: str) -> None:
    who, path, status = PAGES[name]
    page = team.pages[who]
    team.complaints.clear()
    page.set_viewport_size({"width": 1280, "height": 860})
    page.emulate_media(color_scheme="light")
    answer = page.goto(team.address(path))
    assert answer is not None and answer.status == status
    if name.startswith("notebook"):
        broken = name.endswith("broken")
        told = "is no notebook that can be read" if broken else "Who gets a loan"
        frame = page.frame_locator("iframe.notebook")
        expect(frame.get_by_text(told)).to_be_visible(timeout=30_000)
        expect(frame.locator("img")).to_have_count(0 if broken else 1)
    wrong = looked_at(page, name, "light")
    page.emulate_media(color_scheme="dark")
    if name.startswith("hub-"):
        page.reload()  # the hub's pages choose when they are loaded
    wrong += looked_at(page, name, "dark") + narrow(page, name) + shape(page)
    assert wrong + team.complaints == []


def test_a_page_of_somebody_who_has_to_prove_who_they_are(studio: Studio, team: Team) -> None:
    page = team.pages["olga"]
    page.set_viewport_size({"width": 1280, "height": 860})
    page.emulate_media(color_scheme="light")
    page.goto(team.address("{project}/people"))
    engines = Engines(load_settings(home=studio.home))
    with engines.get(stores).begin() as tx:
        assert sessions.end(tx, person="olga", kind="confirmed") > 0
    engines.close()
    team.complaints.clear()
    page.get_by_role("button", name="Make the invitation").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    wrong = looked_at(page, "confirm", "light")
    page.emulate_media(color_scheme="dark")
    assert wrong + looked_at(page, "confirm", "dark") + narrow(page, "confirm") == []

    page.set_viewport_size({"width": 1280, "height": 860})
    page.emulate_media(color_scheme="light")
    page.goto(team.address("{project}/people"))
    page.context.clear_cookies()
    page.get_by_role("button", name="Make the invitation").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    wrong = looked_at(page, "signed-out", "light")
    page.emulate_media(color_scheme="dark")
    wrong += looked_at(page, "signed-out", "dark") + narrow(page, "signed-out")
    assert wrong + team.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_panels_of_the_lab_follow_the_browser(
    studio: Studio, team: Team, browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    with browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    ) as context:
        page = context.new_page()
        studio.sign_in(page, "ed", PASSWORD)
        page.wait_for_url(re.compile(r"/(user|services)/"))
        page.goto(team.address("{project}"))
        page.get_by_role("link", name="Open in JupyterLab").click()
        lab_is_ready(page)
        page.goto(re.sub(r"/lab.*", "/lab/tree/study.ipynb?reset", page.url))
        lab_is_ready(page)
        light = str(scheme == "light").lower()
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", light)
        expect(page.locator(".jp-NotebookPanel img")).to_be_visible(timeout=LAB_MS)
        page.get_by_role("tab", name=re.compile("^Comments")).click()
        expect(page.get_by_role("article").filter(has_text="Is the step")).to_be_visible()
        wrong = rules(page, "#nexus-studio-comments")
        shot(page, f"lab-comments-{scheme}")

        panel = page.locator("#nexus-studio-panel")
        panel.get_by_role("button", name=re.compile("loans-approved")).first.click()
        model = page.locator(".jp-MainAreaWidget:not(.lm-mod-hidden) .nx-Page")
        expect(model.locator(".nx-Verdict")).to_be_visible(timeout=LAB_MS)
        release = model.get_by_role("heading", name="Release")
        expect(release).to_be_visible(timeout=LAB_MS)
        shot(page, f"lab-model-{scheme}")
        release.scroll_into_view_if_needed()
        expect(model.get_by_text("has no fairness report")).to_have_count(0)
        wrong += rules(page, "#nexus-studio-panel")
        wrong += rules(page, ".jp-MainAreaWidget:not(.lm-mod-hidden) .nx-Page")
        shot(page, f"lab-release-{scheme}")
        assert wrong == []


def shot(page: Page, name: str) -> None:
    """Keep a picture of the window, if a folder is named."""
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")
