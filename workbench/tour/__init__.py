"""The tour: one real project made before your eyes, from a raw table to a checked model."""

from workbench.projects.spaces import TOUR as PROJECT

from .story import Made, Tour, ensure_product, ensure_project, first_start, run_tour

__all__ = ["PROJECT", "Made", "Tour", "ensure_product", "ensure_project", "first_start", "run_tour"]
