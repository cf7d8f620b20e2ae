"""Schedules: jobs that begin by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "job_schedules",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("actor", sa.JSON, nullable=False),
        sa.Column("action", sa.String(80), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("cron", sa.String(128), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("made_at", sa.String(40), nullable=False),
        sa.Column("next_at", sa.String(40)),
        sa.Column("last_at", sa.String(40)),
        sa.Column("last_job", sa.String(40)),
    )
    op.create_index("ix_job_schedules_project", "job_schedules", ["project", "id"])


def downgrade() -> None:
    op.drop_table("job_schedules")
