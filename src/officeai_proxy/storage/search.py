"""Full-text search in messages, newest first, inside one caller's walls.

The index gives ids, the rows say whether the caller may see them, and the texts decide. What is
newest is what was recorded last: the order is that of the messages' ids.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Hasher, Sealer
from officeai_proxy.errors import DatabaseUnavailable, SearchTooSlow
from officeai_proxy.model import Caller, Conversation, Message
from officeai_proxy.storage.failures import ran_out_of_time
from officeai_proxy.storage.paging import (
    MAX_INTEGER,
    PageRequest,
    Stretch,
    make_cursor,
    read_cursor,
)
from officeai_proxy.storage.rows import (
    CONVERSATION_COLUMNS,
    AnyRow,
    json_object,
    message_of,
    select_messages,
)
from officeai_proxy.storage.sealed_rows import open_content, open_conversation_text
from officeai_proxy.storage.search_queries import (
    NEWEST_POSTGRESQL,
    NEWEST_SQLITE,
    PREPARE_POSTGRESQL,
    fts5_any,
    fts5_query,
    needles,
    ts_any,
    ts_query,
    windows,
)
from officeai_proxy.storage.tables import conversation_messages, conversations
from officeai_proxy.storage.vault import sealer_of
from officeai_proxy.storage.walls import inside
from officeai_proxy.words.query import Phrase, Query

TIME_LIMIT = 2.0
"""Seconds that one search may take."""

MOST_AT_ONCE = 1000
"""Candidates whose texts are read at once."""

_LISTING = "search"
_STEPS_BETWEEN_LOOKS = 1000

_m, _c = conversation_messages.c, conversations.c


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """What is searched for, and where. `after` includes its moment, `before` does not."""

    query: Query
    user_identifier: str | None = None
    role: str | None = None
    after: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found, and where it stands."""

    conversation: Conversation
    message: Message


class SearchRepository:
    """The messages that one caller may find."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._caller = caller

    async def page(self, wanted: SearchFilter, page: PageRequest) -> Stretch[Hit]:
        """A page of what *wanted* describes; conversations in the bin are left out.

        Raises:
            UnprocessableInput: the cursor belongs to another list.
            SearchTooSlow: it took more than TIME_LIMIT.
        """
        before = _place_of(page.cursor)
        async with _limited(self._connection) as deadline:
            hits = await self._collect(wanted, before, count=page.limit + 1, deadline=deadline)
        items, has_more = hits[: page.limit], len(hits) > page.limit
        cursor = make_cursor(_LISTING, (items[-1].message.id,)) if has_more else None
        return Stretch(items=items, has_more=has_more, next_cursor=cursor)

    async def _collect(
        self, wanted: SearchFilter, before: int, *, count: int, deadline: float
    ) -> list[Hit]:
        """The newest *count* hits below the id *before*, in as few rounds as possible."""
        hits: list[Hit] = []
        at_once = count
        while True:
            ids = await self._candidates(wanted, before, count=at_once)
            hits += await self._hits(wanted, ids)
            if len(hits) >= count or len(ids) < at_once:
                return hits[:count]
            if time.monotonic() > deadline:
                raise SearchTooSlow
            before, at_once = ids[-1], min(at_once * 4, MOST_AT_ONCE)

    async def _candidates(self, wanted: SearchFilter, before: int, *, count: int) -> Sequence[int]:
        """The newest ids below *before* that the index has; fewer than *count* are all it has."""
        asked = self._needles(wanted)
        given = {"before": before, "count": count}
        if self._connection.dialect.name == "sqlite":
            query = fts5_any([fts5_query(way) for way in asked])
            found = await self._connection.execute(NEWEST_SQLITE, {"query": query, **given})
            return found.scalars().all()
        ids: Sequence[int] = ()
        for recent in windows(await self._newest(before)):
            query = ts_any([ts_query(way, *recent) for way in asked])
            found = await self._connection.execute(NEWEST_POSTGRESQL, {"query": query, **given})
            ids = found.scalars().all()
            if len(ids) == count:
                break
        return ids

    def _needles(self, wanted: SearchFilter) -> list[list[Phrase]]:
        """What a message must have in the index, in each of the ways in which it may be there."""
        user = self._caller.user if wanted.user_identifier is None else wanted.user_identifier
        sealer, workspace = sealer_of(self._connection), self._caller.workspace
        hashers: list[Hasher | None] = [] if sealer is None else [sealer.hasher(workspace)]
        if sealer is None or sealer.takes_plain:
            hashers.append(None)
        return [
            needles(wanted.query, workspace=workspace, user=user, role=wanted.role, hasher=hasher)
            for hasher in hashers
        ]

    async def _newest(self, before: int) -> int:
        """*before*, or the id behind the newest message when no page came before."""
        if before < MAX_INTEGER:
            return before
        newest = await self._connection.execute(select(_m.id).order_by(_m.id.desc()).limit(1))
        return (newest.scalar() or 0) + 1

    async def _hits(self, wanted: SearchFilter, ids: Sequence[int]) -> list[Hit]:
        """Those of *ids* that the caller may see and that say what is wanted, newest first."""
        if not ids:
            return []
        visible = (
            select_messages()
            .add_columns(*(column.label(f"c_{column.name}") for column in CONVERSATION_COLUMNS))
            .join(conversations, _c.id == _m.conversation_id)
            .where(_m.id.in_(ids), *self._conditions(wanted))
            .order_by(_m.id.desc())
        )
        rows = (await self._connection.execute(visible)).all()
        sealer = sealer_of(self._connection)
        says = wanted.query.matches
        return [_hit(row, sealer) for row in rows if says(open_content(row, sealer))]

    def _conditions(self, wanted: SearchFilter) -> list[ColumnElement[bool]]:
        conditions = [inside(self._caller, conversations), _c.deleted_at.is_(None)]
        if wanted.user_identifier is not None:
            conditions.append(_c.user_identifier == wanted.user_identifier)
        if wanted.role is not None:
            conditions.append(_m.role == wanted.role)
        if wanted.after is not None:
            conditions.append(_m.timestamp >= wanted.after)
        if wanted.before is not None:
            conditions.append(_m.timestamp < wanted.before)
        return conditions


def _hit(row: AnyRow, sealer: Sealer | None) -> Hit:
    """A row of a message, whose conversation is in columns that begin with `c_`."""
    metadata = open_conversation_text(row.c_metadata, "metadata", row.c_id, sealer)
    conversation = Conversation(
        id=row.c_id,
        session_id=row.c_session_id,
        title=open_conversation_text(row.c_title, "title", row.c_id, sealer),
        user_identifier=row.c_user_identifier,
        workspace=row.c_workspace,
        metadata=json_object(metadata),
        message_count=row.c_message_count,
        created_at=row.c_created_at,
        updated_at=row.c_updated_at,
        deleted_at=row.c_deleted_at,
    )
    return Hit(conversation, message_of(row, sealer))


def _place_of(cursor: str | None) -> int:
    """The id below which a page begins."""
    if cursor is None:
        return MAX_INTEGER
    (before,) = read_cursor(cursor, _LISTING, (int,))
    return before if isinstance(before, int) else MAX_INTEGER


@asynccontextmanager
async def _limited(connection: AsyncConnection) -> AsyncIterator[float]:
    """Run what is inside for TIME_LIMIT at most; gives the moment of the monotonic clock.

    Raises:
        SearchTooSlow: the time was over while the database was at it.
    """
    watch = _Watch(time.monotonic() + TIME_LIMIT)
    if connection.dialect.name == "sqlite":
        driver = (await connection.get_raw_connection()).driver_connection
        await _set_watch(driver, watch)
    else:
        driver = None
        limit = {"milliseconds": str(int(TIME_LIMIT * 1000))}
        await connection.execute(PREPARE_POSTGRESQL, limit)
    try:
        yield watch.deadline
    except DatabaseUnavailable as exc:
        if ran_out_of_time(exc):
            raise SearchTooSlow from exc
        raise
    finally:
        # The connection is used again, and whoever waits for what follows may be cancelled.
        watch.is_over = True
        await _set_watch(driver, None)


@dataclass(slots=True)
class _Watch:
    """SQLite asks it now and then whether to give a statement up."""

    deadline: float
    is_over: bool = False

    def __call__(self) -> bool:
        return not self.is_over and time.monotonic() > self.deadline


async def _set_watch(driver: Any, watch: _Watch | None) -> None:
    """Let *watch* look at every statement of an aiosqlite connection; None for nobody."""
    if driver is not None:
        await driver.set_progress_handler(watch, _STEPS_BETWEEN_LOOKS)
