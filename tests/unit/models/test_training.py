"""From a product to a registered model, and on: asked, compared, exported, imported, promoted."""

import json
import zipfile
from collections.abc import Callable, Iterator
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
    NotFound,
    Refused,
    call_here,
    commit,
    find_action,
    load_settings,
)
from workbench.core.context import Quiet
from workbench.data import products, read_table
from workbench.environments import Environment, Locked
from workbench.environments.actions import environments
from workbench.models import Model, models, predict_table, untouched
from workbench.projects import resolve

ROWS = 300


class Heard(Quiet):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.metrics: list[dict[str, float]] = []

    def log(self, line: str) -> None:
        self.lines.append(line)

    def metric(self, **values: float) -> None:
        self.metrics.append(values)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """One home for the module: MLflow takes seconds to make its database."""
    workbench.load_rooms()
    engines = Engines(load_settings(home=tmp_path_factory.mktemp("studio") / "home"))
    ada = Actor(name="ada")
    ctx = Context(ada, resolve(engines, ada, None), engines)
    files = ctx.folder / "files"
    files.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    lines = ["age,town,income,paid,grade,single,rare"]
    for row in range(ROWS):
        age, town = int(random.integers(18, 80)), ["york", "bath", "ely", ""][row % 4]
        income = 500 * age + 9_000 * (town == "bath") + random.normal(0, 4_000)
        paid = "yes" if income + random.normal(0, 6_000) > 28_000 else "no"
        grade = "abc"[min(2, int(max(income, 0) // 20_000))]
        rare = "common" if row % 2 else "usual"
        lines.append(f"{age},{town},{income:.2f},{paid},{grade},one,{'odd' if row == 7 else rare}")
    (files / "people.csv").write_text("\n".join(lines) + "\n")
    few = "\n".join(f"{row % 7},{row % 2}" for row in range(20))
    (files / "few.csv").write_text(f"x,y\n{few}\n")
    for name in ("people", "few"):
        call_here(ctx.fresh(), "data.register", {"source": f"{name}.csv", "name": name})
    yield ctx
    engines.close()


def work(ctx: Context, heard: Heard | None = None, **request: Any) -> tuple[Model, Heard]:
    """Run the job's body here and commit it, as an attempt does."""
    heard = heard or Heard()
    doing = ctx.fresh(job=heard)
    act = find_action("models.train")
    asked = act.check({"product": "people", **request})
    result = act.run(doing, **asked)
    commit(doing, "models.train", {})
    return models.get(ctx.store, ctx.project, result["model"]), heard


def do(ctx: Context, action: str, **request: Any) -> Any:
    return call_here(ctx.fresh(), f"models.{action}", request)


@pytest.fixture(scope="module")
def network(studio: Context) -> tuple[Model, Heard]:
    return work(
        studio, target="paid", exclude=["income", "grade"], epochs=15, seed=5, name="payers"
    )


def test_a_network_is_trained_measured_beside_others_and_kept(
    studio: Context, network: tuple[Model, Heard]
) -> None:
    model, heard = network
    assert (model.name, model.version, model.task, model.positive) == (
        "payers",
        0,
        "classification",
        "yes",
    )
    assert [field.name for field in model.inputs] == ["age", "town", "rare"]
    assert any("single is not used" in line for line in heard.lines)
    assert [each["epoch"] for each in heard.metrics] == list(range(1, len(heard.metrics) + 1))
    assert set(model.beside) == {"majority", "logistic", "lightgbm"}
    assert set(model.metrics) == {
        "accuracy",
        "balanced_accuracy",
        "auc",
        "log_loss",
        "brier",
        "f1",
    }
    auc = model.metrics["auc"]
    assert 0.5 < auc.low < auc.value < auc.high < 1
    assert model.beside["majority"]["auc"].value == 0.5
    assert "untouched rows" in model.verdict
    assert model.split is not None
    assert model.split.train + model.split.validation + model.split.test == ROWS
    assert model.environment["torch"]
    assert Model.model_validate_json(model.model_dump_json()) == model
    folder = studio.folder / model.artifacts
    assert folder == studio.folder / "models" / model.id / "0"
    assert json.loads((folder / "model.json").read_text())["id"] == model.id
    assert not list(folder.parent.glob(".*")), "nothing half-written is left"


def test_the_untouched_rows_are_those_of_the_product(
    studio: Context, network: tuple[Model, Heard]
) -> None:
    model, _ = network
    held = untouched(studio, model)
    table = read_table(studio, products.get(studio.store, studio.project, "people"))
    told = np.array(table["paid"].to_pylist(), dtype=object)
    assert held.truth.tolist() == told[held.rows].tolist()
    whole = predict_table(studio, model, table)
    assert np.allclose(whole.probabilities[held.rows], held.probabilities)
    accuracy = (held.probabilities.argmax(axis=1) == (held.truth == "yes")).mean()
    assert model.metrics["accuracy"].value == pytest.approx(accuracy)


def test_the_run_is_in_mlflow(studio: Context, network: tuple[Model, Heard]) -> None:
    from mlflow import MlflowClient

    model, heard = network
    uri = f"sqlite:///{studio.home / 'mlflow.db'}"
    client = MlflowClient(uri, uri)
    run = client.get_run(model.run)
    assert run.info.status == "FINISHED"
    assert run.data.params["target"] == "paid"
    assert run.data.tags["workbench.product"] == model.product
    assert run.data.tags["workbench.product_digest"] == model.product_digest
    assert run.data.metrics["auc"] == pytest.approx(model.metrics["auc"].value)
    assert len(client.get_metric_history(model.run, "validation_loss")) == len(heard.metrics)
    name, _, version = model.registered.removeprefix("models:/").rpartition("/")
    assert client.get_model_version(name, version).run_id == model.run


def test_the_environment_of_the_project_is_on_record(
    studio: Context, network: tuple[Model, Heard]
) -> None:
    assert network[0].installed is None
    lock = [Locked(name="polars", version="2.1.0", hashes=["sha256:1"])]
    made = Environment(id="env_1", state="ready", python="3.11.7", digest="sha256:2", locked=lock)
    with studio.store.begin() as tx:
        environments.put(tx, studio.project, made)
    model, _ = work(studio, target="paid", estimator="majority", name="told")
    assert model.installed is not None
    assert model.installed.model_dump() == {
        "environment": "env_1@0",
        "digest": "sha256:2",
        "python": "3.11.7",
    }
    assert "numpy" in model.environment
    back = made.model_copy(update={"version": 1, "state": "studio", "locked": []})
    with studio.store.begin() as tx:
        environments.put(tx, studio.project, back)
    assert work(studio, target="paid", estimator="majority", name="told")[0].installed is None


def test_the_same_name_makes_the_next_version_and_the_same_seed_the_same_model(
    studio: Context, network: tuple[Model, Heard]
) -> None:
    first, _ = network
    again, _ = work(
        studio, target="paid", exclude=["income", "grade"], epochs=15, seed=5, name="payers"
    )
    assert (again.id, again.version) == (first.id, 1)
    assert again.metrics == first.metrics
    weights = [
        (studio.folder / each.artifacts / "weights.safetensors").read_bytes()
        for each in (first, again)
    ]
    assert weights[0] == weights[1]


def test_with_little_memory_the_rows_are_mapped_and_the_weights_the_same(
    studio: Context,
    network: tuple[Model, Heard],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # Room for 8 KiB: the matrices take 12, and half of the limit holds the one that is drawn from.
    monkeypatch.setattr("workbench.memory.allowed", lambda: 256 * 1024)
    heard = Heard()
    heard.scratch = tmp_path
    again, _ = work(
        studio,
        heard,
        target="paid",
        exclude=["income", "grade"],
        epochs=15,
        seed=5,
        name="mapped",
    )
    assert list(tmp_path.glob("matrices-*/train.npy"))
    weights = [
        (studio.folder / each.artifacts / "weights.safetensors").read_bytes()
        for each in (network[0], again)
    ]
    assert weights[0] == weights[1]


def test_who_learned_from_fewer_rows_is_named_in_the_record(
    studio: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.memory.allowed", lambda: 256 * 1024)
    monkeypatch.setattr("workbench.models.sampling.LEAST", 40)
    model, heard = work(studio, target="paid", estimator="logistic", name="some")
    assert model.split is not None
    said = [line for line in heard.lines if " learned from " in line and line != model.verdict]
    assert [line.split()[0] for line in said] == ["logistic", "lightgbm"]
    assert all(line.endswith("rows: more do not fit in the 0 MiB a job may hold.") for line in said)
    assert model.split.explained.endswith(said[0]) and said[1] not in model.split.explained
    assert model.verdict.endswith(said[1]) and said[0] not in model.verdict


def test_training_begins_with_the_weights_of_a_document(studio: Context, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from workbench.core import blobs
    from workbench.documents.files import written
    from workbench.graphs import TEMPLATES, build
    from workbench.models.loaded import load_model

    asked: dict[str, Any] = {"target": "paid", "exclude": ["income", "grade"], "epochs": 1}
    ends = do(studio, "measure_ends", product="people", target="paid", exclude=asked["exclude"])
    graph = TEMPLATES["mlp"].graph.model_copy(update={"training": {"learning_rate": 1e-7}})
    held = build(graph, ends.features, ends.outputs).state_dict()
    del held["target.weight"]
    graph_file, file = tmp_path / "begun.graph.json", tmp_path / "begun.safetensors"
    graph_file.write_text(written(graph, "", -1))
    save_file({key: each.contiguous() for key, each in held.items()}, file)
    link = studio.engine(blobs).link
    source, weights = (f"blob:{link(studio.project, each).id}" for each in (graph_file, file))
    call_here(
        studio.fresh(),
        "documents.import_document",
        {"source": source, "weights": weights, "name": "begun"},
    )
    model, heard = work(studio, **asked, name="begun", document="begun")
    assert model.graph is not None and model.graph.data["weights"].startswith("sha256:")
    told = next(line for line in heard.lines if line.startswith("Begins with"))
    assert told == f"Begins with {len(held)} tensors that were there; anew: target.weight."
    network: Any = load_model(studio, model).estimator
    for key, each in network.module.state_dict().items():
        if key.endswith("weight") and key in held:
            assert torch.allclose(each, held[key], atol=1e-4), key


@pytest.mark.parametrize(
    ("estimator", "target", "task", "beside"),
    [
        ("logistic", "grade", "classification", {"majority", "lightgbm"}),
        ("lightgbm", "income", "regression", {"mean", "linear"}),
        ("linear", "income", "regression", {"mean", "lightgbm"}),
    ],
)
def test_other_estimators_and_tasks(
    studio: Context, estimator: str, target: str, task: str, beside: set[str]
) -> None:
    model, _ = work(studio, target=target, estimator=estimator)
    assert model.task == task
    assert set(model.beside) == beside
    assert model.name == f"people-{target}" or model.version > 0
    answers = do(studio, "predict", model=model.ref, product="people", limit=3)
    assert len(answers.items) == 3
    if task == "classification":
        assert model.classes == ["a", "b", "c"]
        assert sum(answers.items[0].probabilities.values()) == pytest.approx(1)
    else:
        assert answers.items[0].label is None


def test_what_is_drawn_together_is_trained_as_it_was_then(studio: Context) -> None:
    asked = {"target": "paid", "exclude": ["income", "grade"], "epochs": 3}
    ends = do(studio, "measure_ends", product="people", target="paid", exclude=asked["exclude"])
    assert ends.outputs == 2 and ends.classes == ["no", "yes"]
    call_here(studio.fresh(), "documents.create_document", {"name": "drawn", "template": "mlp"})
    widen = {"op": "set_param", "id": "dense1", "param": "units"}
    edit = {"id": "drawn", "operations": [{**widen, "value": 8}]}
    seq = call_here(studio.fresh(), "documents.edit", edit).seq
    edit = {"id": "drawn", "operations": [{**widen, "value": 16}]}
    call_here(studio.fresh(), "documents.edit", edit)
    model, heard = work(studio, **asked, name="then", document=f"drawn@{seq}")
    assert model.graph is not None and model.graph.nodes["dense1"].params["units"] == 8
    assert model.document.startswith("doc_") and model.document.endswith(f"@{seq}")
    first = 8 * ends.features + 8
    assert model.parameters > first
    assert {"gradient:dense1", "activation:dense1", "dead:relu1"} <= heard.metrics[0].keys()
    now, _ = work(studio, **asked, name="now", document="drawn")
    assert now.graph is not None and now.graph.nodes["dense1"].params["units"] == 16
    # What was seen when it was asked for, whatever became of that moment since.
    given, _ = work(
        studio, **asked, name="given", document=model.document, graph=model.graph.model_dump()
    )
    assert given.graph == model.graph and given.document == model.document
    with pytest.raises(NotFound, match="no document 'none'"):
        work(studio, **asked, name="none", document="none")


def test_rare_classes_are_left_out_and_said(studio: Context) -> None:
    model, heard = work(studio, target="rare", estimator="majority")
    assert model.classes == ["common", "usual"]
    assert any("'odd'" in line for line in heard.lines)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"target": "payd"}, "'payd'"),
        ({"target": "paid", "exclude": ["nothing"]}, "'nothing'"),
        ({"target": "paid", "exclude": ["paid"]}, "'paid'"),
        ({"target": "single"}, "'one'"),
        ({"target": "paid", "estimator": "magic"}, "'magic'"),
        ({"target": "income", "estimator": "majority"}, "income"),
        ({"target": "paid", "estimator": "linear"}, "paid"),
        ({"target": "paid", "task": "regression"}, "paid"),
        ({"target": "paid", "epochs": 0}, "0 epochs"),
        ({"target": "paid", "name": "a/b"}, "'a/b'"),
        ({"product": "few", "target": "y"}, "20 rows"),
    ],
)
def test_bad_requests_name_the_value(studio: Context, request_: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        work(studio, **request_)
    assert said in str(caught.value)
    assert caught.value.hint


def test_an_unknown_product_is_not_found(studio: Context) -> None:
    with pytest.raises(NotFound, match="'nobody'"):
        work(studio, product="nobody", target="x")


def test_asking_by_hand(studio: Context, network: tuple[Model, Heard]) -> None:
    model, _ = network
    answers = do(
        studio,
        "predict",
        model=model.ref,
        rows=[{"age": 70, "town": "bath", "rare": "usual"}, {"age": 20, "town": "mars"}],
    )
    old, young = answers.items
    assert old.value == old.probabilities["yes"] > young.value
    assert any("'mars'" in each for each in answers.warnings)
    with pytest.raises(Invalid, match="age cannot be 'old'"):
        do(studio, "predict", model=model.ref, rows=[{"age": "old"}])
    with pytest.raises(Invalid, match="rows or a product"):
        do(studio, "predict", model=model.ref)


def test_comparing_only_what_compares(studio: Context, network: tuple[Model, Heard]) -> None:
    model, _ = network
    same, _ = work(studio, target="paid", estimator="logistic", seed=5, name="alike")
    other, _ = work(studio, target="paid", estimator="logistic", seed=6, name="other")
    found = do(studio, "compare", models=[model.ref, same.ref])
    assert found.same_rows
    gap = found.paired["auc"][1]
    assert gap.value == pytest.approx(same.metrics["auc"].value - model.metrics["auc"].value)
    assert found.paired["auc"][0].value == 0
    differs = do(studio, "compare", models=[model.ref, other.ref])
    assert not differs.same_rows
    assert not differs.paired
    assert "another seed" in differs.explained


@pytest.mark.parametrize("format", ["onnx", "safetensors"])
def test_what_is_exported_comes_back_as_the_same_model(
    studio: Context, network: tuple[Model, Heard], format: str
) -> None:
    model, _ = network
    blob = do(studio, "export", id=model.ref, format=format)
    assert blob.size == blob.received > 0
    assert blob.url.startswith("/api/v1/blobs/")
    back = do(
        studio,
        "import_model",
        source=f"blob:{blob.id}",
        product="people",
        target="paid",
        name=f"back-{format}",
    )
    assert (back.estimator, back.classes) == ("imported", model.classes)
    mine, theirs = (
        [each.value for each in do(studio, "predict", model=ref, product="people").items]
        for ref in (model.ref, back.ref)
    )
    assert mine == pytest.approx(theirs, abs=1e-5)
    assert "may have learned from" in back.verdict


def test_exports_that_cannot_be_are_invalid(studio: Context, network: tuple[Model, Heard]) -> None:
    with pytest.raises(Invalid, match="as lightgbm") as caught:
        do(studio, "export", id=network[0].ref, format="lightgbm")
    assert "onnx" in caught.value.hint


def test_a_run_of_this_registry_is_imported(studio: Context, network: tuple[Model, Heard]) -> None:
    back = do(studio, "import_model", source=f"mlflow:{network[0].run}", name="from-run")
    assert back.classes == network[0].classes
    other = call_here(studio.fresh(), "projects.create_project", {"name": "other"})
    elsewhere = Context(studio.actor, other.id, studio.engines)
    with pytest.raises(NotFound, match="no MLflow run"):
        call_here(elsewhere, "models.import_model", {"source": f"mlflow:{network[0].run}"})


def torch_zip(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("archive/data.pkl", b"\x80\x02.")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("model.pkl", lambda file: file.write_bytes(b"\x80\x04K\x01.")),
        ("model.joblib", lambda file: file.write_bytes(b"anything")),
        ("model.onnx", lambda file: file.write_bytes(b"\x80\x04K\x01.")),
        ("model.pt", torch_zip),
        ("model.zip", torch_zip),
    ],
)
def test_no_pickle_from_strangers(
    studio: Context, name: str, make: Callable[[Path], object]
) -> None:
    make(studio.folder / "files" / name)
    with pytest.raises(Invalid, match="no pickle from strangers"):
        do(studio, "import_model", source=name)


def test_the_gate_is_asked_and_an_alias_has_one_version(
    studio: Context, network: tuple[Model, Heard]
) -> None:
    with pytest.raises(Refused, match="no fairness report"):
        do(studio, "promote", model="payers@0", alias="production")
    do(studio, "promote", model="payers@0", alias="candidate")
    work(studio, target="paid", estimator="majority", name="payers")
    latest = do(studio, "promote", model="payers", alias="candidate")
    kept = models.versions(studio.store, studio.project, latest.id)
    assert [each.version for each in kept if "candidate" in each.aliases] == [latest.version]
    with pytest.raises(Invalid, match="'Not Good'"):
        do(studio, "promote", model="payers", alias="Not Good")


def test_a_job_that_is_not_committed_leaves_nothing(studio: Context) -> None:
    from workbench.core.door import undo

    before = set((studio.folder / "models").rglob("*"))
    doing = studio.fresh(job=Heard())
    act = find_action("models.train")
    asked = act.check({"product": "people", "target": "paid", "estimator": "majority"})
    result = act.run(doing, **asked)
    undo(doing)
    left = {each for each in set((studio.folder / "models").rglob("*")) - before if each.is_file()}
    assert not left
    assert models.find(studio.store, studio.project, result["model"]) is None
