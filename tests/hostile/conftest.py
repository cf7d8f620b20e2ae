"""A Studio with a team in it: two projects, their owners, a viewer, an administrator."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.members import Inside, Member, Terminal, come_in
from tests.running import environment_for, free_port, launched, welcome_link

PASSWORD = "a-quite-long-passphrase"


ROOM = 4 * 2**30


@dataclass
class Disk:
    """A disk of its own, which is as large as it is told to be."""

    folder: Path

    def resize(self, size: int) -> None:
        command = ["mount", "-o", f"remount,size={size}", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def fill(self) -> None:
        """Leave no byte: what is used is all there is."""
        until = time.monotonic() + 20
        while True:
            usage = os.statvfs(self.folder)
            with suppress(subprocess.CalledProcessError):  # somebody wrote meanwhile
                self.resize((usage.f_blocks - usage.f_bfree) * usage.f_frsize)
                return
            assert time.monotonic() < until

    def free(self) -> None:
        self.resize(ROOM)


@contextmanager
def disk(folder: Path) -> Iterator[Disk | None]:
    """A disk mounted at a folder; None where only root could do that."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=755", "studio", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass
class Team:
    """The people, their projects, and where it all lies."""

    home: Path
    url: str
    environment: dict[str, str]
    ada: Member
    """The administrator."""
    mallory: Member
    """Owner of `theirs`, and up to no good."""
    alice: Member
    """Owner of `hers`."""
    vera: Member
    """Viewer of `theirs`."""
    theirs: str
    hers: str
    disk: Disk | None = None
    """The one the home lies on; None if it is the machine's."""

    def origin(self, project: str) -> str:
        """Where a project's pages are."""
        return self.url.rstrip("/").replace("://", f"://{label(project)}.", 1)

    def enter(self, member: Member, project: str) -> Inside:
        """The member in that project's Lab."""
        return member.enter(self.origin(project), label(project))


def label(project: str) -> str:
    return project.replace("_", "-")


@pytest.fixture(scope="session")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    folder = tmp_path_factory.mktemp("team") / "disk"
    home = folder / "home"
    environment = environment_for(home, free_port())
    with disk(folder) as mounted, launched(environment) as (_, link):
        url = f"http://localhost:{environment['WORKBENCH_PORT']}/"
        come_in(link, "ada", PASSWORD, stay=False)
        for name in ("mallory", "alice", "vera"):
            come_in(welcome_link(environment, name), name, PASSWORD, stay=False)
        people = {n: Member(url, n, PASSWORD) for n in ("ada", "mallory", "alice", "vera")}
        theirs = made(people["mallory"], "theirs")
        hers = made(people["alice"], "hers")
        invited(people["mallory"], theirs, people["vera"], "viewer")
        yield Team(home, url, environment, **people, theirs=theirs, hers=hers, disk=mounted)
        for member in people.values():
            member.close()


@pytest.fixture(scope="session")
def shell(team: Team) -> Iterator[Terminal]:
    """Mallory's terminal in the project that is hers to use."""
    terminal = team.enter(team.mallory, team.theirs).terminal()
    yield terminal
    terminal.close()


def made(owner: Member, name: str) -> str:
    answer: Any = owner.call("POST", "projects/projects", json={"name": name})
    return str(answer.raise_for_status().json()["id"])


def invited(owner: Member, project: str, member: Member, role: str) -> None:
    headers = {"x-workbench-project": project}
    answer: Any = owner.call("POST", "projects:invite", json={"role": role}, headers=headers)
    token = answer.raise_for_status().json()["link"].partition("token=")[2]
    member.call("POST", "projects:join", json={"token": token}).raise_for_status()
