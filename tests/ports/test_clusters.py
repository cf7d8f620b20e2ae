"""What every engine of `compute.clusters` must do. A new one adds a URL, no test."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask
import httpx
import psutil
import pytest
from distributed import KilledWorker, LocalCluster
from distributed.security import Security

import workbench
from tests.running import free_port
from tests.together.peers import until
from workbench.compute import Need, clusters
from workbench.core import (
    Actor,
    Context,
    Engines,
    Invalid,
    Refused,
    Unavailable,
    load_settings,
)
from workbench.core.context import Quiet

BACKEND = "dask_gateway_server.backends.local.UnsafeLocalBackend"


class Attempt(Quiet):
    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch


@contextmanager
def scheduler(folder: Path, scheme: str, workers: int = 2) -> Iterator[str]:
    """A Dask scheduler with workers, as somebody else would run one; its URL."""
    security: Any = Security.temporary() if scheme == "tls" else Security()
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        protocol=f"{scheme}://",
        security=security,
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        local_directory=str(folder / "elsewhere"),
        silence_logs=50,
    ) as cluster:
        url = str(cluster.scheduler_address)
        if scheme == "tls":
            named = {
                "ca": security.tls_ca_file,
                "cert": security.tls_client_cert,
                "key": security.tls_client_key,
            }
            for name, text in named.items():
                (folder / f"{name}.pem").write_text(text)
            url += "?" + "&".join(f"{name}={folder / name}.pem" for name in named)
        yield url


@contextmanager
def gateway(folder: Path, *more: str) -> Iterator[str]:
    """A Dask Gateway whose clusters are processes of this machine; its URL."""
    address, inner = (f"127.0.0.1:{free_port()}" for _ in range(2))
    config = folder / "gateway.py"
    config.write_text(
        "\n".join(
            [
                "from dask_gateway_server.options import Float, Integer, Options",
                f'c.DaskGateway.backend_class = "{BACKEND}"',
                f'c.DaskGateway.address = "{inner}"',
                f'c.Proxy.address = "{address}"',
                f'c.LocalBackend.clusters_directory = "{folder}"',
                "c.UnsafeLocalBackend.sigint_timeout = 1",
                "c.ClusterConfig.cluster_max_workers = 2",
                # Dask has no dask-scheduler and dask-worker any more.
                'c.ClusterConfig.scheduler_cmd = ["dask", "scheduler"]',
                'c.ClusterConfig.worker_cmd = ["dask", "worker"]',
                *more,
            ]
        )
    )
    with open(folder / "gateway.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask_gateway_server", "--config", str(config)],
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        )
    try:
        until("the gateway answers", lambda: answers(f"http://{address}/api/health"), 30)
        yield f"gateway://{address}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(url).status_code == 200
    return False


def knock(address: str, own: Any, folder: Path) -> None:
    """Connect by TLS, with a certificate of one's own or none, and wait for an answer."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if own is not None:
        (folder / "own.pem").write_text(own.tls_client_key + own.tls_client_cert)
        tls.load_cert_chain(folder / "own.pem")
    host, _, port = address.rpartition("/")[2].partition(":")
    with socket.create_connection((host, int(port)), 10) as plain, tls.wrap_socket(plain) as made:
        made.recv(1)


def context(folder: Path, url: str) -> Context:
    workbench.load_rooms()
    settings = load_settings(home=folder / "home", urls={"compute.clusters": url})
    scratch = folder / "scratch"
    return Context(Actor(name="ada"), "prj_1", Engines(settings), job=Attempt(scratch))


@pytest.fixture(scope="module", params=["local", "tcp", "tls", "gateway"])
def ctx(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "local":
        yield context(folder, "local://?workers=2")
        return
    if request.param == "gateway":
        with gateway(folder) as url:
            yield context(folder, url)
        return
    with scheduler(folder, request.param) as url:
        yield context(folder, url)


def opened(ctx: Context, **need: Any) -> Any:
    return ctx.engine(clusters).open(ctx, Need(**{"workers": 2, **need}))


def engine_of(ctx: Context) -> str:
    return ctx.settings.urls["compute.clusters"].partition(":")[0]


def add(left: int, right: int) -> tuple[int, int]:
    return left + right, os.getpid()


def die_once(file: str) -> int:
    """Kill the worker that this runs on, each time."""
    with open(file, "a") as out:
        out.write("x")
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


def test_tasks_run_in_other_processes_and_none_of_ours_is_left(ctx: Context) -> None:
    with opened(ctx) as client:
        futures = [client.submit(add, each, 1, pure=False) for each in range(8)]
        found = [each.result(timeout=60) for each in futures]
        assert [total for total, _ in found] == list(range(1, 9))
        pids = {pid for _, pid in found} | set(client.run(os.getpid).values())
        assert os.getpid() not in pids and len(pids) == 2
        assert set(client.nthreads().values()) == {1}
    if engine_of(ctx) in ("tcp", "tls"):
        assert all(psutil.pid_exists(pid) for pid in pids)
    else:
        until("they are gone", lambda: not any(psutil.pid_exists(pid) for pid in pids), 20)


def test_no_more_workers_than_were_asked_for_or_are_there(ctx: Context) -> None:
    with opened(ctx, workers=50) as client:
        assert len(client.nthreads()) == 2


def test_a_task_whose_worker_is_killed_has_an_error_and_the_cluster_goes_on(
    ctx: Context, tmp_path: Path
) -> None:
    with opened(ctx) as client:
        error = client.submit(die_once, str(tmp_path / "n"), pure=False).exception(timeout=120)
        assert isinstance(error, KilledWorker)
        assert client.submit(add, 1, 1, pure=False).result(timeout=60)[0] == 2
        if engine_of(ctx) == "local":
            assert (tmp_path / "n").read_text() == "x"


@pytest.mark.parametrize("need", [{"workers": 0}, {"threads": 0}, {"memory_mb": 1}])
def test_a_need_that_makes_no_sense(ctx: Context, need: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"make no sense|with 1 MiB"), opened(ctx, **need):
        pass


@pytest.mark.parametrize("ctx", ["tcp", "tls", "gateway"], indirect=True)
def test_workers_of_another_version_are_refused(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbench, "__version__", "9.9")
    with (
        pytest.raises(Refused, match=r"the Studio (?!9\.9).*; here are .* and 9\.9"),
        opened(ctx),
    ):
        pass


def test_a_local_worker_has_the_memory_that_was_asked_for(tmp_path: Path) -> None:
    ctx = context(tmp_path, "local://?workers=1")
    with opened(ctx, memory_mb=700) as client:
        told = client.scheduler_info()["workers"]
        assert [each["memory_limit"] for each in told.values()] == [700 * 1024 * 1024]


def test_local_workers_speak_to_those_alone_that_have_the_certificate(tmp_path: Path) -> None:
    ctx = context(tmp_path, "local://?workers=1")
    with opened(ctx) as client:
        assert client.scheduler.address.startswith("tls://")
        for own in (None, Security.temporary()):
            with pytest.raises(ssl.SSLError, match=r"(?i)certificate|unknown.ca"):
                knock(client.scheduler.address, own, tmp_path)


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ctx = context(tmp_path, f"tcp://127.0.0.1:{port}")
    where = f"No Dask scheduler answers at tcp://127.0.0.1:{port}"
    with pytest.raises(Unavailable, match=where), opened(ctx):
        pass


def test_nobody_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.compute.scheduler.WAIT_S", 2.0)
    with scheduler(tmp_path, "tcp", workers=0) as url:
        ctx = context(tmp_path, url)
        with pytest.raises(Unavailable, match="has no worker"), opened(ctx):
            pass


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    ctx = context(tmp_path, "tls://127.0.0.1:1?ca=/no/ca&cert=/no/cert&key=/no/key")
    gone = "The ca of the Dask scheduler is not there: /no/ca"
    with pytest.raises(Unavailable, match=gone), opened(ctx):
        pass


def test_a_gateway_lets_those_in_that_have_its_password(tmp_path: Path) -> None:
    """And who may choose asks for memory and threads."""
    secret = tmp_path / "secret"
    secret.write_text("open, sesame\n")
    choice = 'Options(Integer("worker_cores", 1), Float("worker_memory", 2), handler=chosen)'
    more = (
        'c.SimpleAuthenticator.password = "open, sesame"',
        "def chosen(options):",
        '    memory = f"{options.worker_memory} G"',
        '    return {"worker_cores": options.worker_cores, "worker_memory": memory}',
        f"c.Backend.cluster_options = {choice}",
    )
    with gateway(tmp_path, *more) as url:
        out, missing = context(tmp_path, url), context(tmp_path, f"{url}?token_file=/no/token")
        with pytest.raises(Unavailable, match="does not let the Studio in: 401"), opened(out):
            pass
        with pytest.raises(Unavailable, match="cannot be read: /no/token"), opened(missing):
            pass
        ctx = context(tmp_path, f"{url}?user=studio&password_file={secret}")
        with opened(ctx, workers=1, threads=2, memory_mb=1024) as client:
            (worker,) = client.scheduler_info()["workers"].values()
            assert (worker["nthreads"], worker["memory_limit"]) == (2, 1024**3)


def test_a_gateways_cluster_ends_when_its_job_is_killed(tmp_path: Path) -> None:
    with gateway(tmp_path) as url:
        line = f"from tests.ports.test_clusters import *; hold({str(tmp_path)!r}, {url!r})"
        with subprocess.Popen([sys.executable, "-c", line], stdout=subprocess.PIPE) as job:
            assert job.stdout is not None
            pids = json.loads(job.stdout.readline())
            job.kill()
        note = context(tmp_path, url).job.scratch / "gateway-cluster"
        assert note.read_text()
        until("it has ended", lambda: not any(map(psutil.pid_exists, pids)), 60)
        # The next attempt of the job finds no cluster of that name any more, and makes its own.
        with opened(context(tmp_path, url), workers=1) as client:
            assert client.submit(add, 1, 1).result(timeout=60)[0] == 2
        assert not note.exists()


def hold(folder: str, url: str) -> None:
    """A job with a cluster that is killed."""
    with opened(context(Path(folder), url)) as client:
        print(json.dumps([*client.run(os.getpid).values()]), flush=True)
        signal.pause()


def test_a_gateways_scheduler_that_is_not_where_it_is_said_to_be(tmp_path: Path) -> None:
    soon = {"distributed.comm.timeouts.connect": "1s"}
    with gateway(tmp_path) as url, dask.config.set(soon):
        ctx = context(tmp_path, f"{url}?scheduler=127.0.0.1:{free_port()}")
        with (
            pytest.raises(Unavailable, match="No Dask scheduler answers at gateway://"),
            opened(ctx),
        ):
            pass


def test_nobody_answers_at_a_gateway(tmp_path: Path) -> None:
    where = f"127.0.0.1:{free_port()}"
    ctx = context(tmp_path, f"gateway://{where}")
    with (
        pytest.raises(Unavailable, match=f"No Dask Gateway answers at http://{where}"),
        opened(ctx),
    ):
        pass


@pytest.mark.parametrize(
    "url",
    [
        "local://?workers=0",
        "local://?workers=two",
        "local://?threads=2",
        "tcp://host",
        "tcp://ada:secret@host:1",
        "tls://host:8786",
        "tls://host:8786?ca=/a",
        "gateway://",
        "gateway://ada:secret@host:8000",
        "gateway://host:8000?user=ada",
        "gateway://host:8000?user=ada&password_file=/a&token_file=/b",
        "gateway://host:8000?password=secret",
        "kube://",
        "kube://namespace",
        "kube://Name_space?image=studio:1",
        "kube://namespace/more?image=studio:1",
        "kube://namespace?image=studio:1&token=secret",
    ],
)
def test_a_url_that_names_no_cluster(url: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is not how"):
        context(tmp_path, url).engine(clusters)
