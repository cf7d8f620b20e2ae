"""Where heavy work runs: processes of this machine, or a Dask scheduler elsewhere."""

from .ports import Clusters, Need, clusters

__all__ = ["Clusters", "Need", "clusters"]
