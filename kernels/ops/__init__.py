"""GPU functions: each a NumPy twin that defines it and the same by torch, on a CPU or CUDA.

A function of the Studio that has to be fast on large arrays lives here, apart from every room:
numpy and, inside functions, torch are all it imports. Each module holds `reference`, which is
short and says what is computed, and one function that computes it on the device asked for
(`device` has the rules).
"""

from .bootstrap import Bootstrap, bootstrap_counts
from .device import DeviceUnavailable
from .game import ShapleyValues
from .group_count import GroupCounts, count_groups
from .layout import lay_out_graph
from .permutation import PermutationTest, permutation_test
from .quantiles import nan_quantiles
from .shapley import exact_shapley
from .shapley_sampled import SampledShapleyValues, sampled_shapley
from .summarise import LayerSummary, summarise_layer

__all__ = [
    "Bootstrap",
    "DeviceUnavailable",
    "GroupCounts",
    "LayerSummary",
    "PermutationTest",
    "SampledShapleyValues",
    "ShapleyValues",
    "bootstrap_counts",
    "count_groups",
    "exact_shapley",
    "lay_out_graph",
    "nan_quantiles",
    "permutation_test",
    "sampled_shapley",
    "summarise_layer",
]
