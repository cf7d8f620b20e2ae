"""Where the folders are that ship beside the package: `notebooks/`, `dashboards/`."""

from pathlib import Path


def shipped(name: str) -> Path:
    """The folder of that name: the checkout's, or the wheel's copy inside the package."""
    package = Path(__file__).parents[1]
    beside = package.parent / name
    return beside if beside.is_dir() else package / name
