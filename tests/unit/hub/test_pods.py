"""A project's server in a pod: what the pod is, and how it and the Studio reach each other.

KubeSpawner itself makes and watches the pods here, against a stand-in for the API of a cluster that
starts what a pod says as a process of this machine. No cluster has run any of it.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import kubernetes_validate
import pytest
import uvicorn
from aiohttp import web
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

import workbench
from tests.running import free_port
from workbench.api.rest import application
from workbench.cli.kubernetes import Deployment, configuration
from workbench.core import Context, Engines, Settings, Unavailable, call_here
from workbench.core.ids import label_of
from workbench.core.jobs import runner
from workbench.core.listening import everywhere
from workbench.hub import pods
from workbench.hub.config import configure_hub
from workbench.hub.prepare import config_file
from workbench.hub.proxy import SCRIPT
from workbench.hub.servers import Servers
from workbench.security import sandbox, sessions
from workbench.security.guard import LocalGuard, local_key
from workbench.wire import KEY, PERSON

ASKED = Deployment(image="registry.example.org/studio:1.0")


@pytest.fixture
def settings(engines: Engines) -> Settings:
    return engines.settings.model_copy(
        update={"servers": "kubernetes", "domain": "studio.example.org", "pods_port": free_port()}
    )


class Cluster:
    """The part of the API that the spawner uses; a pod is a process here."""

    def __init__(self, home: Path) -> None:
        self.home, self.pods, self.version = home, dict[str, Any](), 1
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.watchers: list[asyncio.Queue[Any]] = []
        self.ending: list[asyncio.Task[None]] = []
        self.told: list[tuple[int, Any]] = []

    def application(self) -> web.Application:
        app = web.Application()
        path = "/api/v1/namespaces/{namespace}/pods"
        app.router.add_get(path, self.list)
        app.router.add_post(path, self.create)
        app.router.add_delete(f"{path}/{{name}}", self.delete)
        return app

    async def list(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            meta = {"resourceVersion": str(self.version)}
            items = [*self.pods.values()]
            return web.json_response({"kind": "PodList", "metadata": meta, "items": items})
        answer = web.StreamResponse(headers={"content-type": "application/json"})
        await answer.prepare(request)
        queue: asyncio.Queue[Any] = asyncio.Queue()
        for version, event in self.told:
            if version > int(request.query.get("resourceVersion") or 0):
                queue.put_nowait(event)
        self.watchers.append(queue)
        while (event := await queue.get()) is not None:
            await answer.write(json.dumps(event).encode() + b"\n")
        return answer

    def tell(self, kind: str, pod: Any) -> None:
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        event = {"type": kind, "object": json.loads(json.dumps(pod))}
        self.told.append((self.version, event))
        for each in self.watchers:
            each.put_nowait(event)

    async def create(self, request: web.Request) -> web.Response:
        pod = await request.json()
        kubernetes_validate.validate(pod, "1.37.0", strict=True)
        name = pod["metadata"]["name"]
        pod["metadata"] |= {"uid": "1-2-3", "namespace": request.match_info["namespace"]}
        pod["status"] = {"phase": "Pending", "podIP": None, "containerStatuses": []}
        self.pods[name] = pod
        self.tell("ADDED", pod)
        self.processes[name] = self.run(pod["spec"]["containers"][0])
        ready = {"name": "notebook", "ready": True, "state": {"running": {}}}
        ready |= {"image": ASKED.image, "imageID": "", "restartCount": 0}
        pod["status"] = {"phase": "Running", "podIP": "127.0.0.1", "containerStatuses": [ready]}
        self.tell("MODIFIED", pod)
        return web.json_response(pod, status=201)

    def run(self, container: Any) -> "subprocess.Popen[bytes]":
        """What the pod says, with the folders of its volume where they are on this machine."""
        given = {each["name"]: each["value"] for each in container["env"]}
        environment = dict(given)
        for mount in container["volumeMounts"]:
            there = self.home / mount.get("subPath", f"run/{mount['name']}")
            there.mkdir(parents=True, exist_ok=True)
            for name, value in given.items():
                if value == mount["mountPath"] or value.startswith(f"{mount['mountPath']}/"):
                    environment[name] = value.replace(mount["mountPath"], str(there), 1)
        root = ["--allow-root"] if os.geteuid() == 0 else []
        return subprocess.Popen(
            [*container["command"], *root],
            env=environment | {"PYTHONPATH": str(Path(workbench.__file__).parents[1])},
            cwd=environment["HOME"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def delete(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self.pods:
            return web.json_response({"kind": "Status", "code": 404}, status=404)
        pod = self.pods[name]
        if "deletionTimestamp" not in pod["metadata"]:
            pod["metadata"]["deletionTimestamp"] = datetime.now(UTC).isoformat()
            self.ending.append(asyncio.create_task(self.take_away(name)))
        return web.json_response(pod)

    async def take_away(self, name: str) -> None:
        await asyncio.to_thread(self.end, name)
        self.tell("DELETED", self.pods.pop(name))

    def end(self, name: str) -> None:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        for name in [*self.processes]:
            self.end(name)
        for each in self.watchers:
            each.put_nowait(None)


@pytest.fixture
async def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """A stand-in for a cluster, which the client finds by a kubeconfig."""
    from kubernetes_asyncio.config import kube_config
    from kubespawner import clients

    made = Cluster(tmp_path / "home")
    site = web.AppRunner(made.application())
    await site.setup()
    port = free_port()
    await web.TCPSite(site, "127.0.0.1", port).start()
    file = tmp_path / "kubeconfig"
    named = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    context = {"name": "here", "context": {"cluster": "here", "user": "here"}}
    told = {"apiVersion": "v1", "kind": "Config", "current-context": "here"}
    told |= {"clusters": [named], "contexts": [context], "users": [{"name": "here", "user": {}}]}
    file.write_text(json.dumps(told))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    clients.load_config.cache_clear()
    yield made
    made.close()
    await pods.StudioKubeSpawner._stop_all_reflectors()
    left = [each for each in asyncio.all_tasks() if "close_client_task" in repr(each)]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await site.cleanup()
    clients.load_config.cache_clear()


def spawner_of(settings: Settings, name: str, folder: Path, port: int = 8888) -> Any:
    """The spawner as the generated configuration makes it."""
    file = folder / "cluster_config.py"
    file.write_text(configuration(settings, ASKED))
    c = PyFileConfigLoader(file.name, str(folder)).load_config()
    c.StudioKubeSpawner.merge(
        Config(
            settings=settings, config_file=str(config_file()), gateway_port=free_port(), port=port
        )
    )
    user = SimpleNamespace(name=name, id=1, url=f"/user/{name}/")
    return pods.StudioKubeSpawner(config=c, user=user, _mock=True)


async def manifest_of(spawner: Any) -> Any:
    """The pod as the API of a cluster gets it."""
    from kubernetes_asyncio.client import ApiClient

    async with ApiClient() as api:
        return api.sanitize_for_serialization(await spawner.get_pod_manifest())


@pytest.mark.usefixtures("cluster")
async def test_a_pod_has_what_a_project_needs_and_no_more(
    settings: Settings, ctx: Context, tmp_path: Path
) -> None:
    label = label_of(ctx.project)
    spawner = spawner_of(settings, label, tmp_path)
    await asyncio.to_thread(spawner.describe, label, "key-of-the-project", "secret-of-the-pod")
    pod = await manifest_of(spawner)
    for version in ("1.31.0", "1.37.0"):
        kubernetes_validate.validate(pod, version, strict=True)
    spec, [container] = pod["spec"], pod["spec"]["containers"]
    labels = pod["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "project"
    assert labels["app.kubernetes.io/name"] == "nexus-studio"
    assert spec["automountServiceAccountToken"] is spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 1000
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container["securityContext"]
    assert own["allowPrivilegeEscalation"] is own["privileged"] is False
    assert own["capabilities"] == {"drop": ["ALL"]} and own["readOnlyRootFilesystem"]
    assert container["resources"]["limits"] == {"memory": 8192 * 2**20}
    assert container["command"][-2] == "workbench.hub.kernels.keeper"
    assert spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    shown = {m["mountPath"]: m for m in container["volumeMounts"] if m["name"] == "home"}
    assert {m["subPath"] for m in shown.values()} == {
        f"projects/{ctx.project}/files",
        f"projects/{ctx.project}/environments",
        f"run/git/{label}",
    }
    assert [path for path, m in shown.items() if not m.get("readOnly")] == [pods.HOME]
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert not [name for name in environment if name.startswith("JUPYTERHUB")]
    assert environment["WORKBENCH_TOKEN"] == "key-of-the-project"
    assert environment["WORKBENCH_STUDIO_URL"] == (
        f"http://nexus-studio.nexus-studio.svc:{settings.pods_port}/services/studio/"
    )


@pytest.mark.usefixtures("cluster")
async def test_a_pod_is_held_to_the_limits_of_its_project(
    settings: Settings, ctx: Context, tmp_path: Path
) -> None:
    administrator = Context(ctx.actor.model_copy(update={"admin": True}), ctx.project, ctx.engines)
    call_here(administrator, "projects.set_limits", {"memory_mb": 1024, "cpus": 1.5})
    label = label_of(ctx.project)
    spawner = spawner_of(settings, label, tmp_path)
    await asyncio.to_thread(spawner.describe, label, "key", "secret")
    pod = await manifest_of(spawner)
    kubernetes_validate.validate(pod, "1.37.0", strict=True)
    [container] = pod["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": 2**30, "cpu": 1.5}


async def test_a_server_runs_in_a_pod_and_only_the_studio_reaches_it(
    cluster: Cluster, settings: Settings, ctx: Context, tmp_path: Path
) -> None:
    label, port = label_of(ctx.project), free_port()
    spawner = spawner_of(settings, label, tmp_path, port)
    servers = Servers(settings, ctx.store, "http://127.0.0.1:1", "none")
    assert not await servers.answers(label) and not servers.labels()
    told = await spawner.start()
    assert told == f"http://127.0.0.1:{spawner.gateway_port}"
    async with asyncio.timeout(120):
        while not await servers.answers(label):
            await asyncio.sleep(0.1)
    assert servers.labels() == {label}
    assert await spawner.poll() is None

    at = f"http://127.0.0.1:{port}/user/{label}/api/contents"
    secret = servers.way(label).headers[KEY]
    async with aiohttp.ClientSession() as anybody:
        for shown, status in (
            ({PERSON: "ada", KEY: secret}, 200),
            ({PERSON: "ada"}, 403),
            ({PERSON: "ada", KEY: "another"}, 403),
            ({KEY: secret}, 403),
        ):
            async with anybody.get(at, headers=shown) as answer:
                assert answer.status == status, shown
    note = settings.home / "run" / "servers" / f"{label}.pod"
    assert note.stat().st_mode & 0o077 == 0

    await spawner.stop()
    spawner.clear_state()
    assert not note.exists() and not servers.labels() and not cluster.pods
    assert await spawner.poll() == 1
    with pytest.raises(FileNotFoundError):
        servers.way(label)
    await servers.close()


@pytest.mark.usefixtures("cluster")
async def test_people_and_projects_that_are_gone_have_no_pod(
    settings: Settings, ctx: Context, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="is a person"):
        await spawner_of(settings, "ada", tmp_path).start()
    with pytest.raises(ValueError, match="archived or gone"):
        await spawner_of(settings, "prj-0gone", tmp_path).start()


@pytest.mark.usefixtures("cluster")
async def test_each_start_gives_the_project_another_key(settings: Settings, ctx: Context) -> None:
    from workbench.hub.spawner import prepare

    now = datetime.now(UTC)
    first = prepare(settings, ctx.project)[2]
    second = prepare(settings, ctx.project)[2]
    assert sessions.find(ctx.store, first, "project", now) is None
    assert sessions.find(ctx.store, second, "project", now) is not None


async def test_a_projects_key_holds_at_the_port_of_pods_and_nothing_else_does(
    settings: Settings, ctx: Context
) -> None:
    home, store, now = settings.home, ctx.store, datetime.now(UTC)
    keys = {
        "project": sessions.issue(store, "project", project=ctx.project, now=now),
        "person": sessions.issue(store, "person", person="ada", project=ctx.project, now=now),
        "local": local_key(home),
    }
    inner, outer = everywhere(0), everywhere(0)
    ports = [each.getsockname()[1] for each in (inner, outer)]
    guard = LocalGuard(home, "ada", store, pods_port=ports[0])
    server = uvicorn.Server(
        uvicorn.Config(application(ctx.engines, guard), log_config=None, access_log=False)
    )
    serving = asyncio.create_task(server.serve(sockets=[inner, outer]))
    try:
        found = {}
        async with asyncio.timeout(60), aiohttp.ClientSession() as anybody:
            while not server.started:
                await asyncio.sleep(0.02)
            for port, where in zip(ports, ("pods", "elsewhere"), strict=True):
                for whose, key in keys.items():
                    for host in ("127.0.0.1", f"127.0.0.1:{ports[0]}"):
                        headers = {"Authorization": f"Bearer {key}", "Host": host}
                        at = f"http://127.0.0.1:{port}/api/v1/session"
                        async with anybody.get(at, headers=headers) as answer:
                            found.setdefault((where, whose), set()).add(answer.status)
    finally:
        server.should_exit = True
        await serving
    assert found == {
        ("pods", "project"): {200},
        ("pods", "person"): {401},
        ("pods", "local"): {401},
        ("elsewhere", "project"): {401},
        ("elsewhere", "person"): {200},
        ("elsewhere", "local"): {200},
    }


def test_the_hub_starts_pods_only_if_it_is_told_to(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "node" / "node_modules" / SCRIPT
    script.parent.mkdir(parents=True)
    script.touch()
    monkeypatch.chdir(tmp_path)
    here = settings.model_copy(update={"home": tmp_path})
    for servers, name in (("local", "StudioSpawner"), ("kubernetes", "StudioKubeSpawner")):
        c = Config()
        configure_hub(c, here.model_copy(update={"servers": servers}), str(config_file()))
        assert c.JupyterHub.spawner_class.__name__ == name
        assert c[name].settings.servers == servers and c[name].gateway_port
    monkeypatch.setitem(sys.modules, "kubespawner", None)
    monkeypatch.delitem(sys.modules, "workbench.hub.pods")
    with pytest.raises(Unavailable, match="kubespawner is not installed") as raised:
        configure_hub(Config(), here, str(config_file()))
    assert "[kubernetes]" in raised.value.hint


def test_no_job_runs_beside_pods_where_there_is_no_sandbox(
    settings: Settings, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "why_not", lambda: "The system refuses it.")
    jobs = ctx.engine(runner)
    assert jobs.plan(ctx, "models.train", {}).state == "queued"
    engines = Engines(settings)
    try:
        with pytest.raises(Unavailable, match="would see every project"):
            jobs.plan(Context(ctx.actor, ctx.project, engines), "models.train", {})
    finally:
        engines.close()
