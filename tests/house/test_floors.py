"""The floors hold, every room is on one, and reading the catalogue loads no engine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {
    "bokeh", "captum", "dask", "deltalake", "distributed", "duckdb", "fairlearn", "holoviews",
    "jupyterhub", "jupyterlab", "lightgbm", "lime", "matplotlib", "mlflow", "numba", "numpy",
    "onnx", "onnxruntime", "pandas", "panel", "plotly", "polars", "pyarrow", "python_calamine",
    "scipy", "shap", "skl2onnx", "sklearn", "skops", "torch",
}  # fmt: skip
"""Import names of what a room loads inside its functions only."""

LOAD = """
import json, sys, time
began = time.process_time()
import pydantic, sqlalchemy
shared = time.process_time()
import workbench
workbench.load_rooms()
ended = time.process_time()
from workbench.core import catalogue
print(json.dumps({
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "own_s": ended - shared,
    "actions": len(catalogue),
}))
"""


def python(source: str) -> dict[str, object]:
    """What a fresh interpreter prints, as JSON."""
    answer = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    return dict(json.loads(answer.stdout))


@pytest.fixture(scope="module")
def loaded() -> dict[str, object]:
    return min((python(LOAD) for _ in range(3)), key=lambda answer: float(str(answer["own_s"])))


def test_imports_go_down_only() -> None:
    answer = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_room_names_its_actions(loaded: dict[str, object]) -> None:
    assert int(str(loaded["actions"])) >= len(["data", "models", "ethics", "pipelines", "audit"])


def test_the_catalogue_loads_no_engine(loaded: dict[str, object]) -> None:
    modules = loaded["modules"]
    assert isinstance(modules, list)
    assert not HEAVY & set(modules)


def test_the_catalogue_loads_quickly(loaded: dict[str, object]) -> None:
    assert float(str(loaded["own_s"])) < 1.0, "of the processor; 0.3 s is the aim"


@pytest.mark.parametrize(
    "package", sorted(p.parent.name for p in ROOT.glob("workbench/*/__init__.py"))
)
def test_a_room_loads_no_engine_by_itself(package: str) -> None:
    source = (
        f"import json, sys, workbench.{package}\n"
        'print(json.dumps({"modules": sorted({n.partition(".")[0] for n in sys.modules})}))'
    )
    modules = python(source)["modules"]
    assert isinstance(modules, list)
    assert not HEAVY & set(modules)


def test_the_functions_for_large_arrays_know_no_studio_and_load_nothing_heavy() -> None:
    found = python(
        "import json, sys\n"
        "import numpy\n"
        "import kernels.ops\n"
        "print(json.dumps({name.partition('.')[0]: True for name in sys.modules}))"
    )
    assert not (HEAVY - {"numpy"} | {"workbench"}) & set(found)
    for file in (ROOT / "kernels").rglob("*.py"):
        assert "workbench" not in file.read_text(), file
