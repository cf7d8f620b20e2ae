"""What a kernel of the Studio can besides: `%load_ext workbench`, loaded by itself in a project.

`wb` is the Studio. `%%sql` asks the project's products (`sql`), `%%job` makes a job of a cell
(`job`). A cell that runs out of memory says
where it went (`running_out`). In a kernel that is connected to the project's Dask cluster, `client`
is that (`cluster`).
"""

from typing import Any

from .cluster import connect
from .job import CellJobs
from .running_out import explain
from .sql import Queries
from .studio import Studio

__all__ = ["load"]


def load(shell: Any) -> None:
    """Add it to a shell of IPython's; doing so again changes nothing.

    A `wb` that somebody made stays theirs.
    """
    shell.set_custom_exc((MemoryError,), explain)
    studio = shell.user_ns.setdefault("wb", Studio())
    ours = studio if isinstance(studio, Studio) else Studio()
    shell.register_magics(Queries(shell, ours), CellJobs(shell, ours))
    connect(shell)
