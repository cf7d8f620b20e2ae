"""Runs a notebook in a project's sandbox: `python -m workbench.notebooks.inside <order> <told>`.

Both are descriptors. It reads its order (`workbench.notebooks.running.Order`, and `copy`: where the
copy goes) as JSON, and tells how it goes, a JSON object a line: `cell` and `of` before a cell,
`text` of what it prints, at last `done`, or `problem` and `hint`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat.notebooknode import NotebookNode

from workbench import memory
from workbench.rlimits import confine

EXTENSION = ("--InteractiveShellApp.extra_extensions=workbench",)
"""What a kernel of IPython's is given besides: see `workbench.magics`."""
CLUSTER = "studio-dask"
"""The kernel that is connected to the project's cluster, which a job has not."""
LONGEST = 4_000
"""Characters of one line that is told."""


class Problem(Exception):
    """What went wrong, in a sentence, and a hint."""


class Told:
    """The descriptor that is told how it goes."""

    def __init__(self, number: int) -> None:
        self._out = os.fdopen(number, "w")
        self._rest: dict[str, str] = {}

    def say(self, **told: Any) -> None:
        print(json.dumps(told), file=self._out, flush=True)

    def text(self, stream: str, text: str) -> None:
        """What a cell prints, line by line; what a line was before a carriage return is gone."""
        *lines, self._rest[stream] = (self._rest.get(stream, "") + text).split("\n")
        for line in lines:
            self._line(line)
        if len(self._rest[stream]) > LONGEST:
            self.end()

    def end(self) -> None:
        """A line that was not ended is one."""
        for stream, line in self._rest.items():
            if line:
                self._line(line)
            self._rest[stream] = ""

    def _line(self, line: str) -> None:
        self.say(text=line.rstrip("\r").rpartition("\r")[2][:LONGEST])


class Client(NotebookClient):
    """nbclient's, that tells what cells print and writes the copy after each."""

    def __init__(self, notebook: NotebookNode, copy: Path, told: Told, **given: Any) -> None:
        self._copy, self._told = copy, told
        super().__init__(notebook, **given)
        self.on_cell_start = self._begins
        self.on_cell_complete = self._ends

    def _begins(self, cell: NotebookNode, cell_index: int) -> None:
        if cell.cell_type == "code":
            self._told.say(cell=cell_index + 1, of=len(self.nb.cells))

    def _ends(self, cell: NotebookNode, cell_index: int) -> None:
        self._told.end()
        self.write()

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        """See nbclient."""
        if msg["msg_type"] == "stream":
            self._told.text(msg["content"]["name"], msg["content"]["text"])
        return super().output(outs, msg, display_id, cell_index)

    def write(self) -> None:
        """Write the notebook as it is now, whole or not at all."""
        self._copy.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._copy.with_suffix(".writing")
        nbformat.write(self.nb, fresh)
        fresh.replace(self._copy)


def read(order: dict[str, Any]) -> NotebookNode:
    """The notebook to run, with its parameters set.

    Raises:
        Problem: There is none, or it cannot be run.
    """
    if code := order["code"]:
        notebook = nbformat.v4.new_notebook(cells=[_cell(code)])
    else:
        path = Path(order["notebook"])
        try:
            notebook = nbformat.read(path, as_version=4)
            nbformat.validate(notebook)
        except FileNotFoundError as error:
            raise Problem(
                f"There is no notebook {order['notebook']!r} in the project.",
                "Give its path in the project's files, such as 'reports/weekly.ipynb'.",
            ) from error
        except Exception as error:
            # What is no notebook fails in as many ways as there are such files.
            raise Problem(
                f"{order['notebook']!r} is no notebook that can be read.",
                str(error).partition("\n")[0][:200],
            ) from error
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if given := order["parameters"]:
        if language != "python":
            raise Problem(
                f"Parameters of a notebook in {language} cannot be set.", "Leave parameters out."
            )
        tagged = [
            place
            for place, cell in enumerate(notebook.cells)
            if "parameters" in cell.metadata.get("tags", [])
        ]
        source = "\n".join(f"{name} = {value!r}" for name, value in given.items())
        cell = _cell(source, tags=["injected-parameters"])
        notebook.cells.insert(tagged[0] + 1 if tagged else 0, cell)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return NotebookNode(notebook)


def run(order: dict[str, Any], told: Told) -> None:
    """Run it to its end.

    Raises:
        Problem: A cell failed, or it cannot be run.
    """
    notebook = read(order)
    kernel = order["kernel"] or notebook.metadata.get("kernelspec", {}).get("name", "python3")
    if kernel == CLUSTER:
        raise Problem(
            "Studio Dask is connected to the cluster beside the notebooks, which a job has not.",
            "Choose kernel='python3', and make a distributed.LocalCluster() in the notebook.",
        )
    folder = str(Path(order["notebook"]).parent) if order["notebook"] else "."
    client = Client(
        notebook,
        Path(order["copy"]),
        told,
        timeout=None,
        kernel_name=kernel,
        extra_arguments=list(EXTENSION),
        record_timing=True,
        resources={"metadata": {"path": folder}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        where = next(
            (i + 1 for i, cell in enumerate(notebook.cells) if _failed(cell)), len(notebook.cells)
        )
        raise Problem(
            f"Cell {where} failed with {error.ename}: {error.evalue}".rstrip(".: ")[:500] + ".",
            f"The copy has all it printed until then: {order['copy']}.",
        ) from error
    except DeadKernelError as error:
        raise Problem(
            "The kernel died: by a signal, or because it took more memory than it may.",
            f"The copy has what was printed by the cells before: {order['copy']}. "
            "Use fewer rows or columns, or ask an administrator for more memory.",
        ) from error
    except LookupError as error:
        raise Problem(
            f"There is no kernel {kernel!r} here.", "Leave kernel out for the Studio's own Python."
        ) from error
    finally:
        told.end()
        client.write()


def _cell(source: str, **metadata: Any) -> Any:
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def _failed(cell: NotebookNode) -> bool:
    return any(each.output_type == "error" for each in cell.get("outputs", []))


def main() -> None:
    """Read the order, run, and tell how it went."""
    with os.fdopen(int(sys.argv[1])) as ordered:
        order = json.load(ordered)
    told = Told(int(sys.argv[2]))
    confine(order["limits"])
    try:
        run(order, told)
    except Problem as problem:
        sentence, hint = problem.args
        told.say(problem=sentence, hint=hint)
    except MemoryError:
        used, _ = memory.used_and_limit()
        told.say(problem=f"There was no memory to run it: {used:,} bytes are used.", hint="")
    except OSError as error:
        told.say(
            problem=f"The copy could not be written: {error.strerror}.",
            hint="Free space in the project, then run it again.",
        )
    else:
        told.say(done=True)


if __name__ == "__main__":
    main()
