"""Conversations on both databases: walls first, then what the walls let through."""

import asyncio
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import func, select
from tests.integration.stored import (
    ALICE_ONLY,
    BOB_ONLY,
    ELSEWHERE,
    HERE,
    MINUTE,
    NOW,
    find,
    log_call,
    said,
    say,
    start,
)

from officeai_proxy.api.values import MAX_CURSOR
from officeai_proxy.burials import burials_of
from officeai_proxy.errors import (
    AmbiguousSession,
    Conflict,
    NotAllowed,
    NotFound,
    UnprocessableInput,
)
from officeai_proxy.model import Caller, Conversation, JsonObject
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    ConversationSort,
    Deleted,
)
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import Page, PageRequest
from officeai_proxy.storage.tables import conversation_messages, exchanges, tombstones


async def page(
    database: Database,
    wanted: ConversationFilter | None = None,
    *,
    caller: Caller = HERE,
    limit: int = 50,
    offset: int = 0,
    cursor: str | None = None,
) -> Page[Conversation]:
    request = PageRequest(limit, offset=offset, cursor=cursor)
    async with database.read() as connection:
        repository = ConversationRepository(connection, caller)
        return await repository.page(wanted or ConversationFilter(), request)


async def sessions(
    database: Database, wanted: ConversationFilter | None = None, *, caller: Caller = HERE
) -> list[str]:
    return [item.session_id for item in (await page(database, wanted, caller=caller)).items]


async def bin_it(database: Database, conversation: Conversation, *, now: datetime = NOW) -> None:
    async with database.write() as connection:
        await ConversationRepository(connection, HERE).bin(conversation, now=now)


async def restore(database: Database, conversation: Conversation) -> Conversation:
    async with database.write() as connection:
        return await ConversationRepository(connection, HERE).restore(conversation, now=NOW)


class TestWalls:
    """What is not the caller's does not exist."""

    @pytest.mark.parametrize("caller", [ELSEWHERE, BOB_ONLY], ids=["workspace", "user"])
    async def test_foreign_is_indistinguishable_from_unknown(
        self, database: Database, caller: Caller
    ) -> None:
        """Asking for someone else's session gives word for word what an unknown one gives."""
        await start(database, "s1")
        with pytest.raises(NotFound) as foreign:
            await find(database, "s1", caller=caller)
        with pytest.raises(NotFound) as unknown:
            await find(database, "s2", caller=caller)

        assert foreign.value.message.replace("s1", "s2") == unknown.value.message

    @pytest.mark.parametrize("caller", [ELSEWHERE, BOB_ONLY], ids=["workspace", "user"])
    @pytest.mark.parametrize("action", ["rename", "bin", "restore", "erase"])
    async def test_foreign_cannot_be_changed(
        self, database: Database, caller: Caller, action: str
    ) -> None:
        """A conversation in a caller's hand is changed only if it is that caller's."""
        conversation = await start(database, title="mine")
        arguments: dict[str, object] = (
            {"title": "stolen", "metadata": {}} if action == "rename" else {}
        )
        async with database.write() as connection:
            change = getattr(ConversationRepository(connection, caller), action)
            with pytest.raises(NotFound):
                await change(conversation, now=NOW, **arguments)

        assert (await find(database)).title == "mine"

    @pytest.mark.parametrize("caller", [ELSEWHERE, BOB_ONLY], ids=["workspace", "user"])
    async def test_foreign_is_not_listed_counted_or_cleared(
        self, database: Database, caller: Caller
    ) -> None:
        """Lists, totals and clearing of a user stop at the wall."""
        await start(database)
        async with database.write() as connection:
            assert await ConversationRepository(connection, caller).clear("alice", now=NOW) == 0

        listed = await page(database, caller=caller)
        assert (listed.items, listed.total) == ([], 0)

    async def test_bound_key_creates_for_its_user_only(self, database: Database) -> None:
        """A key of one user cannot make a conversation for another."""
        with pytest.raises(NotAllowed):
            await start(database, user="bob", caller=ALICE_ONLY)

        assert (await start(database, user="alice", caller=ALICE_ONLY)).user_identifier == "alice"

    async def test_same_names_behind_different_walls(self, database: Database) -> None:
        """Two workspaces can have the same user and session without seeing each other."""
        here = await start(database)
        there = await start(database, caller=ELSEWHERE)

        assert (await find(database)).id == here.id
        assert (await find(database, caller=ELSEWHERE)).id == there.id


class TestCreate:
    """A conversation begins."""

    async def test_second_of_same_name_is_refused(self, database: Database) -> None:
        """A live session of the same user is a conflict, and the transaction stays usable."""
        await start(database)
        async with database.write() as connection:
            repository = ConversationRepository(connection, HERE)
            with pytest.raises(Conflict):
                await repository.create(
                    session_id="s1", user_identifier="alice", title=None, metadata={}, now=NOW
                )
            await repository.create(
                session_id="s2", user_identifier="alice", title=None, metadata={}, now=NOW
            )

        assert await sessions(database) == ["s2", "s1"]

    async def test_two_at_once_make_one(self, database: Database) -> None:
        """Of two that create the same session at the same moment, one succeeds."""
        results = await asyncio.gather(*(start(database) for _ in range(4)), return_exceptions=True)

        assert [type(result) for result in results].count(Conversation) == 1
        assert [type(result) for result in results].count(Conflict) == 3

    async def test_comes_back_as_it_was(self, database: Database) -> None:
        """Title, metadata and times are read as they were given, in any script."""
        metadata: JsonObject = {"标签": ["a", 1, None, {"deep": True}], "emoji": "🐧"}
        made = await start(database, "会话 💬", user="用户", title="标题", metadata=metadata)

        assert made == await find(database, "会话 💬")
        assert made == Conversation(
            id=made.id,
            session_id="会话 💬",
            title="标题",
            user_identifier="用户",
            workspace="default",
            metadata=metadata,
            message_count=0,
            created_at=NOW,
            updated_at=NOW,
        )

    @pytest.mark.parametrize(("one", "two"), [("é", "e\u0301"), ("a", "A"), ("a", "a ")])
    async def test_names_are_compared_exactly(self, database: Database, one: str, two: str) -> None:
        """Session ids that only look the same are different sessions."""
        await start(database, one)
        await start(database, two)

        assert (await find(database, two)).session_id == two


class TestFind:
    """One conversation by its name."""

    async def test_several_users_are_named(self, database: Database) -> None:
        """When two users have the session, the refusal names both and asks for one."""
        await start(database, user="alice")
        await start(database, user="bob")
        with pytest.raises(AmbiguousSession) as refusal:
            await find(database)

        assert "'alice', 'bob'" in refusal.value.message
        assert (await find(database, user="bob")).user_identifier == "bob"
        assert (await find(database, caller=ALICE_ONLY)).user_identifier == "alice"

    async def test_at_most_twenty_users_are_named(self, database: Database) -> None:
        """A refusal stays readable when a hundred users share a session id."""
        for number in range(25):
            await start(database, user=f"user{number:02}")
        with pytest.raises(AmbiguousSession) as refusal:
            await find(database)

        assert "'user19' and others" in refusal.value.message
        assert "user20" not in refusal.value.message

    async def test_bin_is_apart(self, database: Database) -> None:
        """What is in the bin is found only by those who look there."""
        conversation = await start(database)
        await bin_it(database, conversation)
        async with database.read() as connection:
            repository = ConversationRepository(connection, HERE)
            with pytest.raises(NotFound):
                await repository.find("s1")
            only = await repository.find("s1", deleted=Deleted.ONLY)
            both = await repository.find("s1", deleted=Deleted.WITH)

        assert only == both
        assert only.deleted_at == NOW

    async def test_live_one_comes_before_the_bin(self, database: Database) -> None:
        """With a live and a deleted one of the same name, the live one is meant."""
        await bin_it(database, await start(database))
        live = await start(database)
        async with database.read() as connection:
            repository = ConversationRepository(connection, HERE)
            assert (await repository.find("s1", deleted=Deleted.WITH)).id == live.id

    async def test_last_deleted_of_several(self, database: Database) -> None:
        """Of several in the bin, the one deleted last is meant, not the one made last."""
        first = await start(database)
        await bin_it(database, first, now=NOW + 9 * MINUTE)
        await bin_it(database, await start(database), now=NOW + MINUTE)
        async with database.read() as connection:
            repository = ConversationRepository(connection, HERE)
            assert (await repository.find("s1", deleted=Deleted.ONLY)).id == first.id

    async def test_users_in_the_bin_are_ambiguous_too(self, database: Database) -> None:
        """A live one of alice and a deleted one of bob are two when both are asked for."""
        await start(database, user="alice")
        await bin_it(database, await start(database, user="bob"))
        async with database.read() as connection:
            repository = ConversationRepository(connection, HERE)
            with pytest.raises(AmbiguousSession):
                await repository.find("s1", deleted=Deleted.WITH)
            assert (await repository.find("s1")).user_identifier == "alice"


class TestPages:
    """Lists."""

    @pytest.mark.parametrize("cursor", ["", "x", "AAAA", "bm90IGpzb24", "e30", "W10", "é"])
    async def test_forged_cursor_is_refused(self, database: Database, cursor: str) -> None:
        """What this list did not give out is refused with the name of the parameter."""
        with pytest.raises(UnprocessableInput) as refusal:
            await page(database, cursor=cursor)

        assert refusal.value.param == "cursor"

    async def test_cursor_of_another_order_is_refused(self, database: Database) -> None:
        """A cursor belongs to the order it was made in."""
        for number in range(3):
            await start(database, f"s{number}")
        cursor = (await page(database, limit=1)).next_cursor
        with pytest.raises(UnprocessableInput):
            await page(
                database, ConversationFilter(sort=ConversationSort.TITLE), limit=1, cursor=cursor
            )

    @pytest.mark.parametrize(("deleted", "total"), [("no", 2), ("only", 1), ("with", 3)])
    async def test_the_total_knows_the_bin(
        self, database: Database, deleted: str, total: int
    ) -> None:
        """What is counted is what is listed, in the bin and out of it, with a filter too."""
        for number in range(3):
            await start(database, f"s{number}")
        await start(database, "other", user="bob")
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).bin(await find(database, "s1"), now=NOW)
        wanted = ConversationFilter(user_identifier="alice", deleted=Deleted(deleted))

        assert (await page(database, wanted, limit=1)).total == total
        assert len(await sessions(database, wanted)) == total

    @pytest.mark.parametrize("sort", list(ConversationSort))
    async def test_pages_add_up_to_the_list(
        self, database: Database, sort: ConversationSort
    ) -> None:
        """Page by page gives each conversation once, in every order, ties included."""
        for number in range(7):
            await start(
                database,
                f"s{number}",
                title=[None, "b", "长" * 5000][number % 3],
                now=NOW + (number // 2) * MINUTE,
            )
        wanted = ConversationFilter(sort=sort)
        whole = await sessions(database, wanted)
        found, cursor = [], None
        while True:
            part = await page(database, wanted, limit=2, cursor=cursor)
            found += [item.session_id for item in part.items]
            cursor = part.next_cursor
            assert part.total == 7
            assert part.has_more is (cursor is not None)
            if cursor is None:
                break
            assert len(cursor) <= MAX_CURSOR

        assert found == whole
        assert len(set(found)) == 7

    async def test_orders(self, database: Database) -> None:
        """Each order is what its name says."""
        await start(database, "old", title="b", now=NOW)
        await start(database, "new", title="a", now=NOW + MINUTE)

        for sort in ConversationSort:
            expected = ["new", "old"]
            if sort.value in ("updated_at", "created_at", "-title"):
                expected.reverse()
            assert await sessions(database, ConversationFilter(sort=sort)) == expected, sort

    async def test_new_ones_do_not_shift_a_list(self, database: Database) -> None:
        """What is added while someone pages is not shown twice, and nothing is left out."""
        for number in range(4):
            await start(database, f"s{number}", now=NOW + number * MINUTE)
        first = await page(database, limit=2)
        await start(database, "between", now=NOW + 9 * MINUTE)
        second = await page(database, limit=2, cursor=first.next_cursor)

        assert [item.session_id for item in [*first.items, *second.items]] == [
            "s3",
            "s2",
            "s1",
            "s0",
        ]

    async def test_offset_skips(self, database: Database) -> None:
        """The offset counts from the start of the list and may lie behind its end."""
        for number in range(4):
            await start(database, f"s{number}", now=NOW + number * MINUTE)

        assert [c.session_id for c in (await page(database, limit=1, offset=2)).items] == ["s1"]
        assert (await page(database, offset=2**63 - 1)).items == []

    @pytest.mark.parametrize(("limit", "offset"), [(0, 0), (-1, 0), (1, -1), (1, 2**63)])
    async def test_impossible_numbers(self, limit: int, offset: int) -> None:
        """Numbers that no database takes are refused before one is asked."""
        with pytest.raises(UnprocessableInput):
            PageRequest(limit, offset=offset)

    async def test_filters(self, database: Database) -> None:
        """Each filter keeps what it names; `after` includes its moment and `before` does not."""
        first = await start(database, "first", user="alice", now=NOW)
        await start(database, "second", user="bob", now=NOW + MINUTE)
        # No index of PostgreSQL takes such a name whole.
        endless = "".join(chr(0x4E00 + 7 * number % 9001) for number in range(5000))
        named = [said("hi", model_name=name) for name in ("gpt-x", endless, "gpt-x")]
        await say(database, first, *named, now=NOW + 5 * MINUTE)
        later = NOW + MINUTE

        for wanted, expected in [
            (ConversationFilter(user_identifier="alice"), ["first"]),
            (ConversationFilter(user_identifier="nobody"), []),
            (ConversationFilter(model="gpt-x"), ["first"]),
            (ConversationFilter(model="gpt"), []),
            (ConversationFilter(model=endless), ["first"]),
            (ConversationFilter(model=endless[:-1]), []),
            (ConversationFilter(model=endless[:255]), []),
            (ConversationFilter(created_after=later), ["second"]),
            (ConversationFilter(created_before=later), ["first"]),
            (ConversationFilter(updated_after=later + MINUTE), ["first"]),
            (ConversationFilter(updated_before=NOW + 5 * MINUTE), ["second"]),
            (ConversationFilter(user_identifier="alice", model="gpt-x"), ["first"]),
        ]:
            assert await sessions(database, wanted) == expected, wanted

    async def test_bin_is_listed_when_asked_for(self, database: Database) -> None:
        """A list shows live ones, those in the bin, or both."""
        await start(database, "live")
        await bin_it(database, await start(database, "binned"))

        for deleted, expected in [
            (Deleted.NO, {"live"}),
            (Deleted.ONLY, {"binned"}),
            (Deleted.WITH, {"live", "binned"}),
        ]:
            assert set(await sessions(database, ConversationFilter(deleted=deleted))) == expected

    async def test_bound_key_lists_its_user(self, database: Database) -> None:
        """A key of one user lists that user's conversations only."""
        await start(database, "a", user="alice")
        await start(database, "b", user="bob")

        assert await sessions(database, caller=ALICE_ONLY) == ["a"]


class TestRename:
    """Title and metadata."""

    async def test_none_leaves_as_is(self, database: Database) -> None:
        """Title and metadata change independently; an empty object empties the metadata."""
        made = await start(database, title="one", metadata={"a": 1})
        async with database.write() as connection:
            repository = ConversationRepository(connection, HERE)
            titled = await repository.rename(made, title="two", metadata=None, now=NOW + MINUTE)
            emptied = await repository.rename(made, title=None, metadata={}, now=NOW)

        assert (titled.title, titled.metadata) == ("two", {"a": 1})
        assert (emptied.title, emptied.metadata) == ("two", {})
        assert emptied.updated_at == NOW + MINUTE, "time does not go back"
        assert await find(database) == emptied


class TestBin:
    """Deleting, and changing one's mind."""

    async def test_second_time_is_not_found(self, database: Database) -> None:
        """What is in the bin cannot be put there again, nor taken out when it is not in it."""
        conversation = await start(database)
        with pytest.raises(NotFound):
            await restore(database, conversation)
        await bin_it(database, conversation)
        with pytest.raises(NotFound):
            await bin_it(database, conversation)

    async def test_name_taken_meanwhile(self, database: Database) -> None:
        """A conversation whose name was taken stays in the bin, and the new one is untouched."""
        old = await start(database)
        await bin_it(database, old)
        new = await start(database)
        with pytest.raises(Conflict):
            await restore(database, old)

        assert (await find(database)).id == new.id

    async def test_comes_back_whole(self, database: Database) -> None:
        """Bin and restore change nothing, not even the time of the last activity."""
        await say(database, await start(database), "hi")
        before = await find(database)
        await bin_it(database, before, now=NOW + MINUTE)
        await restore(database, before)

        assert await find(database) == before

    async def test_clear_bins_all_of_a_user(self, database: Database) -> None:
        """Clearing takes the user's live conversations and says how many they were."""
        await start(database, "a")
        await start(database, "b")
        await bin_it(database, await start(database, "c"), now=NOW - MINUTE)
        await start(database, "a", user="bob")
        async with database.write() as connection:
            assert await ConversationRepository(connection, HERE).clear("alice", now=NOW) == 2

        assert [c.user_identifier for c in (await page(database)).items] == ["bob"]


class TestErase:
    """Deleting for good."""

    async def test_twice_is_not_found(self, database: Database) -> None:
        """What is gone is gone."""
        conversation = await start(database)
        async with database.write() as connection:
            repository = ConversationRepository(connection, HERE)
            await repository.erase(conversation, now=NOW)
            with pytest.raises(NotFound):
                await repository.erase(conversation, now=NOW)

    async def test_leaves_nothing_but_tombstones(self, database: Database) -> None:
        """Messages and calls go; the ids of the calls stay, and other conversations' calls too."""
        conversation, other = await start(database, "s1"), await start(database, "s2")
        await say(database, conversation, "secret", "more")
        await say(database, other, "kept")
        async with database.write() as connection:
            await log_call(connection, 1, conversation_id=conversation.id)
            await log_call(connection, 2, conversation_id=other.id)
            await ConversationRepository(connection, HERE).erase(conversation, now=NOW + MINUTE)

        async with database.read() as connection:
            buried = (await connection.execute(select(tombstones))).all()
            calls = (await connection.execute(select(exchanges.c.exchange_id))).scalars().all()
            count = select(func.count()).select_from(conversation_messages)
            assert (await connection.execute(count)).scalar_one() == 1
        assert {row.deleted_at for row in buried} == {NOW + MINUTE}
        assert {row.exchange_id for row in buried} == {
            UUID(int=1),
            *burials_of(conversation.workspace, conversation.user_identifier, "s1"),
        }
        assert calls == [UUID(int=2)]

    async def test_ids_are_not_used_again(self, database: Database) -> None:
        """After the newest messages are erased, new ones get ids that were never used."""
        conversation = await start(database)
        gone = await say(database, conversation, "a", "b")
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).erase(conversation, now=NOW)
        again = await start(database)
        new = await say(database, again, "c")

        assert again.id > conversation.id
        assert new[0].id > gone[-1].id
