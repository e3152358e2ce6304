"""Encryption at rest: which key seals a message, and which keys the database is sealed with."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "conversation_messages",
        sa.Column(
            "sealed_with",
            sa.String(32),
            comment="id of the key that seals the row; null: plain",
        ),
    )
    op.create_table(
        "encryption_keys",
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column(
            "wrapped",
            sa.Text(),
            nullable=False,
            comment="the database's own key, sealed with this one",
        ),
        sa.Column(
            "is_current",
            sa.Boolean(),
            nullable=False,
            comment="new texts are sealed with this key",
        ),
        sa.Column(
            "takes_plain",
            sa.Boolean(),
            nullable=False,
            comment="texts from before may be plain yet",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_encryption_keys"),
    )


def downgrade() -> None:
    op.drop_table("encryption_keys")
    op.drop_column("conversation_messages", "sealed_with")
