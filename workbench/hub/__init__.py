"""The glue to JupyterHub: accounts, servers, services, and the configuration that joins them.

Nothing here is imported by another room. The launcher (`workbench.cli.up`) starts it as a
process (`python -m workbench.hub`), `jupyter_config.py` calls `configure`.
"""

from .config import configure

__all__ = ["configure"]
