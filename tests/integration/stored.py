"""Readable test data for storage: callers, messages, and conversations and calls that are there."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from alembic import command
from sqlalchemy import Connection, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.model import Caller, Conversation, JsonObject, Message, NewMessage, Outcome
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.conversations.messages import MessageRepository, Order
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema import alembic_runner
from officeai_proxy.storage.tables import exchanges
from officeai_proxy.wire.identity import identity

NOW = datetime(2026, 11, 20, 9, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

HERE = Caller("key-1", "default")
ELSEWHERE = Caller("key-2", "other")
ALICE_ONLY = Caller("key-3", "default", user="alice")
BOB_ONLY = Caller("key-4", "default", user="bob")


def said(
    content: str,
    *,
    role: str = "user",
    model_name: str | None = None,
    token_count: int | None = None,
    extra: str | None = None,
    metadata: JsonObject | None = None,
    outcome: Outcome = Outcome.COMPLETE,
    finish_reason: str | None = None,
) -> NewMessage:
    """A message to store."""
    return NewMessage(
        role=role,
        content=content,
        identity=identity({"role": role, "content": content}),
        timestamp=NOW,
        model_name=model_name,
        token_count=token_count,
        extra=extra,
        metadata=metadata,
        outcome=outcome,
        finish_reason=finish_reason,
    )


async def start(
    database: Database,
    session_id: str = "s1",
    *,
    user: str = "alice",
    caller: Caller = HERE,
    title: str | None = None,
    metadata: JsonObject | None = None,
    now: datetime = NOW,
) -> Conversation:
    """A conversation that is there."""
    async with database.write() as connection:
        return await ConversationRepository(connection, caller).create(
            session_id=session_id,
            user_identifier=user,
            title=title,
            metadata=metadata or {},
            now=now,
        )


async def say(
    database: Database,
    conversation: Conversation,
    *messages: NewMessage | str,
    caller: Caller = HERE,
    now: datetime = NOW,
) -> list[Message]:
    """Messages that are there, at the end of the path."""
    new = [said(one) if isinstance(one, str) else one for one in messages]
    async with database.write() as connection:
        return await MessageRepository(connection, caller).append(conversation, new, now=now)


async def find(
    database: Database, session_id: str = "s1", *, user: str | None = None, caller: Caller = HERE
) -> Conversation:
    """A live conversation as it is now."""
    async with database.read() as connection:
        conversations = ConversationRepository(connection, caller)
        return await conversations.find(session_id, user_identifier=user)


async def contents(
    database: Database,
    conversation: Conversation,
    *,
    order: Order = Order.ASC,
    whole_tree: bool = False,
) -> Sequence[str]:
    """What was said, as a reader gets it."""
    async with database.read() as connection:
        page = await MessageRepository(connection, HERE).page(
            conversation, PageRequest(limit=1000), order=order, whole_tree=whole_tree
        )
    return [message.content for message in page.items]


async def log_call(connection: AsyncConnection, number: int, **columns: object) -> int:
    """A line of the call log, with the UUID of that number; its row id."""
    row: dict[str, object] = {
        "exchange_id": UUID(int=number),
        "workspace": "default",
        "key_id": "key-1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "upstream": "api.example.com",
        "client_ip": "127.0.0.1",
        "started_at": NOW + number * MINUTE,
        "latency_ms": 12.5,
        "outcome": "complete",
    }
    added = insert(exchanges).values(row | columns).returning(exchanges.c.id)
    return int((await connection.execute(added)).scalar_one())


async def go_to(database: Database, revision: str) -> None:
    """Bring the schema back to *revision*."""

    def move(connection: Connection) -> None:
        config = alembic_runner.configuration()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)

    async with database.alter() as connection:
        await connection.run_sync(move)
