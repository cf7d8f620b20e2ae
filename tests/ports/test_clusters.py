"""What every engine of `compute.clusters` must do. A new one adds a URL, no test."""

import os
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import KilledWorker, LocalCluster
from distributed.security import Security

import workbench
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


@pytest.fixture(scope="module", params=["local", "tcp", "tls"])
def ctx(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "local":
        yield context(folder, "local://?workers=2")
        return
    with scheduler(folder, request.param) as url:
        yield context(folder, url)


def opened(ctx: Context, **need: Any) -> Any:
    return ctx.engine(clusters).open(ctx, Need(**{"workers": 2, **need}))


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
    left = [pid for pid in pids if psutil.pid_exists(pid)]
    assert bool(left) == (ctx.settings.urls["compute.clusters"].partition(":")[0] != "local")


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
        if ctx.settings.urls["compute.clusters"].startswith("local"):
            assert (tmp_path / "n").read_text() == "x"


@pytest.mark.parametrize("need", [{"workers": 0}, {"threads": 0}, {"memory_mb": 1}])
def test_a_need_that_makes_no_sense(ctx: Context, need: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"make no sense|with 1 MiB"), opened(ctx, **need):
        pass


@pytest.mark.parametrize("ctx", ["tcp", "tls"], indirect=True)
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
    ],
)
def test_a_url_that_names_no_cluster(url: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is not how"):
        context(tmp_path, url).engine(clusters)
