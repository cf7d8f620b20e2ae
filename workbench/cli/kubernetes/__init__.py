"""`workbench deploy kubernetes`: the manifests of a Studio, made from its settings.

One pod holds what `workbench up` starts; each project's JupyterLab is a pod of its own
(`workbench.hub.pods`). What is written is validated against the schemas of Kubernetes by the tests,
and was **not run on a cluster**; every file says so.

`asked` is what a cluster has to be told and what it cannot be; `configuration` the settings file;
`objects`, `pod` and `network` the manifests; `writing` puts them into files.
"""

from .asked import Deployment
from .configuration import MARK, configuration
from .writing import manifests, text, write_kubernetes

__all__ = ["MARK", "Deployment", "configuration", "manifests", "text", "write_kubernetes"]
