"""SQLite: conversations in the order in which they were begun."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BY_CREATION = "ix_conversations_workspace_created_at_id"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(BY_CREATION, "conversations", ["workspace", "created_at", "id"])


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index(BY_CREATION, "conversations")
