"""The tour: one real project made before your eyes, from a raw table to a checked model."""

from .story import PROJECT, Made, Tour, ensure_project, first_start, run_tour

__all__ = ["PROJECT", "Made", "Tour", "ensure_project", "first_start", "run_tour"]
