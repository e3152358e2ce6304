"""Search index: all of long messages, on PostgreSQL as sets; fills it anew."""

from alembic import op

from officeai_proxy.storage.search import index as search_index

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What FTS5 holds of a message must be what the code now says, or it could not be taken out.
    search_index.clear(op.get_bind())
    if op.get_bind().dialect.name == "sqlite":
        fill()
        return
    # Tokens are compared byte by byte, as no language sorts them.
    op.execute('ALTER TABLE message_search ADD COLUMN long_words text[] COLLATE "C"')
    op.drop_index("ix_message_search_words", "message_search")
    fill()
    op.execute(
        "CREATE INDEX ix_message_search_words ON message_search USING gin (words) "
        "WITH (gin_pending_list_limit = 1024)"
    )
    op.execute(
        "CREATE INDEX ix_message_search_long_words ON message_search USING gin (long_words) "
        "WITH (gin_pending_list_limit = 1024) WHERE long_words IS NOT NULL"
    )


def fill() -> None:
    """Index what is stored, in batches; the code's own tokens, because searches use the same."""
    last = 0
    while indexed := search_index.fill(op.get_bind(), last):
        last = indexed[-1]


def downgrade() -> None:
    # Older code takes out what it would have put in. `officeai-proxy db reindex` fills its index.
    search_index.clear(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        op.drop_column("message_search", "long_words")
