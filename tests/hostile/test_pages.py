"""In a real browser: markup in every name, and a page of another origin with a victim signed in."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import browser_type_launch_args
from tests.browser.lab import lab_is_ready
from tests.hostile.conftest import PASSWORD, Team, label, made
from tests.hostile.members import Member
from tests.hostile.records import differences, files, records

pytestmark = pytest.mark.browser
__all__ = ["browser_type_launch_args"]

IMAGE = '<img src="x" onerror="window.hurt=1">'
SCRIPT = "</script></title><script>window.hurt=1</script>"
TURNED = "abc\u202egnp.exe"
ATTRIBUTE = '" autofocus onfocus="window.hurt=1" x="'
NAMED = '<img src=x onerror="window.hurt=1">.ipynb'
MARKUP = {"image": IMAGE, "script": SCRIPT, "turned": TURNED, "attribute": ATTRIBUTE}
BREACH = """() => window.hurt || [...document.querySelectorAll(
  'img[src="x"], [onerror], [onfocus], script:not([src]):not([type="application/json"])')]
  .filter(each => each.outerHTML.includes('hurt')).length"""


@contextmanager
def signed_in(browser: Browser, team: Team, name: str) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(f"{team.url}hub/login?next=%2Fservices%2Fstudio%2Faccount")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading").first).to_be_visible()
        page.close()
        yield context


@pytest.fixture(scope="module")
def marked(team: Team) -> dict[str, str]:
    """A project whose every name is markup; what there is, by its address."""
    ask = partial(_ask, team.mallory)
    project = made(team.mallory, "marked-shop")
    own = {"x-workbench-project": project}
    for name, text in MARKUP.items():
        ask("projects/projects", {"name": f"m-{name}", "title": text, "description": text}, {})
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": "c1",
                "execution_count": 1,
                "metadata": {},
                "source": IMAGE,
                "outputs": [
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {"text/html": f"{IMAGE}<script>window.hurt=1</script>"},
                    }
                ],
            },
            {"cell_type": "markdown", "id": "c2", "metadata": {}, "source": f"# {IMAGE}\n{SCRIPT}"},
        ],
        "metadata": {"title": SCRIPT},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    inside = team.enter(team.mallory, project)
    terminal = inside.terminal()
    folder = team.home / "projects" / project / "files"
    for path in ("planted.ipynb", quote(NAMED)):
        asked = {"type": "notebook", "format": "json", "content": notebook}
        inside.ask("PUT", f"api/contents/{path}", json=asked).raise_for_status()
    assert (folder / "planted.ipynb").is_file()
    terminal.run('git init -q . 2>/dev/null; git add planted.ipynb "$(ls | grep onerror)"')
    terminal.run(f"git -c user.name='{IMAGE}' commit -q -m '{SCRIPT}' -m '{IMAGE}{TURNED}'")
    commit = terminal.run("git log -1 --format=%H").split()[-1]
    terminal.run("printf 'age,%s\\n1,2\\n3,4\\n' '<img src=x onerror=window.hurt=1>' > rows.csv")
    terminal.close()
    product = ask(
        "data:register", {"source": "rows.csv", "name": "rows", "description": IMAGE + SCRIPT}, own
    )
    for text in MARKUP.values():
        anchor = {"document": "planted.ipynb", "part": "c2"}
        ask("comments/comments", {"text": text, "anchor": anchor, "quote": text}, own)
    return {"project": project, "commit": commit, "product": product["id"]}


def _ask(
    member: Member, path: str, body: dict[str, Any], headers: dict[str, str]
) -> dict[str, Any]:
    answer = member.call("POST", path, json=body, headers=headers)
    return dict(answer.raise_for_status().json())


def unhurt(page: Page) -> None:
    """Nothing that somebody wrote became an element or ran, in the page or a frame of it."""
    for frame in page.frames:
        if "/view/" in frame.url:
            # A notebook's outputs may run there: in a sandbox, as nobody.
            assert frame.evaluate("() => window.origin") == "null", frame.url
            continue
        assert not frame.evaluate("() => window.hurt"), frame.url
    assert not page.evaluate(BREACH), page.url


def test_markup_is_shown_as_text(team: Team, browser: Browser, marked: dict[str, str]) -> None:
    project = marked["project"]
    at = f"projects/{project}"
    asked = []
    with signed_in(browser, team, "ada") as context:
        page = context.new_page()
        page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
        own = team.mallory.call("GET", "projects/projects", params={"limit": 100}).json()["items"]
        titled = [f"projects/{p['id']}" for p in own if p["name"].startswith("m-")]
        assert len(titled) == len(MARKUP)
        for path in (
            "", "account", "people", "admin/projects", "admin/jobs", "admin/servers",
            "admin/health", *titled, *(f"{each}/settings" for each in titled),
            *(f"{each}/people" for each in titled), at, f"{at}/people", f"{at}/settings",
            f"{at}/jobs", f"{at}/record", f"{at}/history",
            f"{at}/history/{marked['commit']}", f"{at}/products/{marked['product']}",
            f"{at}/notebooks/planted.ipynb", f"{at}/notebooks/{quote(NAMED)}",
            "join?token=" + "%3Cimg%20src%3Dx%20onerror%3Dwindow.hurt%3D1%3E",
            "nowhere/%3Cscript%3Ewindow.hurt=1%3C/script%3E",
        ):  # fmt: skip
            answer = page.goto(f"{team.url}services/studio/{path}")
            assert answer is not None
            assert answer.status < 500, path
            page.wait_for_timeout(200)
            unhurt(page)
        page.goto(f"{team.url}services/studio/{at}/notebooks/planted.ipynb")
        for text in (IMAGE, SCRIPT, TURNED, ATTRIBUTE):
            expect(page.get_by_text(text, exact=False).first).to_be_attached()
        page.goto(f"{team.url}services/studio/{at}/history")
        expect(page.get_by_text(SCRIPT).first).to_be_visible()
        for each, text in zip(titled, reversed(list(MARKUP.values())), strict=True):
            page.goto(f"{team.url}services/studio/{each}")
            assert page.get_by_role("heading").first.inner_text() in MARKUP.values(), text
    assert not asked


def test_markup_in_the_lab_is_text(team: Team, browser: Browser, marked: dict[str, str]) -> None:
    """The panel and the file browser; a planted output runs nothing until it is trusted."""
    with signed_in(browser, team, "ada") as context:
        page = context.new_page()
        page.goto(f"{team.url}services/studio/projects/{marked['project']}")
        page.get_by_role("link", name="Open in JupyterLab").click()
        lab_is_ready(page)
        page.goto(page.url.partition("/lab")[0] + "/lab/tree/planted.ipynb")
        lab_is_ready(page)
        expect(page.locator(".jp-NotebookPanel .jp-Cell").first).to_be_visible(timeout=60_000)
        # It names no kernel, so JupyterLab asks for one.
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible(timeout=60_000)
        dialog.get_by_role("button", name="No Kernel").click()
        expect(page.get_by_title("onerror").or_(page.get_by_text("onerror")).first).to_be_attached()
        tabs = page.locator(".jp-SideBar .lm-TabBar-tab")
        for index in range(tabs.count()):
            tabs.nth(index).click()
            page.wait_for_timeout(300)
            assert not page.evaluate("() => window.hurt"), tabs.nth(index).get_attribute("title")
        assert not page.evaluate("() => window.hurt")


def test_names_that_cannot_be_kept_are_refused(team: Team, marked: dict[str, str]) -> None:
    own = {"x-workbench-project": marked["project"]}
    anchor = {"document": "planted.ipynb", "part": ""}
    for path, body in (
        ("projects/projects", {"name": "n-nul", "title": "a\x00b"}),
        ("projects/projects", {"name": "n-large", "title": "x" * 10_240}),
        ("projects/projects", {"name": IMAGE}),
        ("comments/comments", {"text": "a\x00b", "anchor": anchor}),
        ("comments/comments", {"text": "x" * 102_400, "anchor": anchor}),
        ("data/connections", {"name": IMAGE, "url": "postgresql://db.example/x"}),
        ("data/connections", {"name": "x" * 10_240, "url": "postgresql://db.example/x"}),
        ("data:register", {"source": "rows.csv", "name": IMAGE}),
        ("data:register", {"source": "rows.csv", "name": "x" * 10_240}),
    ):
        answer = team.mallory.call("POST", path, json=body, headers=own)
        assert answer.status_code in (400, 429), (path, answer.status_code, answer.text[:200])
        assert answer.json()["hint"], path


FOREIGN = """<!doctype html><title>nice page</title><body><script>
async function attack(given) {
  const said = {};
  const wait = ms => new Promise(done => setTimeout(done, ms));
  for (const [method, url, body, kind] of given.fetches) {
    for (const mode of ['cors', 'no-cors']) {
      const init = {method, mode, credentials: 'include'};
      if (body) { init.body = body; init.headers = {'content-type': kind}; }
      try {
        const answer = await fetch(url, init);
        said[`${mode} ${method} ${url}`] = answer.type + answer.status;
      } catch (error) { said[`${mode} ${method} ${url}`] = 'blocked'; }
    }
  }
  for (const [url, fields] of given.forms) {
    const frame = document.createElement('iframe');
    frame.name = 'f' + Math.random();
    document.body.append(frame);
    const form = document.createElement('form');
    form.method = 'post'; form.action = url; form.target = frame.name;
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement('input');
      input.name = name; input.value = value; form.append(input);
    }
    document.body.append(form);
    const loaded = new Promise(done => frame.addEventListener('load', done, {once: true}));
    form.submit();
    await Promise.race([loaded, wait(4000)]);
  }
  for (const url of given.sockets) {
    said[url] = await new Promise(done => {
      const socket = new WebSocket(url);
      socket.onopen = () => { socket.send('["stdin", "touch hurt\\\\r"]'); done('open'); };
      socket.onerror = () => done('refused');
    });
  }
  for (const url of given.frames) {
    const frame = document.createElement('iframe');
    frame.src = url; document.body.append(frame);
    await Promise.race([new Promise(done => frame.addEventListener('load', done)), wait(4000)]);
    try { said['frame ' + url] = frame.contentDocument ? 'own' : 'closed'; }
    catch (error) { said['frame ' + url] = 'closed'; }
  }
  return said;
}
</script>"""


@pytest.fixture(scope="module")
def foreign() -> Iterator[int]:
    """The port of a site that serves one page."""

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(FOREIGN.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_page_of_another_site_changes_nothing(
    team: Team, browser: Browser, foreign: int, host: str
) -> None:
    """Another port of `localhost` is another origin of the same site: it gets Lax cookies along."""
    name, at = label(team.theirs), team.origin(team.theirs)
    inside = team.enter(team.mallory, team.theirs)
    studio, kind = f"{team.url}services/studio", "application/json"
    lab = f"{at}/user/{name}"
    bodies = [
        ("projects/projects", {"name": "from-afar"}),
        ("projects:invite", {"role": "owner"}),
        ("projects:set_role", {"person": "vera", "role": "owner"}),
        ("projects:archive_project", {"id": team.theirs}),
        ("security:deactivate_person", {"name": "alice"}),
        ("comments/comments", {"text": "x", "anchor": {"document": "x.ipynb"}}),
        ("operations:sweep", {}),
    ]
    fetches = [
        ["POST", f"{base}/api/v1/{path}?project={team.theirs}", json.dumps(body), sent]
        for base in (studio, f"{at}/services/studio")
        for path, body in bodies
        for sent in (kind, "text/plain")
    ]
    fetches += [
        ["DELETE", f"{studio}/api/v1/projects/projects/{team.theirs}?confirm=theirs", "", ""],
        ["POST", f"{lab}/api/terminals", "{}", "text/plain"],
        ["PUT", f"{lab}/api/contents/hurt.txt", '{"type": "file", "content": "x"}', kind],
        ["POST", f"{lab}/api/kernels", "{}", "text/plain"],
        ["DELETE", f"{lab}/api/contents/01-tour.ipynb", "", ""],
        ["POST", f"{lab}/api/shutdown", "", ""],
        ["POST", f"{team.url}hub/api/users/eve", "", ""],
        ["POST", f"{team.url}hub/api/groups/eve", "", ""],
        ["DELETE", f"{team.url}hub/api/users/alice", "", ""],
        ["POST", f"{team.url}hub/api/users/ada/tokens", "{}", "text/plain"],
        ["POST", f"{team.url}hub/api/shutdown", "{}", "text/plain"],
        ["POST", f"{team.url}services/dashboards/", "{}", "text/plain"],
        ["GET", f"{studio}/api/v1/session", "", ""],
        ["GET", f"{studio}/metrics", "", ""],
    ]  # fmt: skip
    people = f"{studio}/projects/{team.theirs}/people"
    forms = [
        [f"{studio}/", {"name": "from-afar", "title": "x"}],
        [f"{studio}/people", {"do": "deactivate", "person": "alice"}],
        [f"{studio}/people", {"do": "welcome", "name": "eve", "admin": "on"}],
        [people, {"do": "role", "person": "vera", "role": "owner"}],
        [f"{studio}/projects/{team.theirs}/settings", {"do": "archive"}],
        [f"{studio}/admin/servers", {"do": "stop", "id": team.theirs}],
        [f"{studio}/admin/health", {"do": "sweep"}],
        [f"{team.url}hub/change-password", {"old_password": PASSWORD, "new_password": "y" * 12}],
        [f"{team.url}hub/login", {"username": "mallory", "password": PASSWORD}],
        [f"{team.url}hub/confirm", {"password": PASSWORD}],
        [f"{lab}/api/terminals", {}],
        [f"{team.url}services/dashboards/", {"x": "y"}],
    ]  # fmt: skip
    sockets = [
        f"{lab}/terminals/websocket/1", f"{lab}/api/events/subscribe",
        f"{lab}/api/kernels/x/channels", f"{lab}/api/collaboration/room/json:notebook:x",
        f"{team.url}hub/api/events", f"{team.url}services/dashboards/reader/ws",
        f"{team.url}services/studio/api/v1/audit:follow",
    ]  # fmt: skip
    given = {
        "fetches": fetches,
        "forms": forms,
        "sockets": [each.replace("http", "ws", 1) for each in sockets],
        "frames": [f"{studio}/account", f"{studio}/people", f"{team.url}hub/login", f"{lab}/lab"],
    }
    with signed_in(browser, team, "ada") as context:
        page = context.new_page()
        page.goto(f"{at}/user/{name}/lab")
        lab_is_ready(page)
        # Who asks for no project by name gets their own, which is made when they first ask.
        assert context.request.get(f"{studio}/api/v1/session").ok
        there = partial(files, team.home, team.theirs)
        before, kept = records(team.home), there()
        running = [inside.ask("GET", p).json() for p in ("api/terminals", "api/kernels")]
        ids = [sorted(each.get("id", each.get("name", "")) for each in one) for one in running]
        evil = context.new_page()
        evil.goto(f"http://{host}:{foreign}/")
        said = evil.evaluate("given => attack(given)", given)
        told = {at: how for at, how in said.items() if how not in ("blocked", "refused", "closed")}
        assert all(how == "opaque0" for how in told.values()), told
        assert len(said) > 60
        assert differences(before, records(team.home)) == {}
        assert there() == kept
        running = [inside.ask("GET", p).json() for p in ("api/terminals", "api/kernels")]
        assert [
            sorted(each.get("id", each.get("name", "")) for each in one) for one in running
        ] == ids
        # Who was signed in still is, as themselves.
        mine = context.request.get(f"{studio}/api/v1/session").json()
        assert mine["actor"]["name"] == "ada"
