"""The Records of projects."""

from datetime import datetime
from typing import Literal

from pydantic import Field, field_serializer

from workbench.core import Record
from workbench.core.context import current

Role = Literal["viewer", "editor", "owner"]

RANK: dict[str, int] = {"viewer": 0, "editor": 1, "owner": 2}
"""Every role may what the roles before it may."""


class Member(Record):
    """A person in a project."""

    person: str
    role: Role


class Limits(Record):
    """What a project's server, kernels and jobs may use; None: what the Studio gives everybody."""

    disk_mb: int | None = None
    """MiB, 10..10⁷"""
    memory_mb: int | None = None
    """MiB, 128..10⁷"""
    cpus: float | None = None
    """Processors, 0.1..1024"""
    jobs: int | None = None
    """At once, 1..1000"""


class Project(Record):
    """A space that people share: its folder, products, models, jobs and record."""

    id: str
    name: str
    title: str
    description: str
    owner: str
    role: Role
    """What the person who asks may do in it."""
    made_at: datetime
    archived_at: datetime | None = None
    """Since when it can only be read; None: it is in use."""
    limits: Limits | None = None
    """None: the Studio's own."""


class Invitation(Record):
    """A link that makes one person a member, once."""

    id: str
    project: str
    title: str = ""
    """The project's title, for whoever is invited."""
    role: Role
    person: str
    """The only person who may use it; empty: whoever has the link."""
    made_by: str
    made_at: datetime
    until: datetime
    state: Literal["open", "used", "expired", "revoked"]
    used_by: str | None = None
    link: str = Field("", repr=False)
    """Whoever has it may join: only owners see it, and only while the invitation is open."""

    @field_serializer("link")
    def _unkept(self, link: str) -> str:
        # While a Context is current the door is what serialises: it keeps the answer for an
        # idempotency key, and a link that lets somebody in is not kept.
        return "" if current.get() is not None else link


class Deletion(Record):
    """What goes when a project is deleted."""

    project: str
    name: str
    products: int
    models: int
    reports: int
    jobs: int
    comments: int
    files: int
    """In the folder people see."""
    bytes: int
    """Of everything on disk, tables, models and uploads included."""
