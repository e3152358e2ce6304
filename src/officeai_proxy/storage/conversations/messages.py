"""Every query over messages, inside one caller's walls; what is appended goes to the path's end."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, ScalarSelect, select
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.crypto.sealing import Sealer
from officeai_proxy.errors import NotFound
from officeai_proxy.model import Caller, Conversation, Message, NewMessage
from officeai_proxy.storage.conversations.tree import (
    HEAD_COLUMNS,
    HeadUpdate,
    Placed,
    head_of,
    insert_messages,
    reserve_ids,
    set_heads,
)
from officeai_proxy.storage.paging import Page, PageRequest, cut, read_cursor
from officeai_proxy.storage.rows import AnyRow, message_of, select_messages
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.tables import conversation_messages, conversations
from officeai_proxy.storage.walls import inside
from officeai_proxy.wire.titles import title_in

_m = conversation_messages.c


class Order(StrEnum):
    """Which message of a list comes first: the oldest or the newest."""

    ASC = "asc"
    DESC = "desc"


class MessageRepository:
    """The messages that one caller may see."""

    def __init__(self, connection: AsyncConnection, caller: Caller) -> None:
        """Work inside the transaction of *connection* and the walls of *caller*."""
        self._connection = connection
        self._mine = inside(caller, conversations)

    async def page(
        self,
        conversation: Conversation,
        page: PageRequest,
        *,
        order: Order = Order.ASC,
        whole_tree: bool = False,
    ) -> Page[Message]:
        """A page of the path, or of all messages; `total` counts the same.

        Raises:
            NotFound: the conversation is gone, or not the caller's.
            UnprocessableInput: the cursor belongs to another list.
        """
        counts = await self._head_row(conversation)
        listing = f"messages:{conversation.id}:{order}:{'tree' if whole_tree else 'path'}"
        rows = select_messages().where(_m.conversation_id == self._wall(conversation))
        if not whole_tree:
            rows = rows.where(_m.on_path)
        if page.cursor is not None:
            rows = rows.where(_behind(page.cursor, listing, order=order))
        ordered = rows.order_by(_m.id if order is Order.ASC else _m.id.desc())
        limited = ordered.limit(page.limit + 1).offset(page.offset)
        found = (await self._connection.execute(limited)).all()
        shown, cursor = cut(found, page, listing, lambda row: (row.id,))
        sealer = sealer_of(self._connection)
        # Pictures of megabytes may stand in them, and calls go on meanwhile.
        items = await asyncio.to_thread(_messages, shown, sealer)
        return Page(
            items=items,
            next_cursor=cursor,
            total=counts.message_count if whole_tree else counts.path_count,
        )

    async def append(
        self, conversation: Conversation, messages: Sequence[NewMessage], *, now: datetime
    ) -> list[Message]:
        """Add messages at the end of the path, in this order.

        Raises:
            NotFound: the conversation is gone, or not the caller's.
        """
        row = await self._head_row(conversation, lock=True)
        head = head_of(row, conversation_id=conversation.id, sealer=sealer_of(self._connection))
        ids = await reserve_ids(self._connection, conversation_messages, len(messages))
        parents = (head.leaf_id, *ids)
        placed = [
            Placed(message=message, id=new_id, parent_id=parent)
            for message, new_id, parent in zip(messages, ids, parents, strict=False)
        ]
        rows = [(conversation.id, one) for one in placed]
        await insert_messages(self._connection, rows, serves_others=True)
        if placed:
            change = HeadUpdate(
                conversation_id=conversation.id,
                head=head.extended(placed),
                updated_at=now,
                title=title_in(messages),
            )
            await set_heads(self._connection, [change])
        return await self._stored(conversation, ids)

    async def _stored(self, conversation: Conversation, ids: Sequence[int]) -> list[Message]:
        """Read messages back, so that the answer is what later reads will say."""
        if not ids:
            return []
        rows = select_messages().where(
            _m.conversation_id == self._wall(conversation), _m.id.between(ids[0], ids[-1])
        )
        found = await self._connection.execute(rows.order_by(_m.id))
        sealer = sealer_of(self._connection)
        return _messages(found.all(), sealer)

    async def _head_row(self, conversation: Conversation, *, lock: bool = False) -> AnyRow:
        row = select(*HEAD_COLUMNS).where(conversations.c.id == conversation.id, self._mine)
        found = await self._connection.execute(row.with_for_update() if lock else row)
        head = found.one_or_none()
        if head is None:
            raise NotFound(
                f"There is no conversation with the session id {conversation.session_id!r}."
            )
        return head

    def _wall(self, conversation: Conversation) -> ScalarSelect[int]:
        """The conversation's id, if it is the caller's: messages carry no wall of their own."""
        own = select(conversations.c.id).where(conversations.c.id == conversation.id, self._mine)
        return own.scalar_subquery()


def _messages(rows: Sequence[AnyRow], sealer: Sealer | None) -> list[Message]:
    return [message_of(row, sealer) for row in rows]


def _behind(cursor: str, listing: str, *, order: Order) -> ColumnElement[bool]:
    (last,) = read_cursor(cursor, listing, (int,))
    return _m.id > last if order is Order.ASC else _m.id < last
