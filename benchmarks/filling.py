"""Rows of made-up conversations into a database: many, quickly, past the recorder.

What is stored is what recording would have left: conversations, their messages, the search index
and a call for each turn, all from before the first turn that a benchmark records. The texts are of
a few thousand kinds, with words as unevenly frequent as those of a language.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from benchmarks.recorder import ANSWER_BYTES, QUESTION_BYTES, session_name
from benchmarks.search import Speaker
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.storage.conversations.tree import reserve_ids
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.search.documents import Document
from officeai_proxy.storage.search.index import add
from officeai_proxy.storage.tables import (
    conversation_messages,
    conversation_models,
    conversations,
    exchanges,
)

MESSAGES_EACH = 20
CONVERSATIONS_AT_ONCE = 250
MESSAGES_AT_ONCE = MESSAGES_EACH * CONVERSATIONS_AT_ONCE

FIRST_SESSION = 2**31
"""Sessions from this number on are the filling's; what is recorded has lower numbers."""

WORKSPACE = "default"

_KINDS = 2000
_START = datetime(2021, 1, 1, tzinfo=UTC)
_PER_TURN = timedelta(seconds=10)
_USERS = 97

# A version 7 UUID of the year 1970: what is recorded sorts behind it, as it would.
_FIRST_ID = (0x7 << 76) | (0b10 << 62)

Rows = list[dict[str, object]]


async def fill(
    database: Database, messages: int, *, told: Callable[[int], None] = lambda _: None
) -> int:
    """Bring about *messages* messages into an empty *database*; *told* hears how many there are.

    Returns how many came in: whole batches only.
    """
    await prepare(database)
    speaker = Speaker(1)
    said = [speaker.message() for _ in range(2 * _KINDS)]
    done = 0
    while done < messages:
        async with database.write() as connection:
            await _add(connection, done // MESSAGES_EACH, said)
        done += MESSAGES_AT_ONCE
        told(done)
    if database.dialect is Dialect.POSTGRESQL:
        async with database.alter() as connection:
            await connection.execute(text("ANALYZE"))
    await database.checkpoint()
    return done


async def _add(connection: AsyncConnection, first: int, said: list[str]) -> None:
    """Store the conversations from number *first* on."""
    numbers = range(first, first + CONVERSATIONS_AT_ONCE)
    places = await reserve_ids(connection, conversations, CONVERSATIONS_AT_ONCE)
    ids = iter(await reserve_ids(connection, conversation_messages, MESSAGES_AT_ONCE))
    calls = iter(await reserve_ids(connection, exchanges, MESSAGES_AT_ONCE // 2))
    heads: Rows = []
    turns: Rows = []
    messages: Rows = []
    for number, place in zip(numbers, places, strict=True):
        own = list(islice(ids, MESSAGES_EACH))
        lines = list(islice(calls, MESSAGES_EACH // 2))
        heads.append(_conversation(number, place, own[-1]))
        turns += [_call(number, place, at, line) for at, line in enumerate(lines)]
        messages += [
            _message(number, place, at, ids=own, call=lines[at // 2], said=said)
            for at in range(MESSAGES_EACH)
        ]
    await connection.execute(insert(conversations), heads)
    await connection.execute(insert(exchanges), turns)
    await connection.execute(insert(conversation_messages), messages)
    models = [{"conversation_id": place, "model_name": "served"} for place in places]
    await connection.execute(insert(conversation_models), models)
    users = {place: _user(number) for number, place in zip(numbers, places, strict=True)}
    await connection.run_sync(add, [_document(row, users) for row in messages])


def _user(number: int) -> str:
    return f"user{number % _USERS}"


def _moment(number: int, turn: int) -> datetime:
    """When a turn was taken: conversations follow each other."""
    return _START + (number * MESSAGES_EACH // 2 + turn) * _PER_TURN


def _conversation(number: int, place: int, leaf: int) -> dict[str, object]:
    return {
        "id": place,
        "workspace": WORKSPACE,
        "user_identifier": _user(number),
        "session_id": session_name(FIRST_SESSION + number),
        "title": f"Conversation {number}",
        "message_count": MESSAGES_EACH,
        "path_count": MESSAGES_EACH,
        "leaf_id": leaf,
        "leaf_chain": number,
        "created_at": _moment(number, 0),
        "updated_at": _moment(number, MESSAGES_EACH // 2),
    }


def _call(number: int, place: int, turn: int, line: int) -> dict[str, object]:
    return {
        "id": line,
        "exchange_id": UUID(int=_FIRST_ID + line),
        "workspace": WORKSPACE,
        "conversation_id": place,
        "key_id": "key_1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "upstream": "upstream.test",
        "user_identifier": _user(number),
        "session_id": session_name(FIRST_SESSION + number),
        "client_ip": "10.0.0.1",
        "started_at": _moment(number, turn),
        "latency_ms": 500.0,
        "ttft_ms": 100.0,
        "status_code": 200,
        "outcome": "complete",
        "stream": False,
        "retry_count": 0,
        "model_asked": "asked",
        "model_served": "served",
        "prompt_tokens": 57,
        "completion_tokens": 120,
        "total_tokens": 177,
    }


def _message(
    number: int, place: int, at: int, *, ids: list[int], call: int, said: list[str]
) -> dict[str, object]:
    is_answer = at % 2 == 1
    kind = (number * MESSAGES_EACH + at) % len(said)
    return {
        "id": ids[at],
        "conversation_id": place,
        "parent_id": ids[at - 1] if at else None,
        "on_path": True,
        "role": "assistant" if is_answer else "user",
        "content": said[kind][: ANSWER_BYTES if is_answer else QUESTION_BYTES],
        "model_name": "served" if is_answer else None,
        "token_count": 120 if is_answer else None,
        "timestamp": _moment(number, at // 2),
        "identity": ids[at],
        "exchange_id": call,
        "finish_reason": "stop" if is_answer else None,
    }


def _document(row: dict[str, object], users: dict[int, str]) -> Document:
    return Document(
        int(str(row["id"])),
        WORKSPACE,
        users[int(str(row["conversation_id"]))],
        str(row["role"]),
        str(row["content"]),
    )
