"""What the recorder's batches become in the database: rows of all tables in one transaction.

The recorder decides which message goes where (`recording.merge`); this module reads what it needs
for that, numbers what is new, and writes it.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Protocol
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import DatabaseUnavailable
from officeai_proxy.model import FAILED
from officeai_proxy.storage.calls import hours as call_hours
from officeai_proxy.storage.calls.rows import ADD_CALLS, LoggedCall, call_row
from officeai_proxy.storage.conversations.burials import AS_RECORDER, buried
from officeai_proxy.storage.conversations.tree import (
    HEAD_COLUMNS,
    Head,
    HeadUpdate,
    Placed,
    head_of,
    insert_messages,
    reserve,
    set_heads,
    set_on_path,
)
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.engine.bulk import BulkStatement
from officeai_proxy.storage.engine.driver_values import id_list, moment_of, select_by_ids, uuid_of
from officeai_proxy.storage.rows import AnyRow
from officeai_proxy.storage.sealing.sealed_rows import identity_of, seal_conversation
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.tables import (
    conversation_messages,
    conversations,
    exchanges,
)
from officeai_proxy.tree import Node, PathEnd, Thread

_messages = conversation_messages
_NODE = (
    _messages.c.id,
    _messages.c.parent_id,
    _messages.c.identity,
    _messages.c.role,
    _messages.c.sealed_with,
    _messages.c.outcome,
)

_STORED = {
    "sqlite": (
        "SELECT exchange_id FROM exchanges "
        "WHERE exchange_id IN (SELECT value FROM json_each(?)) UNION ALL "
        "SELECT exchange_id FROM tombstones "
        "WHERE exchange_id IN (SELECT value FROM json_each(?))"
    ),
    "postgresql": (
        f"SELECT CAST({AS_RECORDER} AS uuid) AS exchange_id UNION ALL "  # noqa: S608 - a statement of our own
        "SELECT exchange_id FROM exchanges WHERE exchange_id = ANY(CAST($1 AS uuid[])) UNION ALL "
        "SELECT exchange_id FROM tombstones WHERE exchange_id = ANY(CAST($2 AS uuid[]))"
    ),
}
_LEAVES = select_by_ids(
    "id, identity, role, sealed_with, outcome", "conversation_messages", kind="bigint"
)
_PATH_END = {
    dialect: (
        "SELECT id, parent_id, identity, role, sealed_with, outcome FROM conversation_messages "  # noqa: S608 - places for parameters
        f"WHERE conversation_id = {conversation} AND on_path ORDER BY id DESC LIMIT {count}"
    )
    for dialect, conversation, count in (("sqlite", "?", "?"), ("postgresql", "$1", "$2"))
}

_c = conversations.c
_THREAD = ", ".join(
    f"c.{one.name}"
    for one in (
        _c.id,
        _c.workspace,
        _c.user_identifier,
        _c.session_id,
        _c.title,
        _c.created_at,
        _c.updated_at,
        *HEAD_COLUMNS,
    )
)


@lru_cache(maxsize=64)
def _threads_named(count: int, dialect: str) -> str:
    """The statement that finds and locks the conversations of *count* sessions."""
    if dialect == "sqlite":
        names = ", ".join(["(?, ?)"] * count)
        # SQLite would read the whole table for a condition with several pairs. It goes through
        # what stands left of CROSS JOIN, and looks each up (sqlite.org/optoverview.html, 9.1).
        return (
            f"WITH names (workspace, session_id) AS (VALUES {names}) "  # noqa: S608 - names of our own
            f"SELECT {_THREAD} FROM names AS n CROSS JOIN conversations AS c "
            "ON c.workspace = n.workspace AND c.session_id = n.session_id "
            "WHERE c.deleted_at IS NULL ORDER BY c.id"
        )
    names = ", ".join(f"(${2 * n + 1}, ${2 * n + 2})" for n in range(count))
    return (
        f"SELECT {_THREAD} FROM conversations AS c "  # noqa: S608 - names of our own
        f"WHERE (c.workspace, c.session_id) IN ({names}) AND c.deleted_at IS NULL "
        "ORDER BY c.id FOR UPDATE"
    )


class SessionName(Protocol):
    """What a session is called, and in which workspace."""

    @property
    def workspace(self) -> str: ...  # noqa: D102 - said above

    @property
    def session(self) -> str: ...  # noqa: D102 - said above


class SqlExchangeStore:
    """Keeps exchanges in a database."""

    def __init__(self, database: Database) -> None:
        """Keep them in *database*, whose schema must be up to date."""
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["SqlExchangeTransaction"]:
        """One transaction: all of it is stored at the end of the block, or nothing is."""
        async with self._database.write() as connection:
            yield SqlExchangeTransaction(connection)


@dataclass(frozen=True, slots=True)
class SqlExchangeTransaction:
    """One batch on its way into the database."""

    connection: AsyncConnection

    async def already_stored(self, exchange_ids: Sequence[UUID]) -> set[UUID]:
        """Those of *exchange_ids* that are stored, or were and have been deleted for good.

        On PostgreSQL no erasure goes on from here to the end of the transaction.
        """
        dialect = self.connection.dialect.name
        wanted = id_list(exchange_ids, dialect=dialect)
        found = await self.connection.exec_driver_sql(_STORED[dialect], (wanted, wanted))
        return {uuid_of(one) for one in found.scalars() if one is not None}

    async def buried(self, ids: Collection[UUID]) -> Mapping[UUID, datetime]:
        """When each of *ids*, which `burials` made, was erased, of those that were."""
        return await buried(self.connection, ids)

    async def threads(self, names: Collection[SessionName]) -> list[Thread]:
        """All conversations of these names that are not in the bin, locked until the end."""
        keys: list[tuple[str | None, str | None]]
        keys = [*{(name.workspace, name.session) for name in names}]
        # A statement for each power of two, and not for each number: drivers know those again.
        room = 1 << (len(keys) - 1).bit_length()
        keys += [(None, None)] * (room - len(keys))
        rows = await self.connection.exec_driver_sql(
            _threads_named(room, self.connection.dialect.name), (*chain.from_iterable(keys),)
        )
        found = rows.all()
        leaves = await self._leaves([row.leaf_id for row in found if row.leaf_id is not None])
        sealer = sealer_of(self.connection)
        return [_thread(row, leaves.get(row.leaf_id), sealer) for row in found]

    async def _leaves(self, ids: Sequence[int]) -> dict[int, Node]:
        """The newest messages of conversations, read once the conversations are locked.

        A join with the rows to be locked could see a leaf from before the lock was given.
        """
        if not ids:
            return {}
        dialect = self.connection.dialect.name
        wanted = id_list(ids, dialect=dialect)
        rows = await self.connection.exec_driver_sql(_LEAVES[dialect], (wanted,))
        sealer = sealer_of(self.connection)
        return {row.id: _node(row, sealer) for row in rows}

    async def path_end(self, thread: Thread, count: int) -> list[Node]:
        """The last *count* messages on the stored path of *thread*, oldest first."""
        if thread.id is None:
            return []
        query = _PATH_END[self.connection.dialect.name]
        rows = await self.connection.exec_driver_sql(query, (thread.id, count))
        return _nodes(thread, reversed(rows.all()), sealer_of(self.connection))

    async def tree(self, thread: Thread) -> list[Node]:
        """Every stored message of *thread*, oldest first."""
        if thread.id is None:
            return []
        rows = await self.connection.execute(
            select(*_NODE).where(_messages.c.conversation_id == thread.id).order_by(_messages.c.id)
        )
        return _nodes(thread, rows, sealer_of(self.connection))

    async def save(self, threads: Sequence[Thread], calls: Sequence[LoggedCall]) -> None:
        """Write what is new in *threads*, and *calls*."""
        begun = [thread for thread in threads if thread.id is None]
        nodes = _in_order_of_calls(threads, calls)
        ids = await reserve(
            self.connection,
            {conversations: len(begun), exchanges: len(calls), _messages: len(nodes)},
        )
        for node, number in zip(nodes, ids[_messages], strict=True):
            node.id = number
        await self._begin_conversations(begun, ids[conversations])
        rows = await self._log(calls, ids[exchanges])
        await self._add_messages(threads, rows)
        for thread in threads:
            if thread.has_branched:
                await self._switch_path(thread)
        await set_heads(self.connection, [_head_update(t) for t in threads if t.additions])

    async def _begin_conversations(self, threads: Sequence[Thread], ids: Sequence[int]) -> None:
        sealer = sealer_of(self.connection)
        rows = []
        for thread, number in zip(threads, ids, strict=True):
            thread.id = number
            values = seal_conversation(_thread_values(thread), number, sealer)
            rows.append(tuple(values[name] for name in _BEGIN.names))
        if not rows:
            return
        try:
            await self.connection.run_sync(_BEGIN.run, rows)
        except IntegrityError as exc:
            # Somebody else began one of them in this moment; the next try finds it.
            raise DatabaseUnavailable from exc

    async def _log(self, calls: Sequence[LoggedCall], ids: Sequence[int]) -> dict[UUID, int]:
        if calls:
            sealer = sealer_of(self.connection)
            rows = [call_row(n, call, sealer) for n, call in zip(ids, calls, strict=True)]
            await self.connection.run_sync(ADD_CALLS.run, rows)
            await self.connection.run_sync(call_hours.count, [logged.call for logged in calls])
        return {call.call.exchange_id: n for n, call in zip(ids, calls, strict=True)}

    async def _add_messages(self, threads: Sequence[Thread], rows: dict[UUID, int]) -> None:
        placed: list[tuple[int, Placed]] = []
        for thread in threads:
            if not thread.additions or thread.id is None:
                continue
            path = _new_part_of_path(thread)
            for addition in thread.additions:
                node, parent = addition.node, addition.node.parent
                one = Placed(
                    message=addition.message,
                    id=_stored(node),
                    parent_id=None if parent is None else _stored(parent),
                    exchange_id=rows[addition.exchange_id],
                    on_path=node in path,
                )
                placed.append((thread.id, one))
        # SQLite's index begins a new segment where an id is smaller than the one before it.
        placed.sort(key=lambda at: at[1].id)
        owners = {t.id: (t.workspace, t.user) for t in threads if t.id is not None}
        await insert_messages(self.connection, placed, owners=owners)

    async def _switch_path(self, thread: Thread) -> None:
        """Take the stored messages of the old line off the path, and put those of the new on it."""
        leaf = thread.end.leaf
        new = set(leaf.path()) if leaf else set()
        old = set(thread.stored_leaf.path()) if thread.stored_leaf else set()
        known = set(thread.nodes.values())
        for nodes, on_path in (((old - new) & known, False), ((new - old) & known, True)):
            ids = [_stored(node) for node in nodes]
            await set_on_path(self.connection, ids, on_path=on_path)


def _thread(row: AnyRow, leaf: Node | None, sealer: Sealer | None) -> Thread:
    """A conversation as it is stored.

    Its title stays sealed: all that matters is whether there is one, for it is never replaced.
    """
    head = head_of(row, conversation_id=row.id, sealer=sealer)
    return Thread(
        id=row.id,
        workspace=row.workspace,
        user=row.user_identifier,
        session=row.session_id,
        title=row.title,
        created_at=moment_of(row.created_at),
        updated_at=moment_of(row.updated_at),
        message_count=head.message_count,
        path_count=head.path_count,
        end=PathEnd(leaf, head.leaf_chain, head.instructions),
        stored_leaf=leaf,
        nodes={} if leaf is None or leaf.id is None else {leaf.id: leaf},
    )


def _nodes(thread: Thread, rows: Iterable[AnyRow], sealer: Sealer | None) -> list[Node]:
    """Rows as nodes; one that was looked at before stays the same object."""
    nodes: list[Node] = []
    for row in rows:
        node = thread.nodes.get(row.id)
        if node is None:
            node = thread.nodes[row.id] = _node(row, sealer)
        if row.parent_id is not None:
            node.parent = thread.nodes.get(row.parent_id)
        nodes.append(node)
    return nodes


def _node(row: AnyRow, sealer: Sealer | None) -> Node:
    """A row as a node whose parent is not known yet."""
    identity = identity_of(row, sealer)
    return Node(None, identity, row.role, row.id, is_half=row.outcome in FAILED)


def _in_order_of_calls(threads: Sequence[Thread], calls: Sequence[LoggedCall]) -> list[Node]:
    """What is new in *threads*, as it was said: a search lists messages by their numbers."""
    order = {logged.call.exchange_id: place for place, logged in enumerate(calls)}
    added = [addition for thread in threads for addition in thread.additions]
    added.sort(key=lambda addition: order[addition.exchange_id])
    return [addition.node for addition in added]


def _stored(node: Node) -> int:
    if node.id is None:
        raise ValueError("a message was placed below one that is not stored")
    return node.id


def _new_part_of_path(thread: Thread) -> set[Node]:
    """The nodes of the path that this batch adds; walks up only as far as they reach."""
    added = {addition.node for addition in thread.additions}
    path: set[Node] = set()
    node = thread.end.leaf
    while node is not None and node in added:
        path.add(node)
        node = node.parent
    return path


def _head_update(thread: Thread) -> HeadUpdate:
    leaf, end = thread.end.leaf, thread.end
    if thread.has_branched and leaf is not None:
        path_count = len(leaf.path())
    else:
        path_count = thread.path_count + len(_new_part_of_path(thread))
    head = Head(
        leaf_id=None if leaf is None else leaf.id,
        leaf_chain=end.chain,
        instructions=end.instructions,
        message_count=thread.message_count + len(thread.additions),
        path_count=path_count,
    )
    return HeadUpdate(
        conversation_id=thread.id or 0,
        head=head,
        updated_at=thread.updated_at,
        title=thread.title,
    )


_BEGIN = BulkStatement(
    insert(conversations),
    ("id", "workspace", "user_identifier", "session_id", "title", "created_at", "updated_at"),
)


def _thread_values(thread: Thread) -> dict[str, object]:
    return {
        "id": thread.id,
        "workspace": thread.workspace,
        "user_identifier": thread.user,
        "session_id": thread.session,
        "title": thread.title,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
    }
