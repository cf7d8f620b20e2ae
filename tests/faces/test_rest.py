"""What only the web has: hosts, origins, cookies, uploads, ranges, streams that resume."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from workbench.api.rest import application
from workbench.core import Actor, Context, Engines, Unauthenticated
from workbench.security.guard import Asker, xsrf_for


class CookieGuard:
    """Ada by cookie, as the hub's guard would find her; nobody else."""

    async def identify(self, request: HTTPConnection) -> Asker:
        cookie = request.cookies.get("session", "")
        if cookie != "ada's":
            raise Unauthenticated("You are not signed in.", hint="Sign in.")
        return Asker(Actor(name="ada"), cookie)


@pytest.fixture
def client(engines: Engines) -> Iterator[TestClient]:
    with TestClient(application(engines, CookieGuard()), base_url="http://localhost:8000") as found:
        found.cookies["session"] = "ada's"
        found.headers["x-xsrftoken"] = xsrf_for("ada's")
        yield found


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status and found["detail"] and "Traceback" not in answer.text
    return found


def test_nobody_is_unauthenticated(client: TestClient) -> None:
    client.cookies.clear()
    assert problem(client.post("/api/v1/security:whoami", json={}), 401)["hint"]
    assert client.get("/api/v1/health").json()["ok"] is True


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example"])
def test_a_foreign_host_is_forbidden(client: TestClient, host: str) -> None:
    found = problem(client.get("/api/v1/session", headers={"host": host}), 403)
    assert host in found["detail"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9999"])
def test_a_foreign_origin_is_forbidden(client: TestClient, origin: str) -> None:
    answer = client.post(
        "/api/v1/projects/projects", json={"name": "x"}, headers={"origin": origin}
    )
    assert problem(answer, 403)["hint"]
    own = {"origin": "http://localhost:8000"}
    assert client.post("/api/v1/security:whoami", json={}, headers=own).status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", xsrf_for("bob's")])
def test_a_change_by_cookie_needs_the_xsrf_token(client: TestClient, token: str) -> None:
    answer = client.post(
        "/api/v1/projects/projects", json={"name": "x"}, headers={"x-xsrftoken": token}
    )
    assert "xsrf" in problem(answer, 403)["detail"]
    assert "x" not in [p["name"] for p in client.get("/api/v1/projects/projects").json()["items"]]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"name": 1}'])
def test_a_body_that_makes_no_sense_is_invalid(client: TestClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/api/v1/projects/projects", content=body, headers=headers)
    assert problem(answer, 400)["hint"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("PUT", "/api/v1/health")])
def test_what_is_not_there_is_a_problem_too(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_project_of_somebody_else_is_not_found(client: TestClient) -> None:
    answer = client.get("/api/v1/data/products", headers={"x-workbench-project": "prj_none"})
    assert "prj_none" in problem(answer, 404)["detail"]


def test_an_upload_resumes_and_is_registered(client: TestClient) -> None:
    data = b"a,b\n" + b"1,2\n" * 1000
    blob = client.post("/api/v1/data:upload", json={"name": "t.csv", "size": len(data)}).json()
    project = client.get("/api/v1/session").json()["project"]["id"]
    path = f"/api/v1/blobs/{project}/{blob['id']}"
    client.put(path, params={"offset": 0}, content=data[:1000])
    again = client.put(path, params={"offset": 0}, content=data[:1000])
    assert "is at byte 1000, not at 0" in problem(again, 409)["detail"]
    at = client.get(f"{path}/state").json()["received"]
    done = client.put(path, params={"offset": at}, content=data[at:]).json()
    assert done["received"] == done["size"] == len(data) and done["sha256"]
    made = client.post("/api/v1/data:register", json={"source": f"blob:{blob['id']}"})
    assert (made.json()["name"], made.json()["rows"]) == ("t", 1000)


def test_a_download_takes_ranges_and_only_a_good_signature(client: TestClient) -> None:
    (made,) = [
        client.post("/api/v1/data:register", json={"source": "sql:SELECT 7 AS x", "name": "x"})
    ]
    assert made.status_code == 200
    body = {"product": "x", "format": "csv"}
    url = client.post("/api/v1/data:download", json=body).json()["url"]
    whole = client.get(url)
    assert whole.status_code == 200 and b"7" in whole.content
    part = client.get(url, headers={"range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, whole.content[1:3])
    assert problem(client.get(url[:-1] + ("0" if url[-1] != "0" else "1")), 403)["hint"]
    assert whole.headers["content-security-policy"] == "sandbox"


def test_a_stream_starts_after_the_last_event_one_has(
    client: TestClient, engines: Engines, ctx: Context
) -> None:
    from workbench.core.jobs import runner
    from workbench.pipelines import ledger

    job = engines.get(runner).plan(ctx, "models.train", {})
    with ctx.store.begin() as tx:
        engines.get(runner).put(tx, job)
        ledger.tell(tx, job.id, ctx.now(), [("log", f"line {n}", {}) for n in range(5)])
        ledger.finish(tx, job.id, ctx.now(), "cancelled")

    def texts(**headers: str) -> list[str]:
        told = client.get("/api/v1/pipelines:log", params={"id": job.id}, headers=headers).text
        data = [line[6:] for line in told.splitlines() if line.startswith('data: {"seq')]
        return [json.loads(each)["text"] for each in data]

    assert texts() == ["queued", *(f"line {n}" for n in range(5)), "cancelled"]
    assert texts(**{"last-event-id": "5"}) == ["line 4", "cancelled"]


def test_a_bug_answers_an_id_and_no_trace(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("workbench.security.actions.role_of", broken)
    app = application(engines, CookieGuard())
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        client.cookies["session"] = "ada's"
        client.headers["x-xsrftoken"] = xsrf_for("ada's")
        found = problem(client.post("/api/v1/security:whoami", json={}), 500)
    assert found["title"] == "Bug" and "secret" not in json.dumps(found)
    id = found["detail"].partition("(id ")[2].partition(")")[0]
    line = next(each for each in caplog.records if getattr(each, "trace", "") == id)
    assert id == found["trace"] and line.exc_info and "ZeroDivisionError" in caplog.text


def test_the_home_is_only_its_owners(engines: Engines, tmp_path: Path) -> None:
    from workbench.security.guard import local_key

    first = local_key(engines.settings.home)
    assert local_key(engines.settings.home) == first and len(first) > 40
    assert (engines.settings.home / "keys" / "local").stat().st_mode & 0o077 == 0
