"""A long conversation in, its newest messages out of it for good, some at a time.

A conversation is erased in one transaction, in which nobody else writes to SQLite, and which takes
the longer the more messages there are. What is too long is made short before, in the bin: what is
left is a whole conversation at any moment, and whoever is stopped half way does it again.
"""

import asyncio
from datetime import datetime

from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy.model import Caller, Conversation
from officeai_proxy.storage.audit.chain import Event
from officeai_proxy.storage.audit.log import append
from officeai_proxy.storage.conversations.burials import erase_calls
from officeai_proxy.storage.conversations.listing import is_as_it_was
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.rows import CONVERSATION_COLUMNS, conversation_of
from officeai_proxy.storage.sealing.vault import sealer_of
from officeai_proxy.storage.search.index import remove_conversation
from officeai_proxy.storage.tables import conversation_messages, conversations, exchanges
from officeai_proxy.storage.walls import inside, only_checked

AT_ONCE = 1000
"""Messages that one transaction deletes, and how many a conversation may be left with."""

PAUSE_SECONDS = 0.1
"""As long as SQLite sleeps at most before it looks again whether it may write."""

_c = conversations.c
_m = conversation_messages.c


async def shorten(
    database: Database,
    caller: Caller,
    conversation: Conversation,
    *,
    now: datetime,
    begun: Event | None = None,
) -> Conversation:
    """Put a long conversation into the bin and take messages out until AT_ONCE are left.

    Gives it as it is then. Nothing is done to one that is short, or that is not as it was. *begun*
    is left in the audit log by the transaction that takes the first.

    Raises:
        DatabaseUnavailable: the database went away.
    """
    while conversation.message_count > AT_ONCE:
        async with database.write() as connection:
            shorter = await _cut(connection, caller, conversation, now=now)
            if shorter is None:
                break
            if begun is not None:
                await append(connection, begun)
        conversation, begun = shorter, None
        await asyncio.sleep(PAUSE_SECONDS)
    return conversation


async def _cut(
    connection: AsyncConnection, caller: Caller, one: Conversation, *, now: datetime
) -> Conversation | None:
    """Take the newest messages and their calls out of *one*; None when it is not as it was."""
    mine = inside(caller, conversations)
    locked = select(_c.id).where(mine, *is_as_it_was(one)).with_for_update()
    if (await connection.execute(locked)).first() is None:
        return None
    newest = select(_m.id, _m.on_path, _m.exchange_id).where(_m.conversation_id == one.id)
    rows = (await connection.execute(newest.order_by(_m.id.desc()).limit(AT_ONCE))).all()
    first = rows[-1].id
    await remove_conversation(connection, one.id, first - 1)
    gone = delete(conversation_messages).where(_m.conversation_id == one.id, _m.id >= first)
    await connection.execute(gone)
    my_calls = only_checked(inside(caller, exchanges))
    calls = {row.exchange_id for row in rows if row.exchange_id is not None}
    await erase_calls(connection, my_calls, exchanges.c.id.in_(calls), now=now)
    leaf = select(func.max(_m.id)).where(_m.conversation_id == one.id, _m.on_path)
    shorter = update(conversations).where(_c.id == one.id, mine)
    shorter = shorter.values(
        message_count=_c.message_count - len(rows),
        path_count=_c.path_count - sum(row.on_path for row in rows),
        leaf_id=leaf.scalar_subquery(),
        # They tell of the whole path: whoever still sends all of it would go on at the end of what
        # is left, and what is gone would be missing in between. Without them it is looked up.
        leaf_chain=None,
        instructions=None,
        deleted_at=func.coalesce(_c.deleted_at, literal(now, _c.deleted_at.type)),
    )
    found = await connection.execute(shorter.returning(*CONVERSATION_COLUMNS))
    return conversation_of(found.one(), sealer_of(connection))
