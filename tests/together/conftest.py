"""Alice and Mallory, editors of one project, and what may happen to its server."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.hostile.conftest import Team, invited, label, team
from tests.hostile.members import Inside
from tests.running import process_in
from tests.together.peers import SHARED, Ledger, Peer, agree, on_disk, sources, until

__all__ = ["team"]

_count = itertools.count(1)


@dataclass
class Project:
    """The project they share."""

    team: Team
    id: str

    @property
    def label(self) -> str:
        return label(self.id)

    @property
    def files(self) -> Path:
        return self.team.home / "projects" / self.id / "files"

    @property
    def store(self) -> Path:
        """Where the server keeps what was edited and is not yet in the file."""
        return self.files / ".local" / "share" / "jupyter" / "rooms.db"

    def enter(self, name: str = "alice") -> Inside:
        """Somebody in its Lab, started if it does not run."""
        return self.team.enter(getattr(self.team, name), self.id)

    def server(self) -> psutil.Process | None:
        """The process that is its JupyterLab."""
        return process_in(self.id, "workbench.hub.inside")

    def keeper(self) -> psutil.Process | None:
        """The process that owns its kernels."""
        return process_in(self.id, "workbench.hub.kernels.keeper")

    def stop(self) -> None:
        """As the hub stops a server: it is asked to end."""
        ada = self.team.ada.http
        jar = ada.cookies.jar
        xsrf = next(c.value for c in jar if c.name == "_xsrf" and c.path == "/hub/")
        url = f"{self.team.url}hub/api/users/{self.label}/server"
        headers = {"x-xsrftoken": str(xsrf), "accept": "application/json"}
        answer: Any = ada.delete(url, headers=headers)
        assert answer.status_code in (202, 204), answer.text[:300]
        self.ended()

    def kill(self) -> None:
        """As a machine without memory kills one."""
        process = self.server()
        assert process is not None
        process.kill()
        self.ended()

    def ended(self) -> None:
        until("the server has ended", lambda: self.server() is None, 60)


@dataclass
class Room:
    """A notebook of the project, and who has it open."""

    project: Project
    path: str
    ledger: Ledger = field(default_factory=Ledger)
    peers: list[Peer] = field(default_factory=list)

    def join(self, person: str, name: str = "") -> Peer:
        """Open it in a window of that person."""
        peer = Peer(self.project.enter(person), self.path, self.ledger, name or person)
        self.peers.append(peer.connect())
        return peer

    def now(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The notebook as a new window has it, and as the file has it once it is saved."""
        agree([p for p in self.peers if p.socket is not None])
        inside = self.project.enter("alice")
        with_fresh_eyes = Peer(inside, self.path, self.ledger, "fresh").connect()
        live = with_fresh_eyes.read()
        with_fresh_eyes.close()
        last = time.monotonic() + 20
        while sources(saved := on_disk(inside, self.path)) != sources(live):
            if time.monotonic() > last:
                break
            time.sleep(0.2)
        return live, saved

    def count(self) -> tuple[int, int, int]:
        """Edits made; lost in the live document or the file; there twice."""
        live, saved = self.now()
        lost = {*self.ledger.lost(live), *self.ledger.lost(saved)}
        twice = {*self.ledger.twice(live), *self.ledger.twice(saved)}
        print(
            f"made {self.ledger.made} lost {len(lost)} twice {len(twice)}"
            f" (live: {len(self.ledger.lost(live))} lost, file: {len(self.ledger.lost(saved))})"
        )
        for each in sorted(lost | twice)[:10]:
            print("   ", each)
        return self.ledger.made, len(lost), len(twice)


@pytest.fixture(scope="session")
def project(team: Team) -> Project:
    invited(team.alice, team.hers, team.mallory, "editor")
    return Project(team, team.hers)


@pytest.fixture
def room(project: Project) -> Iterator[Room]:
    path = f"together-{next(_count)}.ipynb"
    cell = {"cell_type": "markdown", "id": SHARED, "metadata": {}, "source": "All of us\n"}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    asked = {"type": "notebook", "format": "json", "content": content}
    project.enter().ask("PUT", f"api/contents/{path}", json=asked).raise_for_status()
    made = Room(project, path)
    yield made
    for peer in made.peers:
        peer.close()


Between = Callable[[], Any]
