"""Every action of the catalogue: the same answer and the same error on every face."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from mcp import Client

import workbench
from workbench.api.mcp import KEY_META, server
from workbench.cli import main as shell
from workbench.core import WorkbenchError, catalogue

from .conftest import World

workbench.load_rooms()
ACTIONS = sorted(catalogue)

EXAMPLES: dict[str, dict[str, Any]] = {
    "audit.checkpoint": {},
    "audit.follow": {},
    "audit.list_events": {"limit": 3},
    "audit.prove": {"id": "{event}"},
    "audit.verify": {},
    "comments.create_comment": {"text": "Why, @nobody?", "anchor": {"document": "a.ipynb"}},
    "comments.delete_comment": {"id": "cmt_none"},
    "comments.list_comments": {"document": "b.ipynb", "limit": 5},
    "comments.list_mentions": {},
    "comments.move": {"document": "c.ipynb", "to": "d.ipynb"},
    "comments.reopen": {"id": "cmt_none"},
    "comments.resolve": {"id": "cmt_none"},
    "comments.see_mentions": {"comments": ["cmt_none"]},
    "comments.update_comment": {"id": "cmt_none", "text": "Because."},
    "compute.list_clusters": {},
    "compute.scale": {"workers": 2},
    "compute.usage": {"days": 7},
    "data.create_connection": {"name": "shop", "url": "ftp://shop.example/"},
    "data.delete_connection": {"id": "nothing"},
    "data.download": {"product": "{product}", "format": "csv"},
    "data.get_connection": {"id": "nothing"},
    "data.get_product": {"id": "{product}"},
    "data.inspect": {"source": "people.csv"},
    "data.list_connections": {},
    "data.list_products": {"limit": 5},
    "data.preview": {"product": "{product}", "limit": 3},
    "data.profile": {"product": "{product}", "target": "outcome"},
    "data.query": {"sql": "SELECT sex, count(*) AS n FROM people GROUP BY sex ORDER BY sex"},
    "data.register": {"source": "sql:SELECT age, sex FROM people WHERE age > 30", "name": "old"},
    "data.upload": {"name": "x.csv", "size": 3},
    "data.versions": {"product": "{product}"},
    "documents.compare": {"id": "doc_none", "other": "doc_other"},
    "documents.create_document": {"name": "wide", "template": "mlp"},
    "documents.delete_document": {"id": "doc_none"},
    "documents.edit": {
        "id": "{document}",
        "operations": [{"op": "set_training", "name": "epochs", "value": 5}],
    },
    "documents.export": {"id": "{document}", "format": "graph"},
    "documents.fork": {"id": "doc_none"},
    "documents.get_code": {"id": "{document}"},
    "documents.get_document": {"id": "{document}"},
    "documents.history": {"id": "{document}"},
    "documents.import_document": {"source": "nothing"},
    "documents.list_documents": {"limit": 5},
    "documents.list_templates": {},
    "documents.merge": {"id": "{document}"},
    "documents.restore": {"id": "{document}", "seq": 99},
    "documents.undo": {"id": "{document}"},
    "documents.update_document": {"id": "doc_none", "name": "other"},
    "ethics.assess": {"model": "{model}", "sensitive": ["sex"], "limit": 0.3},
    "ethics.gate": {"model": "{model}"},
    "ethics.get_report": {"id": "{report}"},
    "ethics.list_reports": {},
    "notebooks.run": {"code": "1 + 1"},
    "models.compare": {"models": ["{model}", "{model}"]},
    "models.export": {"id": "{model}", "format": "onnx"},
    "models.get_model": {"id": "{model}"},
    "models.get_study": {"id": "std_none"},
    "models.import_model": {},
    "models.list_layers": {},
    "models.list_models": {},
    "models.list_studies": {"limit": 5},
    "models.measure_ends": {"product": "{product}", "target": "outcome"},
    "models.predict": {"model": "{model}", "rows": [{"age": 40, "income": 1500, "sex": "f"}]},
    "models.promote": {"model": "{model}", "alias": "candidate"},
    "models.suggest_graph": {"product": "{product}", "target": "outcome"},
    "models.train": {"product": "{product}", "target": "outcome", "estimator": "majority"},
    "models.tune": {"product": "{product}", "target": "outcome", "estimator": "majority"},
    "operations.find_logs": {"id": "trc_00000000000000000000000000"},
    "operations.check_health": {},
    "operations.list_active_jobs": {"limit": 5},
    "operations.list_servers": {},
    "operations.stop_server": {"id": "prj_none"},
    "operations.sweep": {},
    "pipelines.cancel": {"id": "{job}"},
    "pipelines.create_schedule": {
        "action": "models.train",
        "cron": "30 6 * * 1-5",
        "request": {"product": "table", "target": "outcome"},
        "timezone": "Europe/Berlin",
    },
    "pipelines.delete_schedule": {"id": "sch_none"},
    "pipelines.get_job": {"id": "{job}"},
    "pipelines.get_schedule": {"id": "sch_none"},
    "pipelines.list_jobs": {"state": "failed"},
    "pipelines.list_schedules": {"limit": 5},
    "pipelines.log": {"id": "{job}"},
    "pipelines.pause_schedule": {"id": "sch_none"},
    "pipelines.resume_schedule": {"id": "sch_none"},
    "pipelines.retry": {"id": "{job}"},
    "pipelines.update_job": {"id": "{job}", "priority": "high", "retries": 2, "timeout_s": 60},
    "projects.create_project": {"name": "another"},
    "projects.get_project": {"id": "default"},
    "projects.list_projects": {},
    "data.test_connection": {"id": "nothing"},
    "environments.get_environment": {"id": "nothing"},
    "environments.install": {"packages": ["not a requirement!"]},
    "environments.list_environments": {},
    "environments.reset": {},
    "history.get_commit": {"id": "0123456"},
    "history.list_branches": {},
    "history.list_commits": {"path": "01-tour.ipynb", "limit": 5},
    "projects.archive_project": {"id": "another"},
    "projects.delete_project": {"id": "default", "confirm": "another"},
    "projects.get_deletion": {"id": "nothing"},
    "projects.invite": {"role": "viewer", "days": 2.5},
    "projects.join": {"token": "inv_none.0"},
    "projects.list_invitations": {"limit": 5, "after": "inv_"},
    "projects.list_members": {},
    "projects.remove_member": {"person": "nobody"},
    "projects.reopen_project": {"id": "default"},
    "projects.revoke_invitation": {"id": "inv_none"},
    "projects.set_limits": {"jobs": 4, "cpus": 2.5},
    "projects.set_role": {"person": "nobody", "role": "viewer"},
    "projects.transfer_project": {"person": "nobody"},
    "security.activate_person": {"name": "nobody"},
    "security.deactivate_person": {"name": "nobody"},
    "security.end_session": {"id": "ses_none"},
    "security.list_people": {"limit": 5},
    "security.list_sessions": {},
    "security.welcome_person": {"name": "Not A Name"},
    "security.whoami": {},
}
"""A request for each action. Where the world makes an error of it, the error is compared."""

PASSING = {"elapsed_s", "at", "url", "link", "trace"}
"""Fields that tell the call or its moment, not the answer."""
PASSING |= {"processes", "databases", "disk_free_bytes", "disk_used_bytes", "jobs"}


MOVING = {"operations.list_active_jobs"}
"""Whose answer is what happens at the moment: the faces are asked one after the other."""
ENDED = ("compute.usage", "ethics.", "models.", "pipelines.list_jobs")
"""How those begin whose answer tells what ended: what other tests began has to have, before anybody
is asked."""


def settled(value: Any) -> Any:
    """An answer without what differs from call to call: times, signatures, new blobs' ids."""
    if isinstance(value, dict):
        return {k: settled(v) for k, v in value.items() if k not in PASSING}
    if isinstance(value, list):
        return [settled(each) for each in value]
    return re.sub(r"blb_\w{26}", "blb", value) if isinstance(value, str) else value


def request_of(world: World, name: str) -> dict[str, Any]:
    def filled(value: Any) -> Any:
        if isinstance(value, str) and re.fullmatch(r"\{\w+\}", value):
            return world.refs[value[1:-1]]
        if isinstance(value, list):
            return [filled(each) for each in value]
        return value

    return {key: filled(value) for key, value in EXAMPLES[name].items()}


def python(world: World, name: str, request: dict[str, Any], key: str) -> Any:
    return _client(world.python, name, request, key)


def connected(world: World, name: str, request: dict[str, Any], key: str) -> Any:
    return _client(world.http, name, request, key)


def _client(wb: Any, name: str, request: dict[str, Any], key: str) -> Any:
    try:
        answer = wb.call(name, request, key=key)
        if catalogue[name].effect == "stream":
            return [each.model_dump(mode="json") for each in answer]
        return answer.model_dump(mode="json")
    except WorkbenchError as error:
        return error.as_problem()


def rest(world: World, name: str, request: dict[str, Any], key: str) -> Any:
    method, path = catalogue[name].route
    asked = dict(request)
    if "{id}" in path:
        path = path.replace("{id}", asked.pop("id"))
    body: dict[str, Any] = {"params": asked} if method in ("GET", "DELETE") else {"json": asked}
    answer = httpx.request(
        method,
        world.url.rstrip("/") + path,
        headers={"authorization": f"Bearer {world.token}", "idempotency-key": key},
        timeout=60,
        **body,
    )
    if catalogue[name].effect == "stream" and answer.status_code == 200:
        events = [part for part in answer.text.replace("\r", "").split("\n\n") if part]
        told = [dict(line.split(": ", 1) for line in part.split("\n")) for part in events]
        problem = [json.loads(each["data"]) for each in told if each.get("event") == "problem"]
        return (
            problem[0]
            if problem
            else [json.loads(each["data"]) for each in told if "event" not in each]
        )
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
    return answer.json()


def cli(world: World, name: str, request: dict[str, Any], key: str) -> Any:
    act = catalogue[name]
    words = [act.capability, act.verb.replace("_", "-"), "--json"]
    for parameter, value in request.items():
        plain = value if isinstance(value, str) else json.dumps(value)
        words += [f"--{parameter.replace('_', '-')}", plain]
    if act.effect in ("write", "job"):
        words += ["--key", key]
    if act.effect == "job":
        words += ["--detach"]
    runner = CliRunner(env={"WORKBENCH_HOME": str(world.home)})
    with runner.isolation() as (out, err, _):
        code = 0
        try:
            shell.main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        said, complained = out.getvalue().decode(), err.getvalue().decode()
    if code:
        problem = json.loads(complained.strip().splitlines()[-1])
        assert code == (3 if problem["title"] == "Refused" else 1)
        return problem
    lines = said.strip().splitlines()
    if act.effect == "stream":
        return [json.loads(line) for line in lines]
    assert len(lines) == 1, "exactly one JSON object"
    return json.loads(lines[0])


def tool(world: World, name: str, request: dict[str, Any], key: str) -> Any:
    import asyncio

    async def ask() -> Any:
        async with Client(server(world.python)) as client:
            answer = await client.call_tool(catalogue[name].tool, request, meta={KEY_META: key})
            return answer.structured_content

    return asyncio.run(ask())


FACES: list[Callable[[World, str, dict[str, Any], str], Any]] = [
    python,
    connected,
    rest,
    cli,
    tool,
]


def faces_of(name: str) -> list[Callable[[World, str, dict[str, Any], str], Any]]:
    # A stream is no tool: an assistant asks for the job or the events instead.
    return [f for f in FACES if not (f is tool and catalogue[name].effect == "stream")]


def test_every_action_has_an_example() -> None:
    assert sorted(EXAMPLES) == ACTIONS


@pytest.mark.parametrize("name", [n for n in ACTIONS if n != "audit.follow"])
def test_every_face_gives_the_same_answer(world: World, name: str) -> None:
    request, key = request_of(world, name), f"same-{name}"
    end = time.monotonic() + 60
    while (
        name.startswith(ENDED)
        and world.python.call("operations.list_active_jobs", {"limit": 1}).items
    ):
        assert time.monotonic() < end
        time.sleep(0.1)
    answers = {f.__name__: settled(f(world, name, request, key)) for f in faces_of(name)}
    if name in MOVING:
        answers = {face: sorted(answer) for face, answer in answers.items()}
    first = answers.pop("python")
    for face, answer in answers.items():
        assert answer == first, face


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in ACTIONS
        if {"id", "model", "product", "models", "source", "sql"}
        & set(catalogue[n].takes.model_fields)
        and n != "data.inspect"
        # A job answers at once; what is wrong with it is the Job's own error.
        and catalogue[n].effect != "job"
    ],
)
def test_every_face_gives_the_same_error(world: World, name: str) -> None:
    request = request_of(world, name)
    wrong = next(
        p
        for p in ("id", "models", "model", "product", "source", "sql")
        if p in catalogue[name].takes.model_fields
    )
    request[wrong] = ["mdl_none", "mdl_none"] if wrong == "models" else "none_at_all"
    problems = {f.__name__: f(world, name, request, "") for f in faces_of(name)}
    ids = {problem.pop("trace") for problem in problems.values()}
    assert len(ids) == len(problems) and all(id.startswith("trc_") for id in ids)
    first = problems.pop("python")
    assert first["status"] >= 400 and first["detail"] and first["type"].startswith("urn:")
    for face, problem in problems.items():
        assert problem == first, face


@pytest.mark.parametrize("face", [f for f in FACES if f is not cli])
def test_a_parameter_that_is_none_is_the_same_error(
    world: World, face: Callable[[World, str, dict[str, Any], str], Any]
) -> None:
    problem = face(world, "data.preview", {"product": "people", "lines": 3}, "")
    assert problem["title"] == "Invalid"
    assert problem["detail"] == "data.preview has no parameter 'lines'."


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_and_parameter_is_described(name: str) -> None:
    act = catalogue[name]
    assert act.summary.endswith("."), "a sentence"
    for parameter, info in act.takes.model_fields.items():
        assert info.description, f"{name}: {parameter} is not described under Args:"


def test_an_assistant_lists_and_calls_the_tools_over_stdio(world: World) -> None:
    import asyncio

    from mcp.client.stdio import StdioServerParameters

    async def ask() -> tuple[set[str], Any]:
        parameters = StdioServerParameters(
            command=sys.executable,
            args=["-m", "workbench.cli.main", "mcp"],
            env={"WORKBENCH_HOME": str(world.home), "PYTHONPATH": ":".join(sys.path)},
        )
        async with Client(parameters) as client:
            listed = await client.list_tools()
            found = await client.call_tool("data-list-products", {})
            return {each.name for each in listed.tools}, found.structured_content

    names, products = asyncio.run(ask())
    assert names == {a.tool for a in catalogue.values() if a.effect != "stream"}
    assert "people" in [each["name"] for each in products["items"]]


def test_a_bug_in_the_shell_is_one_sentence_with_an_id(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setenv("WORKBENCH_HOME", str(world.home))
    monkeypatch.setattr("workbench.connect", broken)
    with pytest.raises(SystemExit) as ended:
        shell.main(["data", "list-products"])
    told = capsys.readouterr().err
    assert ended.value.code == 1 and "Traceback" not in told and "secret" not in told
    id = told.partition("(id ")[2].partition(")")[0]
    assert id in (world.home / "logs" / "shell.log").read_text()


def test_a_usage_error_is_exit_2(world: World) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workbench.cli.main", "data", "preview", "--lines", "3"],
        capture_output=True,
        text=True,
        env={"WORKBENCH_HOME": str(world.home), "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 2 and "--lines" in done.stderr and "Traceback" not in done.stderr
