"""Messages on both databases: walls first, then appending and reading in pages."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import update
from tests.integration.stored import (
    BOB_ONLY,
    ELSEWHERE,
    HERE,
    MINUTE,
    NOW,
    contents,
    find,
    log_call,
    said,
    say,
    start,
)

from officeai_proxy.errors import NotFound, UnprocessableInput
from officeai_proxy.model import Caller, Outcome
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.conversations.messages import MessageRepository, Order
from officeai_proxy.storage.conversations.tree import Placed, insert_messages, reserve_ids
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema.migrations import check
from officeai_proxy.storage.tables import conversation_messages, conversations

MEGABYTE = 1024 * 1024


class TestWalls:
    """What is not the caller's does not exist."""

    @pytest.mark.parametrize("caller", [ELSEWHERE, BOB_ONLY], ids=["workspace", "user"])
    async def test_foreign_cannot_be_read(self, database: Database, caller: Caller) -> None:
        """With someone else's conversation in hand, its messages still cannot be read."""
        conversation = await start(database)
        await say(database, conversation, "secret")
        async with database.read() as connection:
            repository = MessageRepository(connection, caller)
            with pytest.raises(NotFound):
                await repository.page(conversation, PageRequest(10))

    @pytest.mark.parametrize("caller", [ELSEWHERE, BOB_ONLY], ids=["workspace", "user"])
    async def test_foreign_cannot_be_added_to(self, database: Database, caller: Caller) -> None:
        """Nothing is written into someone else's conversation."""
        conversation = await start(database)
        with pytest.raises(NotFound):
            await say(database, conversation, "hi", caller=caller)

        assert await contents(database, conversation) == []

    async def test_erased_is_not_found(self, database: Database) -> None:
        """A conversation that is gone takes no messages, and none stay behind."""
        conversation = await start(database)
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).erase(conversation, now=NOW)
        with pytest.raises(NotFound):
            await say(database, conversation, "hi")

        assert await check(database) == []


class TestAppend:
    """Messages are added at the end of the path."""

    async def test_failing_one_leaves_none(self, database: Database) -> None:
        """When one message of a list cannot be stored, none of them is."""
        conversation = await start(database)
        with pytest.raises(Exception, match=r"(?i)int|range|overflow"):
            await say(database, conversation, "fine", said("bad", token_count=2**63))

        assert await contents(database, conversation) == []
        assert await find(database) == conversation

    async def test_nothing_to_add_changes_nothing(self, database: Database) -> None:
        """An empty list is no activity."""
        conversation = await start(database)

        assert await say(database, conversation, now=NOW + MINUTE) == []
        assert await find(database) == conversation

    async def test_answer_is_what_later_reads_say(self, database: Database) -> None:
        """The messages that come back are those that a reader gets, each below the one before."""
        conversation = await start(database)
        first = await say(database, conversation, "a", said("b", role="assistant"))
        second = await say(database, conversation, "c")
        async with database.read() as connection:
            page = await MessageRepository(connection, HERE).page(conversation, PageRequest(10))

        assert page.items == [*first, *second]
        assert [one.parent_id for one in page.items] == [None, *(m.id for m in page.items[:-1])]
        assert await check(database) == []

    async def test_head_counts_and_activity(self, database: Database) -> None:
        """The conversation knows how many messages it has and when the last one came."""
        conversation = await start(database)
        await say(database, conversation, "a", "b", now=NOW + 2 * MINUTE)
        await say(database, conversation, "late", now=NOW + MINUTE)
        found = await find(database)

        assert found.message_count == 3
        assert found.updated_at == NOW + 2 * MINUTE, "time does not go back"
        assert found.created_at == NOW

    async def test_title_from_the_first_user_message(self, database: Database) -> None:
        """A conversation without a title takes its first user message's, on one line."""
        conversation = await start(database)
        await say(database, conversation, said("be brief", role="system"), said(" ", role="user"))
        assert (await find(database)).title is None
        await say(database, conversation, "What is\nPython?")
        await say(database, conversation, "Another question")

        assert (await find(database)).title == "What is Python?"

    async def test_given_title_stays(self, database: Database) -> None:
        """A title that a person gave is never replaced."""
        await say(database, await start(database, title="Mine"), "What is Python?")

        assert (await find(database)).title == "Mine"

    async def test_writers_at_once_make_one_line(self, database: Database) -> None:
        """Many who add to one conversation at the same moment leave one unbroken path."""
        conversation = await start(database)
        await asyncio.gather(*(say(database, conversation, f"{n}a", f"{n}b") for n in range(8)))
        found = await contents(database, conversation)

        assert sorted(found) == sorted(f"{n}{letter}" for n in range(8) for letter in "ab")
        assert all(found[i][0] == found[i + 1][0] for i in range(0, 16, 2)), "pairs stay together"
        assert await check(database) == []

    async def test_everything_comes_back(self, database: Database) -> None:
        """Content, numbers, metadata and the OpenAI message whole are read as they were given."""
        conversation = await start(database)
        long = "長い文🐧\u2028'\"\\%_" * (2 * MEGABYTE // 24)
        sent = said(
            long,
            model_name="gpt-x",
            token_count=2**63 - 1,
            metadata={"来源": "测试", "n": 1},
        )
        (stored,) = await say(database, conversation, sent)

        assert (stored.content, stored.role) == (long, "user")
        assert (stored.model_name, stored.token_count) == ("gpt-x", 2**63 - 1)
        assert stored.timestamp == NOW
        assert stored.metadata == {"来源": "测试", "n": 1}
        assert stored.raw == {"role": "user", "content": long}

    @pytest.mark.parametrize("content", ["a\u2400b", "a\ufffdb", "", " \n\t ", "\U0010ffff"])
    async def test_unusual_text(self, database: Database, content: str) -> None:
        """Text that was cleaned of NUL and lone surrogates is stored to the letter."""
        conversation = await start(database)
        await say(database, conversation, content)

        assert await contents(database, conversation) == [content]

    async def test_recorded_message_tells_where_it_is_from(self, database: Database) -> None:
        """A message of a call has its id and how it ended in its metadata; others have neither."""
        conversation = await start(database)
        cut = said("half", role="assistant", outcome=Outcome.CLIENT_CLOSED, finish_reason="stop")
        whole = said("whole", metadata={"mine": True})
        stored = await say(database, conversation, cut, whole)
        async with database.write() as connection:
            call = await log_call(connection, 7, conversation_id=conversation.id)
            of_call = update(conversation_messages).where(
                conversation_messages.c.id == stored[0].id
            )
            await connection.execute(of_call.values(exchange_id=call))
        async with database.read() as connection:
            page = await MessageRepository(connection, HERE).page(conversation, PageRequest(10))

        assert page.items[0].metadata == {
            "exchange_id": str(UUID(int=7)),
            "outcome": "client_closed",
            "finish_reason": "stop",
        }
        assert page.items[1].metadata == {"mine": True}


class TestPages:
    """The path and the tree, in pages."""

    @pytest.mark.parametrize("cursor", ["", "x", "W10", "WyJtZXNzYWdlcyIsIDFd", "../..", "\0"])
    async def test_forged_cursor_is_refused(self, database: Database, cursor: str) -> None:
        """What this list did not give out is refused."""
        conversation = await start(database)
        async with database.read() as connection:
            repository = MessageRepository(connection, HERE)
            with pytest.raises(UnprocessableInput):
                await repository.page(conversation, PageRequest(1, cursor=cursor))

    async def test_cursor_of_another_list_is_refused(self, database: Database) -> None:
        """A cursor belongs to one conversation, one order, and to the path or the tree."""
        conversation, other = await start(database, "s1"), await start(database, "s2")
        await say(database, conversation, "a", "b")
        async with database.read() as connection:
            repository = MessageRepository(connection, HERE)
            cursor = (await repository.page(conversation, PageRequest(1))).next_cursor
            wanted = PageRequest(1, cursor=cursor)
            with pytest.raises(UnprocessableInput):
                await repository.page(other, wanted)
            with pytest.raises(UnprocessableInput):
                await repository.page(conversation, wanted, order=Order.DESC)
            with pytest.raises(UnprocessableInput):
                await repository.page(conversation, wanted, whole_tree=True)

    @pytest.mark.parametrize("order", list(Order))
    async def test_pages_add_up(self, database: Database, order: Order) -> None:
        """Page by page gives each message once, while others are being added at the end."""
        conversation = await start(database)
        await say(database, conversation, *(str(number) for number in range(7)))
        found: list[str] = []
        cursor = None
        while len(found) < 7:
            async with database.read() as connection:
                page = await MessageRepository(connection, HERE).page(
                    conversation, PageRequest(3, cursor=cursor), order=order
                )
            assert page.total >= 7
            found += [one.content for one in page.items]
            cursor = page.next_cursor
            await say(database, conversation, "new")

        expected = [str(number) for number in range(7)]
        assert found[:7] == (expected if order is Order.ASC else expected[::-1])

    async def test_offset_and_order(self, database: Database) -> None:
        """The newest first, some skipped; behind the end there is nothing and no more."""
        conversation = await start(database)
        await say(database, conversation, "a", "b", "c")
        async with database.read() as connection:
            repository = MessageRepository(connection, HERE)
            newest = await repository.page(conversation, PageRequest(1, offset=1), order=Order.DESC)
            nothing = await repository.page(conversation, PageRequest(1, offset=2**63 - 1))

        assert [one.content for one in newest.items] == ["b"]
        assert newest.has_more
        assert (nothing.items, nothing.has_more, nothing.next_cursor) == ([], False, None)

    async def test_branches_are_in_the_tree_only(self, database: Database) -> None:
        """A reader sees the path; the whole tree is there for those who ask, each counted apart."""
        conversation = await start(database)
        first, _ = await say(database, conversation, "question", "old answer")
        async with database.write() as connection:
            (number,) = await reserve_ids(connection, conversation_messages, 1)
            aside = Placed(message=said("aside"), id=number, parent_id=first.id, on_path=False)
            await insert_messages(connection, [(conversation.id, aside)])
            await connection.execute(update(conversations).values(message_count=3))
            repository = MessageRepository(connection, HERE)
            path = await repository.page(conversation, PageRequest(10))
            tree = await repository.page(conversation, PageRequest(10), whole_tree=True)

        assert ([one.content for one in path.items], path.total) == (["question", "old answer"], 2)
        assert [one.content for one in tree.items] == ["question", "old answer", "aside"]
        assert (tree.total, tree.items[2].parent_id) == (3, first.id)
