"""A long conversation is erased in steps, between which others write, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, event
from tests.api import KEY, Api
from tests.factories import an_exchange, assistant, user
from tests.integration.stored import HERE, NOW, contents, find
from tests.integration.test_exchanges import store

from officeai_proxy.retention.pruning import Plan, Pruning
from officeai_proxy.storage.audit.log import AuditFilter, AuditRepository
from officeai_proxy.storage.calls.log import CallFilter, CallRepository
from officeai_proxy.storage.conversations import shortening
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.paging import PageRequest
from officeai_proxy.storage.retention import Due
from officeai_proxy.storage.schema.migrations import check
from officeai_proxy.storage.search.hits import SearchFilter, SearchRepository
from officeai_proxy.words.query import Query

ALL = PageRequest(100)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def commits() -> Iterator[list[object]]:
    """The transactions that were committed since the test has begun, one by one."""
    seen: list[object] = []

    def note(connection: object) -> None:
        seen.append(connection)

    event.listen(Engine, "commit", note)
    yield seen
    event.remove(Engine, "commit", note)


async def tell(database: Database) -> None:
    """Nine messages of ann in s1, the last of them a second answer, and two of bob in s2."""
    talk = []
    for turn in range(4):
        talk.append(user(f"word q{turn}"))
        await store(database, an_exchange(talk, [assistant(f"word a{turn}")]))
        talk.append(assistant(f"word a{turn}"))
    await store(database, an_exchange(talk[:-1], [assistant("word again")]))
    await store(
        database, an_exchange([user("word")], [assistant("word")], session="s2", user="bob")
    )


async def found(database: Database) -> list[str]:
    """The sessions in which a search finds something, a name for each message."""
    async with database.read() as connection:
        wanted = SearchFilter(query=Query.of("word"))
        hits = await SearchRepository(connection, HERE).page(wanted, ALL)
    return sorted(hit.conversation.session_id for hit in hits.items)


async def calls(database: Database) -> int:
    async with database.read() as connection:
        return len((await CallRepository(connection, HERE).page(CallFilter(), ALL)).items)


@pytest.mark.parametrize(("at_once", "left"), [(5, 4), (3, 3), (9, 9)])
async def test_what_is_left_is_a_whole_conversation(
    database: Database, monkeypatch: pytest.MonkeyPatch, at_once: int, left: int
) -> None:
    """In the bin, and short; the database is sound, and had back it says what was not taken."""
    monkeypatch.setattr(shortening, "AT_ONCE", at_once)
    await tell(database)
    whole = await find(database)
    assert whole.message_count == 9

    shorter = await shortening.shorten(database, HERE, whole, now=NOW)

    assert shorter.message_count == left
    assert (shorter.deleted_at == NOW) is (left < 9)
    assert await check(database) == []
    if left < 9:
        assert await calls(database) < 6
        # Whoever has gone on with it meanwhile does not lose what was said.
        assert await shortening.shorten(database, HERE, whole, now=NOW) == whole
        async with database.write() as connection:
            await ConversationRepository(connection, HERE).restore(shorter, now=NOW)
        assert await found(database) == ["s1"] * left + ["s2"] * 2
        # A client that still has all of it goes on, and nothing of what it tells is left out.
        texts = ["q0", "a0", "q1", "a1", "q2", "a2", "q3", "again", "q4", "a4"]
        *said, answer = [(assistant if at % 2 else user)(f"word {t}") for at, t in enumerate(texts)]
        await store(database, an_exchange(said, [answer]))
        path = await contents(database, await find(database))
        assert path == [message["content"] for message in (*said, answer)]
        assert await check(database) == []


@pytest.mark.parametrize(("way", "at_once"), [("session", 1), ("user", 5), ("retention", 4)])
async def test_every_way_of_erasing_goes_in_steps(
    api: Api, monkeypatch: pytest.MonkeyPatch, commits: list[object], way: str, at_once: int
) -> None:
    """Others write between the steps; at the end nothing is left, and all of it was counted.

    *at_once* is how many transactions it takes without steps.
    """
    monkeypatch.setattr(shortening, "AT_ONCE", 3)
    database = api.services.database
    await tell(database)
    commits.clear()

    async with api.client(KEY) as client:
        if way == "session":
            await client.delete("/conversations/s1?permanent=true")
        elif way == "user":
            assert (await client.delete("/users/ann")).json()["messages"] == 9
        else:
            pruning = Pruning(database, actor="retention", clock=lambda: LATER, rest=0)
            (gone,) = await pruning.run(Plan(due=Due(before=LATER)))
            assert (gone.conversations, gone.messages) == (2, 11)

    assert len(commits) == at_once + 2
    kept = [] if way == "retention" else ["s2"] * 2
    assert await found(database) == kept
    assert await calls(database) == len(kept) // 2
    assert await check(database) == []
    if way == "session":
        async with database.read() as connection:
            wanted = AuditFilter(action="conversation.erase")
            rows = (await AuditRepository(connection, HERE).page(wanted, ALL)).items
        assert [row.detail for row in rows] == ['{"conversations":1}', '{"stage":"begun"}']
