"""What git knows in every project before anybody tells it anything: files of its /etc.

Whoever works in a project changes what they like in `~/.gitconfig`, in the repository, or in a
`.gitignore` and `.gitattributes` of their own: git gives these the last word.
"""

from pathlib import Path

SEEN = "/etc"
"""Where the files are seen inside."""

CONFIG = """\
[user]
    name = {name}
    email = {email}
[init]
    defaultBranch = main
[core]
    excludesFile = {folder}/gitignore
    attributesFile = {folder}/gitattributes
[safe]
    directory = *
[diff "jupyternotebook"]
    command = git-nbdiffdriver diff
[merge "jupyternotebook"]
    name = nbdime
    driver = git-nbmergedriver merge %O %A %B %L %P
"""
IGNORE = """\
# Settings, histories and keys in the home of the project; not its work.
/.*
!/.editorconfig
!/.gitattributes
!/.github/
!/.gitignore
!/.gitmodules
!/.pre-commit-config.yaml
# What JupyterLab and Python keep beside the work.
.ipynb_checkpoints/
.virtual_documents/
.jupyter_ystore.db*
rooms.db*
__pycache__/
*.py[co]
"""
ATTRIBUTES = """\
*.ipynb diff=jupyternotebook merge=jupyternotebook
"""


def files(project: str, label: str, host: str, folder: str = SEEN) -> dict[str, str]:
    """The files by their names, and what is in them.

    Args:
        project: The project's name: who commits in a terminal, and who is the committer always.
        label: The project's label: the name in its address.
        host: The Studio's host.
        folder: Where the files will be seen.
    """
    config = CONFIG.format(name=project, email=address(label, host), folder=folder)
    return {"gitconfig": config, "gitignore": IGNORE, "gitattributes": ATTRIBUTES}


def address(name: str, host: str) -> str:
    """The address that stands in commits; no mail goes there.

    Example:
        >>> address("ada", "studio.example.org")
        'ada@studio.example.org'
    """
    return f"{name}@{host}"


def environment(folder: str = SEEN) -> dict[str, str]:
    """What makes git read them, wherever it was built to look."""
    return {"GIT_CONFIG_SYSTEM": f"{folder}/gitconfig"}


def write(folder: Path, content: dict[str, str]) -> None:
    """Put the files into a folder: where there is no sandbox to show them in."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in content.items():
        (folder / name).write_text(text)
