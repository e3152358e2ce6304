"""The tables, once for SQLite and PostgreSQL; no query and no connection lives here.

`conversations` and `conversation_messages` keep the names and columns of the first design of this
service, so that tools written against it go on working.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    text,
)
from typing_extensions import override


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite knows no time zones and would give naive datetimes back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Bring an aware datetime to UTC on its way in."""
        return None if value is None else value.astimezone(UTC)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Say that what comes out is UTC."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives an automatic id only to a column of type INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")

conversations = Table(
    "conversations",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("workspace", String(255), nullable=False),
    Column("user_identifier", String(255), nullable=False),
    Column("session_id", String(255), nullable=False),
    Column("title", Text),
    Column("metadata", Text, comment="JSON object, as the caller gave it"),
    Column("message_count", Integer, nullable=False, server_default="0"),
    Column("path_count", Integer, nullable=False, server_default="0"),
    Column("leaf_id", BigInteger, comment="newest message: the path runs from the root to it"),
    Column("leaf_chain", BigInteger, comment="hash over the path, see wire/identity.py"),
    Column("instructions", Text, comment="JSON list: identities of the path's last instructions"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime, comment="in the bin since"),
    sqlite_autoincrement=True,
)

# A conversation in the bin does not keep its name from a new one.
Index(
    "uq_conversations_live_session",
    conversations.c.workspace,
    conversations.c.session_id,
    conversations.c.user_identifier,
    unique=True,
    sqlite_where=text("deleted_at IS NULL"),
    postgresql_where=text("deleted_at IS NULL"),
)
# The other index leaves them out, and they are looked up by name as well.
Index(
    "ix_conversations_binned_session",
    conversations.c.workspace,
    conversations.c.session_id,
    sqlite_where=text("deleted_at IS NOT NULL"),
    postgresql_where=text("deleted_at IS NOT NULL"),
)
Index(None, conversations.c.workspace, conversations.c.updated_at, conversations.c.id)
Index(
    None,
    conversations.c.workspace,
    conversations.c.user_identifier,
    conversations.c.updated_at,
    conversations.c.id,
)

exchanges = Table(
    "exchanges",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("exchange_id", Uuid, nullable=False, unique=True),
    Column("workspace", String(255), nullable=False),
    Column("conversation_id", BigInteger),
    Column("key_id", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("path", Text, nullable=False),
    Column("upstream", String(255), nullable=False),
    Column("user_identifier", String(255)),
    Column("session_id", String(255)),
    Column("client_ip", String(64), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("latency_ms", Float, nullable=False),
    Column("ttft_ms", Float),
    Column("status_code", Integer),
    Column("outcome", String(16), nullable=False),
    Column("error", Text),
    Column("stream", Boolean, nullable=False, server_default=text("false")),
    Column("retry_count", Integer, nullable=False, server_default="0"),
    Column("model_asked", Text),
    Column("model_served", Text),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("total_tokens", BigInteger),
    Column("cost", Float),
    sqlite_autoincrement=True,
)
Index(None, exchanges.c.workspace, exchanges.c.started_at, exchanges.c.id)
Index(None, exchanges.c.conversation_id)

conversation_messages = Table(
    "conversation_messages",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column(
        "conversation_id",
        BigInteger,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("parent_id", BigInteger, comment="always smaller than id; null at the root"),
    Column("on_path", Boolean, nullable=False, comment="whether a reader sees it by default"),
    Column("role", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("model_name", Text),
    Column("token_count", BigInteger),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("metadata", Text, comment="JSON object, as the caller gave it"),
    Column("extra", Text, comment="JSON: what of the OpenAI message is not in the other columns"),
    Column("identity", BigInteger, nullable=False, comment="equal messages: wire/identity.py"),
    Column("exchange_id", BigInteger, comment="exchanges.id of the call that brought it"),
    Column("finish_reason", Text),
    Column("outcome", String(16), comment="null when complete"),
    sqlite_autoincrement=True,
)
Index(None, conversation_messages.c.conversation_id, conversation_messages.c.id)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True, comment="SHA-256 of the key"),
    Column("hint", String(32), nullable=False, comment="first and last characters, for display"),
    Column("workspace", String(255), nullable=False),
    Column("scopes", Text, nullable=False, comment="comma separated"),
    Column("user_identifier", String(255)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

# What was deleted for good stays deleted, also when a journal is read a second time.
tombstones = Table(
    "tombstones",
    metadata,
    Column("exchange_id", Uuid, primary_key=True),
    Column("deleted_at", UtcDateTime, nullable=False),
)
