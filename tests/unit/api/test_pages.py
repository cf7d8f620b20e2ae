"""The Studio's pages as a browser without scripts meets them: forms, rights, hostile folders."""

import html
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from tests.unit.history.conftest import Repository
from workbench.api.entering import add_views
from workbench.api.pages import add_pages, notebooks, visiting
from workbench.core import (
    Actor,
    Context,
    Engines,
    NotFound,
    Unauthenticated,
    call_here,
)
from workbench.core.jobs import runner
from workbench.core.store import stores
from workbench.ethics.types import Report, reports
from workbench.history import reading
from workbench.models.ports import Run, registries
from workbench.models.types import Model, models
from workbench.pipelines import ledger
from workbench.projects import Project
from workbench.security import grant
from workbench.security.guard import Asker, check_origin, check_xsrf, xsrf_for

PREFIX = "/services/studio"
GOLDEN = Path(__file__).parents[2] / "golden"


class Browser:
    """A person's browser: follows forms as they stand in the page, redirects included."""

    def __init__(self, client: TestClient, cookie: str) -> None:
        self.client, self.cookie = client, cookie
        self.jar: dict[str, str] = {"who": cookie}

    def get(self, path: str = "", **given: Any) -> httpx.Response:
        return self._send("GET", path, **given)

    def post(self, path: str, **form: Any) -> httpx.Response:
        """Send a form of that page with its hidden fields, as the button of it would."""
        at, _, _ = path.partition("?")
        body = {"xsrf": xsrf_for(self.cookie), "key": os.urandom(8).hex(), **form}
        return self._send("POST", at, data=body, headers={"origin": "http://localhost:8000"})

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        where = path if path.startswith("/") else f"/{path}"
        headers = given.pop("headers", {}) | {
            "cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())
        }
        answer: httpx.Response = self.client.request(
            method, where, headers=headers, follow_redirects=False, **given
        )
        self.client.cookies.clear()
        for given_cookie in answer.headers.get_list("set-cookie"):
            name, _, value = given_cookie.partition(";")[0].partition("=")
            if "Max-Age=0" in given_cookie:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value.strip('"')
        if answer.status_code == 303:
            return self.get(answer.headers["location"].removeprefix(PREFIX))
        return answer


@pytest.fixture
def client(engines: Engines) -> Iterator[TestClient]:
    app = FastAPI()

    async def asker(request: Request) -> Asker:
        """As the service's own: `name`, `name:fresh`, `name:admin`, `name:fresh:admin`."""
        check_origin(request, engines.settings.names)
        cookie = request.cookies.get("who", "")
        if not cookie:
            raise Unauthenticated("You are not signed in.", hint="Sign in, then repeat.")
        name, *flags = cookie.split(":")
        actor = Actor(name=name, admin="admin" in flags, fresh="fresh" in flags)
        who = Asker(actor, cookie)
        check_xsrf(request.method, request.headers, who)
        return who

    add_pages(app, engines, asker, PREFIX)
    with TestClient(app, base_url="http://localhost:8000") as found:
        yield found


@pytest.fixture
def sign_in(client: TestClient) -> Callable[[str], Browser]:
    return lambda cookie: Browser(client, cookie)


@pytest.fixture
def ada(sign_in: Callable[[str], Browser]) -> Browser:
    return sign_in("ada:fresh")


@pytest.fixture
def project(engines: Engines) -> Project:
    """Ada's project, with a product, a model and a report."""
    ctx = Context(Actor(name="ada"), "", engines)
    made: Project = call_here(
        ctx, "projects.create_project", {"name": "loans", "title": "Loans & <b>more</b>"}
    )
    inside = Context(Actor(name="ada"), made.id, engines)
    source = "sql:SELECT range AS n, '<i>' || range AS name FROM range(120)"
    call_here(inside, "data.register", {"source": source, "name": "people"})
    model = Model.model_validate(json.loads((GOLDEN / "mdl-1.json").read_text()))
    report = Report.model_validate(json.loads((GOLDEN / "rpt-1.json").read_text()))
    with engines.get(stores).begin() as tx:
        models.put(tx, made.id, model)
        reports.put(tx, made.id, report)
    return made


def text(answer: httpx.Response) -> str:
    """What a person reads."""
    body = re.sub(r"<(head|script|style)\b.*?</\1>", " ", answer.text, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def member(ada: Browser, other: Browser, project: Project, role: str) -> None:
    """Let somebody in, by the link on the page."""
    made = ada.post(f"projects/{project.id}/people", do="invite", role=role, days="7")
    link = re.search(r'value="(http[^"]+/hub/join\?token=([^"]+))"', made.text)
    assert made.status_code == 200 and link, text(made)
    joined = other.post("join", token=link[2])
    assert joined.status_code == 200 and "You are in Loans" in text(joined)


def test_every_page_has_the_headers_and_names_of_people_are_text(
    ada: Browser, project: Project
) -> None:
    base = f"projects/{project.id}"
    for path in ("", base, f"{base}/people", f"{base}/settings", f"{base}/jobs", "account"):
        answer = ada.get(path)
        policy = answer.headers["content-security-policy"]
        assert answer.status_code == 200, text(answer)
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "<b>more" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        # Browsers send forms of a page without a referrer with the origin `null`.
        assert answer.headers["referrer-policy"] == "same-origin"
        assert 'href="#main"' in answer.text and "aria-live" in answer.text
        assert not re.search(r"<script(?![^>]* src=)|<[^>]+ style=|<[^>]+ on\w+=", answer.text)


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 401 and "/hub/login" in answer.text


def test_a_project_is_made_once_and_a_mistake_keeps_what_was_typed(ada: Browser) -> None:
    made = ada.post("", name="churn", title="Churn", description="Who leaves?")
    assert "The project Churn is made." in text(made)
    assert "is made" not in text(ada.get())  # a sentence is shown once
    wrong = ada.post("", name="Churn 2", title="Second")
    assert wrong.status_code == 400 and 'value="Second"' in wrong.text
    assert "for example churn-2" in text(wrong)
    again = {"name": "twice", "title": "", "description": "", "key": "the same form"}
    assert ada.post("", **again).url == ada.post("", **again).url
    assert text(ada.get()).count("twice") == 1
    assert "sent before" in text(ada.post("", **(again | {"name": "thrice"})))


@pytest.mark.parametrize("token", ["", "wrong", xsrf_for("bob")])
def test_a_form_without_the_sessions_token_changes_nothing(ada: Browser, token: str) -> None:
    answer = ada.post("", name="forged", xsrf=token)
    assert answer.status_code == 403 and "xsrf" in text(answer)
    assert "forged" not in text(ada.get())


def test_a_form_of_another_site_or_of_any_kind_changes_nothing(ada: Browser) -> None:
    body = {"xsrf": xsrf_for(ada.cookie), "name": "forged"}
    for origin in ("null", "http://evil.example", "http://prj-x.localhost:8000"):
        answer = ada._send("POST", "/", data=body, headers={"origin": origin})
        assert answer.status_code == 403
    assert ada._send("POST", "/", json=body).status_code == 400
    large = body | {"title": "x" * visiting.FORM_LIMIT}
    assert ada._send("POST", "/", data=large).status_code == 429
    assert "forged" not in text(ada.get())


def test_a_notice_is_believed_only_from_this_session(ada: Browser) -> None:
    theirs = visiting.sealed(Asker(Actor(name="eve"), "eve"), "Send your password to eve.")
    ada.jar[visiting.NOTICE] = theirs
    assert "eve" not in text(ada.get())


def test_an_invitation_lets_one_person_in_and_says_what_for(
    ada: Browser, sign_in: Callable[[str], Browser], project: Project
) -> None:
    bob, eve = sign_in("bob"), sign_in("eve")
    assert ada.get(f"projects/{project.id}").status_code == 200
    assert bob.get(f"projects/{project.id}").status_code == 403
    made = ada.post(f"projects/{project.id}/people", do="invite", role="viewer", days="7")
    link = re.search(r'/hub/join\?token=([^"]+)"', made.text)
    assert link and "Send this link" in text(made)
    shown = text(bob.get(f"join?token={link[1]}"))
    assert "ada invites you to Loans & <b>more</b>" in shown and "viewer" in shown
    assert "Loans" in text(bob.post("join", token=link[1]))
    late = eve.get(f"join?token={link[1]}")
    assert late.status_code == 403 and "used already" in text(late)
    assert "<button" not in late.text
    assert eve.post("join", token=link[1]).status_code == 403
    assert eve.get("join?token=inv_x.0").status_code == 403
    assert eve.get(f"projects/{project.id}").status_code == 403


def test_a_viewer_sees_everything_and_no_form_that_changes_it(
    ada: Browser, sign_in: Callable[[str], Browser], project: Project
) -> None:
    bob = sign_in("bob:fresh")
    member(ada, bob, project, "viewer")
    base = f"projects/{project.id}"
    for path in (base, f"{base}/people", f"{base}/settings", f"{base}/jobs", f"{base}/record"):
        answer = bob.get(path)
        assert answer.status_code == 200, text(answer)
        assert "/user/prj-" not in answer.text  # a viewer has no JupyterLab
        forms = re.findall(r'name="do" value="(\w+)"', answer.text)
        assert forms == (["remove"] if path.endswith("people") else [])  # to leave
    assert "ada" in text(bob.get(f"{base}/people"))
    assert "people 120 2 0" in text(bob.get(base))
    for form in (
        {"do": "invite", "role": "owner"},
        {"do": "set_role", "person": "bob", "role": "owner"},
        {"do": "remove", "person": "ada"},
        {"do": "transfer", "person": "bob"},
    ):
        refused = bob.post(f"{base}/people", **form)
        assert refused.status_code == 403 and 'role="alert"' in refused.text, form
    for form in (
        {"do": "archive"},
        {"do": "limits", "jobs": "9"},
        {"do": "delete", "confirm": "loans"},
    ):
        assert bob.post(f"{base}/settings", **form).status_code == 403, form
    assert "bob viewer" in text(ada.get(base))


def test_roles_are_changed_and_people_taken_out(
    ada: Browser, sign_in: Callable[[str], Browser], project: Project
) -> None:
    bob, place = sign_in("bob"), f"projects/{project.id}/people"
    member(ada, bob, project, "viewer")
    assert "bob is editor now." in text(ada.post(place, do="set_role", person="bob", role="editor"))
    assert "/user/prj-" in bob.get(f"projects/{project.id}").text
    only = ada.post(place, do="remove", person="ada")
    assert only.status_code == 412 and "only owner" in text(only)
    assert "is bob's now" in text(ada.post(place, do="transfer", person="bob"))
    back = sign_in("bob:fresh").post(place, do="remove", person="ada")
    assert "ada is not in this project any more" in text(back)
    assert ada.get(f"projects/{project.id}").status_code == 403


def test_an_open_invitation_is_shown_again_and_taken_back(ada: Browser, project: Project) -> None:
    place = f"projects/{project.id}/people"
    made = ada.post(place, do="invite", role="editor", person="bob", days="3")
    id = re.search(r"token=(inv_\w+)\.", made.text)
    assert id and "Only bob can use it" in text(made)
    assert "/hub/join?token=" not in ada.get(place).text
    assert "/hub/join?token=" in ada.get(f"{place}?invitation={id[1]}").text
    gone = ada.post(place, do="revoke", id=id[1])
    assert "lets nobody in" in text(gone) and "No invitation is open." in text(gone)


def test_what_needs_a_fresh_session_leads_to_the_confirmation_and_back(
    sign_in: Callable[[str], Browser], project: Project
) -> None:
    stale, place = sign_in("ada"), f"projects/{project.id}/people"
    answer = stale.post(place, do="invite", role="owner", person="bob", days="3")
    link = re.search(r'href="(/hub/confirm\?next=[^"]+)"', answer.text)
    assert answer.status_code == 403 and link
    there = httpx.URL(html.unescape(link[1])).params["next"]
    assert there.startswith("/") and not there.startswith("//")
    back = stale.get(there)
    assert '<option value="owner" selected>' in back.text and 'value="bob"' in back.text
    assert "No invitation is open." in text(back)
    settings = f"projects/{project.id}/settings"
    assert "/hub/confirm" in stale.post(settings, do="delete", confirm="loans").text
    assert stale.get(f"projects/{project.id}").status_code == 200


def test_limits_archive_and_deletion(
    ada: Browser, sign_in: Callable[[str], Browser], project: Project
) -> None:
    base = f"projects/{project.id}"
    place = f"{base}/settings"
    assert 'name="jobs"' not in ada.get(place).text  # an administrator says what is used
    assert ada.post(place, do="limits", jobs="3").status_code == 403
    root = sign_in("root1:admin")
    assert "limits are changed" in text(root.post(place, do="limits", jobs="3", cpus="1.5"))
    assert 'value="3"' in root.get(place).text and "Processors 1.5" in text(ada.get(place))
    wrong = root.post(place, do="limits", jobs="many")
    assert wrong.status_code == 400 and "'many' is not a number" in text(wrong)
    assert "is archived" in text(ada.post(place, do="archive"))
    front = ada.get()
    assert 'class="card archived"' in front.text and "/user/prj-" not in front.text
    assert "is open again" in text(ada.post(place, do="reopen"))
    assert "Products 1 Models 1 Reports 1" in text(ada.get(place))
    wrong = ada.post(place, do="delete", confirm="loan")
    assert wrong.status_code == 400 and "called 'loans'" in text(wrong)
    assert "is deleted" in text(ada.post(place, do="delete", confirm="loans"))
    assert ada.get(base).status_code in (403, 404)


def test_a_product_is_read_page_by_page(ada: Browser, project: Project) -> None:
    base = f"projects/{project.id}/products/people"
    first = ada.get(base)
    assert "Rows 1 to 50 of 120" in text(first) and "<i>7" not in first.text
    assert "<i>7" in text(first)  # as text
    assert "Rows 101 to 120 of 120" in text(ada.get(f"{base}?from=110"))
    assert "Rows 101 to 120 of 120" in text(ada.get(f"{base}?from=99999"))
    assert ada.get(f"{base}?from=-1").status_code == 400
    assert ada.get(f"{base}?show=nothing").status_code == 400
    assert "key: every value is different" in text(ada.get(f"{base}?show=profile"))
    assert "Made from" in text(ada.get(f"{base}?show=versions"))
    assert ada.get(f"projects/{project.id}/products/none").status_code == 404


def test_a_model_and_a_report_are_read_in_words(ada: Browser, project: Project) -> None:
    base = f"projects/{project.id}"
    model = json.loads((GOLDEN / "mdl-1.json").read_text())
    shown = text(ada.get(f"{base}/models/{model['id']}@{model['version']}"))
    assert model["verdict"] in shown and "How good it is" in shown and "(this model)" in shown
    assert re.search(r"\d \(\d[^)]* – \d[^)]*\)", shown)  # a figure with its interval
    report = json.loads((GOLDEN / "rpt-1.json").read_text())
    shown = text(ada.get(f"{base}/reports/{report['id']}"))
    assert report["method"] in shown and report["attributes"][0]["sentence"] in shown
    assert "{" not in shown and "None" not in shown


@pytest.fixture
def assessed(engines: Engines, project: Project, tmp_path: Path) -> Model:
    """A model that the registry keeps, with a report that holds."""
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "estimator.json").write_text("{}")
    given = json.loads((GOLDEN / "mdl-1.json").read_text())
    run = Run(project=project.id, name="loans", params={}, metrics={}, tags={})
    kept = engines.get(registries).record(run, tmp_path / "given")
    model = Model.model_validate(
        given | {"id": "mdl_kept", "name": "loans", "registered": kept.uri}
    )
    report = json.loads((GOLDEN / "rpt-1.json").read_text())
    passed = report | {"id": "rpt_passed", "model": model.ref, "verdict": "pass"}
    with engines.get(stores).begin() as tx:
        models.put(tx, project.id, model)
        reports.put(tx, project.id, Report.model_validate(passed))
    return model


def test_a_model_is_released_on_its_page_by_a_person_who_proved_it(
    ada: Browser, sign_in: Callable[[str], Browser], project: Project, assessed: Model
) -> None:
    place = f"projects/{project.id}/models/{assessed.ref}"
    shown = ada.get(place)
    assert "It may become production." in text(shown) and "the record names ada" in text(shown)
    assert f"/projects/{project.id}/reports/rpt_passed" in shown.text
    assert 'data-ask="Release loans version 0 to production?"' in shown.text

    asked = sign_in("ada").post(place, do="promote", alias="champion")
    link = re.search(r'href="(/hub/confirm\?next=[^"]+)"', asked.text)
    assert asked.status_code == 403 and link and "what is released" in text(asked)
    back = ada.get(httpx.URL(html.unescape(link[1])).params["next"])
    assert "<option selected>champion</option>" in back.text
    assert "Promote to champion" in text(back) and "It is champion" not in text(back)

    done = ada.post(place, do="promote", alias="champion")
    assert "loans version 0 is champion now." in text(done) and "It is champion." in text(done)
    assert 'name="do" value="promote"' not in done.text
    assert "ada models.promote done" in text(ada.get(f"projects/{project.id}/record"))

    # What lets it loose on nobody needs no proof.
    assert "is candidate now" in text(sign_in("ada").post(place, do="promote", alias="candidate"))
    assert ada.post(place, do="promote", alias="king").status_code == 400
    assert ada.get(f"{place}?alias=king").status_code == 400
    assert ada.post(place, do="sell").status_code == 400


def test_the_gate_and_the_role_stand_before_a_release(
    ada: Browser, sign_in: Callable[[str], Browser], project: Project, assessed: Model
) -> None:
    golden = json.loads((GOLDEN / "mdl-1.json").read_text())
    refused = f"projects/{project.id}/models/{golden['id']}@{golden['version']}"
    shown = ada.get(refused)
    report = json.loads((GOLDEN / "rpt-1.json").read_text())
    failing = [each["sentence"] for each in report["attributes"] if each["verdict"] != "pass"]
    assert "It may not become production yet." in text(shown)
    assert failing and all(each in text(shown) for each in failing)
    assert 'name="do" value="promote"' not in shown.text
    answer = ada.post(refused, do="promote", alias="production")
    assert answer.status_code == 412 and "may not become production" in text(answer)

    bob, place = sign_in("bob:fresh"), f"projects/{project.id}/models/{assessed.ref}"
    member(ada, bob, project, "viewer")
    assert 'name="do"' not in bob.get(place).text
    assert "Editors and owners" in text(bob.get(place))
    assert bob.post(place, do="promote", alias="production").status_code == 403
    assert ada.get(place, headers={}).text.count('name="xsrf"') == 1
    assert ada.post(place, do="promote", alias="production", xsrf="wrong").status_code == 403
    ada.post(f"projects/{project.id}/settings", do="archive")
    assert "The project is archived" in text(ada.get(place))
    assert 'name="do"' not in ada.get(place).text


def test_a_job_is_scheduled_paused_and_deleted(
    ada: Browser, engines: Engines, project: Project
) -> None:
    """By an editor, on the page of jobs; a viewer sees it."""
    place = f"projects/{project.id}/jobs"
    assert "Schedules" not in ada.get(place).text
    jobs, here = engines.get(runner), Context(Actor(name="ada"), project.id, engines)
    job = jobs.plan(here, "models.train", {"product": "prd_1", "target": "income"})
    with engines.get(stores).begin() as tx:
        jobs.put(tx, job)
        ledger.finish(tx, job.id, here.now(), "done", result={})
    asked = {"job": job.id, "cron": "30 6 * * 1-5", "timezone": "Europe/Berlin"}
    assert "is scheduled" in text(ada.post(place, do="schedule", **asked))
    shown = ada.get(place).text
    assert "Train: income" in shown and "30 6 * * 1-5" in shown and "Europe/Berlin" in shown
    (made,) = call_here(here.fresh(), "pipelines.list_schedules", {}).items
    assert (made.actor, made.request) == ("person:ada", job.request)
    wrong = ada.post(place, do="schedule", **{**asked, "cron": "each morning"})
    assert "each morning" in wrong.text and "no cron line" in wrong.text
    assert "paused" in text(ada.post(place, do="pause", schedule=made.id))
    assert "Resume" in ada.get(place).text
    assert "goes on" in text(ada.post(place, do="resume", schedule=made.id))
    assert "deleted" in text(ada.post(place, do="delete", schedule=made.id))
    assert call_here(here.fresh(), "pipelines.list_schedules", {}).items == []
    assert ada.post(place, do="explode").status_code == 400


def test_the_record_names_who_did_what(ada: Browser, project: Project) -> None:
    shown = text(ada.get(f"projects/{project.id}/record"))
    assert "ada data.register done" in shown
    assert ada.get(f"projects/{project.id}/record?after=x").status_code == 400


def test_an_administrator_is_an_owner_whatever_they_were_invited_as(
    engines: Engines, sign_in: Callable[[str], Browser], project: Project
) -> None:
    with engines.get(stores).begin() as tx:
        grant(tx, project.id, "person:root1", "viewer")
    root = sign_in("root1:fresh:admin")
    for path in ("", f"projects/{project.id}"):
        shown = text(root.get(path))
        assert "Loans" in shown
        assert "owner" in shown
        assert "viewer" not in shown.partition("Members")[0]
        assert "Open in JupyterLab" in shown


def test_the_administrators_page(sign_in: Callable[[str], Browser], project: Project) -> None:
    root = sign_in("root1:fresh:admin")
    assert sign_in("ada:fresh").get("people").status_code == 403
    assert sign_in("ada:fresh").post("people", do="deactivate", person="root1").status_code == 403
    assert "ada may come in" in text(root.get("people"))
    assert "Loans" in text(root.get("admin/projects?measure=yes"))
    assert "Loans" not in text(root.get())  # the front door is one's own projects
    assert "ada is shut out" in text(root.post("people", do="deactivate", person="ada"))
    assert sign_in("ada:fresh").get(f"projects/{project.id}").status_code == 403
    assert "may come in again" in text(root.post("people", do="activate", person="ada"))
    assert sign_in("ada:fresh").get(f"projects/{project.id}").status_code == 200
    assert (
        "/hub/confirm" in sign_in("root1:admin").post("people", do="deactivate", person="ada").text
    )


def test_the_account_ends_ones_own_sessions_only(
    ada: Browser, engines: Engines, project: Project
) -> None:
    from workbench.core.context import utc_now
    from workbench.security import sessions

    for person in ("ada", "eve"):
        sessions.issue(
            engines.get(stores),
            "person",
            person=person,
            project=project.id,
            agent=f"<u>Browser of {person}",
            now=utc_now(),
        )
    page = ada.get("account")
    assert "<u>Browser of ada" in text(page) and "eve" not in text(page)
    id = re.search(r'name="id" value="(ses_\w+)"', page.text)
    assert id and "signed out" in text(ada.post("account", id=id[1]))
    assert "No browser has a project of yours open." in text(ada.get("account"))
    assert ada.post("account", id="ses_none").status_code == 404


def test_nothing_is_at_other_addresses(ada: Browser, client: TestClient) -> None:
    answer = ada.get("projects/prj_x/nothing")
    assert answer.status_code == 404 and "There is no page" in text(answer)
    assert client.get("/static/style.css").headers["content-type"].startswith("text/css")
    for name in ("views.py", "..%2Fviews.py", "templates%2Fbase.html"):
        assert client.get(f"/static/{name}").status_code == 404


def test_a_bug_has_an_id_and_no_traceback(
    ada: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("workbench.api.pages.visiting.call", broken)
    answer = ada.get("account")
    id = re.search(r"trc_\w+", answer.text)
    assert answer.status_code == 500 and id and "secret detail" not in answer.text
    assert id[0] in [getattr(line, "trace", "") for line in caplog.records]


NOTEBOOK: dict[str, Any] = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"title": "<script>1</script>", "widgets": {"x": {}}},
    "cells": [
        {"id": "a", "cell_type": "markdown", "metadata": {}, "source": "# A *title*"},
        {
            "id": "b",
            "cell_type": "code",
            "metadata": {},
            "execution_count": 1,
            "source": "1 + 1",
            "outputs": [
                {
                    "output_type": "execute_result",
                    "execution_count": 1,
                    "metadata": {},
                    "data": {
                        "application/javascript": "fetch('/javascript')",
                        "text/html": "<p>two</p><iframe src='/hub/home'></iframe>"
                        "<script src='https://evil.example/x.js'></script><base href='//evil'>"
                        "<meta http-equiv='refresh' content='0;url=//evil'>",
                        "text/plain": "2",
                    },
                }
            ],
        },
    ],
}


@pytest.fixture
def files(engines: Engines, project: Project) -> Path:
    folder = engines.settings.home / "projects" / project.id / "files"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_notebook_is_framed_from_the_projects_origin(
    ada: Browser, engines: Engines, project: Project, files: Path
) -> None:
    (files / "a b").mkdir()
    (files / "a b" / "first?.ipynb").write_text(json.dumps(NOTEBOOK))
    overview = ada.get(f"projects/{project.id}")
    link = re.search(r'href="[^"]*(/projects/[^"]*/notebooks/[^"]+)"', overview.text)
    assert link and "a b/first?.ipynb" in text(overview)
    page = ada.get(link[1])
    origin = engines.settings.origin(project.id)
    assert f'src="{origin}/view/notebooks/a%20b/first%3F.ipynb"' in page.text
    assert 'sandbox="allow-scripts allow-popups"' in page.text
    assert f"frame-src {origin}" in page.headers["content-security-policy"]
    # Of it only how its cells begin is on the Studio's own host, as text.
    assert ">Cell 2: 1 + 1<" in page.text
    assert not re.search(r"two|evil|fetch\(|A <em>", page.text)
    assert ada.get(f"projects/{project.id}/notebooks/none.ipynb").status_code == 404


def test_a_notebook_is_never_read_through_a_link_or_from_outside(
    engines: Engines, project: Project, files: Path, tmp_path: Path
) -> None:
    home, secret = engines.settings.home, tmp_path / "secret"
    secret.mkdir()
    (secret / "x.ipynb").write_text("a secret")
    (files / "link.ipynb").symlink_to(secret / "x.ipynb")
    (files / "folder").symlink_to(secret)
    os.mkfifo(files / "pipe.ipynb")
    (files / "directory.ipynb").mkdir()
    (files / ".hidden.ipynb").write_text("x")
    (files / "plain.txt").write_text("x")
    (files / "good.ipynb").write_text("good")
    assert notebooks.read_notebook(home, project.id, "good.ipynb") == b"good"
    assert [each.path for each in notebooks.list_notebooks(home, project.id)[0]] == ["good.ipynb"]
    for path in (
        "link.ipynb", "folder/x.ipynb", "pipe.ipynb", "directory.ipynb", ".hidden.ipynb",
        "plain.txt", "../files/good.ipynb", "./good.ipynb", "/good.ipynb", "", "a\0.ipynb",
        f"{secret}/x.ipynb", "good.ipynb/x.ipynb",
    ):  # fmt: skip
        with pytest.raises(NotFound):
            notebooks.read_notebook(home, project.id, path)
    for other in ("..", "", ".", f"{project.id}/files"):
        with pytest.raises(NotFound):
            notebooks.read_notebook(home, other, "good.ipynb")
    files.rename(tmp_path / "elsewhere")
    files.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFound):
        notebooks.read_notebook(home, project.id, "good.ipynb")
    assert notebooks.list_notebooks(home, project.id) == ([], False)


@pytest.fixture
def repository(engines: Engines, project: Project, files: Path) -> Repository:
    if problem := reading.why_not():
        pytest.skip(f"no history can be read here: {problem}")
    made = Repository(files, Context(Actor(name="ada"), project.id, engines))
    made.git("init", "--quiet", "--initial-branch=main")
    return made


def test_a_history_is_read_by_a_viewer(
    ada: Browser,
    sign_in: Callable[[str], Browser],
    engines: Engines,
    project: Project,
    repository: Repository,
) -> None:
    vic = sign_in("vic")
    assert vic.get(f"projects/{project.id}/history").status_code == 403
    member(ada, vic, project, "viewer")
    base = f"projects/{project.id}/history"
    assert "Nothing is committed yet." in text(vic.get(base))
    repository.write("a b/first?.ipynb", json.dumps(NOTEBOOK))
    first = repository.commit("First <b>words</b>", who="Eve <img src=x>")
    changed = {**NOTEBOOK, "cells": [*NOTEBOOK["cells"][:1], *NOTEBOOK["cells"][2:]]}
    repository.write("a b/first?.ipynb", json.dumps(changed))
    repository.write("<script>.txt", "</script><script>alert(1)</script>\n")
    second = repository.commit("Second\n\nBecause.")
    listed = vic.get(base)
    assert "First <b>words</b>" in text(listed) and "<b>words" not in listed.text
    assert "Eve img src=x" in text(listed) and "<img" not in listed.text
    for link in re.findall(r'href="[^"]*(/projects/[^"]*/history/[0-9a-f]+)"', listed.text):
        assert vic.get(link).status_code == 200
    shown = vic.get(f"{base}/{second}")
    assert "<script>alert" not in shown.text and "alert(1)" in text(shown)
    said = text(shown)
    assert "Because." in said and "Cell 2" in said and "removed" in said
    assert vic.get(f"{base}/{'0' * 40}").status_code == 404
    assert "cannot be listed" not in text(vic.get(f"{base}?after=x"))
    assert vic.get(f"{base}?after=x").status_code == 400
    assert vic.get(f"{base}?branch=none").status_code == 404
    of_one = text(vic.get(f"{base}?path=%3Cscript%3E.txt"))
    assert "Second" in of_one and "First" not in of_one
    then = vic.get(f"projects/{project.id}/notebooks/a%20b/first%3F.ipynb?commit={first[:12]}")
    origin = engines.settings.origin(project.id)
    assert f'{origin}/view/notebooks/a%20b/first%3F.ipynb?commit={first}"' in then.text
    assert "As it was in the commit First" in text(then)
    for commit, name in (("0" * 40, "a%20b/first%3F.ipynb"), (first, "no.ipynb")):
        answer = vic.get(f"projects/{project.id}/notebooks/{name}?commit={commit}")
        assert answer.status_code == 404


def test_a_notebook_as_it_was_is_shown_to_who_has_its_address(
    engines: Engines, project: Project, repository: Repository
) -> None:
    repository.write("a b.ipynb", json.dumps(NOTEBOOK))
    first = repository.commit("First")
    repository.write("a b.ipynb", json.dumps({**NOTEBOOK, "cells": []}))
    repository.commit("Second")
    app = FastAPI()
    address = add_views(app, engines)
    with TestClient(app, base_url=engines.settings.origin(project.id)) as client:
        then = client.get(address(project.id, "a b.ipynb", first))
        assert (
            "A <em>title</em>" in then.text and "sandbox" in then.headers["content-security-policy"]
        )
        now = client.get(address(project.id, "a b.ipynb", ""))
        assert now.status_code == 200 and "A <em>title</em>" not in now.text
        for other in (first[:-1] + ("1" if first.endswith("0") else "0"), "", f"{first}0"):
            moved = address(project.id, "a b.ipynb", first).replace(first, other)
            refused = client.get(moved)
            assert refused.status_code in (403, 404) and "not valid any more" in refused.text
            assert "sandbox" in refused.headers["content-security-policy"]


def test_a_history_that_cannot_be_read_is_said_in_its_place(
    ada: Browser, project: Project, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("First")
    with monkeypatch.context() as patch:
        patch.setattr(reading.sandbox, "why_not", lambda: "Windows has no user namespaces.")
        answer = ada.get(f"projects/{project.id}/history")
        assert answer.status_code == 503 and "no user namespaces" in text(answer)
        assert ada.get(f"projects/{project.id}/history/{'0' * 40}").status_code == 503
    (repository.folder / ".git/HEAD").write_text("nonsense")
    answer = ada.get(f"projects/{project.id}/history")
    assert answer.status_code == 400 and "cannot read" in text(answer)


def test_a_notebook_that_is_too_large_is_limited(
    ada: Browser, project: Project, files: Path
) -> None:
    with open(files / "large.ipynb", "wb") as file:
        file.truncate(notebooks.LIMIT + 1)
    answer = ada.get(f"projects/{project.id}/notebooks/large.ipynb")
    assert answer.status_code == 429 and "Clear its outputs" in text(answer)


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


def test_reading_leaves_no_file_open(engines: Engines, project: Project, files: Path) -> None:
    (files / "good.ipynb").write_text("good")
    (files / "sub").mkdir()
    before = open_files()
    for path in ("good.ipynb", "sub/none.ipynb", "none/none.ipynb", "sub"):
        for _ in range(3):
            try:
                notebooks.read_notebook(engines.settings.home, project.id, path)
            except NotFound:
                continue
    assert open_files() == before


async def test_a_notebook_is_rendered_apart_and_loads_nothing(engines: Engines) -> None:
    shown = await notebooks.rendered(json.dumps(NOTEBOOK).encode(), "a <b>.ipynb")
    assert "two" in shown and "A <em>title</em>" in shown and "<title>a &lt;b&gt;" in shown
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']?(https?:)?//", shown)
    for never in ("<iframe", "<base", "http-equiv", "fetch('/javascript')", "cdnjs", "unpkg"):
        assert never not in shown, never
    policy = notebooks.view_headers(engines.settings)["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts") and "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    for wrong in (b"", b"{}", b"[]", b"\xff", b'{"nbformat": 99, "cells": 1}'):
        with pytest.raises(Exception, match="no notebook") as caught:
            await notebooks.rendered(wrong, "wrong.ipynb")
        assert type(caught.value).__name__ == "Invalid"
