"""Which kernels a project can choose from: the Studio's own, then its environment's."""

from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_path
from traitlets import default

from workbench.core.shipped import shipped


class StudioSpecs(KernelSpecManager):
    """Jupyter's, with `kernels/specs` before all others."""

    @default("kernel_dirs")
    def _kernel_dirs_default(self) -> list[Any]:
        return [str(shipped("kernels/specs")), *jupyter_path("kernels")]
