"""ONNX files as graphs: what is read answers as onnxruntime does, or is refused with a sentence."""

import io
from typing import Any

import pytest

from workbench.core import Invalid
from workbench.graphs import TEMPLATES, Graph, Reader, build
from workbench.graphs.programs import example, to_onnx, to_program, wide
from workbench.graphs.reading import read_exported, read_known, read_onnx, told

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402


class Net(nn.Module):
    """A module of one function."""

    def __init__(self, function: Any, **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


class Two(Net):
    def forward(self, x: Any, y: Any) -> Any:  # type: ignore[override]
        return self.function(self, x, y)


def by_dynamo(net: Any, *given: Any) -> bytes:
    return bytes(to_onnx(net.eval(), given).SerializeToString())


def by_script(net: Any, *given: Any) -> bytes:
    """As torch wrote files before it had `torch.export`: sizes are computed in the file."""
    file = io.BytesIO()
    names = [f"in{place}" for place in range(len(given))]
    with pytest.warns():
        torch.onnx.export(
            net.eval(),
            given,
            file,
            dynamo=False,
            input_names=names,
            dynamic_axes={name: {0: "batch"} for name in names},
        )
    return file.getvalue()


def layers(graph: Graph) -> list[str]:
    return sorted(node.params.get("function", node.layer) for node in graph.nodes.values())


NETS: dict[str, tuple[Any, Any, set[str]]] = {
    "plain": (
        nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)),
        (torch.randn(2, 8),),
        {"input", "dense", "relu", "output"},
    ),
    "images": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(128, 5),
        ),
        (torch.randn(2, 3, 8, 8),),
        {"image_input", "conv2d", "relu", "max_pool2d", "flatten", "dense"},
    ),
    "words": (
        Net(lambda s, x: s.out(s.words(x).mean(1)), words=nn.Embedding(50, 8), out=nn.Linear(8, 2)),
        (torch.randint(50, (2, 6)),),
        {"text_input", "embedding", "mean", "dense"},
    ),
    "steps": (
        Net(
            lambda s, x: s.out(s.steps(x)[0][:, -1]),
            steps=nn.LSTM(4, 6, batch_first=True),
            out=nn.Linear(6, 2),
        ),
        (torch.randn(2, 7, 4),),
        set(),
    ),
    "gates, both ways": (
        Net(lambda s, x: s.steps(x)[0], steps=nn.GRU(4, 6, batch_first=True, bidirectional=True)),
        (torch.randn(2, 7, 4),),
        set(),
    ),
    "sizes computed": (
        Net(lambda s, x: x.view(x.shape[0], 2, -1).transpose(1, 2).reshape(x.shape[0] * 4, 2)),
        (torch.randn(2, 8),),
        set(),
    ),
    "two inputs": (
        Two(lambda s, x, y: s.one(x) * s.one(y), one=nn.Linear(4, 4)),
        (torch.randn(2, 4), torch.randn(2, 4)),
        set(),
    ),
}


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *((name, by_script) for name in NETS),
        *((name, by_dynamo) for name in ("plain", "images", "words", "sizes computed")),
    ],
)
def test_a_file_that_torch_wrote(name: str, way: Any) -> None:
    net, given, wanted = NETS[name]
    read = read_onnx(way(net, *given), name)
    assert not Reader(8, 3).read(read.graph).problems
    if wanted and way is by_dynamo:
        assert set(layers(read.graph)) == wanted
    built = build(read.graph, 8, 3).eval()
    built.load_state_dict(read.weights)
    shown = [torch.cat([each, each, each[:1]]) for each in given]
    with torch.no_grad():
        found = built(*(shown[place] for place in read.takes))
        assert torch.allclose(found, net(*shown), atol=1e-5)


def test_a_table_and_a_target() -> None:
    net, given, _ = NETS["plain"]
    read = read_onnx(by_dynamo(net, *given))
    assert read.graph.data == {"features": 8, "outputs": 3}
    assert sum(each.numel() for each in read.weights.values()) == 8 * 16 + 16 + 16 * 3 + 3


def test_scopes_in_names_are_groups() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return self.inner(x).tanh()

    net = nn.Sequential(Block(), Block())
    graph = read_onnx(by_script(net, torch.randn(2, 4))).graph
    assert {"0", "1"} <= {group.name.partition(" ")[0] for group in graph.groups.values()}


@pytest.mark.parametrize("name", ["residual", "cnn", "forecaster"])
def test_a_file_of_ours_comes_back_with_its_ids(name: str) -> None:
    graph = TEMPLATES[name].graph
    graph = graph.model_copy(update={"data": {"features": 8, "outputs": 3}})
    module, given = build(graph, 8, 3).eval(), example(graph, 8)
    model = to_onnx(module, given, rows=wide(graph), optimised=False)
    model.metadata_props.add(key="its", value="graph")
    content = model.SerializeToString()
    assert told(content, "its") == "graph"
    read = read_known(content, graph.model_dump_json())
    assert read is not None
    for key, each in module.state_dict().items():
        assert torch.equal(read.weights[key], each), key


def test_a_file_of_ours_with_other_weights_is_read_as_anybodys() -> None:
    from onnx import numpy_helper

    graph = TEMPLATES["mlp"].graph
    graph = graph.model_copy(update={"data": {"features": 8, "outputs": 3}})
    module = build(graph, 8, 3).eval()
    model = to_onnx(module, example(graph, 8), optimised=False)
    bias = next(each for each in model.graph.initializer if each.name.endswith("bias"))
    other = graph.model_copy(
        update={
            "nodes": {
                id: node if node.layer != "relu" else node.model_copy(update={"layer": "tanh"})
                for id, node in graph.nodes.items()
            }
        }
    )
    assert read_known(model.SerializeToString(), other.model_dump_json()) is None
    assert read_known(model.SerializeToString(), "{}") is None
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, bias.name))
    read = read_known(model.SerializeToString(), graph.model_dump_json())
    assert read is not None, "the weights are the file's"


@pytest.mark.parametrize("name", ["residual", "cnn"])
def test_a_program_of_ours_keeps_its_ids(name: str) -> None:
    graph = TEMPLATES[name].graph
    program = to_program(build(graph, 8, 3).eval(), example(graph, 8), wide(graph))
    read = read_exported(program)
    assert {id for id, node in graph.nodes.items() if node.layer == "dense"} <= set(
        read.graph.nodes
    )


def test_one_row_means_any_number_of_rows() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    file = io.BytesIO()
    with pytest.warns():
        torch.onnx.export(net.eval(), (torch.randn(1, 4),), file, dynamo=False)
    graph = read_onnx(file.getvalue()).graph
    inputs = [each for each in graph.nodes.values() if each.layer == "tensor_input"]
    assert inputs[0].params["rows"] is True


def test_rows_that_are_written_down_stay() -> None:
    net = Net(lambda s, x: x.reshape(5, 12).softmax(0))
    file = io.BytesIO()
    with pytest.warns():
        torch.onnx.export(net.eval(), (torch.randn(3, 4, 5),), file, dynamo=False)
    graph = read_onnx(file.getvalue()).graph
    (entrance,) = [each for each in graph.nodes.values() if each.layer == "tensor_input"]
    assert entrance.params["rows"] is False
    assert entrance.params["size"] == [3, 4, 5]


class TestRefused:
    def test_no_onnx(self) -> None:
        with pytest.raises(Invalid, match="no ONNX file"):
            read_onnx(b"\x80\x04 a pickle")

    def test_weights_in_other_files(self) -> None:
        import onnx

        net, given, _ = NETS["plain"]
        model = onnx.load_from_string(by_dynamo(net, *given))
        tensor = model.graph.initializer[0]
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="/etc/passwd")
        tensor.ClearField("raw_data")
        with pytest.raises(Invalid, match="weights in other files"):
            read_onnx(model.SerializeToString())

    def test_several_outputs(self) -> None:
        import onnx

        net = Net(lambda s, x: (x + 1, x * 2))
        file = io.BytesIO()
        with pytest.warns():
            torch.onnx.export(
                net.eval(), (torch.randn(2, 4),), file, dynamo=False, output_names=["up", "twice"]
            )
        with pytest.raises(Invalid, match="2 outputs: up, twice") as caught:
            read_onnx(file.getvalue())
        assert "answer='up'" in caught.value.hint
        with pytest.raises(Invalid, match="no output 'down'"):
            read_onnx(file.getvalue(), answer="down")
        assert layers(read_onnx(file.getvalue(), answer="twice").graph).count("mul") == 1
        assert onnx.load_from_string(file.getvalue()).graph.output[0].name == "up"

    def test_an_open_length(self) -> None:
        file = io.BytesIO()
        net = Net(lambda s, x: x.mean(1))
        with pytest.warns():
            torch.onnx.export(
                net.eval(),
                (torch.randn(2, 6, 4),),
                file,
                dynamo=False,
                input_names=["steps"],
                dynamic_axes={"steps": {0: "batch", 1: "length"}},
            )
        with pytest.raises(Invalid, match="'steps' leaves length open"):
            read_onnx(file.getvalue())
        read = read_onnx(file.getvalue(), sizes={"length": 9})
        (entrance,) = [e for e in read.graph.nodes.values() if e.layer.endswith("input")]
        assert entrance.params["size"] == [9, 4]

    def test_an_open_length_without_a_name(self) -> None:
        from onnx import TensorProto, helper

        ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", None]) for n in "xy"]
        made = helper.make_graph([helper.make_node("Tanh", ["x"], ["y"])], "g", ends[:1], ends[1:])
        content = helper.make_model(
            made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
        ).SerializeToString()
        with pytest.raises(Invalid, match="leaves dimension 1 open") as told:
            read_onnx(content)
        assert '"dimension 1": 128' in told.value.hint
        read = read_onnx(content, sizes={"dimension 1": 5})
        assert read.weights == {} and len(read.graph.nodes) == 2

    def test_a_course_that_depends_on_numbers(self) -> None:
        import onnx
        from onnx import TensorProto, helper

        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4])
        came = helper.make_tensor_value_info("y", TensorProto.INT64, None)
        model = helper.make_model(
            helper.make_graph([helper.make_node("NonZero", ["x"], ["y"])], "g", [given], [came]),
            opset_imports=[helper.make_opsetid("", 18)],
            ir_version=10,
        )
        assert isinstance(model, onnx.ModelProto)
        with pytest.raises(Invalid):
            read_onnx(model.SerializeToString())

    def test_an_operator_nobody_knows(self) -> None:
        from onnx import TensorProto, helper

        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 4])
        came = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 4])
        model = helper.make_model(
            helper.make_graph(
                [helper.make_node("Frobnicate", ["x"], ["y"], domain="ours")],
                "g",
                [given],
                [came],
            ),
            opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ours", 1)],
            ir_version=10,
        )
        with pytest.raises(Invalid, match="Frobnicate"):
            read_onnx(model.SerializeToString())
