"""Installs that end before their time: stopped, or killed at the worst moments."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.core import Cancelled, Context
from workbench.core.context import Quiet
from workbench.environments import building, get_environment, indexes, install, places, sweep

from .conftest import done

KILLED = """
import json, os, signal, sys
import workbench
from workbench.core import Actor, Context, Engines, commit, load_settings
from workbench.environments import actions, building, indexes, places

at, home, actor, project, index = json.loads(sys.argv[1])
workbench.load_rooms()
choose = places.choose
building.Bench.compile = lambda self, interpreter: None

def die(folder, name):
    if at == "chosen":
        choose(folder, name)
    os.kill(os.getpid(), signal.SIGKILL)

if at == "resolving":
    indexes.configured = lambda _: indexes.Indexes({"UV_DEFAULT_INDEX": index})
else:
    places.choose = die
ctx = Context(Actor(name=actor), project, Engines(load_settings(home=home)))
actions.install(ctx, ["six==1.17.0"])
commit(ctx, "environments.install", {})
"""


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """An index that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


def address(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/simple"


def killed(ctx: Context, at: str, server: socket.socket) -> None:
    """Install in a process of its own, which is killed at that moment."""
    given = [at, str(ctx.home), ctx.actor.name, ctx.project, address(server)]
    process = subprocess.Popen([sys.executable, "-c", KILLED, json.dumps(given)])
    if at == "resolving":
        server.accept()[0].close()
        process.kill()
    assert process.wait(60) == -signal.SIGKILL


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("at", ["resolving", "placed", "chosen"])
def test_a_kill_leaves_what_works(
    ctx: Context, folder: Path, at: str, silent: socket.socket
) -> None:
    done(ctx, ["six==1.16.0"])
    before = get_environment(ctx)
    killed(ctx, at, silent)

    left = places.unfinished(ctx.home, ctx.project)
    assert (left / "env").exists() == (at == "resolving")
    assert (places.chosen(folder) == before.folder) == (at != "chosen")
    assert places.chosen(folder), "whatever is chosen can be used"

    sweep(ctx.home, ctx.store)
    assert not left.exists()
    assert get_environment(ctx) == before

    done(ctx, ["six==1.17.0"])
    assert get_environment(ctx).state == "ready"
    assert not left.exists()


@pytest.mark.usefixtures("quick")
def test_what_was_complete_is_not_built_again(
    ctx: Context, folder: Path, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(ctx, "placed", silent)
    assert get_environment(ctx).state == "studio"
    (built,) = (each for each in folder.iterdir() if each.is_dir() and not each.is_symlink())
    monkeypatch.delattr(building.Bench, "compile")
    done(ctx, ["six==1.17.0"])
    assert get_environment(ctx).folder == built.name == places.chosen(folder)


def test_a_job_that_is_stopped(
    ctx: Context, folder: Path, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[socket.socket] = []
    silent.settimeout(0)
    here = {"UV_DEFAULT_INDEX": address(silent)}
    monkeypatch.setattr(indexes, "configured", lambda _: indexes.Indexes(here))

    class Stopped(Quiet):
        def check(self) -> None:
            try:
                asked.append(silent.accept()[0])
            except BlockingIOError:
                return
            raise Cancelled

    now = ctx.fresh(job=Stopped())
    with pytest.raises(Cancelled):
        install(now, ["six"])
    while now.undos:
        now.undos.pop()()
    for each in asked:
        each.close()
    assert not places.unfinished(ctx.home, ctx.project).exists()
    places.lock_of(folder).release()
