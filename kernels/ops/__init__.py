"""GPU functions: each a NumPy twin that defines it and the same by torch, on a CPU or CUDA.

A function of the Studio that has to be fast on large arrays lives here, apart from every room:
numpy and, inside functions, torch are all it imports. Each module holds `reference`, which is
short and says what is computed, and one function that computes it on the device asked for
(`device` has the rules).
"""

from .device import DeviceUnavailable
from .game import ShapleyValues
from .shapley import exact_shapley

__all__ = ["DeviceUnavailable", "ShapleyValues", "exact_shapley"]
