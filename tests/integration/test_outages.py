"""A PostgreSQL server that goes away, comes back and changes its mind under a Database."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, text
from tests.databases import PostgresServer, StopMode, new_postgres_server
from tests.integration.stored import NOW

from officeai_proxy.errors import ConfigurationError, DatabaseOnlyReads, DatabaseUnavailable
from officeai_proxy.storage.database import Database, is_transient
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.tables import tombstones

_BURIAL = insert(tombstones).values(exchange_id=UUID(int=1), deleted_at=NOW)


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    server = new_postgres_server()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
async def running(own_server: PostgresServer) -> AsyncIterator[Database]:
    """A prepared database on a server that the test may stop."""
    own_server.stop("immediate")
    own_server.start()
    database = Database(own_server.create(f"test_{uuid4().hex}"), pool_size=3)
    await prepare(database)
    yield database
    await database.close()


async def bury(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(insert(tombstones).values(exchange_id=uuid4(), deleted_at=NOW))


async def buried(database: Database) -> int:
    async with database.read() as connection:
        found = await connection.execute(select(func.count()).select_from(tombstones))
        return int(found.scalar_one())


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_server_stops_between_uses(
    running: Database, own_server: PostgresServer, mode: StopMode
) -> None:
    """Reads and writes are unavailable while the server is away, and work when it is back."""
    await bury(running)
    own_server.stop(mode)
    for use in (bury, buried):
        with pytest.raises(DatabaseUnavailable):
            await use(running)
    own_server.start()

    await bury(running)
    assert await buried(running) == 2


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_server_stops_in_a_transaction(
    running: Database, own_server: PostgresServer, mode: StopMode
) -> None:
    """A write that is cut off is unavailable, stores nothing, and does not poison the pool."""

    async def write_across_the_stop() -> None:
        async with running.write() as connection:
            await connection.execute(_BURIAL)
            own_server.stop(mode)
            await connection.execute(select(1))

    with pytest.raises(DatabaseUnavailable):
        await write_across_the_stop()
    own_server.start()

    assert await buried(running) == 0


async def test_commit_on_a_lost_connection(running: Database, own_server: PostgresServer) -> None:
    """A commit that never reached the server is an error, never a silent loss."""

    async def commit_after_the_stop() -> None:
        async with running.write() as connection:
            await connection.execute(_BURIAL)
            own_server.stop("immediate")

    with pytest.raises(DatabaseUnavailable):
        await commit_after_the_stop()
    own_server.start()

    assert await buried(running) == 0


async def test_demoted_server(running: Database, own_server: PostgresServer) -> None:
    """Connections to a server that became read-only are thrown away, so that a new one is asked.

    A failover by name or by a proxy looks like this: old connections stay on the demoted server.
    """
    name = running.location.rpartition("/")[2]
    own_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await running.close()
    with pytest.raises(DatabaseOnlyReads):
        await running.ping()
    await asyncio.gather(*(buried(running) for _ in range(3)))
    own_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")
    with pytest.raises(DatabaseOnlyReads) as error:
        await bury(running)
    assert getattr(error.value.__cause__, "sqlstate", None) == "25006"

    for _ in range(4):
        await bury(running)
    assert await buried(running) == 4


async def test_a_connection_that_others_use_too(running: Database) -> None:
    """A PgBouncer that pools transactions hands out what others have prepared; that is no poison.

    Its place is taken by statements of the same names as the driver's next ones.
    """
    async with running.write() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        number = int(driver._get_unique_id("stmt").rsplit("_", 3)[1], 16)
        for following in range(number, number + 20):
            await driver.execute(f'PREPARE "__asyncpg_stmt_{following:x}__" AS SELECT 1')
        with pytest.raises(DatabaseUnavailable, match="statement_cache_size=0") as error:
            await connection.execute(select(func.count(), text("17")).select_from(tombstones))

    assert getattr(error.value.__cause__, "sqlstate", None) == "42P05"


async def test_a_server_that_writes_again_is_well_at_once(
    running: Database, own_server: PostgresServer
) -> None:
    """Whoever asks how it is need not wait until the connections from before are used up."""
    name = running.location.rpartition("/")[2]
    own_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await running.close()
    await asyncio.gather(*(buried(running) for _ in range(3)))
    own_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")

    await running.ping()


async def test_killed_connections(running: Database, own_server: PostgresServer) -> None:
    """After an administrator ended all connections, the next use simply works."""
    await asyncio.gather(*(buried(running) for _ in range(3)))
    own_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )

    assert await buried(running) == 0


@pytest.mark.parametrize(
    ("state", "statement"),
    [
        ("08003", "SELECT pg_terminate_backend(pg_backend_pid())"),
        ("57014", "SET LOCAL statement_timeout = 1; SELECT pg_sleep(5)"),
        ("42P01", "SELECT * FROM no_such_table"),
        ("42703", "SELECT no_such_column FROM tombstones"),
        ("40001", "DO $$BEGIN RAISE SQLSTATE '40001'; END$$"),
        ("40P01", "DO $$BEGIN RAISE SQLSTATE '40P01'; END$$"),
        ("53100", "DO $$BEGIN RAISE SQLSTATE '53100'; END$$"),
        ("55P03", "DO $$BEGIN RAISE SQLSTATE '55P03'; END$$"),
    ],
)
async def test_errors_that_time_heals(running: Database, state: str, statement: str) -> None:
    """What the server says about itself, and not about a value, is worth another try."""

    async def run() -> None:
        async with running.write() as connection:
            for part in statement.split("; ") if "DO" not in statement else [statement]:
                await connection.execute(text(part))

    with pytest.raises(DatabaseUnavailable) as error:
        await run()

    assert getattr(error.value.__cause__, "sqlstate", None) == state
    assert is_transient(error.value)


@pytest.mark.parametrize("state", ["22001", "22021", "23505", "54000", "42601", "P0001", "0A000"])
async def test_errors_of_the_statement(running: Database, state: str) -> None:
    """What the server says about a value or a statement comes out as it is."""

    async def run() -> None:
        async with running.write() as connection:
            await connection.execute(text(f"DO $$BEGIN RAISE SQLSTATE '{state}'; END$$"))

    with pytest.raises(Exception, match=r".") as error:
        await run()

    assert not isinstance(error.value, DatabaseUnavailable)
    assert not is_transient(error.value)


async def test_no_such_database(running: Database, own_server: PostgresServer) -> None:
    """A database that does not exist yet may be created; the cause tells what is missing."""
    database = Database(own_server.url("not_there"))
    with pytest.raises(DatabaseUnavailable) as error:
        await database.ping()

    assert getattr(error.value.__cause__, "sqlstate", None) == "3D000"


@pytest.mark.parametrize("option", ["channel_binding=require", "no_such_setting=1"])
async def test_options_that_nobody_knows(
    running: Database, own_server: PostgresServer, option: str
) -> None:
    """An option of the URL that neither driver nor server knows is a wrong configuration."""
    database = Database(f"{own_server.url()}?{option}")
    with pytest.raises(ConfigurationError) as error:
        await database.ping()

    assert error.value.message.startswith("OFFICEAI_DATABASE_URL: ")
    assert "127.0.0.1" in error.value.message


async def test_options_that_work(running: Database, own_server: PostgresServer) -> None:
    """TLS words of libpq, a name for the server's log, and no statement cache for PgBouncer."""
    options = "sslmode=disable&application_name=officeai&statement_cache_size=0"
    database = Database(f"{own_server.url()}?{options}")
    async with database.read() as connection:
        shown = (await connection.execute(text("SHOW application_name"))).scalar()
        prepared = await connection.execute(text("SELECT count(*) FROM pg_prepared_statements"))
        assert (shown, prepared.scalar()) == ("officeai", 0)
    await database.close()
