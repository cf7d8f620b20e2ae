"""Signing in with an identity provider: a real one (npm's oidc-provider), beside local accounts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from filelock import FileLock

import workbench
from workbench.core import Actor, Context, Engines, Invalid, Unavailable, call_here, load_settings
from workbench.core.events import tail
from workbench.core.store import stores
from workbench.hub.oidc import Provider, apply_groups, name_of
from workbench.hub.processes import free_ports
from workbench.hub.proxy import node
from workbench.hub.welcome import issue
from workbench.projects import resolve
from workbench.security import grant, role_of
from workbench.security.people import find_person
from workbench.security.sessions import confirmation, find

VERSION = "9.13.3"
GOOD = "correct horse battery"
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)

PROVIDER = """
import { readFileSync } from "node:fs";
import { Provider } from "oidc-provider";
const [port, callback, people] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: "studio", client_secret: "known to both", redirect_uris: [callback] }],
  pkce: { required: () => true },
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email"] },
  conformIdTokenClaims: true,
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, ...JSON.parse(readFileSync(people, "utf8"))[id] }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
"""

SERVE = """
import asyncio, json, sys
from jupyterhub.app import JupyterHub
from traitlets.config import Config
from workbench.hub.accounts import StudioAuthenticator
from workbench.hub.config import HERE

async def main(home, port, told):
    c = Config()
    c.JupyterHub.bind_url = c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}"
    c.JupyterHub.db_url = f"sqlite:///{home}/hub.sqlite"
    c.JupyterHub.cookie_secret = bytes(32)
    c.JupyterHub.template_paths = [str(HERE / "templates")]
    c.JupyterHub.authenticator_class = StudioAuthenticator
    c.StudioAuthenticator.home = home
    c.StudioAuthenticator.update(told)
    c.ConfigurableHTTPProxy.auth_token = "of nobody"
    hub = JupyterHub(config=c)
    await hub.initialize([])
    hub.tornado_application.listen(port, "127.0.0.1")
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
"""


@dataclass
class Pair:
    """A hub and a provider that run."""

    url: str
    issuer: str
    home: Path
    project: str
    engines: Engines

    def knows(self, subject: str, **claims: Any) -> None:
        """What the provider says of somebody from now on."""
        file = self.home / "people.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {subject: claims}))

    def is_fresh(self, tab: httpx.Client) -> bool:
        session = confirmation(tab.cookies.get("jupyterhub-session-id") or "")
        now = datetime.now(UTC)
        return find(self.engines.get(stores), session, "confirmed", now) is not None

    def role(self, name: str) -> str | None:
        return role_of(self.engines.get(stores), Actor(name=name), self.project)


class Browser(httpx.Client):
    """Follows redirects by hand, and signs in wherever the provider asks."""

    def through(self, address: str, subject: str) -> httpx.Response:
        """Open an address; the answer of the hub, once the provider has sent the browser back."""
        answer = self.get(address)
        for _ in range(12):
            here = str(answer.url)
            if answer.is_redirect:
                target = urljoin(here, answer.headers["location"])
                if urlsplit(here).path == "/hub/oidc/callback":
                    return answer
                answer = self.get(target)
            elif found := re.search(r'<form[^>]*action="([^"]+)"', answer.text):
                if urlsplit(here).path.startswith("/hub/"):
                    return answer
                login = 'name="login"' in answer.text
                fields = {"prompt": "login", "login": subject, "password": "any"}
                answer = self.post(
                    urljoin(here, found[1]), data=fields if login else {"prompt": "consent"}
                )
            else:
                return answer
        raise AssertionError(f"no end of redirects at {answer.url}")


@pytest.fixture
def tab() -> Iterator[Browser]:
    with Browser(headers={"Sec-Fetch-Mode": "navigate"}, timeout=30) as one:
        yield one


@pytest.fixture
def another() -> Iterator[Browser]:
    with Browser(headers={"Sec-Fetch-Mode": "navigate"}, timeout=30) as one:
        yield one


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Pair]:
    workbench.load_rooms()
    home = tmp_path_factory.mktemp("home")
    hub_port, port = free_ports(2)
    url, issuer = f"http://127.0.0.1:{hub_port}", f"http://127.0.0.1:{port}"
    (home / "people.json").write_text("{}")
    (home / "keys").mkdir()
    (home / "keys" / "oidc").write_text("known to both\n")
    engines = Engines(load_settings(home=home))
    project = resolve(engines, Actor(name="ada"), None)
    told = {
        "oidc_issuer": issuer,
        "oidc_client_id": "studio",
        "oidc_name": "The Works",
        "oidc_callback": f"{url}/hub/oidc/callback",
        "oidc_groups": {"analysts": [[project, "editor"]], "all": [[project, "viewer"]]},
        "oidc_admins": ["chiefs"],
        "oidc_allowed": ["all"],
    }
    script = installed(request.config) / "provider.mjs"
    script.write_text(PROVIDER)
    commands = (
        [str(node()), str(script), str(port), told["oidc_callback"], str(home / "people.json")],
        [sys.executable, "-c", SERVE, str(home), str(hub_port), json.dumps(told)],
    )
    running = []
    try:
        for command in commands:
            log = home / f"log-{len(running)}"
            with log.open("w") as out:
                child = subprocess.Popen(
                    command, cwd=home, stdout=subprocess.PIPE, stderr=out, text=True
                )
            running.append(child)
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n", log.read_text()
        yield Pair(url, issuer, home, project, engines)
    finally:
        for child in running:
            child.terminate()
            child.communicate()
        engines.close()


def installed(config: pytest.Config) -> Path:
    """A folder with the provider in it, installed by npm once."""
    assert config.cache is not None
    folder = Path(config.cache.mkdir(f"oidc-provider-{VERSION}"))
    binary = node()
    npm = binary.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    with FileLock(folder / "lock"):
        if (folder / "done").exists():
            return folder
        if os.environ.get("WORKBENCH_TEST_OFFLINE"):
            pytest.skip("WORKBENCH_TEST_OFFLINE is set, and npm's oidc-provider is not here")
        command = [str(binary), str(npm), "install", "--prefix", str(folder), "--no-audit"]
        command += ["--no-fund", "--loglevel=error", f"oidc-provider@{VERSION}"]
        path = f"{binary.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        done = subprocess.run(
            command,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, (
            f"npm could not install oidc-provider (WORKBENCH_TEST_OFFLINE=1 skips): {done.stderr}"
        )
        (folder / "done").touch()
    return folder


def said(page: httpx.Response) -> str:
    found = re.search(r"<h1>(.*?)</h1>", page.text, re.S)
    return found[1].strip() if found else ""


def local_account(pair: Pair, tab: Browser, name: str) -> None:
    token = issue(pair.home, name, admin=False, now=datetime.now(UTC))
    page = tab.get(f"{pair.url}/hub/welcome", params={"token": token})
    xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
    assert xsrf is not None
    fields = {"_xsrf": xsrf[1], "token": token, "name": name, "password": GOOD, "again": GOOD}
    assert tab.post(f"{pair.url}/hub/welcome", data=fields).status_code == 302


def start(pair: Pair, **asked: str) -> str:
    return str(httpx.URL(f"{pair.url}/hub/oidc/login", params=asked))


def test_somebody_signs_in_with_the_provider(pair: Pair, tab: Browser) -> None:
    pair.knows("s-1", preferred_username="Grace Hopper", groups=["all", "analysts"])
    page = tab.get(f"{pair.url}/hub/login", params={"next": "/services/studio/"})
    assert "Sign in with The Works" in page.text
    link = re.search(r'id="provider"[^>]*href="([^"]+)"', page.text)
    assert link is not None
    done = tab.through(f"{pair.url}{link[1].replace('&amp;', '&')}", "s-1")
    assert done.headers["location"] == "/services/studio/", said(done)
    assert "grace-hopper" in tab.get(f"{pair.url}/hub/change-password").text
    assert not pair.is_fresh(tab)
    person = find_person(pair.engines.get(stores), "grace-hopper")
    assert person is not None
    assert (person.admin, person.projects) == (False, 1)
    assert pair.role("grace-hopper") == "editor"


def test_a_subject_keeps_its_name_and_loses_what_no_group_backs(pair: Pair, tab: Browser) -> None:
    pair.knows("s-2", email="lise@works.example", groups=["all", "analysts", "chiefs"])
    tab.through(start(pair), "s-2")
    assert tab.get(f"{pair.url}/hub/admin").status_code == 200
    pair.knows("s-2", preferred_username="renamed", groups=["all"])
    tab.through(start(pair), "s-2")
    assert "lise" in tab.get(f"{pair.url}/hub/change-password").text
    assert tab.get(f"{pair.url}/hub/admin").status_code == 403
    person = find_person(pair.engines.get(stores), "lise")
    assert person is not None
    assert not person.admin
    assert pair.role("lise") == "viewer"
    assert find_person(pair.engines.get(stores), "renamed") is None


@pytest.mark.parametrize("subject", ["s-ada", "s-emmy", "s-prj"])
def test_nobody_takes_over_an_account(
    pair: Pair, tab: Browser, another: Browser, subject: str
) -> None:
    """A local account's name, a name with roles but no account, a project's."""
    name = {"s-ada": "ada", "s-emmy": "emmy", "s-prj": "prj_1"}[subject]
    if name == "emmy":
        local_account(pair, another, name)
    pair.knows(subject, preferred_username=name, groups=["all"])
    done = tab.through(start(pair), subject)
    assert (done.status_code, said(done)) == (
        403,
        f"The name {name} belongs to another account of this Studio.",
    )
    assert tab.get(f"{pair.url}/hub/change-password").status_code == 302


def test_a_second_subject_does_not_get_the_first_ones_name(
    pair: Pair, tab: Browser, another: Browser
) -> None:
    for one, subject, status in ((tab, "s-3", 302), (another, "s-4", 403)):
        pair.knows(subject, preferred_username="marie", groups=["all"])
        assert one.through(start(pair), subject).status_code == status


def test_local_accounts_stay_beside_it(pair: Pair, tab: Browser) -> None:
    local_account(pair, tab, "local")
    assert "local" in tab.get(f"{pair.url}/hub/change-password").text


@pytest.mark.parametrize(
    ("claims", "part"),
    [
        ({"preferred_username": "outsider", "groups": ["others"]}, "groups at The Works do not"),
        ({"preferred_username": "outsider"}, "groups at The Works do not"),
        ({"preferred_username": "!", "groups": ["all"]}, "You cannot be called"),
        ({"groups": ["all"]}, "You cannot be called"),
    ],
)
def test_who_may_not_come_in_is_told_why(
    pair: Pair, tab: Browser, claims: dict[str, Any], part: str
) -> None:
    pair.knows("s-5", **claims)
    done = tab.through(start(pair), "s-5")
    assert (done.status_code, part in said(done)) == (403, True), said(done)


def test_who_is_shut_out_stays_out(pair: Pair, tab: Browser) -> None:
    pair.knows("s-6", preferred_username="shut", groups=["all"])
    tab.through(start(pair), "s-6")
    boss = Context(Actor(name="boss", admin=True, fresh=True), "", pair.engines)
    call_here(boss, "security.deactivate_person", {"name": "shut"})
    tab.cookies.clear()
    done = tab.through(start(pair), "s-6")
    assert done.status_code == 403
    assert "The account shut is not active" in done.text


def test_a_sign_in_of_another_browser_is_worth_nothing(
    pair: Pair, tab: Browser, another: Browser
) -> None:
    pair.knows("s-7", preferred_username="stolen", groups=["all"])
    began = tab.get(start(pair)).headers["location"]
    state = parse_qs(urlsplit(began).query)["state"][0]
    for one, told in ((another, state), (tab, "W10="), (tab, "")):
        back = one.get(f"{pair.url}/hub/oidc/callback", params={"code": "any", "state": told})
        assert (back.status_code, said(back)) == (
            403,
            "This sign-in was not begun in this browser.",
        )


def test_a_wrong_code_lets_nobody_in(pair: Pair, tab: Browser) -> None:
    began = tab.get(start(pair)).headers["location"]
    state = parse_qs(urlsplit(began).query)["state"][0]
    back = tab.get(f"{pair.url}/hub/oidc/callback", params={"code": "any", "state": state})
    assert back.status_code == 403
    assert said(back).endswith(" did not let this sign-in through.")


def test_who_proves_it_again_at_the_provider_is_fresh(pair: Pair, tab: Browser) -> None:
    pair.knows("s-8", preferred_username="sure", groups=["all"])
    tab.through(start(pair), "s-8")
    page = tab.get(f"{pair.url}/hub/confirm", params={"next": "/services/studio/x"})
    assert 'type="password"' not in page.text
    link = re.search(r'href="([^"]+oidc/login[^"]+)"', page.text)
    assert link is not None
    done = tab.through(f"{pair.url}{link[1].replace('&amp;', '&')}", "s-8")
    assert done.headers["location"] == "/services/studio/x"
    assert pair.is_fresh(tab)


def test_nobody_is_sent_to_another_host(pair: Pair, tab: Browser) -> None:
    pair.knows("s-9", preferred_username="sent", groups=["all"])
    for elsewhere in ("https://evil.example/", "//evil.example", r"/\evil.example"):
        done = tab.through(start(pair, next=elsewhere), "s-9")
        assert re.match(r"/(?![/\\])", done.headers["location"]), elsewhere


async def test_a_provider_that_is_not_there_is_told(pair: Pair, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    secret = pair.home / "keys" / "oidc"
    for issuer, file, part in (
        (f"http://127.0.0.1:{port}", secret, "does not answer"),
        (pair.issuer.replace("127.0.0.1", "localhost"), secret, "describes the issuer"),
        (pair.issuer, tmp_path / "none", "no file 'none'"),
    ):
        with pytest.raises(Unavailable, match=part):
            await Provider(issuer, "studio", file, "").client()
    with pytest.raises(Invalid, match="oidc_issuer cannot be"):
        Provider("http://works.example", "studio", secret, "")


@pytest.mark.parametrize(
    ("told", "name"),
    [("Ada", "ada"), ("ada@works", "ada"), ("../x", "x"), ("a" * 40, "a" * 32), ("Ω", "")],
)
def test_names_take_our_form(told: str, name: str) -> None:
    assert name_of({"preferred_username": told}) == name


def test_groups_give_and_take_roles(ctx: Context) -> None:
    mapping = {"all": [(ctx.project, "viewer")], "team": [("default", "editor"), ("none", "owner")]}

    def apply(name: str, *groups: str) -> str | None:
        with ctx.store.begin() as tx:
            assert apply_groups(tx, name, groups, mapping, NOW) == ["none"]
        return role_of(ctx.store, Actor(name=name), ctx.project)

    assert apply("grace") is None
    assert apply("grace", "all") == "viewer"
    assert apply("grace", "team", "all") == "editor"
    before = len(tail(ctx.store))
    assert apply("grace", "all", "team") == "editor"
    assert len(tail(ctx.store)) == before
    assert apply("grace", "all") == "viewer"
    assert apply("grace", "unheard") is None
    events = [one for one in tail(ctx.store) if one.action == "security.apply_groups"]
    assert [one.refs["role"] for one in events] == ["viewer", "editor", "viewer", None]
    assert {one.project for one in events} == {ctx.project}


def test_groups_leave_alone_what_is_not_theirs(ctx: Context) -> None:
    mapping = {"team": [(ctx.project, "viewer")]}
    with ctx.store.begin() as tx:
        grant(tx, ctx.project, "person:grace", "editor")
    for name, role in (("grace", "editor"), ("ada", "owner")):
        for groups in ([], ["team"]):
            with ctx.store.begin() as tx:
                apply_groups(tx, name, groups, mapping, NOW)
            assert role_of(ctx.store, Actor(name=name), ctx.project) == role
