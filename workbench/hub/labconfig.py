"""The configuration of a project's JupyterLab."""

import os
from pathlib import Path

from jupyter_core.paths import jupyter_runtime_dir
from traitlets.config import Config

from .given import KEEPER

HERE = Path(__file__).parent

LEFT_OUT = ("dask_labextension", "nbclassic", "panel.io.jupyter_server_extension")
"""Parts of a notebook server that nobody sees here, and that take half of its start; what the Dask
panel asks for is answered by `kernels.dask`."""


def configure_lab(c: Config) -> None:
    """No news, no second welcome page, kernels at the keeper, documents kept by the Studio."""
    c.ServerApp.quit_button = False
    c.ServerApp.contents_manager_class = "workbench.hub.contents.StudioContents"
    c.ServerApp.jpserver_extensions = dict.fromkeys(LEFT_OUT, False)
    c.ServerApp.kernel_spec_manager_class = "workbench.hub.kernels.specs.StudioSpecs"
    c.LabApp.news_url = None
    c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
    c.LabApp.extension_manager = "readonly"
    c.LabApp.app_settings_dir = str(HERE / "lab")
    if KEEPER in os.environ:
        c.KernelProvisionerFactory.default_provisioner_name = "studio-keeper"
        c.ServerApp.kernel_manager_class = "workbench.hub.kernels.manager.KeptKernels"
        c.ServerApp.kernel_websocket_connection_class = "workbench.hub.kernels.manager.Window"
        c.SessionManager.database_filepath = str(Path(jupyter_runtime_dir()) / "sessions.db")
        # `Window` tells one that comes back what it missed, from the disk.
        c.MappingKernelManager.buffer_offline_messages = False
        c.KernelRestarter.time_to_dead = 1.0
    # `rooms` keeps shared documents in a journal of its own.
    c.SQLiteYStore.db_path = ":memory:"
