"""Messages into the tree of a conversation, and the path through it; what both append paths share.

A conversation is a tree: a message's parent always has a smaller id. The path is the line from the
root to the newest message; its messages carry `on_path`, and the row of the conversation keeps its
head: the newest message, a hash over the path, the last instructions and the counts. All of this
runs inside the caller's write transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from sqlalchemy import Table, Text, bindparam, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.model import Json, JsonObject, NewMessage, Outcome
from officeai_proxy.storage.conversations.models import note_models
from officeai_proxy.storage.engine.bulk import BulkRow, BulkStatement
from officeai_proxy.storage.rows import AnyRow, json_text
from officeai_proxy.storage.sealing.sealed_rows import (
    conversation_place,
    open_conversation_text,
    seal_message,
)
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.search.documents import Document
from officeai_proxy.storage.search.index import add, add_aside
from officeai_proxy.storage.tables import UtcDateTime, conversation_messages, conversations
from officeai_proxy.tree import REMEMBERED_INSTRUCTIONS
from officeai_proxy.wire import jsontext
from officeai_proxy.wire.identity import ROOT_CHAIN, chain

_messages = conversation_messages


Owner: TypeAlias = tuple[str, str]
"""The workspace and the user of a conversation."""


class Placed(NamedTuple):
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
    """Take *count* new ids of *table*, see `reserve`."""
    return (await reserve(connection, {table: count}))[table]


async def reserve(
    connection: AsyncConnection, counts: Mapping[Table, int]
) -> dict[Table, Sequence[int]]:
    """Take as many new ids of each table, ascending; none is ever given twice.

    On PostgreSQL others may take ids at the same time, so there can be gaps between them. On SQLite
    the counter moves inside this write transaction (AUTOINCREMENT, sqlite.org/autoinc.html).
    """
    wanted = {table.name: count for table, count in counts.items() if count > 0}
    ids: dict[str, Sequence[int]] = {}
    if wanted and connection.dialect.name == "sqlite":
        ids = await _from_counters(connection, wanted)
    elif wanted:
        ids = await _from_sequences(connection, wanted)
    return {table: ids.get(table.name, ()) for table in counts}


async def _from_counters(
    connection: AsyncConnection, wanted: dict[str, int]
) -> dict[str, Sequence[int]]:
    counts = jsontext.dumps(dict(wanted))
    moved = await connection.exec_driver_sql(_MOVE_COUNTERS, (counts, counts))
    last = {row.name: row.seq for row in moved}
    for name, count in wanted.items():
        if name not in last:
            await connection.exec_driver_sql(_START_COUNTER, (name, count))
            last[name] = count
    return {name: range(last[name] - count + 1, last[name] + 1) for name, count in wanted.items()}


async def _from_sequences(
    connection: AsyncConnection, wanted: dict[str, int]
) -> dict[str, Sequence[int]]:
    taken: dict[str, list[int]] = {}
    for row in await connection.exec_driver_sql(_NEXT_VALUES, ([*wanted], [*wanted.values()])):
        taken.setdefault(row.name, []).append(row.id)
    return {name: sorted(ids) for name, ids in taken.items()}


# As the drivers take them: each batch of the recorder runs them.
_MOVE_COUNTERS = (
    "UPDATE sqlite_sequence SET seq = seq + json_extract(?, '$.' || name) "
    "WHERE name IN (SELECT key FROM json_each(?)) RETURNING name, seq"
)
_START_COUNTER = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"
_NEXT_VALUES = (
    "SELECT wanted.name, nextval(CAST(wanted.name || '_id_seq' AS regclass)) AS id "
    "FROM unnest(CAST($1 AS text[]), CAST($2 AS integer[])) AS wanted (name, count), "
    "generate_series(1, wanted.count)"
)


async def insert_messages(
    connection: AsyncConnection,
    rows: Sequence[tuple[int, Placed]],
    *,
    owners: Mapping[int, Owner] | None = None,
    serves_others: bool = False,
) -> None:
    """Insert messages, each with the id of its conversation, in one go; index them as well.

    *owners* are those of the conversations; they are looked up when they are not given.
    *serves_others*: so does this loop, which must not stand still for a long text.
    """
    if not rows:
        return
    sealer = sealer_of(connection)
    if sealer is None:
        await connection.run_sync(_ADD.run, [_row(place, placed) for place, placed in rows])
    else:
        sealed = [_sealed_row(_row(place, placed), sealer) for place, placed in rows]
        await connection.run_sync(_ADD_SEALED.run, sealed)
    known = await _owners(connection, rows) if owners is None else owners
    documents = [
        Document(
            one.id,
            *known[place],
            one.message.role,
            one.message.content,
            None if sealer is None else sealer.hasher(known[place][0]),
        )
        for place, one in rows
    ]
    if serves_others:
        await add_aside(connection, documents)
    else:
        await connection.run_sync(add, documents)
    named = [(place, one.message.model_name) for place, one in rows]
    await connection.run_sync(note_models, named)


async def _owners(
    connection: AsyncConnection, rows: Sequence[tuple[int, Placed]]
) -> dict[int, Owner]:
    c = conversations.c
    places = sorted({conversation_id for conversation_id, _ in rows})
    found = await connection.execute(
        select(c.id, c.workspace, c.user_identifier).where(c.id.in_(places))
    )
    return {row.id: (row.workspace, row.user_identifier) for row in found}


_COLUMNS = (
    "id",
    "conversation_id",
    "parent_id",
    "on_path",
    "role",
    "content",
    "model_name",
    "token_count",
    "timestamp",
    "metadata",
    "extra",
    "identity",
    "exchange_id",
    "finish_reason",
    "outcome",
)
_SEALED_COLUMNS = (*_COLUMNS, "sealed_with")
_ADD = BulkStatement(insert(_messages), _COLUMNS)
_ADD_SEALED = BulkStatement(insert(_messages), _SEALED_COLUMNS)


def _row(conversation_id: int, placed: Placed) -> BulkRow:
    """The values of _COLUMNS."""
    message = placed.message
    return (
        placed.id,
        conversation_id,
        placed.parent_id,
        placed.on_path,
        message.role,
        message.content,
        message.model_name,
        message.token_count,
        message.timestamp,
        json_text(message.metadata),
        message.extra,
        message.identity,
        placed.exchange_id,
        message.finish_reason,
        None if message.outcome is Outcome.COMPLETE else message.outcome.value,
    )


def _sealed_row(row: BulkRow, sealer: Sealer) -> BulkRow:
    """The values of _SEALED_COLUMNS."""
    values = seal_message(dict(zip(_COLUMNS, row, strict=True)), sealer)
    return tuple(values[name] for name in _SEALED_COLUMNS)


async def set_on_path(connection: AsyncConnection, ids: Sequence[int], *, on_path: bool) -> None:
    """Put the messages *ids* on the path of their conversation, or take them off it."""
    if ids:
        statement = update(_messages).where(_messages.c.id == bindparam("b_id"))
        values = [{"b_id": number} for number in ids]
        await connection.execute(statement.values(on_path=on_path), values)


async def set_heads(connection: AsyncConnection, heads: Sequence[HeadUpdate]) -> None:
    """Write the heads of conversations in one go; `updated_at` never goes back."""
    if heads:
        sealer = sealer_of(connection)
        rows = [_HEAD_VALUES(_head_values(head, sealer)) for head in heads]
        await connection.run_sync(_SET_HEADS.run, rows)


_HEAD_NAMES = (
    "b_id",
    "b_leaf_id",
    "b_leaf_chain",
    "b_instructions",
    "b_message_count",
    "b_path_count",
    "b_title",
    "b_updated_at",
)
_HEAD_VALUES = itemgetter(*_HEAD_NAMES)
_new_time = bindparam("b_updated_at", type_=UtcDateTime)
_SET_HEADS = BulkStatement(
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
    ),
    _HEAD_NAMES,
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
