"""PostgreSQL changes over to another server under the recorder: nothing is lost or set aside."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select
from tests.databases import PostgresServer, new_postgres_server
from tests.factories import an_exchange, user

from officeai_proxy.errors import DatabaseUnavailable
from officeai_proxy.recording import setaside
from officeai_proxy.recording.journal import Journal
from officeai_proxy.recording.recorder import Pace, Recorder, RecorderEvent
from officeai_proxy.storage.database import Database, is_transient
from officeai_proxy.storage.engine.failures import ran_out_of_time
from officeai_proxy.storage.exchanges import SqlExchangeStore
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.tables import exchanges

QUICK = Pace(poll=0.01, first_backoff=0.01, last_backoff=0.05)


@pytest.fixture(scope="module")
def other_server() -> Iterator[PostgresServer]:
    server = new_postgres_server()
    try:
        server.start()
        yield server
    finally:
        server.remove()


class Pair:
    """The same database on two servers, one of which takes writes."""

    def __init__(self, *servers: PostgresServer) -> None:
        """Make it on both."""
        self._servers = servers
        self.name = f"pair_{uuid4().hex}"
        for server in servers:
            server.create(self.name)
        ports = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        self.url = f"postgresql://postgres@{ports}/{self.name}?target_session_attrs=read-write"

    async def prepare(self) -> None:
        """Make the tables on both."""
        for server in self._servers:
            database = Database(server.url(self.name))
            await prepare(database)
            await database.close()

    def lead(self, number: int | None) -> None:
        """Let one of them take writes, and the other one only reads, as a demoted server does."""
        for at, server in enumerate(self._servers):
            word = "off" if at == number else "on"
            server.execute(f"ALTER DATABASE {self.name} SET default_transaction_read_only = {word}")
            # The setting counts for new sessions; a real change-over changes running ones as well.
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{self.name}'"
            )

    async def sessions_on(self, number: int) -> list[str | None]:
        """The sessions that are stored on one of them."""
        database = Database(self._servers[number].url(self.name))
        async with database.read() as connection:
            found = await connection.execute(select(exchanges.c.session_id))
            sessions = list(found.scalars())
        await database.close()
        return sessions


@pytest.fixture
async def pair(
    postgres_server: PostgresServer, other_server: PostgresServer
) -> AsyncIterator[Pair]:
    pair = Pair(other_server, postgres_server)
    await pair.prepare()
    yield pair
    for server in (other_server, postgres_server):
        server.drop(pair.name)


async def until_stored(pair: Pair, number: int, sessions: list[str]) -> None:
    async with asyncio.timeout(20):
        while await pair.sessions_on(number) != sessions:  # noqa: ASYNC110 - another server
            await asyncio.sleep(0.02)


async def test_the_recorder_follows_the_server_that_takes_writes(
    pair: Pair, tmp_path: Path
) -> None:
    """With several hosts in the URL calls go to the new primary, by themselves; while none takes
    writes they wait, and a server that only reads is never taken for a reason to set one aside.
    """
    pair.lead(0)
    database, journal = Database(pair.url, pool_size=2), Journal(tmp_path)
    failures: list[RecorderEvent] = []
    recorder = Recorder(
        tmp_path,
        SqlExchangeStore(database),
        is_transient=is_transient,
        is_too_much=ran_out_of_time,
        tidy=database.checkpoint,
        pace=QUICK,
        on_event=lambda event, _: failures.append(event),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(recorder.run())
        journal.append(an_exchange(session="before"))
        await until_stored(pair, 0, ["before"])

        pair.lead(None)
        for number in range(3):
            journal.append(an_exchange([user(f"q{number}")], session=f"during {number}"))
        async with asyncio.timeout(20):
            while failures.count(RecorderEvent.STORE_FAILED) < 3:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        pair.lead(1)
        await until_stored(pair, 1, [f"during {number}" for number in range(3)])
        recorder.stop()
    await database.close()

    assert set(failures) == {RecorderEvent.STORE_FAILED}
    assert setaside.count(tmp_path) == 0
    assert await pair.sessions_on(0) == ["before"]


async def test_no_server_that_takes_writes_is_an_outage(pair: Pair) -> None:
    """It is not a wrong configuration: it passes."""
    pair.lead(None)
    database = Database(pair.url)

    with pytest.raises(DatabaseUnavailable) as error:
        await database.ping()

    assert is_transient(error.value)
    await database.close()
