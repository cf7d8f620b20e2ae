"""Where heavy work runs: processes of this machine, or a Dask scheduler elsewhere; what it used."""

from .actions import list_clusters, scale, usage
from .ports import Clusters, Need, Notebooks, check_workers, clusters, notebooks
from .types import Cluster, Usage, Used

__all__ = [
    "Cluster",
    "Clusters",
    "Need",
    "Notebooks",
    "Usage",
    "Used",
    "check_workers",
    "clusters",
    "list_clusters",
    "notebooks",
    "scale",
    "usage",
]
