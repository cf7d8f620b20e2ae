"""A project's folder with a real repository in it, made by the git of this machine."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from workbench.core import Context, call_here
from workbench.history import reading


@dataclass
class Repository:
    """A repository, and what the Studio says of it."""

    folder: Path
    ctx: Context

    def git(self, *command: str, who: str = "Ada", given: bytes = b"") -> str:
        """Run git in it as somebody; what it printed."""
        own = {
            "HOME": str(self.folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": who,
            "GIT_AUTHOR_EMAIL": f"{who.lower()}@studio.example",
            "GIT_COMMITTER_NAME": "loans",
            "GIT_COMMITTER_EMAIL": "project@studio.example",
        }
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", str(self.folder), *command],
            env=os.environ | own,
            input=given,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def write(self, path: str, content: str | bytes) -> None:
        """Put a file in the folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, message: str, who: str = "Ada") -> str:
        """Commit everything; the commit's id."""
        self.git("add", "--all", who=who)
        self.git("commit", "--quiet", "--allow-empty", "-m", message, who=who)
        return self.git("rev-parse", "HEAD")

    def ask(self, verb: str, **request: Any) -> Any:
        """What the door answers."""
        return call_here(self.ctx.fresh(), f"history.{verb}", request)


def notebook(*sources: str, outputs: str = "", kernel: str = "python3") -> str:
    """A notebook with these cells of code."""
    cells = [
        {
            "cell_type": "code",
            "id": f"cell{number}",
            "metadata": {},
            "execution_count": None,
            "source": source,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": outputs}]
            if outputs
            else [],
        }
        for number, source in enumerate(sources)
    ]
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def folder(ctx: Context) -> Path:
    if problem := reading.why_not():
        pytest.skip(f"no history can be read here: {problem}")
    made = ctx.folder / "files"
    made.mkdir(parents=True, exist_ok=True, mode=0o700)
    return made


@pytest.fixture
def repository(folder: Path, ctx: Context) -> Repository:
    made = Repository(folder, ctx)
    made.git("init", "--quiet", "--initial-branch=main")
    return made


@pytest.fixture
def marker(tmp_path: Path) -> Callable[[Path], str]:
    """A program that leaves a mark; anything that runs it outside a sandbox is found out."""
    mark = tmp_path / "ran"

    def made(folder: Path) -> str:
        program = folder / "planted.sh"
        program.write_text(f"#!/bin/sh\ntouch {mark} {folder}/ran\ncat\n")
        program.chmod(0o755)
        shutil.copy(program, tmp_path / "copy.sh")
        return str(program)

    return made
