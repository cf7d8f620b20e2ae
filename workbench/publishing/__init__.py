"""Publishing: dashboards for people who look, behind the Studio's sign-in. They can only read."""

from .reader import Reader

__all__ = ["Reader"]
