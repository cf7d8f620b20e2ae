"""The folders that the attempts of a job share: checkpoints, and what its workers put aside."""

import shutil
from pathlib import Path

from workbench.core import FINISHED, Settings, Store

from . import ledger


def scratch_of(settings: Settings, project: str, id: str) -> Path:
    """The folder of a job; it need not be there."""
    return settings.home / "projects" / project / "scratch" / id


def drop_scratch(settings: Settings, project: str, id: str) -> None:
    """Remove the folder of a job that has ended."""
    shutil.rmtree(scratch_of(settings, project, id), ignore_errors=True)


def sweep_scratch(settings: Settings, store: Store) -> None:
    """Remove the folders of jobs that ended while nobody was there to do it."""
    for folder in (settings.home / "projects").glob("*/scratch/*"):
        row = ledger.row_of(store, folder.name)
        if row is None or row.state in FINISHED:
            shutil.rmtree(folder, ignore_errors=True)
