"""`python -m workbench.hub CONFIG`: the hub, which ends when the launcher that started it does."""

import sys

from .processes import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    from jupyterhub.app import JupyterHub

    JupyterHub.launch_instance(["--config", sys.argv[1]])
