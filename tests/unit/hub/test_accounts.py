"""The pages of accounts, in a hub that runs: signing in, invitations, second factor, confirming."""

import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import workbench
from workbench.core import Actor, Context, Engines, Store, call_here, load_settings
from workbench.core.store import stores
from workbench.hub.passwords import STEP_S, code_at
from workbench.hub.processes import free_ports
from workbench.hub.welcome import issue
from workbench.projects import resolve
from workbench.security.people import find_person
from workbench.security.sessions import confirmation, end, find

SERVE = """
import asyncio, sys
from jupyterhub.app import JupyterHub
from traitlets.config import Config
from workbench.hub.accounts import StudioAuthenticator
from workbench.hub.config import HERE

async def main(home, port):
    c = Config()
    c.JupyterHub.bind_url = c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}"
    c.JupyterHub.db_url = f"sqlite:///{home}/hub.sqlite"
    c.JupyterHub.cookie_secret = bytes(32)
    c.JupyterHub.template_paths = [str(HERE / "templates")]
    c.JupyterHub.authenticator_class = StudioAuthenticator
    c.StudioAuthenticator.home = home
    c.StudioAuthenticator.auth_refresh_age = 1
    c.ConfigurableHTTPProxy.auth_token = "of nobody"
    hub = JupyterHub(config=c)
    await hub.initialize([])
    hub.tornado_application.listen(port, "127.0.0.1")
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""
GOOD = "correct horse battery"


@dataclass
class Hub:
    """A hub that runs, and what stands behind it."""

    url: str
    home: Path
    log: Path
    engines: Engines
    browsers: list[httpx.Client] = field(default_factory=list)

    def browser(self) -> httpx.Client:
        """A browser that nobody is signed in with."""
        new = httpx.Client(base_url=self.url, headers={"Sec-Fetch-Mode": "navigate"})
        self.browsers.append(new)
        return new

    def made(self, name: str) -> httpx.Client:
        """A browser somebody new is signed in with."""
        browser = self.browser()
        token = issue(self.home, name, admin=False, now=datetime.now(UTC))
        page = browser.get("/hub/welcome", params={"token": token})
        done = post(browser, page, name=name, password=GOOD, again=GOOD)
        assert done.headers["location"] == "/hub/spawn", done.text
        return browser

    def sign_in(
        self, name: str, password: str = GOOD, **more: str
    ) -> "tuple[httpx.Client, httpx.Response]":
        browser = self.browser()
        page = browser.get("/hub/login", params=more)
        return browser, post(browser, page, username=name, password=password)

    @property
    def store(self) -> Store:
        return self.engines.get(stores)

    def is_fresh(self, browser: httpx.Client, name: str) -> bool:
        """Whether the Studio takes this browser for one whose person has just proved it."""
        session = browser.cookies.get("jupyterhub-session-id") or ""
        found = find(self.store, confirmation(session), "confirmed", datetime.now(UTC))
        return found is not None and found.person == name

    def set_active(self, name: str, active: bool) -> None:
        """What an administrator does in the Studio."""
        boss = Context(Actor(name="boss", admin=True, fresh=True), "", self.engines)
        verb = "activate" if active else "deactivate"
        call_here(boss, f"security.{verb}_person", {"name": name})

    def with_factor(self, name: str) -> "tuple[httpx.Client, str]":
        """Somebody new who has turned a second factor on, and its secret."""
        browser = self.made(name)
        page = browser.get("/hub/second-factor")
        secret = re.search(r'id="secret"[^>]*>([A-Z2-7 ]+)<', page.text)[1].replace(" ", "")
        done = post(browser, page, password=GOOD, code=now_code(secret))
        assert done.headers["location"] == "/hub/second-factor?changed=1", said(done)
        return browser, secret

    def invitation(self, person: str = "", owner: str = "ada") -> str:
        """The token of a new invitation."""
        actor = Actor(name=owner, fresh=True)
        project = resolve(self.engines, actor, None)
        made = call_here(
            Context(actor, project, self.engines), "projects.invite", {"person": person}
        )
        return parse_qs(urlsplit(made.link).query)["token"][0]

    def forget_codes(self) -> None:
        """Let codes that were used count again, so that no test waits for the next one."""
        with closing(sqlite3.connect(self.home / "hub.sqlite")) as database, database:
            database.execute("UPDATE studio_second_factors SET last_step = 0")


@pytest.fixture
def hub(running: Hub) -> Iterator[Hub]:
    yield running
    while running.browsers:
        running.browsers.pop().close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    workbench.load_rooms()
    home = tmp_path_factory.mktemp("home")
    (port,) = free_ports(1)
    log = home / "hub.log"
    with log.open("w") as out:
        child = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(home), str(port)],
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
        )
        engines = Engines(load_settings(home=home))
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n", log.read_text()
            yield Hub(f"http://127.0.0.1:{port}", home, log, engines)
        finally:
            child.terminate()
            child.communicate()
            engines.close()


def post(browser: httpx.Client, page: httpx.Response, **fields: str) -> httpx.Response:
    """Send the page's form, with what stands in its hidden fields."""
    assert page.status_code < 500, page.text
    action = re.search(r'<form[^>]*action="([^"]+)"', page.text)
    assert action, page.text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    return browser.post(action[1].replace("&amp;", "&"), data=hidden | fields)


def said(page: httpx.Response) -> str:
    """What a page says is wrong."""
    found = re.search(r'role="alert">(.*?)</', page.text, re.S)
    return found[1].strip() if found else ""


def now_code(secret: str) -> str:
    return code_at(secret, int(time.time() // STEP_S))


def test_a_sign_in_is_noted(hub: Hub) -> None:
    hub.made("noted")
    person = find_person(hub.store, "noted")
    assert person is not None
    assert person.made_at is not None
    assert not person.admin
    _, done = hub.sign_in("noted", next="/services/studio/")
    assert (done.status_code, done.headers["location"]) == (302, "/services/studio/")


def test_the_first_administrator_is_noted_as_one(hub: Hub) -> None:
    token = issue(hub.home, "first", admin=True, now=datetime.now(UTC))
    browser = hub.browser()
    post(
        browser,
        browser.get("/hub/welcome", params={"token": token}),
        password=GOOD,
        again=GOOD,
        name="chief",
    )
    assert find_person(hub.store, "chief").admin
    assert browser.get("/hub/admin").status_code == 200


@pytest.mark.parametrize("name", ["noted2", "nobody"])
def test_a_wrong_password_and_a_wrong_name_are_told_alike(hub: Hub, name: str) -> None:
    if name == "noted2":
        hub.made(name)
    browser, done = hub.sign_in(name, "wrong password")
    assert (done.status_code, said(done)) == (
        403,
        "This name and this password do not belong together.",
    )
    assert browser.get("/hub/change-password").status_code == 302


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example"]
)
def test_nobody_is_sent_to_another_host(hub: Hub, elsewhere: str) -> None:
    name = f"sent{abs(hash(elsewhere)) % 1000}"
    hub.made(name)
    browser, done = hub.sign_in(name, next=elsewhere)
    target = urlsplit(done.headers["location"])
    assert target.netloc == ""
    assert not done.headers["location"].startswith(("//", "/\\"))
    page = browser.get("/hub/confirm", params={"next": elsewhere})
    there = urlsplit(post(browser, page, password=GOOD).headers["location"])
    assert (there.scheme, there.netloc) == ("", "")


def test_five_wrong_passwords_are_followed_by_a_pause(hub: Hub) -> None:
    hub.made("paused")
    with ThreadPoolExecutor(9) as pool:
        tried = list(pool.map(lambda n: hub.sign_in("paused", f"wrong {n}")[1], range(9)))
    assert sorted(done.status_code for done in tried) == [403] * 5 + [429] * 4
    _, done = hub.sign_in("paused")
    assert done.status_code == 429
    assert "try again in 5 minutes" in said(done)


def test_who_is_shut_out_is_told_so_and_stays_out(hub: Hub) -> None:
    hub.made("shut")
    hub.set_active("shut", False)
    browser, done = hub.sign_in("shut")
    assert (done.status_code, said(done)) == (
        403,
        "The account shut is not active. An administrator can let it in again.",
    )
    assert browser.get("/hub/change-password").status_code == 302
    _, wrong = hub.sign_in("shut", "not the password")
    assert "not active" not in said(wrong)
    token = issue(hub.home, "shut", admin=False, now=datetime.now(UTC))
    page = browser.get("/hub/welcome", params={"token": token})
    assert post(browser, page, password=GOOD, again=GOOD).status_code == 403
    hub.set_active("shut", True)
    assert hub.sign_in("shut")[1].status_code == 302


def test_who_is_shut_out_is_signed_out_soon(hub: Hub) -> None:
    browser = hub.made("open")
    assert browser.get("/hub/change-password").status_code == 200
    hub.set_active("open", False)
    until = time.monotonic() + 20
    while browser.get("/hub/change-password").status_code == 200:
        assert time.monotonic() < until
    assert urlsplit(browser.get("/hub/change-password").headers["location"]).path == "/hub/login"


def test_who_is_no_administrator_any_more_is_none_in_the_studio(hub: Hub) -> None:
    token = issue(hub.home, "first", admin=True, now=datetime.now(UTC))
    browser = hub.browser()
    page = browser.get("/hub/welcome", params={"token": token})
    post(browser, page, password=GOOD, again=GOOD, name="once-chief")
    key = re.search(r'"_xsrf" value="([^"]+)"', browser.get("/hub/change-password").text)[1]
    asked = {"url": "/hub/api/users/once-chief", "headers": {"X-XSRFToken": key}}
    assert browser.patch(**asked, json={"admin": False}).status_code == 200
    until = time.monotonic() + 20
    while find_person(hub.store, "once-chief").admin:
        browser.get("/hub/change-password")
        assert time.monotonic() < until


# Invitations


def test_a_stranger_with_an_invitation_makes_an_account(hub: Hub) -> None:
    token, browser = hub.invitation(), hub.browser()
    page = browser.get("/hub/join", params={"token": token})
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "ada invites you" in page.text
    done = post(browser, page, name="Emmy", password=GOOD, again=GOOD)
    assert done.headers["location"] == f"/services/studio/join?token={token}"
    assert browser.get("/hub/change-password").status_code == 200
    assert find_person(hub.store, "emmy").made_at is not None


def test_an_invitation_makes_one_account(hub: Hub) -> None:
    token = hub.invitation()
    for name, status in (("one", 302), ("two", 400)):
        browser = hub.browser()
        page = browser.get("/hub/join", params={"token": token})
        done = post(browser, page, name=name, password=GOOD, again=GOOD)
        assert done.status_code == status
    assert said(done) == "With this invitation the account one was made: sign in with it."
    assert hub.sign_in("two")[1].status_code == 403


@pytest.mark.parametrize("same", ["invitation", "name"])
def test_of_four_at_once_one_account_is_made(hub: Hub, same: str) -> None:
    tokens = [hub.invitation()] * 4 if same == "invitation" else [hub.invitation() for _ in "four"]
    names = ["racer"] * 4 if same == "name" else [f"runner{n}" for n in range(4)]
    browsers = [hub.browser() for _ in tokens]
    pages = [
        browser.get("/hub/join", params={"token": token})
        for browser, token in zip(browsers, tokens, strict=True)
    ]

    def make(n: int) -> int:
        own = f"{GOOD} {n}"
        return post(browsers[n], pages[n], name=names[n], password=own, again=own).status_code

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(4)))
    assert sorted(made) == [302, 400, 400, 400]
    right = [hub.sign_in(names[n], f"{GOOD} {n}")[1].status_code for n in range(4)]
    assert right == [302 if status == 302 else 403 for status in made]


def test_a_deleted_account_takes_its_second_factor_along(hub: Hub) -> None:
    hub.with_factor("gone")
    token = issue(hub.home, "first", admin=True, now=datetime.now(UTC))
    chief = hub.browser()
    page = chief.get("/hub/welcome", params={"token": token})
    post(chief, page, password=GOOD, again=GOOD, name="remover")
    key = re.search(r'"_xsrf" value="([^"]+)"', chief.get("/hub/change-password").text)[1]
    gone = chief.delete("/hub/api/users/gone", headers={"X-XSRFToken": key})
    assert gone.status_code == 204
    browser, page = hub.sign_in("gone")
    assert page.status_code == 403
    again = issue(hub.home, "gone", admin=False, now=datetime.now(UTC))
    page = browser.get("/hub/welcome", params={"token": again})
    assert post(browser, page, password=GOOD, again=GOOD).headers["location"] == "/hub/spawn"


def test_a_named_invitation_is_for_that_name_only(hub: Hub) -> None:
    token, browser = hub.invitation("lise"), hub.browser()
    page = browser.get("/hub/join", params={"token": token})
    assert "readonly" in page.text
    post(browser, page, name="mallory", password=GOOD, again=GOOD)
    assert hub.sign_in("lise")[1].status_code == 302
    assert hub.sign_in("mallory")[1].status_code == 403


@pytest.mark.parametrize("taken", ["has-one", "ada", "prj_01abc", "prj-01abc", "only-a-user"])
def test_no_name_is_taken_over(hub: Hub, taken: str) -> None:
    """An account's, somebody's who has roles here but no account, a project's, a provider's."""
    if taken == "has-one":
        hub.made(taken)
    token, browser = hub.invitation(), hub.browser()
    if taken == "only-a-user":
        with closing(sqlite3.connect(hub.home / "hub.sqlite")) as database, database:
            database.execute(
                "INSERT INTO users (name, admin, cookie_id) VALUES (?, 0, ?)", [taken, taken]
            )
    page = browser.get("/hub/join", params={"token": token})
    done = post(browser, page, name=taken, password="another password", again="another password")
    assert (done.status_code, said(done)[:18]) == (400, "There is an accoun")
    assert hub.sign_in(taken, "another password")[1].status_code == 403


def test_an_invited_account_signs_in_and_no_address_in_the_log_has_the_token(hub: Hub) -> None:
    hub.made("known")
    token, browser = hub.invitation("known"), hub.browser()
    page = browser.get("/hub/join", params={"token": token})
    assert "There is an account known already" in page.text
    assert "join_submit" not in page.text
    link = re.search(r'id="join_sign_in"[^>]*href="([^"]+)"', page.text)[1].replace("&amp;", "&")
    assert token not in link
    signed = post(browser, browser.get(link), username="known", password=GOOD)
    assert signed.headers["location"] == "/hub/join"
    there = browser.get("/hub/join").headers["location"]
    assert there == f"/services/studio/join?token={token}"
    assert token.partition(".")[2] not in hub.log.read_text()
    assert "workbench-invitation" not in browser.cookies


@pytest.mark.parametrize("token", ["", "inv_1.00", "nothing"])
def test_what_is_no_invitation_is_told(hub: Hub, token: str) -> None:
    page = hub.browser().get("/hub/join", params={"token": token})
    assert page.status_code == 403
    assert "no invitation of this Studio" in page.text


def test_what_is_wrong_with_a_new_account_is_told(hub: Hub) -> None:
    token, browser = hub.invitation(), hub.browser()
    page = browser.get("/hub/join", params={"token": token})
    for name, again, part in (
        ("fine", "else", "not the same"),
        ("Not fine", GOOD, "Nobody can be called"),
    ):
        page = post(browser, page, name=name, password=GOOD, again=again)
        assert (page.status_code, part in said(page)) == (400, True)
    assert post(browser, page, name="fine", password=GOOD, again=GOOD).status_code == 302


def test_a_form_of_another_site_makes_no_account(hub: Hub) -> None:
    token, browser = hub.invitation(), hub.browser()
    fields = {"token": token, "name": "forged", "password": GOOD, "again": GOOD}
    assert browser.post("/hub/join", data=fields).status_code == 403
    assert hub.sign_in("forged")[1].status_code == 403


# The second factor


def test_a_second_factor_is_asked_for_after_the_password(hub: Hub) -> None:
    _, secret = hub.with_factor("twice")
    browser, page = hub.sign_in("twice", next="/services/studio/")
    assert (page.status_code, "one-time-code" in page.text) == (200, True)
    assert browser.get("/hub/change-password").status_code == 302
    wrong = post(browser, page, code="000000")
    assert (wrong.status_code, said(wrong)[:22]) == (403, "This code is not right")
    hub.forget_codes()
    done = post(browser, wrong, code=now_code(secret))
    assert done.headers["location"] == "/services/studio/"
    assert browser.get("/hub/change-password").status_code == 200


def test_a_code_works_once(hub: Hub) -> None:
    _, secret = hub.with_factor("once")
    hub.forget_codes()
    code = now_code(secret)
    for status in (302, 403):
        browser, page = hub.sign_in("once")
        assert post(browser, page, code=code).status_code == status


def test_a_right_password_does_not_make_up_for_wrong_codes(hub: Hub) -> None:
    _, secret = hub.with_factor("guessed")
    tried = []
    for _ in range(6):
        browser, page = hub.sign_in("guessed")
        tried.append(
            post(browser, page, code="000000").status_code if page.status_code == 200 else 429
        )
    assert tried == [403] * 5 + [429]
    hub.forget_codes()
    assert post(browser, browser.get("/hub/login"), code=now_code(secret)).status_code in (403, 429)


def test_half_a_sign_in_ends_with_the_password(hub: Hub) -> None:
    mine, secret = hub.with_factor("halfway")
    browser, page = hub.sign_in("halfway")
    hub.forget_codes()
    form = mine.get("/hub/change-password")
    changed = post(
        mine, form, old=GOOD, code=now_code(secret), password=GOOD + "!", again=GOOD + "!"
    )
    assert changed.status_code == 302, said(changed)
    hub.forget_codes()
    late = post(browser, page, code=now_code(secret))
    assert (late.status_code, said(late)[:18]) == (403, "That took too long")


def test_an_api_token_needs_the_code_too(hub: Hub) -> None:
    _, secret = hub.with_factor("scripted")
    hub.forget_codes()
    auth = {"username": "scripted", "password": GOOD}
    ask = hub.browser()
    assert ask.post("/hub/api/users/scripted/tokens", json={"auth": auth}).status_code == 403
    auth["code"] = now_code(secret)
    assert ask.post("/hub/api/users/scripted/tokens", json={"auth": auth}).status_code == 201
    forged = {"username": "scripted", "proved": True}
    assert ask.post("/hub/api/users/scripted/tokens", json={"auth": forged}).status_code == 403


def test_a_second_factor_is_turned_off_with_password_and_code(hub: Hub) -> None:
    browser, secret = hub.with_factor("off")
    for fields in (
        {"password": GOOD, "code": "000000"},
        {"password": "no", "code": now_code(secret)},
    ):
        hub.forget_codes()
        assert post(browser, browser.get("/hub/second-factor"), **fields).status_code == 400
    hub.forget_codes()
    page = browser.get("/hub/second-factor")
    assert secret not in page.text.replace(" ", "")
    assert post(browser, page, password=GOOD, code=now_code(secret)).status_code == 302
    assert hub.sign_in("off")[1].status_code == 302


def test_it_is_turned_on_only_by_who_knows_the_password_and_with_a_secret_of_the_page(
    hub: Hub,
) -> None:
    browser, other = hub.made("on"), hub.made("other")
    page = browser.get("/hub/second-factor")
    secret = re.search(r'id="secret"[^>]*>([A-Z2-7 ]+)<', page.text)[1].replace(" ", "")
    assert post(browser, page, password="wrong", code=now_code(secret)).status_code == 400
    mine = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    planted = post(browser, page, password=GOOD, code=now_code(mine), pending=f"on {mine}")
    assert planted.status_code == 400
    theirs = re.search(r'name="pending" value="([^"]+)"', other.get("/hub/second-factor").text)[1]
    assert (
        post(browser, page, password=GOOD, code=now_code(secret), pending=theirs).status_code == 400
    )
    assert hub.sign_in("on")[1].status_code == 302


def test_a_link_for_a_new_password_keeps_the_second_factor(hub: Hub) -> None:
    _, secret = hub.with_factor("lost")
    token, browser = issue(hub.home, "lost", admin=False, now=datetime.now(UTC)), hub.browser()
    page = browser.get("/hub/welcome", params={"token": token})
    done = post(browser, page, password=GOOD + "?", again=GOOD + "?")
    assert done.headers["location"] == "/hub/login?username=lost"
    assert browser.get("/hub/change-password").status_code == 302
    hub.forget_codes()
    asked = post(browser, browser.get("/hub/login"), username="lost", password=GOOD + "?")
    assert post(browser, asked, code=now_code(secret)).status_code == 302


# Confirming


def test_who_confirms_goes_on_and_is_fresh_for_a_while(hub: Hub) -> None:
    browser = hub.made("sure")
    assert hub.is_fresh(browser, "sure")
    with hub.store.begin() as tx:
        end(tx, person="sure")
    page = browser.get("/hub/confirm", params={"next": "/services/studio/x?y=1"})
    wrong = post(browser, page, password="wrong")
    assert (wrong.status_code, hub.is_fresh(browser, "sure")) == (403, False)
    done = post(browser, wrong, password=GOOD)
    assert done.headers["location"] == "/services/studio/x?y=1"
    assert hub.is_fresh(browser, "sure")
    assert not hub.is_fresh(browser, "somebody-else")
    assert not hub.is_fresh(hub.sign_in("sure", "wrong")[0], "sure")


def test_confirming_asks_for_the_code_too(hub: Hub) -> None:
    browser, secret = hub.with_factor("surer")
    hub.forget_codes()
    page = browser.get("/hub/confirm", params={"next": "/x"})
    assert post(browser, page, password=GOOD).status_code == 403
    assert post(browser, page, password=GOOD, code=now_code(secret)).headers["location"] == "/x"


@pytest.mark.parametrize("page", ["confirm", "second-factor", "change-password"])
def test_a_stranger_is_sent_to_sign_in(hub: Hub, page: str) -> None:
    there = hub.browser().get(f"/hub/{page}").headers["location"]
    assert urlsplit(there).path == "/hub/login"
