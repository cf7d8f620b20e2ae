"""Functions of torch that are no layer, and tensors of the network's own: what a module that was
read has beside its layers.

Shapes are worked out where a function goes number by number. What others make is said in `gives`,
for what came in when they were read (`takes`): nothing here computes with torch.
"""

import math
from typing import Any

from ..arguments import inputs_in, meant, sizes_meant
from ..dims import Dim, differ
from ..tensors import Call, Constant, Given, Item, Misfit, Own, Tensor, Worked
from ..types import Layer, Parameter, Port
from .kinds import TYPE, Kind, Params, each, layer, whole, whole_each

_BROADCAST = (
    "abs acos acosh add addcdiv addcmul asin asinh atan atan2 atanh bitwise_and "
    "bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp "
    "clamp_max clamp_min copysign cos cosh deg2rad div elu eq erf erfc erfinv exp exp2 expm1 fill "
    "floor floor_divide fmax fmin fmod frac ge gelu gt hardshrink hardsigmoid hardswish hardtanh "
    "heaviside hypot isfinite isinf isnan ldexp le leaky_relu lerp lgamma log log10 log1p log2 "
    "log_sigmoid logaddexp logical_and logical_not logical_or logical_xor logit lt masked_fill "
    "maximum minimum mish mul nan_to_num ne neg positive pow rad2deg reciprocal relu relu6 "
    "remainder round rsqrt rsub selu sgn sigmoid sign silu sin sinc sinh softplus softshrink sqrt "
    "square sub tan tanh threshold to true_divide trunc where xlogy"
)
BROADCAST = frozenset(_BROADCAST.split())
"""Functions that make one number of one of each, where a 1 stands for as many as there are."""
_OTHERS = (
    "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d addbmm addmm addmv addr affine_grid_generator all "
    "amax amin any arange argmax argmin argsort avg_pool1d avg_pool2d avg_pool3d baddbmm "
    "batch_norm bilinear binary_cross_entropy bmm broadcast_tensors broadcast_to bucketize cat "
    "cdist channel_shuffle chunk col2im constant_pad_nd conv1d conv2d conv3d conv_transpose1d "
    "conv_transpose2d conv_transpose3d copy cosine_similarity count_nonzero cross "
    "cross_entropy_loss cummax cummin cumprod cumsum diag diag_embed diagonal diff dot einsum "
    "embedding expand expand_as eye flatten flip full full_like gather glu grid_sampler "
    "group_norm gru huber_loss im2col index index_add index_copy index_fill index_put "
    "index_select instance_norm inverse isin kron l1_loss layer_norm linalg_det linalg_inv "
    "linalg_vector_norm linear linspace log_softmax logcumsumexp logsumexp lstm masked_scatter "
    "matmul max max_pool1d max_pool2d max_pool2d_with_indices max_pool3d max_unpool2d mean median "
    "meshgrid min mm movedim mse_loss mv narrow new_full new_ones new_zeros nll_loss nll_loss_nd "
    "norm one_hot ones ones_like outer pad permute pixel_shuffle pixel_unshuffle prelu prod "
    "reflection_pad1d reflection_pad2d reflection_pad3d repeat repeat_interleave "
    "replication_pad1d replication_pad2d replication_pad3d reshape rms_norm rnn_relu rnn_tanh "
    "roll scalar_tensor scaled_dot_product_attention scatter scatter_add scatter_reduce "
    "searchsorted select select_scatter slice slice_scatter smooth_l1_loss softmax sort split "
    "split_with_sizes squeeze stack std std_mean sum swapaxes t take take_along_dim tensor_split "
    "tensordot tile topk trace transpose tril triu type_as unbind unflatten unfold unsqueeze "
    "upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d "
    "upsample_nearest2d upsample_nearest3d upsample_trilinear3d var var_mean zeros zeros_like"
)
OTHERS = frozenset(_OTHERS.split())
FUNCTIONS = BROADCAST | OTHERS
"""What an operation may be: functions that change nothing, open nothing and draw nothing."""
_NOT_TORCH = (
    "adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d avg_pool2d "
    "avg_pool3d binary_cross_entropy broadcast_tensors cdist col2im copy cross_entropy_loss "
    "einsum elu expand expand_as gelu glu hardsigmoid hardswish hardtanh huber_loss im2col index "
    "l1_loss leaky_relu linalg_det linalg_inv linalg_vector_norm linear log_sigmoid "
    "max_pool2d_with_indices max_unpool2d meshgrid mish mse_loss new_full new_ones new_zeros "
    "nll_loss nll_loss_nd norm one_hot pad reflection_pad1d reflection_pad2d reflection_pad3d "
    "relu6 repeat replication_pad1d replication_pad2d replication_pad3d "
    "scaled_dot_product_attention silu slice smooth_l1_loss softplus softshrink split tensordot "
    "to type_as unfold upsample_bicubic2d upsample_bilinear2d upsample_linear1d "
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d"
)
ATEN = frozenset(_NOT_TORCH.split())
"""Those that `torch` itself has not, or not by these arguments."""
WRITES = "out"
"""The argument that torch would write into."""
LARGEST = 10**9
"""Numbers of a tensor of its own."""
WHOLE = -1
"""As an `item`: all of it, for it is one tensor."""


def _operation(given: Given, p: Params) -> Worked:
    arguments, named = _meant(p["arguments"]), _meant(p["named"])
    tensors = given.ports["in"]
    wanted = inputs_in(arguments) | inputs_in(named)
    if not isinstance(arguments, list) or not isinstance(named, dict):
        raise Misfit("a list of arguments and a map of named ones", 'Such as [{"in": 0}] and {}.')
    if wanted != set(range(len(tensors))):
        raise Misfit(
            f"arguments that use each of its {len(tensors)} edges, and no other",
            'Say {"in": 0} for the first, {"in": 1} for the next.',
        )
    if WRITES in named:
        raise Misfit(f"a function that writes nothing, without {WRITES!r}", "Leave it out.")
    function = p["function"]
    path = f"torch.ops.aten.{function}" if function in ATEN else f"torch.{function}"
    result: Any = Call(path, tuple(arguments), named)
    if p["item"] != WHOLE:
        result = Item(result, p["item"])
    return Worked({"out": Tensor(_sizes(tensors, p), p["type"])}, result)


def _sizes(tensors: tuple[Tensor, ...], p: Params) -> tuple[Dim, ...]:
    if p["function"] in BROADCAST and tensors:
        return _broadcast(tensors)
    try:
        takes = [sizes_meant(each) for each in p["takes"]]
        gives = sizes_meant(p["gives"])
    except (ValueError, TypeError) as error:
        raise Misfit(
            "sizes in what it takes and gives", 'Such as gives [{"rows": 1}, 16].'
        ) from error
    if takes and takes != [each.dims for each in tensors]:
        told = ", ".join(str(Tensor(each)) for each in takes)
        raise Misfit(
            f"{told}, as when it was read",
            "Undo what changed before it, or say anew what it takes and gives.",
        )
    return gives


def _broadcast(tensors: tuple[Tensor, ...]) -> tuple[Dim, ...]:
    longest = max(len(each.dims) for each in tensors)
    padded = [(1,) * (longest - len(each.dims)) + each.dims for each in tensors]
    found: list[Dim] = []
    for place, sizes in enumerate(zip(*padded, strict=True)):
        more = [size for size in sizes if size != 1]
        if any(differ(size, more[0]) for size in more[1:]):
            raise Misfit(
                f"one size, or 1, in dimension {place - longest}",
                "Sizes are compared from the last dimension on.",
            )
        found.append(next((size for size in more if isinstance(size, int)), [*more, 1][0]))
    return tuple(found)


def _meant(value: Any) -> Any:
    try:
        return meant(value)
    except ValueError as error:
        raise Misfit("arguments of its form", 'Such as [{"in": 0}, 2].') from error


def _weight(given: Given, p: Params) -> Worked:
    sizes = each(p["size"], 1)
    count = math.prod(sizes)
    shape = sizes or ((),)
    kind = {} if p["type"] == "float32" else {"dtype": Constant(f"torch.{p['type']}")}
    fresh: Any = (
        Call("torch.zeros", shape, kind)
        if p["begin"] == "zeros"
        else Call("torch.ones", shape, kind)
        if p["begin"] == "ones"
        else Call("nn.init.normal_", (Call("torch.empty", shape),), {"std": 0.02})
    )
    learned = p["learned"]
    if count > LARGEST:
        raise Misfit(f"at most {LARGEST:,} numbers, not {count:,}", "Use smaller sizes.")
    if learned and p["type"] != "float32":
        raise Misfit("float32 to be learned", "Set learned to false, or its type to float32.")
    return Worked(
        {"out": Tensor(sizes, p["type"])},
        Own(),
        tensor=Call("nn.Parameter" if learned else "nn.Buffer", (fresh,)),
        parameters=count if learned else 0,
    )


KINDS = (
    Kind(
        Layer(
            name="operation",
            title="Function of torch",
            group="operation",
            ports=[
                Port(
                    name="in",
                    meaning="What it works on, in the order of the edges.",
                    many=True,
                    optional=True,
                )
            ],
            params=[
                Parameter(
                    name="function",
                    type="choice",
                    default="abs",
                    choices=sorted(FUNCTIONS),
                    meaning="Which, by torch's names (https://docs.pytorch.org/docs/stable/torch.html).",
                ),
                Parameter(
                    name="arguments",
                    type="arguments",
                    default=[{"in": 0}],
                    meaning='What it is given, in order; {"in": 0} is the first edge.',
                ),
                Parameter(
                    name="named",
                    type="arguments",
                    default={},
                    meaning="What it is given by name.",
                ),
                whole(
                    "item",
                    WHOLE,
                    "Which of its results, from 0, where it has several; -1 where it has one.",
                    minimum=WHOLE,
                    maximum=4_096,
                ),
                Parameter(
                    name="takes",
                    type="arguments",
                    default=[],
                    meaning="Sizes of what comes in that `gives` is right for; any if empty.",
                ),
                Parameter(
                    name="gives",
                    type="arguments",
                    default=[{"rows": 1}, 1],
                    meaning="Sizes of what comes out, where it does not go number by number.",
                ),
                TYPE.model_copy(update={"meaning": "What its result's numbers are."}),
            ],
            formula="y = function(arguments…)",
            source="Paszke et al. (2019), arXiv:1912.01703",
            meaning="A function for which there is no layer; modules that are read have them.",
        ),
        _operation,
    ),
    Kind(
        layer(
            "weight",
            "Tensor of its own",
            "operation",
            "y = W, whatever comes in",
            "Dosovitskiy et al. (2021), arXiv:2010.11929, for the class token",
            "Numbers that belong to the network: learned, or always the same.",
            whole_each(
                "size",
                [1],
                "Size of each dimension; there is none for rows.",
                None,
                minimum=0,
                maximum=100_000_000,
                shortest=0,
            ),
            TYPE,
            Parameter(
                name="learned",
                type="boolean",
                default=True,
                meaning="Whether training changes it.",
            ),
            Parameter(
                name="begin",
                type="choice",
                default="normal",
                choices=["normal", "zeros", "ones"],
                meaning="What it begins as; normal has a standard deviation of 0.02.",
            ),
            ports=(),
        ),
        _weight,
    ),
)
