"""The way back: torch modules as graphs."""

from .onnx import read_known, read_onnx, told
from .reader import Read, read_exported, read_module

__all__ = ["Read", "read_exported", "read_known", "read_module", "read_onnx", "told"]
