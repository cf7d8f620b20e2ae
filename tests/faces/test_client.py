"""What the Python face adds: tables and files as parameters, jobs one can wait for, downloads."""

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from workbench.core import Conflict, Invalid

from .conftest import World

COLUMNS: dict[str, list[Any]] = {"name": ["Ann", "Bo", None], "age": [31, 45, 40]}
FRAMES = {
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "arrow": lambda: pa.table(COLUMNS),
}


@pytest.mark.parametrize("face", ["python", "http"])
@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_becomes_a_product(world: World, face: str, kind: str) -> None:
    wb = getattr(world, face)
    made = wb.data.register(FRAMES[kind](), name=f"{kind}_{face}")
    assert wb.data.preview(made.ref).rows == [["Ann", 31], ["Bo", 45], [None, 40]]


def test_what_is_no_table_is_said(world: World) -> None:
    with pytest.raises(Invalid, match="A dict is no table") as caught:
        world.python.data.register({"a": 1})
    assert caught.value.hint


@pytest.mark.parametrize("face", ["python", "http"])
def test_a_download_is_saved(world: World, face: str, tmp_path: Path) -> None:
    wb = getattr(world, face)
    file = wb.save(wb.data.download(product="people", format="csv"), tmp_path / "people.csv")
    assert len(file.read_text().splitlines()) == 241


@pytest.mark.parametrize("face", ["python", "http"])
def test_a_job_that_fails_raises_its_own_error(world: World, face: str) -> None:
    job = getattr(world, face).models.train(product="people", target="outcomes")
    with pytest.raises(Invalid) as caught:
        job.wait(show=lambda _: None)
    assert "outcome" in caught.value.hint + str(caught.value)


def test_a_cancelled_job_says_so(world: World) -> None:
    job = world.http.models.train(product="people", target="outcome", epochs=5000, seed=3)
    world.http.pipelines.cancel(id=job.id)
    with pytest.raises(Conflict, match="was cancelled"):
        job.wait(show=lambda _: None)


def test_capabilities_and_actions_complete_and_explain(world: World) -> None:
    assert {"data", "models", "ethics"} <= set(dir(world.python))
    assert "register" in dir(world.python.data)
    assert "source" in str(world.python.data.register.__doc__)
    with pytest.raises(AttributeError, match="has no action 'registr'"):
        _ = world.python.data.registr
