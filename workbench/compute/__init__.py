"""Where heavy work runs: processes of this machine, or a Dask scheduler elsewhere; what it used."""

from .actions import usage
from .ports import Clusters, Need, clusters
from .types import Usage, Used

__all__ = ["Clusters", "Need", "Usage", "Used", "clusters", "usage"]
