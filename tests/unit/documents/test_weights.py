"""What a document begins with: kept by its content, given to what is built, and exported."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.documents.conftest import Ask
from workbench.core import Context, Invalid, Limited, blobs
from workbench.documents import Document, begun, find_weights
from workbench.documents.files import written
from workbench.documents.weights import keep
from workbench.graphs import Graph, build
from workbench.graphs.reading import read_module

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402


def given(ctx: Context, file: Path) -> str:
    return f"blob:{ctx.engine(blobs).link(ctx.project, file).id}"


def exported(ask: Ask, ctx: Context, **request: Any) -> Path:
    blob = ask("export", **request)
    path: Path = ctx.engine(blobs).path(ctx.project, blob.id)
    return path


@pytest.fixture
def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2)).eval()


@pytest.fixture
def onnx(net: nn.Module, tmp_path: Path) -> Path:
    from workbench.graphs.programs import to_onnx

    file = tmp_path / "loan.onnx"
    file.write_bytes(to_onnx(net, (torch.zeros(2, 6),)).SerializeToString())
    return file


@pytest.fixture
def begins(ask: Ask, ctx: Context, net: nn.Module, tmp_path: Path) -> Document:
    """A document that begins with the network's weights."""
    read = read_module(net, (torch.zeros(2, 6),))
    graph, file = tmp_path / "loan.graph.json", tmp_path / "loan.safetensors"
    graph.write_text(written(read.graph, "", -1))
    save_file(read.weights, file)
    made: Document = ask("import_document", source=given(ctx, graph), weights=given(ctx, file))
    return made


def rebuilt(ctx: Context, graph: Graph) -> Any:
    module = build(graph, 6, 2).eval()
    file = find_weights(ctx, graph)
    assert file is not None
    assert begun(module, load_file(file)) == []
    return module


def test_an_onnx_file_comes_with_its_weights(
    ask: Ask, ctx: Context, net: nn.Module, onnx: Path
) -> None:
    made = ask("import_document", source=given(ctx, onnx))
    assert made.name == "loan"
    graph = ask("get_document", id=made.id).graph
    rows = torch.randn(5, 6)
    assert torch.allclose(rebuilt(ctx, graph)(rows), net(rows), atol=1e-6)


def test_the_same_again_is_kept_once(ctx: Context, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, file)
    assert keep(ctx, file, "a") == keep(ctx, file, "b")
    assert len(list((ctx.folder / "weights").iterdir())) == 1


def test_what_goes_out_comes_back_as_it_was(
    ask: Ask, ctx: Context, net: nn.Module, begins: Document, tmp_path: Path
) -> None:
    made = begins
    dense = next(
        id
        for id, node in ask("get_document", id=made.id).graph.nodes.items()
        if node.layer == "dense"
    )
    ask("edit", id=made.id, operations=[{"op": "rename", "id": dense, "name": "hidden"}])
    before = ask("get_document", id=made.id).graph
    file = tmp_path / "again.onnx"
    file.write_bytes(exported(ask, ctx, id=made.id, format="onnx").read_bytes())
    again = ask("import_document", source=given(ctx, file))
    assert again.forked_from.startswith(made.id)
    after = ask("get_document", id=again.id).graph
    assert after.nodes == before.nodes and after.layout == before.layout
    rows = torch.randn(5, 6)
    assert torch.allclose(rebuilt(ctx, after)(rows), net(rows), atol=1e-6)


def test_the_weights_alone(ask: Ask, ctx: Context, begins: Document, credit: Any) -> None:
    made = begins
    file = exported(ask, ctx, id=made.id, format="weights")
    graph = ask("get_document", id=made.id).graph
    assert set(load_file(file)) == set(build(graph, 6, 2).state_dict())
    ends = [{"op": "set_data", "name": name, "value": 3} for name in ("features", "outputs")]
    ask("edit", id=credit.id, operations=ends)
    with pytest.raises(Invalid, match="begins with no weights"):
        ask("export", id=credit.id, format="weights")


def test_a_layer_that_was_edited_begins_anew(ask: Ask, ctx: Context, begins: Document) -> None:
    made = begins
    graph = ask("get_document", id=made.id).graph
    (dense,) = [id for id, node in graph.nodes.items() if node.layer == "dense"]
    ask(
        "edit",
        id=made.id,
        operations=[{"op": "set_param", "id": dense, "param": "units", "value": 20}],
    )
    graph = ask("get_document", id=made.id).graph
    file = find_weights(ctx, graph)
    assert file is not None
    fresh = begun(build(graph, 6, 2), load_file(file))
    (last,) = [id for id, node in graph.nodes.items() if node.layer == "output"]
    assert set(fresh) == {f"{dense}.weight", f"{dense}.bias", f"{last}.weight"}


def test_weights_are_taken_out(ask: Ask, ctx: Context, begins: Document) -> None:
    made = begins
    ask(
        "edit",
        id=made.id,
        operations=[{"op": "set_data", "name": "weights", "value": None}],
    )
    assert find_weights(ctx, ask("get_document", id=made.id).graph) is None


@pytest.mark.parametrize("said", ["sha256:" + "0" * 64, "../../../etc/passwd", "sha256:../x"])
def test_weights_that_are_not_here(ask: Ask, ctx: Context, credit: Any, said: Any) -> None:
    ask(
        "edit",
        id=credit.id,
        operations=[{"op": "set_data", "name": "weights", "value": said}],
    )
    with pytest.raises(Invalid, match="not in this project"):
        find_weights(ctx, ask("get_document", id=credit.id).graph)


class TestRefused:
    def test_weights_that_are_none(self, ask: Ask, ctx: Context, tmp_path: Path) -> None:
        graph = tmp_path / "mine.graph.json"
        graph.write_text(
            json.dumps({"format": "nexus-graph", "schema": 1, "nodes": {}, "edges": {}})
        )
        file = tmp_path / "weights.safetensors"
        file.write_bytes(b"\x80\x04K\x01.")
        with pytest.raises(Invalid, match="no safetensors"):
            ask("import_document", source=given(ctx, graph), weights=given(ctx, file))
        assert not (ctx.folder / "weights").exists()

    def test_a_program_may_hold_pickles(self, ask: Ask, ctx: Context, tmp_path: Path) -> None:
        file = tmp_path / "net.pt2"
        file.write_bytes(b"PK")
        with pytest.raises(Invalid, match="may hold pickles"):
            ask("import_document", source=given(ctx, file))

    def test_an_answer_of_a_graph(self, ask: Ask, ctx: Context, tmp_path: Path) -> None:
        file = tmp_path / "mine.graph.json"
        file.write_text("{}")
        with pytest.raises(Invalid, match="Only an ONNX file"):
            ask("import_document", source=given(ctx, file), answer="y")

    def test_other_weights_with_an_onnx_file(
        self, ask: Ask, ctx: Context, onnx: Path, tmp_path: Path
    ) -> None:
        file = tmp_path / "weights.safetensors"
        save_file({"a": torch.zeros(1)}, file)
        with pytest.raises(Invalid, match="its own weights"):
            ask("import_document", source=given(ctx, onnx), weights=given(ctx, file))

    def test_a_full_disk_leaves_nothing(
        self,
        ask: Ask,
        ctx: Context,
        net: nn.Module,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from workbench.documents import weights

        graph, file = tmp_path / "loan.graph.json", tmp_path / "loan.safetensors"
        graph.write_text(written(read_module(net, (torch.zeros(2, 6),)).graph, "", -1))
        save_file({"a": torch.zeros(1)}, file)

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(weights.os, "fsync", full)
        with pytest.raises(Limited, match="No space left"):
            ask("import_document", source=given(ctx, graph), weights=given(ctx, file))
        assert list((ctx.folder / "weights").iterdir()) == []
        assert ask("list_documents").items == []

    def test_a_file_that_takes_all_memory(self, ask: Ask, ctx: Context, tmp_path: Path) -> None:
        """Forty gigabytes of zeros, in a file of some hundred bytes."""
        import numpy as np
        from onnx import TensorProto, helper, numpy_helper

        size = numpy_helper.from_array(np.array([10**5, 10**5]), "size")
        nodes = [
            helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
            helper.make_node("Add", ["x", "sum"], ["y"]),
        ]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 4]) for name in "xy"
        ]
        made = helper.make_graph(nodes, "bomb", ends[:1], ends[1:], [size])
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        file = tmp_path / "bomb.onnx"
        file.write_bytes(model.SerializeToString())
        with pytest.raises((Invalid, Limited)) as told:
            ask("import_document", source=given(ctx, file))
        assert told.value.hint

    def test_a_file_that_takes_all_day(
        self, ask: Ask, ctx: Context, onnx: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from workbench.documents import importing

        monkeypatch.setattr(importing, "LONGEST_S", 0.5)
        with pytest.raises(Limited, match="more memory or time"):
            ask("import_document", source=given(ctx, onnx))
        assert ask("list_documents").items == []
