"""Full-text search in messages, newest first, inside one caller's walls.

The index gives ids, the rows say whether the caller may see them, and the texts decide. What is
newest is what was recorded last: the order is that of the messages' ids.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Hasher, Sealer
from officeai_proxy.errors import DatabaseUnavailable, SearchTooSlow
from officeai_proxy.model import MAX_INTEGER, Caller, Conversation, Message
from officeai_proxy.storage.conditions import where_given
from officeai_proxy.storage.engine.failures import ran_out_of_time
from officeai_proxy.storage.paging import (
    PageRequest,
    Stretch,
    make_cursor,
    read_cursor,
)
from officeai_proxy.storage.rows import (
    CONVERSATION_COLUMNS,
    AnyRow,
    conversation_of,
    message_of,
    select_messages,
)
from officeai_proxy.storage.sealing.sealed_rows import open_content
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.search.queries import (
    NEWEST_POSTGRESQL,
    NEWEST_SETS_POSTGRESQL,
    NEWEST_SQLITE,
    PREPARE_POSTGRESQL,
    Way,
    fts5_any,
    fts5_query,
    set_query,
    ts_any,
    ts_query,
    ways,
    windows,
)
from officeai_proxy.storage.tables import conversation_messages, conversations
from officeai_proxy.storage.walls import inside
from officeai_proxy.words.query import Query

TIME_LIMIT = 2.0
"""Seconds that one search may take."""

MOST_AT_ONCE = 1000
"""Candidates whose texts are read at once."""

LONG_TEXT = 256 * 1024
"""How long a text is that is read by itself."""

PAGE_TEXT = 8 * 1024 * 1024
"""Characters of the texts of a page, which ends before the next hit; but one may have more. What
stands beside a text, such as a picture, is one of them.
"""

FIRST_LOOK = 4
"""Candidates that are read first; how large they are says how many are read next."""

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


@dataclass(slots=True)
class _Hits:
    """What was found so far, newest first, for a page of *limit*."""

    limit: int
    found: list[Hit] = field(default_factory=list)
    text: int = 0

    def add(self, hit: Hit, *, extra: str | None) -> None:
        """Take a hit that is older than all others; *extra* stands beside its text."""
        self.found.append(hit)
        self.text += len(hit.message.content) + len(extra or "")

    def next_look(self, last: int) -> int:
        """How many more to read after *last*: what fills the page, if all are like those found."""
        if not self.found:
            return last * 4
        room = max(PAGE_TEXT - self.text, 0)
        return room * len(self.found) // max(self.text, 1) + 1

    @property
    def has_room(self) -> bool:
        """Whether the texts of all hits fit on the page; a single one always does."""
        return self.text <= PAGE_TEXT or len(self.found) == 1

    @property
    def are_enough(self) -> bool:
        """Whether there is one hit more than fits on the page."""
        return len(self.found) > self.limit or not self.has_room

    @property
    def fitting(self) -> list[Hit]:
        """Those that fit on the page."""
        return self.found[: self.limit if self.has_room else -1]


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
            hits = await self._collect(wanted, before, _Hits(page.limit), deadline=deadline)
        items = hits.fitting
        has_more = len(items) < len(hits.found)
        cursor = make_cursor(_LISTING, (items[-1].message.id,)) if has_more else None
        return Stretch(items=items, next_cursor=cursor)

    async def _collect(
        self, wanted: SearchFilter, before: int, hits: "_Hits", *, deadline: float
    ) -> "_Hits":
        """*hits* with the newest below the id *before*, in as few rounds as possible."""
        at_once = hits.limit + 1
        while True:
            ids = await self._candidates(wanted, before, count=at_once)
            begin, look = 0, FIRST_LOOK
            while begin < len(ids) and not hits.are_enough:
                some = ids[begin : begin + look]
                await self._look_at(wanted, some, hits, deadline=deadline)
                begin, look = begin + look, hits.next_look(look)
            if hits.are_enough or len(ids) < at_once:
                return hits
            if time.monotonic() > deadline:
                raise SearchTooSlow
            before, at_once = ids[-1], min(at_once * 4, MOST_AT_ONCE)

    async def _candidates(self, wanted: SearchFilter, before: int, *, count: int) -> Sequence[int]:
        """The newest ids below *before* that the index has; fewer than *count* are all it has."""
        asked = self._ways(wanted)
        if self._connection.dialect.name == "postgresql":
            return await self._candidates_postgresql(asked, before, count=count)
        query = fts5_any([fts5_query(way) for way in asked])
        given = {"query": query, "before": before, "count": count}
        return (await self._connection.execute(NEWEST_SQLITE, given)).scalars().all()

    async def _candidates_postgresql(
        self, asked: Sequence[Way], before: int, *, count: int
    ) -> Sequence[int]:
        bounds = {"before": before, "count": count}
        sets = {"sets": [set_query(way) for way in asked], **bounds}
        newest, long = (await self._connection.execute(NEWEST_SETS_POSTGRESQL, sets)).one()
        ids: Sequence[int] = ()
        for recent, since in windows(min(before, (newest or 0) + 1)):
            # Whose words are too many, the last way, is among the sets.
            query = ts_any([ts_query(way, *recent) for way in asked[:-1]])
            found = await self._connection.execute(NEWEST_POSTGRESQL, {"query": query, **bounds})
            ids = found.scalars().all()
            if long:
                recent_ones = (number for number in long if number >= since)
                ids = sorted({*ids, *recent_ones}, reverse=True)[:count]
            if len(ids) == count:
                break
        return ids

    def _ways(self, wanted: SearchFilter) -> list[Way]:
        user = self._caller.user if wanted.user_identifier is None else wanted.user_identifier
        sealer, workspace = sealer_of(self._connection), self._caller.workspace
        hashers: list[Hasher | None] = [] if sealer is None else [sealer.hasher(workspace)]
        if sealer is None or sealer.takes_plain:
            hashers.append(None)
        return ways(wanted.query, hashers, workspace=workspace, user=user, role=wanted.role)

    async def _look_at(
        self, wanted: SearchFilter, ids: Sequence[int], hits: "_Hits", *, deadline: float
    ) -> None:
        """Add those of *ids* that the caller may see and that say what is wanted."""
        # SQLite does not know how many rows there are: for some dozens of ids it would walk through
        # all conversations of the workspace, and try every id on each. An index is of no use for an
        # expression, so with `+ 0` it begins with the messages.
        visible = (
            select_messages()
            .add_columns(*(column.label(f"c_{column.name}") for column in CONVERSATION_COLUMNS))
            .join(conversations, _c.id == _m.conversation_id + 0)
            .where(*self._conditions(wanted))
        )
        # PostgreSQL knows the bytes of a text without reading it.
        is_sqlite = self._connection.dialect.name == "sqlite"
        length = (func.length if is_sqlite else func.octet_length)(_m.content)
        short = visible.where(_m.id.in_(ids), length <= LONG_TEXT)
        rows = {row.id: row for row in await self._connection.execute(short)}
        others = [number for number in ids if number not in rows]
        long = select(_m.id).where(_m.id.in_(others), length > LONG_TEXT)
        alone = set((await self._connection.execute(long)).scalars()) if others else ()
        sealer, says = sealer_of(self._connection), wanted.query.matches
        for number in ids:
            row = rows.get(number)
            if number in alone:
                if time.monotonic() > deadline:
                    raise SearchTooSlow
                asked = visible.where(_m.id == number)
                row = (await self._connection.execute(asked)).one_or_none()
            if row is not None and says(open_content(row, sealer)):
                hits.add(_hit(row, sealer), extra=row.extra)
                if hits.are_enough:
                    return

    def _conditions(self, wanted: SearchFilter) -> list[ColumnElement[bool]]:
        visible = [inside(self._caller, conversations), _c.deleted_at.is_(None)]
        return visible + where_given(
            (wanted.user_identifier, _c.user_identifier.__eq__),
            (wanted.role, _m.role.__eq__),
            (wanted.after, _m.timestamp.__ge__),
            (wanted.before, _m.timestamp.__lt__),
        )


def _hit(row: AnyRow, sealer: Sealer | None) -> Hit:
    """A row of a message, behind whose columns those of its conversation stand."""
    return Hit(conversation_of(row, sealer), message_of(row, sealer))


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
