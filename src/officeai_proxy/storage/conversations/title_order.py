"""Conversations in the order of their titles while these are sealed, so that no database can sort.

All titles of a list are opened for each page, a few microseconds each; only their ids and the page
itself are kept.
"""

import asyncio
import heapq
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.storage.conversations.listing import SORTED, ConversationSort, title_cursor
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.rows import CONVERSATION_COLUMNS, AnyRow
from officeai_proxy.storage.sealing.sealed_rows import open_conversation_text
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.tables import conversations

_c = conversations.c
_PART = 2000

_Key = tuple[str, int]


async def rows_by_title(
    connection: AsyncConnection,
    conditions: Sequence[ColumnElement[bool]],
    page: PageRequest,
    *,
    sort: ConversationSort,
) -> Sequence[AnyRow]:
    """One row of CONVERSATION_COLUMNS more than the page asks for, by title and then by id.

    Raises:
        UnprocessableInput: the cursor belongs to another list.
        Unopenable: a title is not what was sealed there.
    """
    last = None if page.cursor is None else title_cursor(page.cursor, sort=sort)
    count = page.limit + 1 + page.offset
    best: list[_Key] = []
    async with connection.stream(select(_c.id, _c.title).where(*conditions)) as found:
        async for rows in found.partitions(_PART):
            keys = await asyncio.to_thread(_keys, rows, sealer_of(connection))
            behind = (key for key in keys if last is None or _is_behind(key, last, sort))
            best = _first([*best, *behind], count, sort)
    wanted = [number for _, number in best[page.offset :]]
    return await _read(connection, wanted)


def _keys(rows: Iterable[AnyRow], sealer: Sealer | None) -> list[_Key]:
    opened = ((open_conversation_text(row.title, "title", row.id, sealer), row.id) for row in rows)
    return [((title or "")[:SORTED], number) for title, number in opened]


def _is_behind(key: _Key, last: _Key, sort: ConversationSort) -> bool:
    return key < last if sort.is_descending else key > last


def _first(keys: Iterable[_Key], count: int, sort: ConversationSort) -> list[_Key]:
    choose = heapq.nlargest if sort.is_descending else heapq.nsmallest
    return choose(count, keys)


async def _read(connection: AsyncConnection, ids: Sequence[int]) -> Sequence[AnyRow]:
    rows: dict[int, Any] = {}
    for begin in range(0, len(ids), _PART):
        some = select(*CONVERSATION_COLUMNS).where(_c.id.in_(ids[begin : begin + _PART]))
        rows |= {row.id: row for row in await connection.execute(some)}
    return [rows[number] for number in ids if number in rows]
