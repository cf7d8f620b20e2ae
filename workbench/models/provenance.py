"""What made a model: the Studio's version and commit, the packages that touch the numbers.

Models are made by the Studio's own code with its own packages. What the project installed for
itself is told besides: its notebooks prepared the data with it.
"""

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import workbench
from workbench.core import Store
from workbench.environments import locked

from .types import Installed

PACKAGES = ("lightgbm", "mlflow", "numpy", "pyarrow", "scikit-learn", "torch")


def environment() -> dict[str, str]:
    """Package → version of what touches the numbers, as installed here."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def installed(store: Store, project: str) -> Installed | None:
    """What the project installed for itself; None if nothing."""
    found = locked(store, project)
    kept = {name: value for name, value in found.items() if name in Installed.model_fields}
    return Installed(**kept) if found else None


def code() -> str:
    """The Studio's version, and the commit if it runs from a checkout."""
    root = Path(workbench.__file__).parents[1]
    if (root / ".git").exists() and (git := shutil.which("git")):
        done = subprocess.run(
            [git, "-C", str(root), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        if done.returncode == 0:
            return f"{workbench.__version__}+{done.stdout.strip()}"
    return workbench.__version__
