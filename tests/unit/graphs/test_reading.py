"""The way back: well-known networks as torch modules, read, built and written again."""

from collections.abc import Callable
from typing import Any

import pytest

from workbench.core import Invalid
from workbench.graphs import build, source
from workbench.graphs.reading import read_module

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


class Residual(nn.Module):
    """He et al. (2016): the basic block of ResNet-18."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.down = None
        if stride != 1 or into != out:
            self.down = nn.Sequential(
                nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.down is None else self.down(x)
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )  # fmt: skip
        widths = [8, 8, 16, 16, 32, 32, 64, 64]
        self.layers = nn.Sequential(
            *(
                Residual(widths[max(0, place - 1)], width, 1 + (place in (2, 4, 6)))
                for place, width in enumerate(widths)
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        return self.fc(torch.flatten(self.pool(self.layers(self.stem(x))), 1))


class Bottleneck(nn.Module):
    """He et al. (2016), of ResNet-50, with the mean taken by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce, self.middle = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.grow, self.fc = nn.Conv2d(4, 16, 1), nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        y = self.grow(torch.relu(self.middle(torch.relu(self.reduce(x)))))
        return self.fc(torch.relu(x + y).mean((2, 3)))


class DenseBlock(nn.Module):
    """Huang et al. (2017): what every layer made goes into the next."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 + 4 * n, 4, 3, padding=1) for n in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(3 + 4 * n) for n in range(3))

    def forward(self, x: Any) -> Any:
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(torch.relu(norm(x)))], 1)
        return x.flatten(1)


class Inception(nn.Module):
    """Szegedy et al. (2015): four ways side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(6, 4, 1)
        self.three = nn.Sequential(nn.Conv2d(6, 2, 1), nn.ReLU(), nn.Conv2d(2, 4, 3, padding=1))
        self.five = nn.Sequential(nn.Conv2d(6, 2, 1), nn.ReLU(), nn.Conv2d(2, 4, 5, padding=2))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(6, 4, 1))

    def forward(self, x: Any) -> Any:
        ways = [self.one(x), self.three(x), self.five(x), self.pool(x)]
        return torch.cat(ways, dim=1).relu()


class SqueezeExcite(nn.Module):
    """Hu et al. (2018): each channel by a factor."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.squeeze, self.excite = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def forward(self, x: Any) -> Any:
        return x * self.excite(nn.functional.silu(self.squeeze(self.pool(x)))).sigmoid()


class UNet(nn.Module):
    """Ronneberger et al. (2015), of two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.pool = nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2)
        self.middle, self.up = nn.Conv2d(4, 8, 3, padding=1), nn.ConvTranspose2d(8, 4, 2, 2)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Any) -> Any:
        down = self.down(x).relu()
        return self.out(torch.cat([down, self.up(self.middle(self.pool(down)).relu())], 1))


class TextCNN(nn.Module):
    """Kim (2014): windows of several widths over words."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 8, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(8, 4, width) for width in (2, 3))
        self.fc = nn.Linear(8, 2)

    def forward(self, x: Any) -> Any:
        x = self.embedding(x).transpose(1, 2)
        return self.fc(torch.cat([conv(x).relu().amax(2) for conv in self.convs], 1))


class Recurrent(nn.Module):
    """Hochreiter, Schmidhuber (1997): the last state answers."""

    def __init__(self, kind: Callable[..., Any], of_state: bool) -> None:
        super().__init__()
        self.rnn, self.fc = kind(4, 6, 2, batch_first=True), nn.Linear(6, 2)
        self.of_state = of_state

    def forward(self, x: Any) -> Any:
        steps, state = self.rnn(x)
        state = state[0] if isinstance(state, tuple) else state
        return self.fc(state[-1] if self.of_state else steps[:, -1])


class Transformer(nn.Module):
    """Vaswani et al. (2017): encoder layers and attention over them; the first word answers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.norm, self.fc = nn.LayerNorm(16), nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        x = self.encoder(self.embedding(x))
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return self.fc(x[:, 0])


class Mixer(nn.Module):
    """Tolstikhin et al. (2021): one block of MLP-Mixer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(12)
        self.tokens = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
        self.channels = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))

    def forward(self, x: Any) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(x)


class WideAndDeep(nn.Module):
    """Cheng et al. (2016): two inputs, one plain and one deep."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(5, 1)
        self.deep = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, wide: Any, deep: Any) -> Any:
        return self.wide(wide) + self.deep(deep)


class Highway(nn.Module):
    """Srivastava et al. (2015), with the gate's two halves from one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.both = nn.Linear(6, 12)

    def forward(self, x: Any) -> Any:
        gate, new = self.both(x).chunk(2, dim=1)
        return torch.sigmoid(gate) * torch.tanh(new) + x


def images(channels: int, size: int) -> Any:
    return torch.randn(2, channels, size, size)


def mlp() -> Any:
    return nn.Sequential(
        nn.Linear(20, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3)
    )


def lenet() -> Any:
    """LeCun et al. (1998)."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84),
        nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def vgg() -> Any:
    """Simonyan, Zisserman (2015)."""
    layers: list[Any] = []
    into = 3
    for width in (8, 8, 0, 16, 16, 0):
        layers += (
            [nn.Conv2d(into, width, 3, padding=1), nn.ReLU(True)] if width else [nn.MaxPool2d(2)]
        )
        into = width or into
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 16), nn.Dropout(), nn.Linear(16, 4))


def mobile() -> Any:
    """Howard et al. (2017, 2019): each channel by itself, then all."""
    return nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.Hardswish(),
        nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12), nn.Hardswish(),
    )  # fmt: skip


def autoencoder() -> Any:
    """Hinton, Salakhutdinov (2006)."""
    return nn.Sequential(
        nn.Sequential(nn.Linear(12, 6), nn.ELU(), nn.Linear(6, 2)),
        nn.Sequential(nn.Linear(2, 6), nn.PReLU(), nn.Linear(6, 12)),
    )


def wavenet() -> Any:
    """van den Oord et al. (2016): wider and wider steps."""
    return nn.Sequential(
        *(nn.Conv1d(3, 3, 3, dilation=2**depth, padding="same") for depth in range(3)),
        nn.LeakyReLU(0.2),
    )


NETWORKS: dict[str, tuple[Callable[[], Any], Callable[[], tuple[Any, ...]], int]] = {
    "plain": (mlp, lambda: (torch.randn(4, 20),), 6),
    "LeNet-5": (lenet, lambda: (images(1, 28),), 13),
    "VGG": (vgg, lambda: (images(3, 16),), 15),
    "ResNet-18": (ResNet, lambda: (images(3, 32),), 70),
    "bottleneck": (Bottleneck, lambda: (images(16, 6),), 10),
    "DenseNet": (DenseBlock, lambda: (images(3, 6),), 14),
    "Inception": (Inception, lambda: (images(6, 6),), 12),
    "MobileNet": (mobile, lambda: (images(8, 6),), 7),
    "squeeze and excite": (SqueezeExcite, lambda: (images(8, 6),), 7),
    "U-Net": (UNet, lambda: (images(1, 8),), 9),
    "autoencoder": (autoencoder, lambda: (torch.randn(2, 12),), 7),
    "WaveNet": (wavenet, lambda: (torch.randn(2, 3, 16),), 5),
    "TextCNN": (TextCNN, lambda: (torch.randint(0, 50, (2, 9)),), 11),
    "LSTM": (lambda: Recurrent(nn.LSTM, True), lambda: (torch.randn(2, 5, 4),), 3),
    "GRU": (lambda: Recurrent(nn.GRU, False), lambda: (torch.randn(2, 5, 4),), 4),
    "RNN": (lambda: Recurrent(nn.RNN, True), lambda: (torch.randn(2, 5, 4),), 3),
    "Transformer": (Transformer, lambda: (torch.randint(0, 50, (2, 7)),), 9),
    "MLP-Mixer": (Mixer, lambda: (images(3, 8),), 15),
    "wide and deep": (WideAndDeep, lambda: (torch.randn(2, 5), torch.randn(2, 7)), 7),
    "Highway": (Highway, lambda: (torch.randn(2, 6),), 8),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back(name: str) -> None:
    """As a module and as source code, it answers what the module answers, with its weights."""
    make, example, nodes = NETWORKS[name]
    torch.manual_seed(0)
    module, given = make(), example()
    module.train()
    read = read_module(module, given, name)
    assert module.training
    assert len(read.graph.nodes) == nodes, list(read.graph.nodes)
    data = read.graph.data
    ends = data.get("features", 1), data.get("outputs", 1)
    scope: dict[str, Any] = {}
    exec(source(read.graph, *ends), scope)
    module.eval()
    with torch.no_grad():
        wanted = module(*given)
        for made in (build(read.graph, *ends), scope["Network"]()):
            made.load_state_dict(read.weights)
            came = made.eval()(*ordered(read.graph, given))
            assert (came - wanted).abs().max() <= 1e-6 * max(1, wanted.abs().max())
    learned = sum(each.numel() for each in module.parameters())
    assert sum(each.numel() for each in made.parameters()) == learned


def ordered(graph: Any, given: tuple[Any, ...]) -> list[Any]:
    """The inputs as a built network takes them: by the ids of their nodes."""
    ids = [id for id, node in graph.nodes.items() if node.layer.endswith("input")]
    return [given[ids.index(id)] for id in sorted(ids)]


def test_blocks_are_groups_and_paths_are_names() -> None:
    graph = read_module(ResNet(), (images(3, 32),)).graph
    node = graph.nodes["layers_2_down_0"]
    assert (node.name, node.layer, node.group) == ("down.0", "conv2d", "layers_2_down")
    assert graph.groups["layers_2_down"].parent == "layers_2"
    assert graph.nodes["layers_2_conv1"].name == "conv1"
    assert graph.nodes["layers_2_add"].name == "add"
    assert graph.groups["layers_2"].name == "layers.2 (Residual)"
    assert len(set(graph.layout.values())) == len(graph.nodes)


def test_a_tables_network_has_a_tables_ends() -> None:
    graph = read_module(mlp(), (torch.randn(4, 20),)).graph
    assert graph.data == {"features": 20, "outputs": 3}
    assert [node.layer for node in graph.nodes.values()][:: len(graph.nodes) - 1] == [
        "input",
        "output",
    ]


def test_one_row_is_enough_of_an_example() -> None:
    assert len(read_module(mlp(), (torch.randn(1, 20),)).graph.nodes) == 6


class Each(nn.Module):
    """Whatever a test wants."""

    def __init__(self, forward: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.work = forward

    def forward(self, x: Any) -> Any:
        return self.work(self, x)


@pytest.mark.parametrize(
    ("work", "parts", "told"),
    [
        (lambda self, x: self.a(x.roll(1, 1)), {"a": (4, 4)}, "roll"),
        (lambda self, x: self.a(self.a(x)), {"a": (4, 4)}, r"two layers share \(a.weight\)"),
        (lambda self, x: (self.a(x), x), {"a": (4, 4)}, "answers 2 tensors"),
        (lambda self, x: self.a(x) if x.sum() > 0 else x, {"a": (4, 4)}, "torch.export cannot"),
        (lambda self, x: self.a(x) * 2.0, {"a": (4, 4)}, "mul.Tensor with the number 2"),
        (lambda self, x: self.a(x)[:, None].expand(-1, 3, -1), {"a": (4, 4)}, "computes expand"),
        (
            lambda self, x: nn.functional.softplus(self.a(x), 1.0, 5.0),
            {"a": (4, 4)},
            r"softplus \(threshold=5.0\)",
        ),
        (lambda self, x: self.a(x)[:1], {"a": (4, 4)}, "some of the rows"),
        (lambda self, x: self.a.weight, {"a": (4, 4)}, "a tensor of its own"),
    ],
)
def test_what_cannot_be_read_is_said(work: Any, parts: dict[str, Any], told: str) -> None:
    module = Each(work, **{name: nn.Linear(*sizes) for name, sizes in parts.items()})
    with pytest.raises(Invalid, match=told) as refused:
        read_module(module, (torch.randn(3, 4),))
    assert refused.value.hint
    assert module.training


def test_one_tensor_under_two_names_is_shared() -> None:
    module = Each(lambda self, x: self.b(self.a(x)), a=nn.Linear(4, 4), b=nn.Linear(4, 4))
    module.b.weight = module.a.weight
    with pytest.raises(Invalid, match="two layers share"):
        read_module(module, (torch.randn(3, 4),))


def test_attention_that_is_asked_twice_is_shared() -> None:
    def twice(self: Any, x: Any) -> Any:
        for _ in range(2):
            x = self.a(x, x, x, need_weights=False)[0]
        return x

    module = Each(twice, a=nn.MultiheadAttention(4, 2, batch_first=True))
    with pytest.raises(Invalid):
        read_module(module, (torch.randn(3, 5, 4),))


@pytest.mark.parametrize("shape", [(3,), (3, 4, 2)])
def test_texts_are_rows_of_words(shape: tuple[int, ...]) -> None:
    module = Each(lambda self, x: self.a(x), a=nn.Embedding(9, 4))
    with pytest.raises(Invalid, match="whole numbers in"):
        read_module(module, (torch.zeros(shape, dtype=torch.int64),))


def test_numbers_of_other_kinds_are_refused() -> None:
    with pytest.raises(Invalid, match="'x' is of float64"):
        read_module(
            Each(lambda self, x: self.a(x), a=nn.Linear(4, 4).double()),
            (torch.randn(3, 4, dtype=torch.float64),),
        )


def test_whole_numbers_that_nothing_embeds() -> None:
    with pytest.raises(Invalid, match="no embedding reads it"):
        read_module(Each(lambda self, x: x.float()), (torch.randint(0, 9, (3, 4)),))
