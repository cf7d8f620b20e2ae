"""Terms of a job: its priority, how long an attempt may take, how often it is tried again; and what
its attempts have used."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


def upgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(count("priority"))
        jobs.add_column(sa.Column("timeout_s", sa.Float))
        jobs.add_column(count("retries"))
        jobs.add_column(count("failures"))
        jobs.add_column(sa.Column("begin_after", sa.String(40)))
        jobs.add_column(sa.Column("spent_s", sa.Float, nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        for name in ("spent_s", "begin_after", "failures", "retries", "timeout_s", "priority"):
            jobs.drop_column(name)
