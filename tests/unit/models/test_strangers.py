"""Models of strangers: opened without running their code, asked with the numbers as they are."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workbench
from workbench.core import (
    Actor,
    Context,
    Engines,
    Invalid,
    Refused,
    WorkbenchError,
    call_here,
    load_settings,
)
from workbench.graphs import build, suggest
from workbench.models import Model
from workbench.projects import resolve

RANDOM = np.random.default_rng(1)
GIVEN = RANDOM.normal(10, 5, size=(80, 3))
CLASSES = np.where(GIVEN[:, 0] + RANDOM.normal(0, 2, 80) > 10, "good", "bad")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    workbench.load_rooms()
    engines = Engines(load_settings(home=tmp_path_factory.mktemp("strangers") / "home"))
    ada = Actor(name="ada")
    ctx = Context(ada, resolve(engines, ada, None), engines)
    (ctx.folder / "files").mkdir(parents=True, exist_ok=True)
    lines = ["x,y,z,town,risk"]
    for row, risk in zip(GIVEN, CLASSES, strict=True):
        lines.append(f"{row[0]:.17g},{row[1]:.17g},{row[2]:.17g},{'ab'[int(row[0] > 9)]},{risk}")
    (ctx.folder / "files" / "t.csv").write_text("\n".join(lines) + "\n")
    call_here(ctx.fresh(), "data.register", {"source": "t.csv", "name": "t"})
    yield ctx
    engines.close()


def bring(studio: Context, file: str, **request: Any) -> Model:
    asked = {"source": file, "product": "t", "target": "risk"} | request
    made: Model = call_here(studio.fresh(), "models.import_model", asked)
    return made


def answers(studio: Context, model: Model) -> list[float]:
    asked = {"model": model.ref, "product": "t"}
    found = call_here(studio.fresh(), "models.predict", asked)
    return [each.value for each in found.items]


@pytest.fixture(scope="module")
def fitted() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000).fit(GIVEN, CLASSES)


def test_skops(studio: Context, fitted: Any) -> None:
    import skops.io

    skops.io.dump(fitted, studio.folder / "files" / "theirs.skops")
    model = bring(studio, "theirs.skops")
    assert (model.name, model.estimator, model.positive) == ("theirs", "imported", "good")
    assert [field.name for field in model.inputs] == ["x", "y", "z"]
    assert answers(studio, model) == pytest.approx(fitted.predict_proba(GIVEN)[:, 1])
    assert model.metrics["accuracy"].value == pytest.approx(fitted.score(GIVEN, CLASSES))
    assert bring(studio, "theirs.skops").version == 1


def test_onnx(studio: Context, fitted: Any) -> None:
    from workbench.models.exports import _sklearn_to_onnx

    file = studio.folder / "files" / "theirs.onnx"
    file.write_bytes(_sklearn_to_onnx(fitted, 3).SerializeToString())
    model = bring(studio, "theirs.onnx", name="onnx")
    assert answers(studio, model) == pytest.approx(fitted.predict_proba(GIVEN)[:, 1], abs=1e-5)


def test_safetensors_with_a_graph(studio: Context) -> None:
    import torch
    from safetensors.torch import save_file

    graph = suggest(3, 80, "classification")
    network = build(graph, 3, 2).eval()
    folder = studio.folder / "files"
    save_file(network.state_dict(), folder / "weights.safetensors")
    with zipfile.ZipFile(folder / "theirs.zip", "w") as packed:
        packed.write(folder / "weights.safetensors", "weights.safetensors")
        packed.writestr("graph.json", graph.model_dump_json())
    model = bring(studio, "theirs.zip", name="net")
    assert model.graph == graph
    expected = torch.softmax(network(torch.tensor(GIVEN).float()), dim=1)[:, 1]
    assert answers(studio, model) == pytest.approx(expected.tolist(), abs=1e-5)
    with pytest.raises(Invalid, match="no graph"):
        bring(studio, "weights.safetensors")
    nodes = graph.model_dump()
    nodes["nodes"]["dense1"]["params"]["units"] = 5
    with zipfile.ZipFile(folder / "wrong.zip", "w") as packed:
        packed.write(folder / "weights.safetensors", "weights.safetensors")
        packed.writestr("graph.json", json.dumps(nodes))
    with pytest.raises(Invalid, match=r"do not fit.*dense1"):
        bring(studio, "wrong.zip")


def forest(file: Path) -> None:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    skops.io.dump(RandomForestClassifier(2).fit(GIVEN, CLASSES), file)


def narrow(file: Path) -> None:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    skops.io.dump(LogisticRegression().fit(GIVEN[:, :2], CLASSES), file)


def others(file: Path) -> None:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    skops.io.dump(LogisticRegression().fit(GIVEN, CLASSES == "good"), file)


@pytest.mark.parametrize(
    ("name", "make", "kind", "said"),
    [
        ("forest.skops", forest, Refused, "Tree"),
        ("narrow.skops", narrow, Invalid, "2 numbers per row"),
        ("others.skops", others, Invalid, "'True'"),
        ("no.skops", lambda file: file.write_text("hello"), Invalid, "no.skops"),
        ("no.onnx", lambda file: file.write_text("hello"), Invalid, "no.onnx"),
        ("no.safetensors", lambda file: file.write_text("hello"), Invalid, "no.safetensors"),
        ("no.txt", lambda file: file.write_text("hello"), Invalid, "no.txt"),
    ],
)
def test_what_does_not_fit_is_said_by_name(
    studio: Context, name: str, make: Any, kind: type[WorkbenchError], said: str
) -> None:
    make(studio.folder / "files" / name)
    with pytest.raises(kind) as caught:
        bring(studio, name)
    assert said in str(caught.value)
    assert caught.value.hint
    assert not list((studio.home / "imports").iterdir()), "nothing is left behind"


def test_a_stranger_needs_a_product(studio: Context, fitted: Any) -> None:
    import skops.io

    skops.io.dump(fitted, studio.folder / "files" / "alone.skops")
    with pytest.raises(Invalid, match="does not say what its columns are"):
        bring(studio, "alone.skops", product="", target="")
    with pytest.raises(Invalid, match="alone does not say"):
        bring(studio, "alone.skops", target="")
    with pytest.raises(Invalid, match="needs a source"):
        bring(studio, "")
