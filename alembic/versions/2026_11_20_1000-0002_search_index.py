"""Search index: an FTS5 table on SQLite, a tsvector with GIN on PostgreSQL; 0008 fills it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # Tokens come ready-made: this tokeniser splits at spaces and changes nothing else.
        op.execute(
            "CREATE VIRTUAL TABLE message_search USING fts5("
            "words, content='', tokenize=\"ascii tokenchars '_'\")"
        )
        op.execute(
            "CREATE TABLE message_search_purges ("
            "id INTEGER PRIMARY KEY AUTOINCREMENT, has_begun BOOLEAN NOT NULL DEFAULT false)"
        )
    else:
        op.create_table(
            "message_search",
            sa.Column("message_id", sa.BigInteger(), nullable=False, autoincrement=False),
            sa.Column("words", TSVECTOR(), nullable=False),
            sa.PrimaryKeyConstraint("message_id", name="pk_message_search"),
        )
        op.execute(
            "CREATE INDEX ix_message_search_words ON message_search USING gin (words) "
            "WITH (gin_pending_list_limit = 1024)"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_table("message_search_purges")
    op.drop_table("message_search")
