"""The Records of projects."""

from datetime import datetime
from typing import Literal

from workbench.core import Record

Role = Literal["viewer", "editor", "owner"]


class Member(Record):
    """A person in a project."""

    person: str
    role: Role


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
