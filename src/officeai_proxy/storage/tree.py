"""Messages into the tree of a conversation, and the path through it; what both append paths share.

A conversation is a tree: a message's parent always has a smaller id. The path is the line from the
root to the newest message; its messages carry `on_path`, and the row of the conversation keeps its
head: the newest message, a hash over the path, the last instructions and the counts. All of this
runs inside the caller's write transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import (
    Table,
    Text,
    bindparam,
    case,
    func,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.model import Json, JsonObject, NewMessage, Outcome
from officeai_proxy.storage.bulk import insert_rows
from officeai_proxy.storage.rows import AnyRow, json_text
from officeai_proxy.storage.sealed_rows import (
    conversation_place,
    open_conversation_text,
    seal_message,
)
from officeai_proxy.storage.search_index import Document, add
from officeai_proxy.storage.tables import UtcDateTime, conversation_messages, conversations
from officeai_proxy.storage.vault import sealer_of
from officeai_proxy.tree import REMEMBERED_INSTRUCTIONS
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.identity import ROOT_CHAIN, chain

_messages = conversation_messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A new message with its place in the tree. `exchange_id` is the row id of its call."""

    message: NewMessage
    id: int
    parent_id: int | None
    exchange_id: int | None = None
    on_path: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a conversation's path ends: what the next message continues."""

    leaf_id: int | None = None
    leaf_chain: int = ROOT_CHAIN
    instructions: tuple[int, ...] = ()
    message_count: int = 0
    path_count: int = 0

    def extended(self, placed: Iterable[Placed]) -> "Head":
        """The head after *placed*; messages off the path only count."""
        head = self
        for one in placed:
            head = replace(head, message_count=head.message_count + 1)
            if one.on_path:
                head = head._moved_to(one)
        return head

    def _moved_to(self, placed: Placed) -> "Head":
        instructions, leaf_chain = self.instructions, self.leaf_chain
        identity = placed.message.identity
        if placed.message.is_instruction:
            instructions = (*instructions, identity)[-REMEMBERED_INSTRUCTIONS:]
        else:
            leaf_chain = chain(leaf_chain, identity)
        return replace(
            self,
            leaf_id=placed.id,
            leaf_chain=leaf_chain,
            instructions=instructions,
            path_count=self.path_count + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadUpdate:
    """What a conversation's row becomes. `title` is taken only while there is none yet."""

    conversation_id: int
    head: Head
    updated_at: datetime
    title: str | None = None


HEAD_COLUMNS = (
    conversations.c.leaf_id,
    conversations.c.leaf_chain,
    conversations.c.instructions,
    conversations.c.message_count,
    conversations.c.path_count,
)


def head_of(row: AnyRow, *, conversation_id: int = 0, sealer: Sealer | None = None) -> Head:
    """A row of HEAD_COLUMNS as a head; *conversation_id* is where it was sealed.

    Raises:
        Unopenable: it is not what was sealed there.
    """
    stored, leaf_chain = row.instructions, row.leaf_chain
    if sealer is not None:
        stored = open_conversation_text(stored, "instructions", conversation_id, sealer)
    known = jsontext.loads(stored) if stored else []
    if isinstance(known, dict):
        (leaf_chain,) = _integers([known.get("chain")])
        known = known.get("instructions")
    return Head(
        leaf_id=row.leaf_id,
        leaf_chain=ROOT_CHAIN if leaf_chain is None else leaf_chain,
        instructions=tuple(_integers(known)),
        message_count=row.message_count,
        path_count=row.path_count,
    )


def _integers(value: Json) -> Iterable[int]:
    return (item for item in value if isinstance(item, int)) if isinstance(value, list) else ()


async def reserve_ids(connection: AsyncConnection, table: Table, count: int) -> Sequence[int]:
    """Take *count* new ids of *table*, ascending; none is ever given twice.

    On PostgreSQL others may take ids at the same time, so there can be gaps between them. On SQLite
    the counter moves inside this write transaction (AUTOINCREMENT, sqlite.org/autoinc.html).
    """
    if count < 1:
        return ()
    if connection.dialect.name == "postgresql":
        return await _from_sequence(connection, table, count)
    taken = {"name": table.name, "count": count}
    last = (await connection.execute(_MOVE_COUNTER, taken)).scalar()
    if last is None:
        await connection.execute(_START_COUNTER, taken)
        last = count
    return range(last - count + 1, last + 1)


_MOVE_COUNTER = text(
    "UPDATE sqlite_sequence SET seq = seq + :count WHERE name = :name RETURNING seq"
)
_START_COUNTER = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :count)")
_NEXT_VALUES = text(
    "SELECT nextval(CAST(CAST(:sequence AS text) AS regclass)) "
    "FROM generate_series(1, CAST(:count AS integer))"
)


async def _from_sequence(connection: AsyncConnection, table: Table, count: int) -> Sequence[int]:
    sequence = f"{table.name}_id_seq"
    result = await connection.execute(_NEXT_VALUES, {"sequence": sequence, "count": count})
    return sorted(result.scalars())


async def insert_messages(connection: AsyncConnection, rows: Sequence[tuple[int, Placed]]) -> None:
    """Insert messages, each with the id of its conversation, in one go; and index them."""
    if rows:
        sealer = sealer_of(connection)
        values = [
            seal_message(_message_values(conversation_id, placed), sealer)
            for conversation_id, placed in rows
        ]
        await insert_rows(connection, _messages, values)
        await _index(connection, rows)


async def _index(connection: AsyncConnection, rows: Sequence[tuple[int, Placed]]) -> None:
    c = conversations.c
    places = sorted({conversation_id for conversation_id, _ in rows})
    found = await connection.execute(
        select(c.id, c.workspace, c.user_identifier).where(c.id.in_(places))
    )
    owners = {row.id: (row.workspace, row.user_identifier) for row in found}
    sealer = sealer_of(connection)
    documents = [
        Document(
            one.id,
            *owners[conversation_id],
            one.message.role,
            one.message.content,
            None if sealer is None else sealer.hasher(owners[conversation_id][0]),
        )
        for conversation_id, one in rows
    ]
    await connection.run_sync(add, documents)


def _message_values(conversation_id: int, placed: Placed) -> dict[str, object]:
    message = placed.message
    return {
        "id": placed.id,
        "conversation_id": conversation_id,
        "parent_id": placed.parent_id,
        "on_path": placed.on_path,
        "role": message.role,
        "content": message.content,
        "model_name": message.model_name,
        "token_count": message.token_count,
        "timestamp": message.timestamp,
        "metadata": json_text(message.metadata),
        "extra": message.extra,
        "identity": message.identity,
        "exchange_id": placed.exchange_id,
        "finish_reason": message.finish_reason,
        "outcome": None if message.outcome is Outcome.COMPLETE else message.outcome.value,
    }


async def set_heads(connection: AsyncConnection, heads: Sequence[HeadUpdate]) -> None:
    """Write the heads of conversations in one go; `updated_at` never goes back."""
    if heads:
        sealer = sealer_of(connection)
        await connection.execute(_SET_HEAD, [_head_values(head, sealer) for head in heads])


_new_time = bindparam("b_updated_at", type_=UtcDateTime)
_SET_HEAD = (
    update(conversations)
    .where(conversations.c.id == bindparam("b_id"))
    .values(
        leaf_id=bindparam("b_leaf_id"),
        leaf_chain=bindparam("b_leaf_chain"),
        instructions=bindparam("b_instructions"),
        message_count=bindparam("b_message_count"),
        path_count=bindparam("b_path_count"),
        title=func.coalesce(conversations.c.title, bindparam("b_title", type_=Text)),
        updated_at=case(
            (conversations.c.updated_at > _new_time, conversations.c.updated_at), else_=_new_time
        ),
    )
)


def _head_values(change: HeadUpdate, sealer: Sealer | None) -> dict[str, object]:
    head = change.head
    instructions = jsontext.dumps(list(head.instructions)) if head.instructions else None
    plain: dict[str, object] = {
        "b_id": change.conversation_id,
        "b_leaf_id": head.leaf_id,
        "b_leaf_chain": head.leaf_chain,
        "b_instructions": instructions,
        "b_message_count": head.message_count,
        "b_path_count": head.path_count,
        "b_title": change.title,
        "b_updated_at": change.updated_at,
    }
    return plain if sealer is None else {**plain, **_sealed_head(change, sealer)}


def _sealed_head(change: HeadUpdate, sealer: Sealer) -> dict[str, object]:
    """What of a head is sealed; hashes of what was said would let somebody try guesses at it."""
    number = change.conversation_id
    about: JsonObject = {
        "chain": change.head.leaf_chain,
        "instructions": list(change.head.instructions),
    }
    texts = {"title": change.title, "instructions": jsontext.dumps(about)}
    sealed = {
        f"b_{column}": sealer.seal(text, conversation_place(column, number))
        for column, text in texts.items()
        if text is not None
    }
    return {**sealed, "b_leaf_chain": None}
