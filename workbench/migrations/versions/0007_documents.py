"""Documents that are edited together: the log of each, where it has come to, snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "document_updates",
        sa.Column("document", sa.String(40), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("via", sa.String(80), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_document_updates_project", "document_updates", ["project"])
    op.create_table(
        "document_heads",
        sa.Column("document", sa.String(40), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("recorded", sa.Integer, nullable=False),
        sa.Column("compacted", sa.Integer, nullable=False),
    )
    op.create_index("ix_document_heads_project", "document_heads", ["project"])
    op.create_table(
        "document_snapshots",
        sa.Column("document", sa.String(40), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_document_snapshots_project", "document_snapshots", ["project"])


def downgrade() -> None:
    for name in ("document_snapshots", "document_heads", "document_updates"):
        op.drop_table(name)
