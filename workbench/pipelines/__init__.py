"""Durable jobs: work that outlives the browser, the shell and the service that took it."""

from .actions import (
    cancel,
    create_schedule,
    delete_schedule,
    get_job,
    get_schedule,
    list_jobs,
    list_schedules,
    log,
    pause_schedule,
    resume_schedule,
    retry,
    update_job,
)
from .types import Line, Schedule

__all__ = [
    "Line",
    "Schedule",
    "cancel",
    "create_schedule",
    "delete_schedule",
    "get_job",
    "get_schedule",
    "list_jobs",
    "list_schedules",
    "log",
    "pause_schedule",
    "resume_schedule",
    "retry",
    "update_job",
]
