"""Who is here, and erasing one person for good, on both databases."""

import pytest
from tests.api import KEY, OTHER_TEAM, READER, WRITER, Api
from tests.factories import an_exchange
from tests.integration.stored import ALICE_ONLY, ELSEWHERE, HERE, NOW, start
from tests.integration.test_exchanges import store

from officeai_proxy import erasure
from officeai_proxy.errors import NotFound, UnprocessableInput
from officeai_proxy.model import Conversation
from officeai_proxy.storage.audit.log import AuditFilter, AuditRepository
from officeai_proxy.storage.calls.log import CallFilter, CallRepository
from officeai_proxy.storage.conversations.conversations import (
    ConversationFilter,
    ConversationRepository,
    Deleted,
)
from officeai_proxy.storage.conversations.users import UserRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.schema.migrations import check

ALL = PageRequest(limit=100)


async def users_of(database: Database, page: PageRequest = ALL, caller=HERE):  # type: ignore[no-untyped-def]
    async with database.read() as connection:
        return await UserRepository(connection, caller).page(page)


async def test_an_unknown_and_a_foreign_user_are_the_same(database: Database) -> None:
    """Another workspace's user, and another user than the key's own, are not there."""
    await start(database, user="alice")
    await start(database, user="bob")

    for caller, user in ((HERE, "carol"), (ELSEWHERE, "alice"), (ALICE_ONLY, "bob")):
        async with database.read() as connection:
            with pytest.raises(NotFound, match="no user"):
                await UserRepository(connection, caller).find(user)


async def test_a_cursor_of_another_list_is_refused(database: Database) -> None:
    """What is no cursor of this list is an error and not its beginning."""
    with pytest.raises(UnprocessableInput):
        await users_of(database, PageRequest(limit=1, cursor="WyJjYWxscyJd"))


async def test_users_are_listed_by_name_in_pages(database: Database) -> None:
    """Each user once, whatever the page's size, with the number of all of them."""
    for session, user in enumerate(("bob", "alice", "carol", "张三", "alice")):
        await start(database, f"s{session}", user=user)

    seen, cursor = [], None
    while True:
        page = await users_of(database, PageRequest(limit=2, cursor=cursor))
        seen += [(user.user_identifier, user.conversations) for user in page.items]
        assert page.total == 4
        if not page.has_more:
            break
        cursor = page.next_cursor

    assert seen == [("alice", 2), ("bob", 1), ("carol", 1), ("张三", 1)]


async def test_what_is_in_the_bin_is_not_counted_but_still_somebodys(database: Database) -> None:
    """A user whose conversations are all in the bin is still there to be erased."""
    await store(database, an_exchange())
    async with database.write() as connection:
        conversations = ConversationRepository(connection, HERE)
        await conversations.bin(await conversations.find("s1"), now=NOW)

    (user,) = (await users_of(database)).items

    assert (user.user_identifier, user.conversations, user.messages) == ("ann", 0, 0)


async def test_an_erased_user_is_nowhere(api: Api) -> None:
    """Conversations, bin and call log are empty of them; others keep everything."""
    database = api.services.database
    await store(
        database,
        an_exchange(session="s1"),
        an_exchange(session="s2"),
        an_exchange(session="s3", is_recorded=False, request=b"", reply=b""),
        an_exchange(session="s1", user="bob"),
    )
    async with database.write() as connection:
        conversations = ConversationRepository(connection, HERE)
        await conversations.bin(await conversations.find("s2"), now=NOW)

    async with api.client(KEY) as client:
        erased = await client.delete("/users/ann")
        again = await client.delete("/users/ann")
        left = await client.get("/users")

    assert erased.status_code == 200
    assert erased.json() == {
        "user_identifier": "ann",
        "conversations": 2,
        "messages": 4,
        "calls": 1,
    }
    assert again.status_code == 404
    assert [user["user_identifier"] for user in left.json()["data"]] == ["bob"]
    assert {c.user_identifier for c in await _everything(database)} == {"bob"}
    async with database.read() as connection:
        calls = await CallRepository(connection, HERE).page(CallFilter(), ALL)
    assert [call.user for call in calls.items] == ["bob"]
    assert await check(database) == []


async def test_more_than_one_transaction_takes_is_erased_in_several(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few conversations at a time, also when a part of them has messages enough."""
    monkeypatch.setattr(erasure, "CONVERSATIONS_AT_ONCE", 3)
    monkeypatch.setattr(erasure, "MESSAGES_AT_ONCE", 4)
    database = api.services.database
    await store(database, *(an_exchange(session=f"s{number}") for number in range(7)))
    asked: list[int] = []
    some_conversations = UserRepository.some_conversations

    async def noted(self: UserRepository, user: str, *, limit: int) -> list[Conversation]:
        found = await some_conversations(self, user, limit=limit)
        asked.append(len(found))
        return found

    monkeypatch.setattr(UserRepository, "some_conversations", noted)
    async with api.client(KEY) as client:
        erased = (await client.delete("/users/ann")).json()

    assert (erased["conversations"], erased["messages"]) == (7, 14)
    # Two have four messages: the third that was looked at waits for the next transaction.
    assert asked == [3, 3, 3, 1, 0]
    assert await _everything(database) == []


async def test_a_name_that_only_the_audit_log_has_is_erased(api: Api) -> None:
    """All that somebody said was deleted before, one by one; then the name goes, too, once."""
    await store(api.services.database, an_exchange())
    async with api.client(KEY) as client:
        await client.delete("/conversations/s1", params={"permanent": "true"})
        erased = await client.delete("/users/ann")
        again = await client.delete("/users/ann")
    async with api.services.database.read() as connection:
        rows = (await AuditRepository(connection, HERE).page(AuditFilter(), ALL)).items

    assert erased.json() == {
        "user_identifier": "ann",
        "conversations": 0,
        "messages": 0,
        "calls": 0,
    }
    assert "conversation.erase" in {row.action for row in rows}
    assert {row.user_identifier for row in rows} == {None}
    assert again.status_code == 404


async def test_an_erased_user_does_not_come_back_from_the_journal(api: Api) -> None:
    """A second reading of what was recorded before brings nothing back."""
    exchange = an_exchange()
    await store(api.services.database, exchange)
    async with api.client(KEY) as client:
        await client.delete("/users/ann")

    await store(api.services.database, exchange)

    assert await _everything(api.services.database) == []


async def test_refusals(api: Api) -> None:
    """No key, a wrong scope, a foreign workspace: nothing is told and nothing is erased."""
    await store(api.services.database, an_exchange())

    async with api.client(None) as client:
        assert (await client.get("/users")).status_code == 401
    async with api.client(READER) as client:
        assert (await client.delete("/users/ann")).status_code == 403
        assert (await client.get("/users/ann")).json()["messages"] == 2
    async with api.client(WRITER) as client:
        assert (await client.get("/users")).status_code == 403
    async with api.client(OTHER_TEAM) as client:
        assert (await client.get("/users")).json()["data"] == []
        assert (await client.delete("/users/ann")).status_code == 404
    assert len(await _everything(api.services.database)) == 1


async def _everything(database: Database) -> list[Conversation]:
    async with database.read() as connection:
        wanted = ConversationFilter(deleted=Deleted.WITH)
        return (await ConversationRepository(connection, HERE).page(wanted, ALL)).items
