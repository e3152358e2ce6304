"""Ids and heads of the tree on both databases."""

import asyncio
from dataclasses import replace

from sqlalchemy import select
from tests.integration.stored import MINUTE, NOW, find, say, start

from officeai_proxy.storage.conversations.tree import (
    HEAD_COLUMNS,
    Head,
    HeadUpdate,
    head_of,
    insert_messages,
    reserve,
    reserve_ids,
    set_heads,
)
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.tables import conversation_messages, conversations, exchanges


async def take(database: Database, count: int) -> list[int]:
    async with database.write() as connection:
        return list(await reserve_ids(connection, conversation_messages, count))


async def test_no_ids_and_no_rows(database: Database) -> None:
    """Nothing to store asks the database nothing."""
    async with database.write() as connection:
        assert list(await reserve_ids(connection, conversation_messages, 0)) == []
        await insert_messages(connection, [])
        await set_heads(connection, [])


async def test_ids_are_never_given_twice(database: Database) -> None:
    """Ids ascend and are new each time: unused, in one transaction, and beside automatic ones."""
    conversation = await start(database)
    first = await take(database, 3)
    async with database.write() as connection:
        second = list(await reserve_ids(connection, conversation_messages, 2))
        second += list(await reserve_ids(connection, conversation_messages, 2))
    third = [message.id for message in await say(database, conversation, "a", "b")]
    given = [*first, *second, *third]

    assert given == sorted(set(given))
    assert len(given) == 9


async def test_ids_of_several_tables_at_once(database: Database) -> None:
    """Each table counts for itself, and one that is asked for nothing gives nothing."""
    counts = {conversations: 2, conversation_messages: 3, exchanges: 0}
    async with database.write() as connection:
        await reserve(connection, counts)
        given = await reserve(connection, counts)
        (after,) = await reserve_ids(connection, exchanges, 1)

    assert {table.name: list(ids) for table, ids in given.items()} == {
        "conversations": [3, 4],
        "conversation_messages": [4, 5, 6],
        "exchanges": [],
    }
    assert after == 1


async def test_ids_for_writers_at_once(database: Database) -> None:
    """Writers at the same moment get ids of their own, each in ascending order."""
    taken = await asyncio.gather(*(take(database, 50) for _ in range(8)))

    assert all(ids == sorted(ids) for ids in taken)
    assert len({number for ids in taken for number in ids}) == 400


async def test_heads_come_back(database: Database) -> None:
    """Heads at the edge of 64 bits are read as they were written, several in one go."""
    one, two = await start(database, "s1"), await start(database, "s2")
    edge = Head(
        leaf_id=2**63 - 1,
        leaf_chain=-(2**63),
        instructions=(2**63 - 1, -(2**63)),
        message_count=7,
        path_count=5,
    )
    plain = Head(leaf_id=1, message_count=1, path_count=1)
    async with database.write() as connection:
        await set_heads(
            connection,
            [
                HeadUpdate(conversation_id=one.id, head=edge, updated_at=NOW),
                HeadUpdate(conversation_id=two.id, head=plain, updated_at=NOW),
            ],
        )
        rows = await connection.execute(select(*HEAD_COLUMNS).order_by(conversations.c.id))
        assert [head_of(row) for row in rows] == [edge, plain]


async def test_untouched_head_is_the_empty_one(database: Database) -> None:
    """A conversation without messages has the head that everything starts from."""
    await start(database)
    async with database.read() as connection:
        row = (await connection.execute(select(*HEAD_COLUMNS))).one()

    assert head_of(row) == Head()


async def test_title_and_time_only_go_forward(database: Database) -> None:
    """The first title stays, and an update that comes late does not turn the clock back."""
    conversation = await start(database)
    change = HeadUpdate(
        conversation_id=conversation.id, head=Head(), updated_at=NOW + MINUTE, title="first"
    )
    async with database.write() as connection:
        await set_heads(connection, [change])
        await set_heads(connection, [replace(change, updated_at=NOW, title="second")])
        await set_heads(connection, [replace(change, updated_at=NOW, title=None)])
    found = await find(database)

    assert (found.title, found.updated_at) == ("first", NOW + MINUTE)
