"""Git in the project's JupyterLab: a repository from the start, commits by whoever makes them."""

import logging
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from jupyterlab_git import JupyterLabGit
from jupyterlab_git_core.git import Git

from .gitconfig import address
from .inside import asking

log = logging.getLogger(__name__)


def begin(home: Path) -> None:
    """Make the project's folder a repository, unless it is one. Nothing is committed."""
    if shutil.which("git") is None or os.path.lexists(home / ".git"):
        return
    done = subprocess.run(
        ["git", "init", "--quiet"], cwd=home, capture_output=True, text=True, check=False
    )
    if done.returncode:
        log.warning("git cannot make a repository: %s", done.stderr.strip())


class PersonsGit(Git):  # type: ignore[misc]
    """JupyterLab's git, as the person whose request it is.

    The server is shared: its own identity is the project's. Whoever presses Commit is the author,
    of merges and reverted commits too; the committer is the project.
    """

    def __init__(self, config: JupyterLabGit, host: str) -> None:
        super().__init__(config)
        self._host = host

    async def commit(
        self, commit_msg: str, amend: bool, path: str, author: str | None = None
    ) -> dict[str, Any]:
        """Commit what is staged. A commit that is amended keeps its author.

        Args:
            commit_msg: The message.
            amend: Whether to add to the last commit.
            path: The folder.
            author: What the page says; the Studio knows better.
        """
        return dict(await super().commit(commit_msg, amend, path))

    # Every command goes through this one; its name is private to the class above.
    async def _Git__execute(
        self, cmdline: list[str], cwd: str, env: dict[str, str] | None = None, **given: Any
    ) -> tuple[int, str, str]:
        name, own = asking.get(), dict(os.environ if env is None else env)
        if name:
            own |= {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": address(name, self._host)}
        answer: tuple[int, str, str] = await super()._Git__execute(cmdline, cwd, env=own, **given)
        return answer


def take_over(settings: dict[str, Any], config: Any, host: str) -> None:
    """Have the Git panel's handlers work as the person who asks."""
    if "git" in settings:
        settings["git"] = PersonsGit(JupyterLabGit(config=config), host)
