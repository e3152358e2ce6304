"""What was erased for good does not come back from calls that were not stored yet."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.api import NOW, Api
from tests.factories import an_exchange, user
from tests.integration.stored import HERE
from tests.integration.test_exchanges import store

from officeai_proxy.model import Conversation, Exchange
from officeai_proxy.recording import frames, setaside
from officeai_proxy.recording.reader import Entry
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import check
from officeai_proxy.storage.tables import conversations, exchanges


def now_or(seconds: float, **named: str | None) -> Exchange:
    """A call that began so many seconds after the moment in which the tests erase."""
    begun = int((NOW.timestamp() + seconds) * 10**9)
    return an_exchange([user("secret")], started_ns=begun, **named)


SECOND = timedelta(seconds=1)


async def binned(database: Database, *, now: datetime) -> Conversation:
    """The conversation of the session `s1`, which is put into the bin *now*."""
    async with database.write() as connection:
        repository = ConversationRepository(connection, HERE)
        found = await repository.find("s1")
        await repository.bin(found, now=now)
        return replace(found, deleted_at=now)


async def erase_life(database: Database, life: Conversation) -> None:
    """Delete it for good, and nothing else."""
    async with database.write() as connection:
        await ConversationRepository(connection, HERE).erase_life(life, now=NOW + 60 * SECOND)


async def counts(database: Database) -> tuple[int, int]:
    """How many conversations and lines of the call log there are."""
    async with database.read() as connection:
        tables = (conversations, exchanges)
        return tuple(
            [(await connection.scalar(select(func.count()).select_from(one))) for one in tables]
        )  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("address", "others"),
    [("/conversations/s1?permanent=true", 2), ("/users/ann", 1)],
    ids=["a conversation", "a person"],
)
async def test_a_call_from_before_the_erasure_is_not_stored(
    api: Api, database: Database, address: str, others: int
) -> None:
    """Neither one that named its user nor one that did not, nor of a person one that would have
    begun a conversation; what is said later is stored.
    """
    await store(database, now_or(-60, session="s1"))
    async with api.client() as client:
        assert (await client.delete(address)).is_success

    await store(
        database,
        now_or(-30, session="s1"),
        now_or(-20, session="s1", user=None),
        now_or(-15, session="s2"),
        now_or(-10, session="s1", user="bob"),
    )
    before = await counts(database)
    await store(database, now_or(+10, session="s1"))

    assert before == (others, others)
    assert await counts(database) == (others + 1, others + 1)
    assert await check(database) == []


async def test_an_address_is_only_the_user_of_calls_that_name_nobody(
    api: Api, database: Database
) -> None:
    """Whoever named themselves there keep their lines of the call log."""
    for name in (None, "bob"):
        await store(database, now_or(-60, session=None, user=name))

    async with api.client() as client:
        erased = await client.delete("/users/10.0.0.1")

    assert erased.json()["calls"] == 1
    assert await counts(database) == (0, 1)


async def test_the_bin_holds_nothing_back(api: Api, database: Database) -> None:
    """What was put into the bin may come back, and so may what was said to it."""
    await store(database, now_or(-60, session="s1"))
    async with api.client() as client:
        assert (await client.delete("/conversations/s1")).status_code == 204

    await store(database, now_or(-30, session="s1"))

    assert await counts(database) == (2, 2)


async def test_a_person_of_whom_all_is_set_aside_is_erased(api: Api) -> None:
    """Nothing of theirs was ever stored, and what they said is on the disk all the same."""
    journal: Path = api.services.settings.journal_dir
    journal.mkdir(parents=True)
    poison = now_or(-30, session="s1")
    setaside.set_aside(journal, Entry(poison, frames.payload_of(poison)), reason="poison")

    async with api.client() as client:
        assert (await client.delete("/users/somebody-else")).status_code == 404
        assert setaside.count(journal) == 1
        assert (await client.delete("/users/ann")).status_code == 200
        assert (await client.delete("/users/ann")).status_code == 404

    assert setaside.count(journal) == 0


async def test_what_is_set_aside_goes_with_its_conversation(api: Api, database: Database) -> None:
    """A person finds nothing of it there, and a retry could not bring it back."""
    journal: Path = api.services.settings.journal_dir
    journal.mkdir(parents=True)
    for session in ("s1", "s2"):
        poison = now_or(-30, session=session)
        payload = frames.payload_of(poison)
        setaside.set_aside(journal, Entry(poison, payload), reason="poison")
    await store(database, now_or(-60, session="s1"))

    async with api.client() as client:
        assert (await client.delete("/conversations/s1?permanent=true")).status_code == 204

    left = [one.exchange for one in api.services.set_aside.all()]
    assert [one.session for one in left if one is not None] == ["s2"]


async def test_a_life_in_the_bin_takes_nothing_of_the_next_one_along(database: Database) -> None:
    """A call to the conversation that began anew, which runs meanwhile, is stored when it ends."""
    await store(database, now_or(-60, session="s1"))
    first = await binned(database, now=NOW)
    await store(database, now_or(+10, session="s1"))
    await erase_life(database, first)

    await store(database, now_or(-10, session="s1"))
    before = await counts(database)
    await store(database, now_or(+20, session="s1"))

    assert before == (1, 1)
    assert await counts(database) == (1, 2)
    assert await check(database) == []


async def test_the_later_of_two_moments_holds(database: Database) -> None:
    """Of two lives in the bin the older is erased last: what was said to the other stays away."""
    await store(database, now_or(-10, session="s1"))
    older = await binned(database, now=NOW)
    await store(database, now_or(+20, session="s1"))
    younger = await binned(database, now=NOW + 30 * SECOND)
    await erase_life(database, younger)
    await erase_life(database, older)

    await store(database, now_or(+25, session="s1"))

    assert await counts(database) == (0, 0)
