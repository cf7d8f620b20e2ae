"""The cases that the `onnx` package carries for its operators, read as graphs.

Each case is a file with an operator, or what it is made of, with numbers that go in and come out.
Whole numbers that are no data (sizes, axes, places) are kept in the file, as exporters do. Each
output is read as a graph of its own; it has to give the case's numbers, within 1e-3 beside the
largest, as onnx's own runner asks. docs/onnx.md has what came of it; `WORKBENCH_WRITE=1` writes it.
"""

import collections
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.core import Invalid

DOC = Path(__file__).parents[2] / "docs" / "onnx.md"
BEGIN, END = "<!-- cases -->", "<!-- /cases -->"
CLOSE = 1e-3
REASONS = {
    r"Unsupported ONNX operator: (\w+)": "An operator that the reader has not",
    r"cannot be read|cannot be followed": "What the operator computes depends on the numbers, "
    "or the reader cannot run it",
    r"No layer computes (\w+)": "A function of torch that no node may be",
    r"onnxruntime cannot run": "onnxruntime cannot run it, so nothing can be compared",
    r"answers|does not run": "What was read answers otherwise, and is refused",
    r"is torch\.|holds what torch|is no tensor": "Numbers of a kind that graphs have not",
    r"does not depend|no input": "Nothing goes in that the answer needs",
}


def constants(case: Any) -> tuple[Any, list[Any]]:
    """The file of a case with what is no data kept in it, and what is left to go in."""
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    scales = case.model.graph.node[0].op_type in ("Resize", "Upsample")
    data = []
    for place, (said, value) in enumerate(
        zip(list(model.graph.input), case.data_sets[0][0], strict=True)
    ):
        whole = value.dtype.kind in "iu" and value.ndim <= 1
        if place and (whole or value.ndim == 0 or (scales and value.ndim == 1)):
            model.graph.initializer.append(numpy_helper.from_array(value, said.name))
        else:
            data.append((said, value))
    del model.graph.input[:]
    model.graph.input.extend(said for said, _ in data)
    return model, [value for _, value in data]


def came_of(case: Any) -> str:
    """Why a case is not read; empty if it is."""
    import torch

    from workbench.graphs.reading import read_onnx
    from workbench.graphs.reading.reader import compare

    given, wanted = case.data_sets[0]
    numbers = [isinstance(each, np.ndarray) and each.dtype.kind in "fiub" for each in given]
    if not all(numbers) or not all(
        isinstance(each, np.ndarray) and each.dtype.kind in "fiub" for each in wanted
    ):
        return "no tensors of numbers"
    model, data = constants(case)
    tensors = [torch.from_numpy(np.array(each)) for each in data]
    try:
        for said, each in zip(model.graph.output, wanted, strict=True):
            read = read_onnx(model.SerializeToString(), case.name, said.name)
            compare(read, tensors, torch.from_numpy(np.array(each)), CLOSE)
    except Invalid as error:
        return str(error)
    return ""


def told(reasons: dict[str, str]) -> str:
    """What came of the cases, as a table."""
    rows: dict[str, list[str]] = collections.defaultdict(list)
    for name, why in reasons.items():
        if not why:
            rows["Read; answers as the case says"].append("")
        elif why == "no tensors of numbers":
            rows["Texts, sequences, optional values, numbers that NumPy has not"].append("")
        else:
            rule = next((each for each in REASONS if re.search(each, why)), "")
            found = re.search(rule, why) if rule else None
            operator = found[1] if found is not None and found.groups() else operator_of(name)
            rows[REASONS.get(rule, "Else")].append(operator)
    lines = ["| what came of it | cases | |", "| --- | ---: | --- |"]
    for row, operators in sorted(rows.items(), key=lambda each: -len(each[1])):
        counted = collections.Counter(filter(None, operators)).most_common()
        said = ", ".join(f"{name} {count}" for name, count in counted)
        lines.append(f"| {row} | {len(operators):,} | {said} |")
    return "\n".join([*lines, f"| all | {len(reasons):,} | |"])


def operator_of(name: str) -> str:
    return name.removeprefix("test_").partition("_")[0]


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")  # of numbers that overflow, as some cases mean them to
def test_the_cases_of_onnx() -> None:
    from onnx.backend.test.case.node import collect_testcases

    table = told({case.name: came_of(case) for case in collect_testcases(None)})
    print(table)
    text = DOC.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if os.environ.get("WORKBENCH_WRITE"):
        DOC.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", "utf-8")
    else:
        assert table in text, "docs/onnx.md is not what came of it"
