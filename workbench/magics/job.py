"""`%%job`: a cell as a job, which goes on without the notebook, the browser and JupyterLab.

%%job nightly
import pandas as pd
...
"""

from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring


@magics_class
class CellJobs(Magics):
    """See the module.

    Args:
        shell: IPython's.
        studio: What answers `notebooks.run`.
    """

    def __init__(self, shell: Any, studio: Any) -> None:
        super().__init__(shell)
        self._studio = studio

    @magic_arguments()
    @argument("name", nargs="?", default="", help="What its copy in the folder runs is called.")
    @argument("--kernel", default="", help="Which kernel; Studio Python if absent.")
    @cell_magic
    def job(self, line: str, cell: str) -> Any:
        """Run the cell as a job with a kernel of its own: it sees no variables of this one."""
        from workbench.core import WorkbenchError

        given = parse_argstring(self.job, line)
        if not cell.strip():
            raise UsageError("There is nothing to run: write Python below %%job.")
        try:
            return self._studio.notebooks.run(code=cell, name=given.name, kernel=given.kernel)
        except WorkbenchError as error:
            raise UsageError(f"{error} {error.hint}".strip()) from error
