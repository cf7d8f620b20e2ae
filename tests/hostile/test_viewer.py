"""A viewer with a copied address of everything, and a stranger at every page.

The addresses are enumerated from the OpenAPI document, from the table of pages and from the forms
that an owner is shown, so what is added later is tried as well.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.hostile.conftest import Team, label, made
from tests.hostile.members import Inside, Loopback, Member
from tests.hostile.records import differences, records
from workbench.api.pages.routes import PAGES

pytestmark = [
    pytest.mark.studio,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TABLE = "age,outcome\n" + "".join(f"{20 + n * 37 % 40},{n % 2}\n" for n in range(30))
THEIRS_TO_DO = {
    "comments.create_comment": "who may look may ask",
    "comments.update_comment": "of one's own; another's is refused by the action",
    "comments.delete_comment": "of one's own; another's is refused by the action",
    "comments.resolve": "of one's own; another's is refused by the action",
    "comments.reopen": "of one's own; another's is refused by the action",
    "comments.see_mentions": "of one's own",
    "data.download": "what one may look at one may keep",
    "models.export": "what one may look at one may keep",
    "projects.create_project": "a project of one's own",
    "projects.join": "with an invitation",
    "projects.remove_member": "of oneself; another is refused by the action",
    "security.end_session": "of one's own",
}
"""What a viewer may ask for. Asked about what is another's, it is refused all the same."""
THEIR_OWN = ("comments.create_comment", "comments.see_mentions", "projects.create_project")
"""Of these, what they would leave is their own."""
OF_ONESELF = ("projects.list_projects", "security.whoami", "security.list_sessions")
ABOVE = ("operations.", "security.list_people", "data.list_connections", "data.get_connection")


@pytest.fixture(scope="module")
def filled(team: Team) -> dict[str, str]:
    """`theirs` with something in it of each kind; its ids by what they are."""
    (team.home / "projects" / team.theirs / "files" / "rows.csv").write_text(TABLE)
    own = {"headers": {"x-workbench-project": team.theirs}}

    def ask(path: str, body: dict[str, Any]) -> dict[str, Any]:
        return dict(team.mallory.call("POST", path, json=body, **own).raise_for_status().json())

    product = ask("data:register", {"source": "rows.csv", "name": "rows"})
    comment = ask(
        "comments/comments", {"text": "mine", "anchor": {"document": "01-tour.ipynb", "part": ""}}
    )
    ask("projects:invite", {"role": "editor"})
    return {"product": product["id"], "comment": comment["id"], "thread": comment["thread"]}


def document(team: Team) -> dict[str, Any]:
    answer = team.ada.http.get(f"{team.url}services/studio/api/v1/openapi.json")
    return dict(answer.raise_for_status().json())


def sample(schema: dict[str, Any], whole: dict[str, Any]) -> Any:
    """A value that a schema allows."""
    if "$ref" in schema:
        return sample(whole["components"]["schemas"][schema["$ref"].split("/")[-1]], whole)
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return sample(schema[several][0], whole)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type", "string")
    if kind == "object":
        needed = schema.get("required", [])
        return {n: sample(schema["properties"][n], whole) for n in needed}
    if kind == "array":
        return [sample(schema.get("items", {}), whole)]
    return {"integer": 1, "number": 1.0, "boolean": True, "null": None}.get(kind, "x")


Operation = tuple[str, str, str, dict[str, Any], dict[str, Any], str]


def operations(whole: dict[str, Any], ids: dict[str, str]) -> Iterator[Operation]:
    """Every route: action, method, path, query, body, effect."""
    for path, methods in whole["paths"].items():
        for method, told in methods.items():
            name = told["operationId"]
            id = ids["comment"] if name.startswith("comments.") else ids["product"]
            id = ids["theirs"] if name.startswith("projects.") else id
            query = {
                each["name"]: id if each["name"] == "id" else sample(each["schema"], whole)
                for each in told.get("parameters", [])
                if each["in"] == "query" and each.get("required")
            }
            schema = (
                told.get("requestBody", {})
                .get("content", {})
                .get("application/json", {})
                .get("schema", {"type": "object"})
            )
            body = sample(schema, whole)
            body |= {"id": id} if "id" in body else {}
            body |= {"person": "mallory"} if "person" in body else {}
            filled = path.replace("{id}", id).replace("{project}", ids["theirs"])
            yield name, method.upper(), filled, query, body, told.get("x-effect", "")


def asked(member: Member, xsrf: str, project: str, operation: Operation) -> httpx.Response:
    _, method, path, query, body, _ = operation
    return member.http.request(
        method,
        f"{member.url}services/studio{path}",
        params=query,
        headers={"x-xsrftoken": xsrf, "x-workbench-project": project, "accept": "*/*"},
        **({"json": body} if method in ("POST", "PUT", "PATCH") else {}),
    )


def test_a_viewer_changes_nothing_by_any_route(team: Team, filled: dict[str, str]) -> None:
    whole = document(team)
    xsrf = team.vera.session()["xsrf"]
    before, count, wrong = records(team.home), 0, []
    for each in operations(whole, filled | {"theirs": team.theirs}):
        name, method, effect = each[0], each[1], each[5]
        changes = effect in ("write", "job", "blob") or name == "append"
        if not changes and not name.startswith(ABOVE):
            continue
        if name in THEIR_OWN:
            continue
        count += 1
        answer = asked(team.vera, xsrf, team.theirs, each)
        allowed = (200, 400, 403, 404, 409, 412) if name in THEIRS_TO_DO else (403,)
        if answer.status_code not in allowed:
            wrong.append((name, method, answer.status_code, answer.text[:200]))
    assert not wrong
    assert count > 35
    assert differences(before, records(team.home)) == {}


def test_nothing_is_told_of_a_project_one_is_not_in(team: Team, filled: dict[str, str]) -> None:
    xsrf = team.vera.session()["xsrf"]
    before, wrong = records(team.home), []
    for each in operations(document(team), filled | {"theirs": team.hers}):
        if not each[5] or (
            each[0] in THEIRS_TO_DO and not each[0].startswith(("comments", "data"))
        ):
            continue
        if each[5] == "read" and each[0] in ("projects.list_projects", "security.whoami"):
            continue
        if each[0] == "security.list_sessions":
            continue
        answer = asked(team.vera, xsrf, team.hers, each)
        if answer.status_code not in (403, 404) or "alice" in answer.text:
            wrong.append((each[0], answer.status_code, answer.text[:200]))
    assert not wrong
    assert differences(before, records(team.home)) == {}


class Forms(HTMLParser):
    """The forms of a page that change something, with what they would send."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = given.get("method", "get").lower() == "post"
            if self._open:
                self.found.append((given.get("action", ""), {}))
        elif self._open and given.get("name"):
            self.found[-1][1].setdefault(given["name"], given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "form"


def addresses(team: Team, project: str, filled: dict[str, str]) -> dict[str, str]:
    """The pages by their patterns, of a project."""
    values = {
        "project": project,
        "commit": "0" * 40,
        "path:path": "01-tour.ipynb",
        "rest:path": f"{project}/nowhere",
    }
    found = {}
    for pattern in PAGES:
        ref = filled["product"] if "products" in pattern else "mdl_01m8akpckw81j2005a8ks0jeh8"
        path = pattern.replace("{ref}", ref)
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value)
        found[pattern] = path
    return found


def test_a_viewer_changes_nothing_by_any_page(team: Team, filled: dict[str, str]) -> None:
    own = {"/", "/account", "/join"}
    xsrf = team.vera.session()["xsrf"]
    forms = []
    for pattern, path in addresses(team, team.theirs, filled).items():
        # An owner's and an administrator's view of it: every form there is.
        for member in (team.mallory, team.ada) if pattern not in own else ():
            page = member.http.get(f"{team.url}services/studio{path}")
            forms += [(path, action, fields) for action, fields in Forms(page.text).found]
    told = {fields.get("do", "") for _, _, fields in forms}
    assert len(forms) > 15
    assert len(told) > 8, told
    before = records(team.home)
    for path, action, fields in forms:
        if fields.get("do") in ("comment", "reply"):
            continue
        url = httpx.URL(f"{team.url}services/studio{path}").join(action or "")
        sent = {n: v or "x" for n, v in fields.items()} | {"xsrf": xsrf, "key": "k"}
        # Whoever may look may leave, and is asked about another here.
        sent |= {"person": "mallory" if fields.get("do") == "remove" else "vera", "role": "owner"}
        answer = team.vera.http.post(
            url, data=sent, headers={"origin": team.url.rstrip("/")}, follow_redirects=False
        )
        assert answer.status_code in (400, 403, 404), (path, fields, answer.text[:300])
    assert differences(before, records(team.home)) == {}


def test_pages_of_others_and_of_administration_are_closed(
    team: Team, filled: dict[str, str]
) -> None:
    theirs = addresses(team, team.theirs, filled)
    hers = addresses(team, team.hers, filled)
    for pattern in PAGES:
        if "{" in pattern:
            answer = team.vera.http.get(f"{team.url}services/studio{hers[pattern]}")
        elif pattern.startswith(("/admin", "/people")):
            answer = team.vera.http.get(f"{team.url}services/studio{theirs[pattern]}")
        else:
            continue
        assert answer.status_code in (403, 404), (pattern, answer.status_code)
        assert "alice" not in answer.text, pattern
    for path in ("services/studio/metrics", "hub/metrics", "hub/api/users", "hub/admin"):
        for member in (team.vera, team.mallory):
            answer = member.http.get(f"{team.url}{path}", headers={"accept": "application/json"})
            assert answer.status_code in (403, 404), (path, member.name, answer.text[:200])
    assert team.ada.http.get(f"{team.url}services/studio/metrics").status_code == 200


LAB = [
    "lab/tree/01-tour.ipynb", "lab/api/settings", "lab/api/workspaces", "lab/api/translations",
    "api/contents/01-tour.ipynb", "api/contents/01-tour.ipynb/checkpoints", "api/kernels",
    "api/kernelspecs", "api/sessions", "api/terminals", "api/config/notebook", "api/status",
    "api/collaboration/session/01-tour.ipynb", "api/fileid/id", "api/events", "api/me",
    "nbconvert/html/01-tour.ipynb", "files/01-tour.ipynb", "git/status", "git/commit",
    "api/shutdown", "static/favicons/favicon.ico", "lsp/status", "metrics",
]  # fmt: skip


def test_a_viewer_comes_nowhere_in_the_lab(team: Team) -> None:
    origin, name = team.origin(team.theirs), label(team.theirs)
    team.vera.http.get(f"{origin}/user/{name}/lab")
    inside = Inside(team.vera, origin, name)
    before = records(team.home)
    for path in LAB:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = inside.ask(method, path)
            assert answer.status_code == 403, (method, path, answer.status_code)
    for path in ("session", "data/products", "projects/projects", "openapi.json"):
        answer = team.vera.http.get(
            f"{origin}/services/studio/api/v1/{path}", headers={"accept": "application/json"}
        )
        assert answer.status_code == 403, (path, answer.text[:200])
    for path in (
        "terminals/websocket/1", "api/kernels/x/channels", "api/events/subscribe",
        "api/collaboration/room/json:notebook:x", "lsp/ws/pyright",
    ):  # fmt: skip
        with pytest.raises(InvalidStatus) as refused:
            inside.socket(path)
        assert refused.value.response.status_code == 403, path
    assert differences(before, records(team.home)) == {}


def test_a_stranger_at_each_page_is_sent_to_sign_in(team: Team, filled: dict[str, str]) -> None:
    name = label(team.theirs)
    studio = [f"services/studio{path}" for path in addresses(team, team.theirs, filled).values()]
    studio += [f"services/studio{each[2]}" for each in operations(
        document(team), filled | {"theirs": team.theirs}) if each[0] not in (
        "health",
    )]  # fmt: skip
    studio += [
        "services/studio/metrics", "hub/metrics", "hub/admin", "hub/token", "hub/api/users",
        "hub/api/services", "hub/api/groups", "hub/api/proxy", "hub/api/info",
        "services/dashboards/", "services/dashboards/reader", "services/studio/open",
        f"services/studio/view/{name}/01-tour.ipynb", f"user/{name}/api",
    ]  # fmt: skip
    before = records(team.home)
    with httpx.Client(transport=Loopback(), timeout=20) as http:
        for base, paths in (
            (team.url, studio),
            (
                f"{team.origin(team.theirs)}/",
                [
                    f"view/{name}/01-tour.ipynb",
                    f"view/{name}/01-tour.ipynb?expires=9999999999&signature=x",
                    f"view/{label(team.hers)}/01-tour.ipynb?expires=9999999999&signature=x",
                    f"user/{name}/lab",
                    "services/studio/api/v1/session",
                    f"enter/{name}/?ticket=x",
                ],
            ),
        ):
            for path in paths:
                for method in ("GET", "POST"):
                    answer = http.request(method, base + path)
                    at = (method, path, answer.status_code, answer.text[:200])
                    assert answer.status_code in (302, 303, 307, 400, 401, 403, 404, 405), at
                    if answer.is_redirect:
                        to = answer.headers["location"]
                        assert re.search(r"/hub/|/services/studio/|/user/", to), at
                    for secret in ("alice", "theirs", "mallory", "outcome"):
                        said = answer.text.replace(path, "")
                        assert secret not in said, at
    assert differences(before, records(team.home)) == {}


def test_an_archived_project_takes_nothing(team: Team) -> None:
    project = made(team.mallory, "closed-shop")
    headers = {"x-workbench-project": project}
    team.mallory.call(
        "POST", "projects:archive_project", json={"id": project}, headers=headers
    ).raise_for_status()
    answer = team.mallory.call(
        "POST", "data:upload", json={"name": "x.csv", "size": 1}, headers=headers
    )
    assert answer.status_code == 403
    assert "archived" in answer.json()["detail"]
