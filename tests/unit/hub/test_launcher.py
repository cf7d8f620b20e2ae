"""The launcher's parts: processes kept account of, ports and homes looked at, logs read."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from workbench.cli.doctor import checks, git
from workbench.cli.processes import Family, listener
from workbench.cli.up import _environment, check_home, check_port, gist
from workbench.core import Conflict, Limited, Unavailable, load_settings
from workbench.hub.processes import free_ports, is_same, stop_tree
from workbench.security import sandbox

PARENT = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {!r}]); p.wait()"
CHILD = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(60)
"""


def start() -> "subprocess.Popen[str]":
    """A process whose child does not end when asked."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(CHILD)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.stdout.close()
    return process


def test_a_family_is_found_again_from_its_file_and_stopped(tmp_path: Path) -> None:
    file = tmp_path / "processes.json"
    first = start()
    Family(file).look(first.pid)
    child = psutil.Process(first.pid).children()[0]
    first.kill()
    first.wait()
    assert child.is_running(), "an orphan"

    later = Family(file)
    later.recall()
    assert later.alive() == [child]
    assert later.stop(0.2) == 1
    assert not child.is_running()
    assert later.alive() == []


def test_a_full_disk_ends_nothing_and_the_account_is_written_later(tmp_path: Path) -> None:
    file = tmp_path / "processes.json"
    full = tmp_path / "processes.new"
    full.symlink_to("/dev/full")
    family = Family(file)
    family.look(os.getpid())
    assert not file.exists()
    assert psutil.Process() in family.alive()
    full.unlink()
    family.look(os.getpid())
    assert [os.getpid(), psutil.Process().create_time()] in json.loads(file.read_text())


def test_a_process_that_was_given_an_old_number_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "processes.json"
    created = psutil.Process().create_time()
    file.write_text(f"[[{os.getpid()}, {created - 100}]]")
    family = Family(file)
    family.recall()
    assert family.alive() == []
    assert is_same(os.getpid(), created)
    assert not is_same(os.getpid(), created - 100)


async def test_a_tree_is_stopped_to_the_last(tmp_path: Path) -> None:
    first = start()
    child = psutil.Process(first.pid).children()[0]
    await stop_tree(first.pid, 0.5)
    first.wait()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_taken_port_is_named_with_its_owner_and_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(os.getpid()) in listener(port)
        with pytest.raises(Conflict, match=f"Port {port} is taken by .*{os.getpid()}") as told:
            check_port(load_settings(port=port))
    assert "WORKBENCH_PORT=" in told.value.hint
    check_port(load_settings(port=port))


def test_free_ports_differ() -> None:
    assert len(set(free_ports(5))) == 5


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be written"):
        check_home(tmp_path / "file" / "home")


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.cli.up.LEAST_FREE", 10**18)
    with pytest.raises(Limited, match="MB left"):
        check_home(tmp_path)


def test_a_log_says_why_it_ended(tmp_path: Path) -> None:
    log = tmp_path / "hub.log"
    assert gist(log) == ""
    log.write_text("[I 1] fine\n  File x\nKeyError: 'home'\n[I 2] bye\n")
    assert gist(log) == "It said: KeyError: 'home'."
    (tmp_path / "studio.log").write_text("ImportError: no duckdb\n")
    log.write_text("[I 1] fine\n[C 2] Service studio exited with status 1\n")
    assert gist(log) == "Its service studio ended. It said: ImportError: no duckdb."


def test_the_hub_gets_the_settings_and_no_other_hubs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "another's")
    settings = load_settings(home=tmp_path, port=8123, urls={"core.store": "sqlite:///x"})
    env = _environment(settings)
    assert env["WORKBENCH_HOME"] == str(tmp_path)
    assert env["WORKBENCH_PORT"] == "8123"
    assert env["WORKBENCH_URL_CORE__STORE"] == "sqlite:///x"
    assert not [name for name in env if name.startswith("JUPYTERHUB_")]


def test_the_doctor_looks_at_everything(tmp_path: Path) -> None:
    found = {each.name: each for each in checks(load_settings(home=tmp_path / "home"))}
    assert found["python"].ok
    assert found["node"].ok
    assert set(found) >= {
        "versions",
        "home",
        "memory",
        "port",
        "gpu",
        "browser",
        "sandbox",
        "limits",
        "git",
    }
    assert all(each.found for each in found.values())
    assert all(each.hint for each in found.values() if each.ok is False)
    assert not (tmp_path / "home").exists(), "looking changes nothing"


def test_the_doctor_misses_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(sandbox, "PATH", str(empty))
    monkeypatch.setattr(sandbox, "why_not", lambda: "")
    found = git(load_settings(home=tmp_path / "home"))
    assert found.ok is None and "apt install git" in found.hint
    old = empty / "git"
    old.write_text("#!/bin/sh\necho git version 2.20.1\n")
    old.chmod(0o755)
    found = git(load_settings(home=tmp_path / "home"))
    assert found.ok is None and "2.32" in found.hint
