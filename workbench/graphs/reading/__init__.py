"""The way back: torch modules as graphs."""

from .reader import Read, read_module

__all__ = ["Read", "read_module"]
