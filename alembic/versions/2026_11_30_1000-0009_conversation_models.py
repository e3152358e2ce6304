"""Which models a conversation's messages name, from what is stored."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversation_models",
        sa.Column("conversation_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_name", sa.String(255), nullable=False, comment="its first 255 characters"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_conversation_models_conversation_id_conversations",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("conversation_id", "model_name", name="pk_conversation_models"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO conversation_models (conversation_id, model_name) "
        "SELECT DISTINCT conversation_id, substr(model_name, 1, 255) FROM conversation_messages "
        "WHERE model_name IS NOT NULL"
    )
    if op.get_bind().dialect.name == "postgresql":
        # It would take the table for an empty one until autovacuum has come.
        op.execute("ANALYZE conversation_models")


def downgrade() -> None:
    op.drop_table("conversation_models")
