"""Four people and a project: invited by link, working at once, a role that changes, an end."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .conftest import Studio
from .lab import lab_is_ready

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("WORKBENCH_SHOTS", "")
PASSWORD = "a-quite-long-passphrase"


@dataclass
class Person:
    """Somebody at a browser of their own."""

    name: str
    context: BrowserContext
    page: Page

    def shot(self, name: str) -> None:
        """Keep a picture of the page in light and in dark, if a folder is named."""
        if SHOTS:
            for scheme in ("light", "dark"):
                self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                self.page.screenshot(path=f"{SHOTS}/{name}-{scheme}.png")
            self.page.emulate_media(color_scheme="light")

    def choose_password(self, button: str) -> None:
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_label("Password again").fill(PASSWORD)
        self.page.get_by_role("button", name=button).click()


@pytest.fixture(scope="module")
def people(studio: Studio, browser: Browser) -> Iterator[dict[str, Person]]:
    """Ada, the administrator; Olga, who gets an account of her; Ed and Vic, whom Olga invites."""
    made = {}
    for name in ("ada", "olga", "ed", "vic"):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        made[name] = Person(name, context, context.new_page())
        made[name].page.on("dialog", lambda asked: asked.accept())
    yield made
    for person in made.values():
        person.context.close()


@pytest.fixture(scope="module")
def project(studio: Studio, people: dict[str, Person]) -> str:
    """Olga's project, by its page's address."""
    ada, olga = people["ada"], people["olga"]
    studio.sign_in(ada.page)
    lab_is_ready(ada.page)
    ada.page.goto(f"{studio.url}services/studio/people")
    ada.page.get_by_label("Name").fill("olga")
    ada.page.get_by_role("button", name="Make the link").click()
    ada.shot("people-link")
    olga.page.goto(ada.page.locator("input[readonly]").input_value())
    olga.choose_password("Open the Studio")
    lab_is_ready(olga.page)
    olga.page.goto(f"{studio.url}services/studio/")
    olga.shot("front")
    olga.page.get_by_label("Name").fill("churn")
    olga.page.get_by_label("Title").fill("Who leaves")
    olga.page.get_by_role("button", name="Make the project").click()
    olga.page.wait_for_url(re.compile(r"/projects/prj_\w+"))
    expect(olga.page.get_by_role("heading", name="Who leaves")).to_be_visible()
    olga.shot("project-empty")
    return olga.page.url.partition("?")[0]


def invite(owner: Person, project: str, role: str) -> str:
    """An invitation's link, made on the page where people are."""
    owner.page.goto(f"{project}/people")
    form = owner.page.locator(
        "form", has=owner.page.get_by_role("button", name="Make the invitation")
    )
    form.get_by_label("Role").select_option(role)
    owner.page.get_by_role("button", name="Make the invitation").click()
    shown = owner.page.locator("input[readonly]").first
    expect(shown).to_be_visible()
    return shown.input_value()


def join(person: Person, link: str) -> None:
    """Open an invitation without having an account: make one, and join."""
    person.page.goto(link)
    person.shot(f"join-{person.name}")
    person.page.get_by_label("Name").fill(person.name)
    person.choose_password("Make an account")
    person.shot(f"joining-{person.name}")
    person.page.get_by_role("button", name="Join").click()
    expect(person.page.get_by_role("heading", name="Who leaves")).to_be_visible()


def test_people_are_invited_by_link(people: dict[str, Person], project: str) -> None:
    olga, ed, vic = people["olga"], people["ed"], people["vic"]
    as_editor = invite(olga, project, "editor")
    olga.shot("people-invited")
    join(ed, as_editor)
    expect(ed.page.get_by_role("link", name="Open in JupyterLab")).to_be_visible()
    join(vic, invite(olga, project, "viewer"))
    expect(vic.page.get_by_role("link", name="Open in JupyterLab")).to_have_count(0)
    vic.shot("project-viewer")
    vic.page.goto(as_editor)
    expect(vic.page.get_by_text("used").first).to_be_visible()
    vic.shot("join-used")


def test_two_edit_a_notebook_at_once(people: dict[str, Person], project: str) -> None:
    olga, ed = people["olga"], people["ed"]
    for person in (olga, ed):
        person.page.goto(project)
        person.page.get_by_role("link", name="Open in JupyterLab").click()
        lab_is_ready(person.page)
        person.page.goto(re.sub(r"/lab.*", "/lab/tree/01-tour.ipynb", person.page.url))
        expect(person.page.locator(".jp-NotebookPanel .jp-Cell").first).to_be_visible(
            timeout=60_000
        )
    cells = {}
    for person, at in ((olga, 0), (ed, 2)):
        cell = person.page.locator(".jp-NotebookPanel .jp-Cell").nth(at)
        cell.dblclick()
        editor = cell.locator(".cm-content")
        expect(editor).to_be_visible()
        editor.click()
        person.page.keyboard.press("Control+End")
        cells[person.name] = at
    for word in ("one ", "two ", "three "):
        olga.page.keyboard.type(f"olga{word}")
        ed.page.keyboard.type(f"ed{word}")
    for person in (olga, ed):
        for said in ("olgaone olgatwo olgathree", "edone edtwo edthree"):
            text = person.page.locator(".jp-NotebookPanel").get_by_text(said)
            expect(text.filter(visible=True).first).to_be_visible(timeout=20_000)
    olga.shot("together")


def test_a_role_changes_while_somebody_looks(people: dict[str, Person], project: str) -> None:
    olga, ed = people["olga"], people["ed"]
    owner = olga.context.new_page()
    owner.goto(f"{project}/people")
    row = owner.get_by_role("row", name=re.compile(r"^ed\b"))
    row.get_by_role("combobox").select_option("viewer")
    row.get_by_role("button", name="Change").click()
    expect(owner.get_by_role("status").or_(owner.get_by_role("alert")).first).to_be_visible()
    asked = ed.page.evaluate(
        "fetch(location.pathname.split('/').slice(0, 3).join('/') + '/api/kernels')"
        ".then(r => r.status)"
    )
    assert asked == 403
    ed.page.reload()
    expect(ed.page).to_have_url(re.compile(r"/services/studio/projects/prj_"))
    expect(ed.page.get_by_text("viewer").first).to_be_visible()
    ed.shot("demoted")
    row = owner.get_by_role("row", name=re.compile(r"^ed\b"))
    row.get_by_role("combobox").select_option("editor")
    row.get_by_role("button", name="Change").click()
    owner.close()
    ed.page.reload()
    expect(ed.page.get_by_role("link", name="Open in JupyterLab")).to_be_visible()


def test_what_a_planted_script_can_do_to_an_administrator(
    studio: Studio, people: dict[str, Person], project: str
) -> None:
    """A script of a project runs on the project's origin; here in the administrator's browser."""
    ada = people["ada"]
    ada.page.goto(project)
    ada.page.get_by_role("link", name="Open in JupyterLab").click()
    lab_is_ready(ada.page)
    assert not ada.page.url.startswith(studio.url)
    tried = ada.page.evaluate(
        """async studio => {
          const said = {};
          const ask = async (name, url, init = {}) => {
            try {
              const answer = await fetch(url, {credentials: 'include', ...init});
              said[name] = answer.status;
            } catch (error) { said[name] = 'blocked'; }
          };
          const json = {method: 'POST', headers: {'content-type': 'application/json'}};
          await ask('hub', studio + 'hub/api/users');
          await ask('session', studio + 'services/studio/api/v1/session');
          await ask('invite from afar', studio + 'services/studio/api/v1/projects:invite',
                    {...json, body: '{"role": "owner"}'});
          await ask('invite from here', '/services/studio/api/v1/projects:invite',
                    {...json, body: '{"role": "owner"}'});
          await ask('people', '/services/studio/api/v1/security/people');
          await ask('new project', '/services/studio/api/v1/projects/projects',
                    {...json, body: '{"name": "mine"}'});
          await ask('pages', '/services/studio/people');
          const mine = await fetch('/services/studio/api/v1/session').then(r => r.json());
          said.projects = mine.projects.length;
          said.admin = mine.actor.admin;
          said.cookies = document.cookie.replace(/_xsrf=[^;]*/, '');
          return said;
        }""",
        studio.url,
    )
    assert tried == {
        "hub": "blocked",
        "session": "blocked",
        "invite from afar": "blocked",
        "invite from here": 403,
        "people": 403,
        "new project": 403,
        "pages": 404,
        "projects": 1,
        "admin": False,
        "cookies": "",
    }


def test_ownership_moves(people: dict[str, Person], project: str) -> None:
    olga, ed = people["olga"], people["ed"]
    olga.page.goto(f"{project}/people")
    form = olga.page.locator("form", has=olga.page.get_by_role("button", name="Give it away"))
    form.get_by_role("combobox").select_option("ed")
    form.get_by_role("button", name="Give it away").click()
    expect(olga.page.get_by_text("The project is ed's now.")).to_be_visible()
    ed.page.goto(f"{project}/people")
    expect(ed.page.get_by_role("button", name="Make the invitation")).to_be_visible()
    ed.shot("people-owner")


def test_an_account_is_closed(studio: Studio, people: dict[str, Person], project: str) -> None:
    ada, vic = people["ada"], people["vic"]
    vic.page.goto(project)
    ada.page.goto(f"{studio.url}services/studio/people")
    ada.shot("administration")
    row = ada.page.get_by_role("row", name=re.compile(r"^vic\b"))
    row.get_by_role("button").first.click()
    expect(ada.page.get_by_role("row", name=re.compile(r"^vic\b"))).to_contain_text(
        re.compile("shut out|inactive|closed|out", re.I)
    )
    vic.page.reload()
    expect(vic.page.get_by_text("may not use this Studio any more")).to_be_visible()
    vic.shot("closed")
