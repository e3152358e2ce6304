"""What was erased for good does not come back from calls that were not stored yet."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import func, select, text
from tests.api import NOW, Api
from tests.factories import an_exchange, user
from tests.integration.stored import HERE
from tests.integration.test_exchanges import store
from typing_extensions import override

from officeai_proxy.model import Conversation, Exchange
from officeai_proxy.recording import frames, setaside
from officeai_proxy.recording.reader import Entry
from officeai_proxy.recording.turns import read_turn
from officeai_proxy.recording.writer import write
from officeai_proxy.storage.conversations.conversations import ConversationRepository
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.exchanges import (
    LoggedCall,
    SqlExchangeStore,
    SqlExchangeTransaction,
)
from officeai_proxy.storage.schema.migrations import check
from officeai_proxy.storage.tables import conversations, exchanges
from officeai_proxy.tree import Thread


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


async def waits(database: Database) -> bool:
    """Whether somebody waits for a lock; SQLite's writers queue before they ask for one."""
    if database.dialect is Dialect.SQLITE:
        return True
    async with database.read() as connection:
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(await connection.scalar(waiting))


async def until_it_waits(database: Database, task: asyncio.Task[Any]) -> None:
    """Return when *task* waits for what somebody else has locked, or is done without that."""
    async with asyncio.timeout(30):
        while not (task.done() or await waits(database)):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_a_call_that_is_stored_while_it_is_erased_stays_away(database: Database) -> None:
    """The recorder began before the erasure was committed, and waits for its conversation."""
    await store(database, now_or(-60, session="s1"))
    async with database.write() as connection:
        repository = ConversationRepository(connection, HERE)
        await repository.erase_session(await repository.find("s1"), now=NOW)
        storing = asyncio.create_task(store(database, now_or(-30, session="s1")))
        await until_it_waits(database, storing)
    await storing

    assert await counts(database) == (0, 0)


class Held(SqlExchangeTransaction):
    """A recorder that has decided what to store, and does so once it is let go on."""

    decided: ClassVar[asyncio.Event]
    goes_on: ClassVar[asyncio.Event]

    @override
    async def save(self, threads: Sequence[Thread], calls: Sequence[LoggedCall]) -> None:
        self.decided.set()
        await self.goes_on.wait()
        await super().save(threads, calls)


class HeldStore(SqlExchangeStore):
    """Where such a recorder stores."""

    @override
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlExchangeTransaction]:
        async with super().transaction() as transaction:
            yield Held(transaction.connection)


@pytest.mark.parametrize("address", ["/users/ann", "/conversations/s1?permanent=true"])
async def test_a_conversation_that_begins_while_it_is_erased_goes_with_it(
    api: Api, database: Database, address: str
) -> None:
    """The erasure cannot see it yet, and waits for the recorder that has not seen the erasure."""
    await store(database, now_or(-60, session="s1"))
    await binned(database, now=NOW - 40 * SECOND)
    Held.decided, Held.goes_on = asyncio.Event(), asyncio.Event()
    turns = [read_turn(now_or(-30, session="s1"))]
    storing = asyncio.create_task(write(HeldStore(database), turns))
    await Held.decided.wait()
    async with api.client() as client:
        erasing = asyncio.create_task(client.delete(address))
        await until_it_waits(database, erasing)
        Held.goes_on.set()
        await storing
        assert (await erasing).is_success

    assert await counts(database) == (0, 0)
    assert await check(database) == []
