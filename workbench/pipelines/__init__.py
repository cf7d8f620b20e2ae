"""Durable jobs: work that outlives the browser, the shell and the service that took it."""

from .actions import cancel, get_job, list_jobs, log, retry
from .types import Line

__all__ = ["Line", "cancel", "get_job", "list_jobs", "log", "retry"]
