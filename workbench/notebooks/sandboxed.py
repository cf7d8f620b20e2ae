"""What the code of a project's notebooks finds around it, in JupyterLab and in a job."""

from pathlib import Path

from workbench import environments
from workbench.core import Settings
from workbench.security import sandbox

CALLS = "/run/studio"
"""Where the folder of the Studio's socket is seen inside."""
MIB = 1024 * 1024


def environment_of(settings: Settings, project: str, key: str) -> dict[str, str]:
    """How it finds the project's environment, and calls the Studio.

    Args:
        settings: The Studio's.
        project: The project's id.
        key: What the Studio knows it by.
    """
    bare = sandbox.why_not()
    packages = environments.prepare_folder(settings, project)
    return {
        "JUPYTER_PATH": f"{environments.seen(packages)}/jupyter",
        "WORKBENCH_TOKEN": key,
        "WORKBENCH_PROJECT": project,
        "WORKBENCH_STUDIO_URL": f"http+unix://{_calls(settings) if bare else CALLS}/studio.sock",
        "PIP_USER": "1",
    }


def shown_to(settings: Settings, project: str) -> dict[Path, str]:
    """The folders that its sandbox sees besides the project's own, and where."""
    packages = environments.prepare_folder(settings, project)
    return {_calls(settings): CALLS, packages: environments.SEEN}


def limits_of(memory_mb: float) -> str:
    """Within what each of its processes stays: see `workbench.rlimits`."""
    return f"data={memory_mb * MIB:.0f},processes=1024"


def _calls(settings: Settings) -> Path:
    folder = settings.home / "run" / "inside"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
