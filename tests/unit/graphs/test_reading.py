"""The way back: well-known networks as torch modules, read, built and written again."""

from collections.abc import Callable
from typing import Any

import pytest

from workbench.core import Invalid
from workbench.graphs import build, source
from workbench.graphs.programs import to_program, wide
from workbench.graphs.reading import read_exported, read_module

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
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


def again(module: Any, *given: Any, kept: bool = False) -> Any:
    """The graph of a module, whose source answers as it does, and its program if it is kept."""
    read = read_module(module, given)
    data = read.graph.data
    ends = data.get("features", 1), data.get("outputs", 1)
    scope: dict[str, Any] = {}
    exec(source(read.graph, *ends), scope)
    built = build(read.graph, *ends).eval()
    written = scope["Network"]().eval()
    for made in (built, written):
        made.load_state_dict(read.weights)
    module.eval()
    shown = [given[place] for place in read.takes]
    with torch.no_grad():
        wanted = module(*given)
        for made, places in ((built, read.takes), (written, read.takes)):
            came = made(*(given[place] for place in places))
            assert torch.allclose(came, wanted, atol=1e-6, equal_nan=True)
        if kept:
            program = read_exported(to_program(built, tuple(shown), wide(read.graph)))
            other = build(program.graph, *ends).eval()
            other.load_state_dict(program.weights)
            came = other(*(shown[place] for place in program.takes))
            assert torch.allclose(came, wanted, atol=1e-6, equal_nan=True)
    return read


def functions(read: Any) -> set[str]:
    return {
        node.params["function"] for node in read.graph.nodes.values() if node.layer == "operation"
    }


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. (2021): patches, a class token, learned places."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(1, 5, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.encoder(x)[:, 0])


class Speaker(nn.Module):
    """Radford et al. (2019), with one block: words in, the next word out, by the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(20, 8), nn.Embedding(6, 8)
        self.asked, self.back, self.norm = nn.Linear(8, 24), nn.Linear(8, 8), nn.LayerNorm(8)
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.words.weight
        self.register_buffer("mask", torch.tril(torch.ones(6, 6)).bool())

    def forward(self, words: Any) -> Any:
        rows, length = words.shape
        x = self.words(words) + self.places(torch.arange(length, device=words.device))
        q, k, v = (
            each.view(rows, length, 2, 4).transpose(1, 2)
            for each in self.asked(self.norm(x)).split(8, 2)
        )
        scores = (q @ k.transpose(-2, -1) / 2).masked_fill(
            ~self.mask[:length, :length], float("-inf")
        )
        x = x + self.back((scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, length, 8))
        return self.head(x)


class PerMoment(nn.Module):
    """A convolution of each image of a film, and a memory over them."""

    def __init__(self) -> None:
        super().__init__()
        self.look, self.remember = nn.Conv2d(3, 4, 3), nn.GRU(4, 6, batch_first=True)

    def forward(self, x: Any) -> Any:
        rows, moments = x.shape[:2]
        seen = self.look(x.flatten(0, 1)).relu().mean((2, 3)).view(rows, moments, -1)
        return self.remember(seen)[0][:, -1]


class Begun(nn.Module):
    """A memory that begins with what it learned."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.LSTM(4, 6, 2, batch_first=True)
        self.first = nn.Parameter(torch.randn(2, 1, 6))

    def forward(self, x: Any) -> Any:
        first = self.first.expand(-1, x.shape[0], -1).contiguous()
        out, (_, cells) = self.steps(x, (first, first))
        return out[:, -1] + cells[-1]


def changed(self: Any, x: Any) -> Any:
    y = x.clone()
    y[:, 0] = 0
    y += 1
    return y.clamp_(-1, 2)


def masked(self: Any, x: Any) -> Any:
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    return self.a(x, x, x, attn_mask=mask, need_weights=False)[0]


def windows(self: Any, x: Any) -> Any:
    x = F.pad(F.relu6(torch.roll(x, (1, 2), (2, 3))), (1, 1, 0, 0), mode="reflect")
    x = F.adaptive_avg_pool2d(F.interpolate(x, scale_factor=2, mode="bilinear"), (4, 4))
    best, _ = F.hardsigmoid(x).flatten(2).topk(3, -1)
    return (best.sum(-1) ** 2 + 1e-3).log()


WHOLE: dict[str, tuple[Callable[[], Any], Callable[[], tuple[Any, ...]], set[str]]] = {
    "vision transformer": (VisionTransformer, lambda: (images(3, 8),), {"expand"}),
    "speaker": (Speaker, lambda: (torch.randint(20, (2, 6)),), {"embedding", "masked_fill"}),
    "per moment": (PerMoment, lambda: (torch.randn(2, 3, 3, 8, 8),), set()),
    "begun": (Begun, lambda: (torch.randn(2, 5, 4),), {"lstm"}),
    "changed in place": (lambda: Each(changed), lambda: (torch.randn(2, 8),), {"slice_scatter"}),
    "masked attention": (
        lambda: Each(masked, a=nn.MultiheadAttention(8, 2, batch_first=True)),
        lambda: (torch.randn(2, 5, 8),),
        {"scaled_dot_product_attention"},
    ),
    "windows": (lambda: Each(windows), lambda: (images(3, 8),), {"roll", "topk", "pad"}),
    "weight norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 4)),
        lambda: (torch.randn(2, 8),),
        {"linear"},
    ),
    "einsum": (
        lambda: Each(
            lambda s, x: torch.einsum("bi,kij,bj->bk", x, s.w, x),
            w=nn.Parameter(torch.randn(4, 8, 8)),
        ),
        lambda: (torch.randn(2, 8),),
        {"einsum"},
    ),
    "other types": (
        lambda: Each(lambda s, x: (x.double() * 2).round().long().float().cumsum(-1)),
        lambda: (torch.randn(2, 8),),
        {"to", "cumsum"},
    ),
    "bare norm": (
        lambda: nn.BatchNorm1d(8, affine=False),
        lambda: (torch.randn(2, 8),),
        {"batch_norm"},
    ),
    "float64": (
        lambda: Each(lambda s, x: s.a(x), a=nn.Linear(4, 4).double()),
        lambda: (torch.randn(3, 4, dtype=torch.float64),),
        {"linear"},
    ),
    "a batch against itself": (
        lambda: Each(lambda s, x: s.a(x) @ s.a(x).t(), a=nn.Linear(4, 4)),
        lambda: (torch.randn(3, 4),),
        {"matmul"},
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_no_layer_computes_is_a_function(name: str) -> None:
    make, example, wanted = WHOLE[name]
    torch.manual_seed(0)
    read = again(make(), *example(), kept=True)
    assert wanted <= functions(read)


@pytest.mark.parametrize(
    "work",
    [
        lambda self, x: self.a(x.roll(1, 1)),
        lambda self, x: self.a(self.a(x)),
        lambda self, x: self.a(x) * 2.0,
        lambda self, x: self.a(x)[:, None].expand(-1, 3, -1),
        lambda self, x: nn.functional.softplus(self.a(x), 1.0, 5.0),
        lambda self, x: self.a(x)[:1],
        lambda self, x: self.a.weight * x.mean(),
        lambda self, x: self.a(x).sum(),
    ],
)
def test_small_functions(work: Any) -> None:
    again(Each(work, a=nn.Linear(4, 4)), torch.randn(3, 4))


@pytest.mark.parametrize("shape", [(3,), (3, 4, 2)])
def test_words_in_another_shape_are_whole_numbers(shape: tuple[int, ...]) -> None:
    module = Each(lambda self, x: self.a(x), a=nn.Embedding(9, 4))
    read = again(module, torch.zeros(shape, dtype=torch.int64))
    (entrance,) = [n for n in read.graph.nodes.values() if n.layer == "tensor_input"]
    assert entrance.params["type"] == "int64"


def test_what_two_share_is_one_tensor() -> None:
    """Learned from both uses, and the same afterwards."""
    module = Each(lambda self, x: self.b(self.a(x)), a=nn.Linear(4, 4), b=nn.Linear(4, 4))
    module.b.weight = module.a.weight
    read = again(module, torch.randn(3, 4))
    kinds = [node.layer for node in read.graph.nodes.values()]
    assert kinds.count("weight") == 3 and kinds.count("dense") == 0
    built = build(read.graph, 4, 4)
    built.load_state_dict(read.weights)
    rows = torch.randn(5, 4)
    built(rows).sum().backward()
    module(rows).sum().backward()
    shared = next(each for each in built.parameters() if each.dim() == 2)
    assert torch.allclose(shared.grad, module.a.weight.grad, atol=1e-6)


def test_attention_that_is_asked_twice() -> None:
    def twice(self: Any, x: Any) -> Any:
        for _ in range(2):
            x = self.a(x, x, x, need_weights=False)[0]
        return x

    read = again(Each(twice, a=nn.MultiheadAttention(4, 2, batch_first=True)), torch.randn(3, 5, 4))
    learned = [node for node in read.graph.nodes.values() if node.layer == "weight"]
    assert len(learned) == 4


def test_an_input_that_nothing_needs_is_left_out() -> None:
    class Half(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return y.tanh()

    read = read_module(Half(), (torch.randn(3, 2), torch.randn(3, 4)))
    assert read.takes == (1,) and len(read.graph.nodes) == 2


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (lambda self, x: (self.a(x), x), "answers 2 tensors"),
        (lambda self, x: self.a(x) if x.sum() > 0 else x, "torch.export cannot"),
        (lambda self, x: x[x > 0], "torch.export cannot|No layer computes"),
        (lambda self, x: self.a(x) + torch.rand_like(x), "No layer computes rand_like"),
        (lambda self, x: torch.fft.fft(x).real, "No layer computes"),
        (lambda self, x: torch.ones(3), "does not depend on what goes in"),
    ],
)
def test_what_cannot_be_read_is_said(work: Any, told: str) -> None:
    module = Each(work, a=nn.Linear(4, 4))
    with pytest.raises(Invalid, match=told) as refused:
        read_module(module, (torch.randn(3, 4),))
    assert refused.value.hint
    assert module.training
