"""Comments: threads about parts of documents, what is said in them, whom it names."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "comment_threads",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("document", sa.String(1024), nullable=False),
        sa.Column("part", sa.String(128), nullable=False),
        sa.Column("quote", sa.String(200), nullable=False),
        sa.Column("resolved_at", sa.String(40)),
        sa.Column("resolved_by", sa.String(128)),
    )
    op.create_index(
        "ix_comment_threads_document", "comment_threads", ["project", "kind", "document"]
    )
    op.create_table(
        "comments",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("thread", sa.String(40), nullable=False),
        sa.Column("made_by", sa.String(128), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("made_at", sa.String(40), nullable=False),
        sa.Column("edited_at", sa.String(40)),
        sa.Column("deleted_at", sa.String(40)),
    )
    op.create_index("ix_comments_project", "comments", ["project"])
    op.create_index("ix_comments_thread", "comments", ["thread"])
    op.create_table(
        "comment_mentions",
        sa.Column("comment", sa.String(40), primary_key=True),
        sa.Column("person", sa.String(128), primary_key=True),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("seen_at", sa.String(40)),
    )
    op.create_index("ix_comment_mentions_person", "comment_mentions", ["project", "person"])


def downgrade() -> None:
    for name in ("comment_mentions", "comments", "comment_threads"):
        op.drop_table(name)
