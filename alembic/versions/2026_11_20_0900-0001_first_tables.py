"""First tables: conversations and their messages, calls, keys, tombstones."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LIVE = sa.text("deleted_at IS NULL")
BINNED = sa.text("deleted_at IS NOT NULL")


def upgrade() -> None:
    create_conversations()
    create_exchanges()
    create_conversation_messages()
    create_api_keys()
    create_tombstones()


def downgrade() -> None:
    for table in ("tombstones", "api_keys", "conversation_messages", "exchanges", "conversations"):
        op.drop_table(table)


def row_id() -> sa.Column[int]:
    """SQLite gives an automatic id only to a column of type INTEGER."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", kind, autoincrement=True, nullable=False)


def moment(name: str, *, nullable: bool = False, comment: str | None = None) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def create_conversations() -> None:
    op.create_table(
        "conversations",
        row_id(),
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("user_identifier", sa.String(255), nullable=False),
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("title", sa.Text()),
        sa.Column("metadata", sa.Text(), comment="JSON object, as the caller gave it"),
        sa.Column("message_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("path_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column(
            "leaf_id", sa.BigInteger(), comment="newest message: the path runs from the root to it"
        ),
        sa.Column(
            "leaf_chain", sa.BigInteger(), comment="hash over the path, see wire/identity.py"
        ),
        sa.Column(
            "instructions",
            sa.Text(),
            comment="JSON list: identities of the path's last instructions",
        ),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", nullable=True, comment="in the bin since"),
        sa.PrimaryKeyConstraint("id", name="pk_conversations"),
        sqlite_autoincrement=True,
    )
    index_conversations()


def index_conversations() -> None:
    op.create_index(
        "uq_conversations_live_session",
        "conversations",
        ["workspace", "session_id", "user_identifier"],
        unique=True,
        sqlite_where=LIVE,
        postgresql_where=LIVE,
    )
    op.create_index(
        "ix_conversations_binned_session",
        "conversations",
        ["workspace", "session_id"],
        sqlite_where=BINNED,
        postgresql_where=BINNED,
    )
    op.create_index(
        "ix_conversations_workspace_updated_at_id",
        "conversations",
        ["workspace", "updated_at", "id"],
    )
    op.create_index(
        "ix_conversations_workspace_user_identifier_updated_at_id",
        "conversations",
        ["workspace", "user_identifier", "updated_at", "id"],
    )


def create_exchanges() -> None:
    op.create_table(
        "exchanges",
        row_id(),
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("conversation_id", sa.BigInteger()),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("upstream", sa.String(255), nullable=False),
        sa.Column("user_identifier", sa.String(255)),
        sa.Column("session_id", sa.String(255)),
        sa.Column("client_ip", sa.String(64), nullable=False),
        moment("started_at"),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("ttft_ms", sa.Float()),
        sa.Column("status_code", sa.Integer()),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("stream", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("retry_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("model_asked", sa.Text()),
        sa.Column("model_served", sa.Text()),
        sa.Column("prompt_tokens", sa.BigInteger()),
        sa.Column("completion_tokens", sa.BigInteger()),
        sa.Column("total_tokens", sa.BigInteger()),
        sa.Column("cost", sa.Float()),
        sa.PrimaryKeyConstraint("id", name="pk_exchanges"),
        sa.UniqueConstraint("exchange_id", name="uq_exchanges_exchange_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_exchanges_workspace_started_at_id", "exchanges", ["workspace", "started_at", "id"]
    )
    op.create_index("ix_exchanges_conversation_id", "exchanges", ["conversation_id"])


def create_conversation_messages() -> None:
    op.create_table(
        "conversation_messages",
        row_id(),
        sa.Column("conversation_id", sa.BigInteger(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), comment="always smaller than id; null at the root"),
        sa.Column(
            "on_path", sa.Boolean(), nullable=False, comment="whether a reader sees it by default"
        ),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text()),
        sa.Column("token_count", sa.BigInteger()),
        moment("timestamp"),
        sa.Column("metadata", sa.Text(), comment="JSON object, as the caller gave it"),
        sa.Column(
            "extra",
            sa.Text(),
            comment="JSON: what of the OpenAI message is not in the other columns",
        ),
        sa.Column(
            "identity", sa.BigInteger(), nullable=False, comment="equal messages: wire/identity.py"
        ),
        sa.Column(
            "exchange_id", sa.BigInteger(), comment="exchanges.id of the call that brought it"
        ),
        sa.Column("finish_reason", sa.Text()),
        sa.Column("outcome", sa.String(16), comment="null when complete"),
        sa.PrimaryKeyConstraint("id", name="pk_conversation_messages"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="fk_conversation_messages_conversation_id_conversations",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_conversation_messages_conversation_id_id",
        "conversation_messages",
        ["conversation_id", "id"],
    )


def create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, comment="SHA-256 of the key"),
        sa.Column(
            "hint", sa.String(32), nullable=False, comment="first and last characters, for display"
        ),
        sa.Column("workspace", sa.String(255), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False, comment="comma separated"),
        sa.Column("user_identifier", sa.String(255)),
        moment("created_at"),
        moment("expires_at", nullable=True),
        moment("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )


def create_tombstones() -> None:
    op.create_table(
        "tombstones",
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        moment("deleted_at"),
        sa.PrimaryKeyConstraint("exchange_id", name="pk_tombstones"),
    )
