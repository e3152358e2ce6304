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
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    Uuid,
    text,
)
from typing_extensions import override

from officeai_proxy.model import LISTED_NAME
from officeai_proxy.storage.engine.driver_values import storable


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite knows no time zones and would give naive datetimes back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Bring an aware datetime to UTC on its way in."""
        return None if value is None else storable(value)

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

ONLY_FOR = "only_for"
"""What an index says of itself that only one kind of database has; its value is the dialect."""

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
_live = Index(
    "uq_conversations_live_session",
    conversations.c.workspace,
    conversations.c.session_id,
    conversations.c.user_identifier,
    unique=True,
)
# The other index leaves them out, and they are looked up by name as well.
_binned = Index(
    "ix_conversations_binned_session", conversations.c.workspace, conversations.c.session_id
)
Index(None, conversations.c.workspace, conversations.c.updated_at, conversations.c.id)
Index(
    None,
    conversations.c.workspace,
    conversations.c.user_identifier,
    conversations.c.updated_at,
    conversations.c.id,
)

# PostgreSQL sorts 100,000 rows in no time, and would have to write one more entry with each turn.
Index(
    None,
    conversations.c.workspace,
    conversations.c.created_at,
    conversations.c.id,
    info={ONLY_FOR: "sqlite"},
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
    Column("cost", Float, comment="US dollars, at the prices of the moment"),
    Column("cached_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    sqlite_autoincrement=True,
)
Index(None, exchanges.c.workspace, exchanges.c.started_at, exchanges.c.id)
Index(
    None, exchanges.c.workspace, exchanges.c.user_identifier, exchanges.c.started_at, exchanges.c.id
)
Index(None, exchanges.c.workspace, exchanges.c.session_id, exchanges.c.started_at, exchanges.c.id)
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
    Column("sealed_with", String(32), comment="id of the key that seals the row; null: plain"),
    sqlite_autoincrement=True,
)
Index(None, conversation_messages.c.conversation_id, conversation_messages.c.id)

# The models that a conversation's messages name: see storage/conversations/models.py.
conversation_models = Table(
    "conversation_models",
    metadata,
    Column(
        "conversation_id",
        BigInteger,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("model_name", String(LISTED_NAME), primary_key=True, comment="its first 255 characters"),
    sqlite_with_rowid=False,
)

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
    Column("rpm", BigInteger, comment="requests in a minute; null: no limit, as below"),
    Column("tpm", BigInteger, comment="tokens in a minute"),
    Column("concurrency", BigInteger, comment="calls at one time"),
    Column("replaces", String(64), comment="the first key of a rotation; limits count there"),
)

# What each host's limited keys used in the last minute, for the others. PostgreSQL only.
key_use = Table(
    "key_use",
    metadata,
    Column("host", String(64), primary_key=True, comment="a data directory"),
    Column("account", String(64), primary_key=True, comment="the key that limits are counted on"),
    Column("told_at", UtcDateTime, nullable=False, comment="by the clock of the database"),
    Column("running", BigInteger, nullable=False, comment="calls at this moment"),
    Column("requests", Text, nullable=False, comment="JSON list: per second, the newest first"),
    Column("tokens", Text, nullable=False, comment="JSON list: per second, the newest first"),
)

# What was deleted for good stays deleted, also when a journal is read a second time.
tombstones = Table(
    "tombstones",
    metadata,
    Column("exchange_id", Uuid, primary_key=True),
    Column("deleted_at", UtcDateTime, nullable=False),
)

# Who is signed in to the page, and links that sign in once. The token itself is never stored.
page_visits = Table(
    "page_visits",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True, comment="SHA-256 of the token"),
    Column("kind", String(16), nullable=False, comment="session or invitation"),
    Column("key_id", String(64), nullable=False),
    Column("binding", LargeBinary(32), comment="ties token and key; null where the id is enough"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)
Index(None, page_visits.c.expires_at)

# The audit log is a chain of hashes: see storage/audit/chain.py.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False, comment="without gaps"),
    Column("at", UtcDateTime, nullable=False),
    Column("workspace", String(255), comment="null: the database as a whole"),
    Column("actor", String(64), nullable=False, comment="the id of a key, never a key"),
    Column("action", String(32), nullable=False),
    Column("user_identifier", String(255), comment="whose data it was"),
    Column("target_kind", String(16), nullable=False),
    Column("target", String(255)),
    Column("detail", Text, comment="JSON object of names and numbers"),
    Column("client_ip", String(64)),
    Column("is_sealed", Boolean, nullable=False),
    Column("names_salt", LargeBinary(16), comment="null: the names were struck out for good"),
    Column("names_digest", LargeBinary(32), nullable=False),
    Column("previous", LargeBinary(32), nullable=False, comment="hash of the row before"),
    Column("hash", LargeBinary(32), nullable=False),
)
Index(None, audit_log.c.workspace, audit_log.c.at, audit_log.c.id)
for _asked in (audit_log.c.user_identifier, audit_log.c.action, audit_log.c.actor):
    Index(None, audit_log.c.workspace, _asked, audit_log.c.at, audit_log.c.id)

# Its one row says where the chain ends; whoever appends locks it, so that the chain cannot fork.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False, comment="id of the newest row ever written"),
    Column("hash", LargeBinary(32), nullable=False, comment="its hash"),
)

# Which regular work was begun when: whoever moves the time on does it, on whatever host.
chores = Table(
    "chores",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("begun_at", UtcDateTime, nullable=False),
)

# The call log added up per hour: see storage/calls/hours.py. No user and no session is in it.
call_hours = Table(
    "call_hours",
    metadata,
    Column("workspace", String(255), primary_key=True),
    Column("dimension", String(8), primary_key=True, comment="all, model or key"),
    Column("hour", Integer, primary_key=True, autoincrement=False, comment="hours since 1970, UTC"),
    Column("name", Text, primary_key=True, comment="of the model or key; empty when not known"),
    Column("calls", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("total_tokens", BigInteger, nullable=False),
    Column("priced_calls", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False, comment="billionths of a US dollar"),
)

call_hour_times = Table(
    "call_hour_times",
    metadata,
    Column("workspace", String(255), primary_key=True),
    Column("dimension", String(8), primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    Column(
        "measure", SmallInteger, primary_key=True, autoincrement=False, comment="0 latency, 1 ttft"
    ),
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    Column("calls", BigInteger, nullable=False),
)

# The keys that texts may be sealed with. No key is here in the clear: only the database's own one,
# sealed with each of them, which proves a key to be the right one.
encryption_keys = Table(
    "encryption_keys",
    metadata,
    Column("key_id", String(32), primary_key=True),
    Column("wrapped", Text, nullable=False, comment="the database's own key, sealed with this one"),
    Column("is_current", Boolean, nullable=False, comment="new texts are sealed with this key"),
    Column("takes_plain", Boolean, nullable=False, comment="texts from before may be plain yet"),
    Column("created_at", UtcDateTime, nullable=False),
)


def schema(dialect: str) -> MetaData:
    """All tables, with the conditions of partial indexes as *dialect* is told them.

    SQLAlchemy loads everything that it knows of a database for an option with its name.
    """
    for index, condition in ((_live, "deleted_at IS NULL"), (_binned, "deleted_at IS NOT NULL")):
        index.dialect_options[dialect]["where"] = text(condition)
    return metadata
