"""One database behind two doors, `read()` and `write()`; the only place that commits.

Connections come out of a pool that is made at the first use and belongs to that event loop. Driver
errors that time can heal come out as `DatabaseUnavailable`, all others unchanged.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import (
    ConfigurationError,
    DatabaseOnlyReads,
    DatabaseUnavailable,
    ProxyError,
)
from officeai_proxy.model import Durability
from officeai_proxy.storage.engine.address import Dialect, read_address
from officeai_proxy.storage.engine.engines import (
    BUSY_SECONDS,
    CONNECT_SECONDS,
    EngineOptions,
    for_reading,
    for_writing,
    open_engine,
    truncate_wal,
)
from officeai_proxy.storage.engine.failures import is_transient, unavailable
from officeai_proxy.storage.engine.turns import TurnWithRests
from officeai_proxy.storage.sealing.vault import OPTION, Vault

__all__ = ["Database", "Dialect", "is_transient"]

# Waiting for a free connection, connecting, and asking an old one whether it lives.
_CHECKOUT_SECONDS = 2 * CONNECT_SECONDS

# For one transaction: a setting of the session would go astray in a PgBouncer that pools them.
_WAIT_AS_SQLITE_DOES = f"SET LOCAL lock_timeout = {int(BUSY_SECONDS * 1000)}"

# A transaction of a reader is told to read only; what counts is what it would be without that.
_ONLY_READS = {
    Dialect.SQLITE: "SELECT 0",
    Dialect.POSTGRESQL: "SELECT pg_is_in_recovery()"
    " OR current_setting('default_transaction_read_only')::boolean",
}


@dataclass(frozen=True, slots=True)
class _Pool:
    loop: asyncio.AbstractEventLoop
    engine: AsyncEngine
    reader: AsyncEngine
    writer: AsyncEngine
    turn: AbstractAsyncContextManager[object]


class Database:
    """A SQLite file or a PostgreSQL database."""

    def __init__(
        self,
        url: str,
        *,
        durability: Durability = Durability.PROCESS,
        checkpoints: bool = False,
        pool_size: int = 5,
        inline: bool = False,
        awaited: bool = False,
        rests: bool = False,
        keys: MasterKeys | None = None,
    ) -> None:
        """Read *url*; nothing is opened yet.

        Args:
            url: `sqlite:///path` or `postgresql://…`, see `storage/engine/address.py`.
            durability: with `disk`, SQLite syncs at each commit (PostgreSQL does by default).
            checkpoints: SQLite: whether this database moves the WAL into the file. Exactly one
                process of a host may, see `storage/engine/engines.py`.
            pool_size: how many connections there are at most.
            inline: SQLite: statements run in the thread of the event loop, which stands still for
                as long as each takes. Only for a loop that has nothing else to do.
            awaited: somebody waits for what is read and written. PostgreSQL then waits for a lock
                no longer than SQLite does, and not as long as somebody alters a table.
            rests: SQLite: whoever writes much leaves the file alone now and then, because somebody
                else records into it.
            keys: seal the texts that are stored; None: they are plain.

        Raises:
            ConfigurationError: the URL cannot be used.
        """
        self._address = read_address(url)
        self._options = EngineOptions(
            durability=durability, checkpoints=checkpoints, pool_size=pool_size, inline=inline
        )
        self._awaited = awaited
        self._rests = rests
        self._vault = Vault(keys)
        self._pool: _Pool | None = None
        self.dialect = self._address.dialect
        self.location = self._address.location
        self.identity = self._address.identity
        self.path = self._address.path

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one moment's state and is rolled back at the end.

        Raises:
            DatabaseUnavailable: the database cannot be reached, or not read, right now.
            ConfigurationError: an encryption key is missing or wrong.
        """
        await self.unlock()
        async with self._connection(self._opened().reader) as connection:
            await self._be_in_a_hurry(connection)
            yield connection

    @asynccontextmanager
    async def peek(self) -> AsyncIterator[AsyncConnection]:
        """The same for what is never sealed, such as the schema: no encryption key is looked at.

        Raises:
            DatabaseUnavailable: the database cannot be reached right now.
        """
        async with self._connection(self._opened().reader) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end; an exception rolls it back.

        On SQLite the writers of a process queue here, first come, first served, because SQLite's
        own waiting is not fair; with `rests`, others get a chance now and then.

        Raises:
            DatabaseUnavailable: the database cannot be reached, or not written, right now.
            ConfigurationError: an encryption key is missing or wrong.
        """
        await self.unlock()
        pool = self._opened()
        async with pool.turn, self._connection(pool.writer) as connection, connection.begin():
            await self._be_in_a_hurry(connection)
            await self._vault.confirm(connection)
            yield connection

    async def unlock(self) -> None:
        """Look, before the first use, whether the encryption keys are right; begin with a new one.

        Raises:
            DatabaseUnavailable: the database cannot be reached right now, or has no tables yet.
            ConfigurationError: an encryption key is missing or wrong; nothing was written.
        """
        if self._vault.is_open:
            return
        async with self.peek() as connection:
            if await self._vault.admit(connection):
                return
        pool = self._opened()
        try:
            async with pool.turn, self._connection(pool.writer) as connection, connection.begin():
                await self._vault.begin(connection)
        except BaseException:
            self._vault.shut()
            raise

    @asynccontextmanager
    async def alter(self) -> AsyncIterator[AsyncConnection]:
        """One transaction for a change of the schema, on a connection of its own.

        SQLite's foreign keys rest meanwhile, and no statement is cut off for taking long, whatever
        the account's own `statement_timeout` is.
        """
        options = EngineOptions(durability=self._options.durability, altering=True)
        engine = self._engine(options)
        try:
            writer = self._sealing(for_writing(engine, self.dialect))
            async with self._connection(writer) as connection, connection.begin():
                if self.dialect is Dialect.POSTGRESQL:
                    await connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                yield connection
        finally:
            await engine.dispose()

    async def ping(self) -> None:
        """Ask the database whether it answers, and PostgreSQL whether it writes as well.

        Raises:
            DatabaseUnavailable: it does not answer.
            DatabaseOnlyReads: it does not write.
        """
        if await self._only_reads():
            # Old connections may lead to a server that another one has replaced since.
            await self._opened().engine.dispose()
            if await self._only_reads():
                raise DatabaseOnlyReads

    async def _only_reads(self) -> bool:
        async with self.peek() as connection:
            return bool(await connection.scalar(text(_ONLY_READS[self.dialect])))

    async def checkpoint(self) -> bool:
        """SQLite: move the whole WAL into the file and empty it; whether nothing is left in it.

        Only for a database with `checkpoints`. Somebody who reads an older state or writes in this
        moment keeps a part back; nobody is made to wait for them, so ask again later.

        Raises:
            DatabaseUnavailable: the file cannot be opened or written right now.
        """
        if self.dialect is not Dialect.SQLITE:
            return True
        async with self._connection(self._opened().engine) as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            return await truncate_wal(driver)

    async def close(self) -> None:
        """Close all connections. A closed database opens again when it is used again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.engine.dispose()

    def _opened(self) -> _Pool:
        loop = asyncio.get_running_loop()
        if self._pool is None:
            engine = self._engine(self._options)
            self._pool = _Pool(
                loop=loop,
                engine=engine,
                reader=self._sealing(for_reading(engine, self.dialect)),
                writer=self._sealing(for_writing(engine, self.dialect)),
                turn=self._turn(),
            )
        if self._pool.loop is not loop:
            raise RuntimeError("this Database belongs to another event loop; make one per loop")
        return self._pool

    def _turn(self) -> AbstractAsyncContextManager[object]:
        if self.dialect is not Dialect.SQLITE:
            return nullcontext()
        return TurnWithRests() if self._rests else asyncio.Lock()

    def _sealing(self, engine: AsyncEngine) -> AsyncEngine:
        """The same engine and pool, whose connections carry the keys."""
        return engine.execution_options(**{OPTION: self._vault})

    def _engine(self, options: EngineOptions) -> AsyncEngine:
        try:
            return open_engine(self._address, options)
        except OSError as exc:
            raise unavailable(exc) from exc

    async def _be_in_a_hurry(self, connection: AsyncConnection) -> None:
        if self._awaited and self.dialect is Dialect.POSTGRESQL:
            await connection.exec_driver_sql(_WAIT_AS_SQLITE_DOES)

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(_CHECKOUT_SECONDS):
                    connection = await stack.enter_async_context(engine.connect())
            except DatabaseUnavailable:
                raise
            except Exception as exc:
                raise self._not_opened(exc) from exc
            yield connection

    def _not_opened(self, error: Exception) -> ProxyError:
        """Tell a wrong configuration from a database that is away."""
        if isinstance(error, (ValueError, DBAPIError)) and not is_transient(error):
            reason = getattr(error, "orig", None) or error
            return ConfigurationError(
                f"OFFICEAI_DATABASE_URL: {self.location} cannot be opened: {reason}"
            )
        return unavailable(error)
