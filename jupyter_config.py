"""The one configuration file: of the Studio's settings, of JupyterHub and of JupyterLab."""

from workbench.hub import configure

c = get_config()  # noqa: F821

# The Studio's settings, all of them in docs/reference.md. A WORKBENCH_… variable wins over these.
# c.Workbench.port = 8000
# c.Workbench.urls = {"core.store": "postgresql://studio@db/studio"}

configure(c, __file__)

# JupyterHub's and JupyterLab's own options; here they win over what the Studio chose.
# c.JupyterHub.shutdown_on_logout = True
# c.Spawner.default_url = "/lab/tree/README.md"
