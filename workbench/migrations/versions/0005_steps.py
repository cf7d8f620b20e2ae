"""Steps: what a part of a job answered, until the job ends."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "job_steps",
        sa.Column("job", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("job_steps")
