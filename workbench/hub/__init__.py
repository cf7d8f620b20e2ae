"""The glue to JupyterHub: accounts, servers, services, and the configuration that joins them.

Nothing here is imported by another room. The launcher (`workbench.cli.up`) starts it as a
process (`python -m workbench.hub`), `jupyter_config.py` calls `configure`. The processes of a
project's sandbox load none of the hub, so that they start fast.
"""

import os
import sys
from pathlib import Path

from traitlets.config import Application, Config
from traitlets.config.loader import PyFileConfigLoader

__all__ = ["configure"]

_reading = False


def configure(c: Config, file: str) -> None:
    """Fill in the configuration of whichever application reads the file.

    A file of one's own, named by `WORKBENCH_CONFIG`, is read after this one and wins.

    Args:
        c: The configuration being read.
        file: The configuration file itself: the notebook servers read it too.
    """
    global _reading
    if _reading:
        return
    if _application() == "JupyterHub":
        # The settings stand in the same file, which is read once more for them.
        own = Path(os.environ.get("WORKBENCH_CONFIG") or file)
        from workbench.core import load_settings

        from .config import configure_hub

        _reading = True
        try:
            configure_hub(c, load_settings(own), file)
            if not own.samefile(file):
                c.merge(PyFileConfigLoader(own.name, path=str(own.parent)).load_config())
        finally:
            _reading = False
    elif "jupyter_server" in sys.modules:
        from .labconfig import configure_lab

        configure_lab(c)


def _application() -> str:
    return type(Application.instance()).__name__ if Application.initialized() else ""
