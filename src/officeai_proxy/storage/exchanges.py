"""What the recorder's batches become in the database: rows of all tables in one transaction.

The recorder decides which message goes where (`recording.merge`); this module reads what it needs
for that, numbers what is new, and writes it.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import bindparam, insert, select, tuple_, union_all, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import DatabaseUnavailable
from officeai_proxy.model import CallRecord
from officeai_proxy.storage import call_hours
from officeai_proxy.storage.bulk import insert_rows
from officeai_proxy.storage.burials import buried
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.rows import AnyRow
from officeai_proxy.storage.sealed_rows import identity_of, seal_conversation, seal_error
from officeai_proxy.storage.tables import (
    conversation_messages,
    conversations,
    exchanges,
    tombstones,
)
from officeai_proxy.storage.tree import (
    HEAD_COLUMNS,
    Head,
    HeadUpdate,
    Placed,
    head_of,
    insert_messages,
    reserve_ids,
    set_heads,
)
from officeai_proxy.storage.vault import sealer_of
from officeai_proxy.tree import Node, PathEnd, Thread

_messages = conversation_messages
_NODE = (
    _messages.c.id,
    _messages.c.parent_id,
    _messages.c.identity,
    _messages.c.role,
    _messages.c.sealed_with,
)


class SessionName(Protocol):
    """What a session is called, and in which workspace."""

    @property
    def workspace(self) -> str: ...  # noqa: D102 - said above

    @property
    def session(self) -> str: ...  # noqa: D102 - said above


class LoggedCall(Protocol):
    """A line for the call log, and the conversation it belongs to if it is recorded."""

    @property
    def call(self) -> CallRecord: ...  # noqa: D102 - said above

    @property
    def thread(self) -> Thread | None: ...  # noqa: D102 - said above


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
        """Those of *exchange_ids* that are stored, or were and have been deleted for good."""
        wanted = list(exchange_ids)
        found = await self.connection.execute(
            union_all(
                select(exchanges.c.exchange_id).where(exchanges.c.exchange_id.in_(wanted)),
                select(tombstones.c.exchange_id).where(tombstones.c.exchange_id.in_(wanted)),
            )
        )
        return set(found.scalars())

    async def buried(self, ids: Collection[UUID]) -> Mapping[UUID, datetime]:
        """When each of *ids*, which `burials` made, was erased, of those that were."""
        return await buried(self.connection, ids)

    async def threads(self, names: Collection[SessionName]) -> list[Thread]:
        """All conversations of these names that are not in the bin, locked until the end."""
        c = conversations.c
        keys = [(name.workspace, name.session) for name in names]
        rows = await self.connection.execute(
            select(
                c.id,
                c.workspace,
                c.user_identifier,
                c.session_id,
                c.title,
                c.created_at,
                c.updated_at,
                *HEAD_COLUMNS,
            )
            .where(tuple_(c.workspace, c.session_id).in_(keys), c.deleted_at.is_(None))
            .order_by(c.id)
            .with_for_update()
        )
        found = rows.all()
        leaves = await self._leaves([row.leaf_id for row in found if row.leaf_id is not None])
        sealer = sealer_of(self.connection)
        return [_thread(row, leaves.get(row.leaf_id), sealer) for row in found]

    async def _leaves(self, ids: Sequence[int]) -> dict[int, Node]:
        """The newest messages of conversations, read once the conversations are locked.

        A join with the rows to be locked could see a leaf from before the lock was given.
        """
        rows = await self.connection.execute(select(*_NODE).where(_messages.c.id.in_(ids)))
        sealer = sealer_of(self.connection)
        return {row.id: Node(None, identity_of(row, sealer), row.role, row.id) for row in rows}

    async def path_end(self, thread: Thread, count: int) -> list[Node]:
        """The last *count* messages on the stored path of *thread*, oldest first."""
        if thread.id is None:
            return []
        rows = await self.connection.execute(
            select(*_NODE)
            .where(_messages.c.conversation_id == thread.id, _messages.c.on_path)
            .order_by(_messages.c.id.desc())
            .limit(count)
        )
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
        await self._begin_conversations([thread for thread in threads if thread.id is None])
        rows = await self._log(calls)
        added = [(thread, addition) for thread in threads for addition in thread.additions]
        ids = await reserve_ids(self.connection, conversation_messages, len(added))
        for (_, addition), number in zip(added, ids, strict=True):
            addition.node.id = number
        await self._add_messages(threads, rows)
        for thread in threads:
            if thread.has_branched:
                await self._switch_path(thread)
        await set_heads(self.connection, [_head_update(t) for t in threads if t.additions])

    async def _begin_conversations(self, threads: Sequence[Thread]) -> None:
        if not threads:
            return
        ids = await reserve_ids(self.connection, conversations, len(threads))
        sealer = sealer_of(self.connection)
        values = []
        for thread, number in zip(threads, ids, strict=True):
            thread.id = number
            values.append(seal_conversation(_thread_values(thread), number, sealer))
        try:
            await self.connection.execute(insert(conversations), values)
        except IntegrityError as exc:
            # Somebody else began one of them in this moment; the next try finds it.
            raise DatabaseUnavailable from exc

    async def _log(self, calls: Sequence[LoggedCall]) -> dict[UUID, int]:
        ids = await reserve_ids(self.connection, exchanges, len(calls))
        if calls:
            sealer = sealer_of(self.connection)
            values = [_call_values(n, call, sealer) for n, call in zip(ids, calls, strict=True)]
            await insert_rows(self.connection, exchanges, values)
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
        await insert_messages(self.connection, placed)

    async def _switch_path(self, thread: Thread) -> None:
        """Take the stored messages of the old line off the path, and put those of the new on it."""
        leaf = thread.end.leaf
        new = set(leaf.path()) if leaf else set()
        old = set(thread.stored_leaf.path()) if thread.stored_leaf else set()
        known = set(thread.nodes.values())
        await self._set_on_path((old - new) & known, on_path=False)
        await self._set_on_path((new - old) & known, on_path=True)

    async def _set_on_path(self, nodes: Iterable[Node], *, on_path: bool) -> None:
        values = [{"b_id": node.id} for node in nodes]
        if values:
            statement = update(_messages).where(_messages.c.id == bindparam("b_id"))
            await self.connection.execute(statement.values(on_path=on_path), values)


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
        created_at=row.created_at,
        updated_at=row.updated_at,
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
            node = thread.nodes[row.id] = Node(None, identity_of(row, sealer), row.role, row.id)
        if row.parent_id is not None:
            node.parent = thread.nodes.get(row.parent_id)
        nodes.append(node)
    return nodes


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


def _call_values(number: int, logged: LoggedCall, sealer: Sealer | None) -> dict[str, object]:
    call = logged.call
    return {
        "id": number,
        "exchange_id": call.exchange_id,
        "workspace": call.workspace,
        "conversation_id": None if logged.thread is None else logged.thread.id,
        "key_id": call.key_id,
        "method": call.method,
        "path": call.path,
        "upstream": call.upstream,
        "user_identifier": call.user,
        "session_id": call.session,
        "client_ip": call.client_ip,
        "started_at": call.started_at,
        "latency_ms": call.latency_ms,
        "ttft_ms": call.ttft_ms,
        "status_code": call.status,
        "outcome": call.outcome.value,
        "error": seal_error(call.error, number, sealer),
        "stream": call.stream,
        "retry_count": call.retry_count,
        "model_asked": call.model_asked,
        "model_served": call.model_served,
        "prompt_tokens": call.usage.prompt_tokens,
        "completion_tokens": call.usage.completion_tokens,
        "total_tokens": call.usage.total_tokens,
        "cost": call.cost,
        "cached_tokens": call.usage.cached_tokens,
        "reasoning_tokens": call.usage.reasoning_tokens,
    }
