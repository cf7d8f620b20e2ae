"""`%%sql`: a SELECT over the project's products, as a table of pandas.

%%sql rich --limit 100
SELECT * FROM customers WHERE income > 5000
"""

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 1000


@magics_class
class Queries(Magics):
    """See the module.

    Args:
        shell: IPython's.
        studio: What answers `data.query`.
    """

    def __init__(self, shell: Any, studio: Any) -> None:
        super().__init__(shell)
        self._studio, self._names = studio, shell.user_ns

    @magic_arguments()
    @argument("name", nargs="?", help="Keep the table under this name, and show nothing.")
    @argument("--limit", type=int, default=LIMIT, help="At most how many rows.")
    @line_cell_magic
    def sql(self, line: str, cell: str | None = None) -> "pd.DataFrame | None":
        """Ask the project's products, each a table by its name; `"name@3"` is its version 3."""
        if cell is None:
            return self._table(line, LIMIT)
        given = parse_argstring(self.sql, line)
        if given.name is not None and not given.name.isidentifier():
            raise UsageError(f"{given.name!r} is no name of a variable.")
        table = self._table(cell, given.limit)
        if given.name is None:
            return table
        self._names[given.name] = table
        return None

    def _table(self, query: str, limit: int) -> "pd.DataFrame":
        import pandas as pd

        from workbench.core import WorkbenchError

        if not query.strip():
            raise UsageError("There is no query: write a SELECT below %%sql.")
        try:
            found = self._studio.data.query(sql=query, limit=limit)
        except WorkbenchError as error:
            raise UsageError(f"{error} {error.hint}".strip()) from error
        return pd.DataFrame(found.rows, columns=[each.name for each in found.columns])
