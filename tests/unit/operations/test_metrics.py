"""Metrics: who may read them, what they say, and that they name nobody."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from workbench.api.metrics import _cumulated
from workbench.api.rest import application
from workbench.core import Actor, Context, Engines, NotFound, Unauthenticated, call_here
from workbench.core.measures import Histogram
from workbench.operations.access import metrics_token, token_file
from workbench.security.guard import Asker, bearer


class Named:
    """Whoever is named in the header is signed in."""

    async def identify(self, request: Any) -> Asker:
        name = bearer(request)
        if not name or name.startswith("metrics-"):
            raise Unauthenticated("You are not signed in.")
        return Asker(Actor(name=name, admin=name == "root1"), "")


@pytest.fixture
def client(engines: Engines) -> Iterator[TestClient]:
    with TestClient(application(engines, Named()), base_url="http://localhost") as found:
        yield found


def read(client: TestClient, token: str) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = client.get("/metrics", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_stranger_a_member_and_a_wrong_token_read_nothing(
    client: TestClient, engines: Engines
) -> None:
    right = metrics_token(engines.settings)
    assert token_file(engines.settings).stat().st_mode & 0o077 == 0
    for token in (None, "", right[:-1], right + "x", "metrics-"):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        assert client.get("/metrics", headers=headers).status_code == 401, token
    assert client.get(f"/metrics?token={right}").status_code == 401  # never in an address
    assert client.get("/metrics", headers={"authorization": "Bearer ada"}).status_code == 403
    foreign = {"authorization": f"Bearer {right}", "host": "evil.example"}
    assert client.get("/metrics", headers=foreign).status_code == 403
    assert read(client, "root1") and read(client, right)


def test_an_empty_token_file_lets_nobody_in(client: TestClient, engines: Engines) -> None:
    metrics_token(engines.settings)
    token_file(engines.settings).write_text("")
    for token in ("metrics-", ""):
        headers = {"authorization": f"Bearer {token}"}
        assert client.get("/metrics", headers=headers).status_code == 401


def test_calls_jobs_and_sizes_are_counted(
    client: TestClient, engines: Engines, ctx: Context
) -> None:
    token = metrics_token(engines.settings)
    before = read(client, token)
    for _ in range(3):
        call_here(ctx.fresh(), "security.whoami", {})
    with pytest.raises(NotFound):
        call_here(ctx.fresh(), "models.get_model", {"id": "nothing"})
    after = read(client, token)

    def more(name: str, *labels: str) -> float:
        return after.get((name, labels), 0) - before.get((name, labels), 0)

    assert more("studio_action_seconds_count", "security.whoami", "done") == 3
    assert more("studio_action_seconds_count", "models.get_model", "NotFound") == 1
    assert more("studio_action_seconds_bucket", "security.whoami", "+Inf", "done") == 3
    assert 0 < more("studio_action_seconds_sum", "security.whoami", "done") < 60
    assert more("studio_policy_seconds_count") >= 4
    assert more("studio_store_seconds_count", "read") > 0
    assert after["studio_projects", ()] == 1 and after["studio_servers", ()] == 0
    assert after["studio_jobs", ("failed",)] == 0 and after["studio_jobs_waiting", ()] == 0
    assert after["studio_disk_free_bytes", ()] > 0
    assert after["studio_database_bytes", ("studio.db",)] > 0
    assert after["process_resident_memory_bytes", ()] > 10**7
    assert ("studio_build_info", ("0.1.0",)) in after


def test_no_name_is_in_them(client: TestClient, engines: Engines, ctx: Context) -> None:
    made = call_here(ctx, "projects.create_project", {"name": "very-private"})
    token = metrics_token(engines.settings)
    told = client.get("/metrics", headers={"authorization": f"Bearer {token}"}).text
    for name in ('"ada', "person:ada", "very-private", made.id, token):
        assert name not in told


def test_buckets_hold_those_before_them_and_add_up() -> None:
    found = Histogram("x", "X.", ("kind",), (0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 2.0):
        found.observe(("a",), seconds)
    ((labels, counts, total),) = found.read()
    assert labels == ("a",) and counts == [2, 1, 1] and total == pytest.approx(2.65)
    assert _cumulated(found.bounds, counts) == [("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)]
    assert (found.count("a"), found.count("b")) == (4, 0)


def test_every_answer_carries_an_id_and_a_problem_quotes_it(client: TestClient) -> None:
    headers = {"authorization": "Bearer root1"}
    fine = client.post("/api/v1/security:whoami", json={}, headers=headers)
    assert fine.headers["x-trace-id"].startswith("trc_")
    for answer in (
        client.get("/api/v1/nowhere", headers=headers),
        client.post("/api/v1/models:get_model", json={"id": 1}, headers=headers),
        client.get("/api/v1/models/models/nothing", headers=headers),
        client.get("/api/v1/session"),
        client.get("/admin/servers", headers={"authorization": "Bearer ada"}),
    ):
        trace = answer.headers["x-trace-id"]
        assert answer.status_code >= 400 and trace in answer.text, answer.text
    ids = {client.get("/api/v1/health").headers["x-trace-id"] for _ in range(3)}
    assert len(ids) == 3
