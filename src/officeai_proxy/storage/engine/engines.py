"""An address in, a SQLAlchemy engine out, set up the way this project needs it; runs no query.

SQLite facts behind the settings (sqlite.org/wal.html, pragma.html): one writer at a time, so a
write begins with BEGIN IMMEDIATE and waits its turn instead of failing half way; until SQLite
3.51.3 two connections that checkpoint at once can corrupt the file (WAL-reset bug), so only the
recorder's database checkpoints.
"""

import os
import sqlite3
from dataclasses import dataclass
from errno import EACCES, EISDIR, ENOENT
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, ExceptionContext, NullPool, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from officeai_proxy.model import Durability
from officeai_proxy.storage.engine import inline_sqlite
from officeai_proxy.storage.engine.address import Address, Dialect
from officeai_proxy.storage.engine.failures import is_transient, loses_connection, unavailable
from officeai_proxy.storage.engine.keepalives import keep_alive
from officeai_proxy.storage.engine.opened_file import OpenedFile

CONNECT_SECONDS = 5.0
BUSY_SECONDS = 5.0
# A server that vanishes without a word would otherwise hold a statement for two hours.
COMMAND_SECONDS = 300.0

_BUSY_TIMEOUT = f"busy_timeout={int(BUSY_SECONDS * 1000)}"

_BEGIN = "officeai_begin"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How a database is used. `altering` is for changes of the schema: no pool, no time limits;
    `inline` is for SQLite in a thread that has nothing else to do.
    """

    durability: Durability = Durability.PROCESS
    checkpoints: bool = False
    pool_size: int = 5
    altering: bool = False
    inline: bool = False


def open_engine(address: Address, options: EngineOptions) -> AsyncEngine:
    """Make an engine that is not connected yet.

    For SQLite the file and its folder are created, readable by their owner only.

    Raises:
        OSError: the file or its folder cannot be created.
    """
    pooling: dict[str, Any] = {"poolclass": NullPool}
    if not options.altering:
        pooling = {
            "pool_size": options.pool_size,
            "max_overflow": 0,
            "pool_timeout": CONNECT_SECONDS,
        }
    if address.path is not None:
        engine = _sqlite_engine(address.path, options, pooling)
    else:
        engine = _postgresql_engine(address, options, pooling)
    event.listen(engine.sync_engine, "handle_error", _translate)
    return engine


def for_reading(engine: AsyncEngine, dialect: Dialect) -> AsyncEngine:
    """The same engine and pool, whose transactions see one moment's state."""
    if dialect is Dialect.SQLITE:
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def for_writing(engine: AsyncEngine, dialect: Dialect) -> AsyncEngine:
    """The same engine and pool, whose transactions are the ones that write."""
    if dialect is Dialect.SQLITE:
        return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
    return engine


async def truncate_wal(driver: Any) -> bool:
    """Checkpoint a connection to SQLite without waiting; whether the WAL is empty now.

    While a truncating checkpoint waits for a reader, it keeps all writers out.

    Raises:
        DatabaseUnavailable: the file cannot be written right now.
    """
    await driver.execute_fetchall("PRAGMA busy_timeout=0")
    try:
        ((busy, _, _),) = await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as exc:
        raise unavailable(exc) from exc
    finally:
        await driver.execute_fetchall(f"PRAGMA {_BUSY_TIMEOUT}")
    return bool(busy == 0)


def _sqlite_engine(path: Path, options: EngineOptions, pooling: dict[str, Any]) -> AsyncEngine:
    _create_private(path)
    # The driver begins no transaction of its own: BEGIN is ours, see `_begin`.
    arguments: dict[str, Any] = {"timeout": BUSY_SECONDS, "isolation_level": None}
    if options.inline:
        arguments["async_creator_fn"] = inline_sqlite.connect
    url = URL.create("sqlite+aiosqlite", database=str(path))
    engine = create_async_engine(url, connect_args=arguments, **pooling)
    pragmas = _pragmas(options)

    def prepare_connection(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine.sync_engine, "connect", prepare_connection)
    event.listen(engine.sync_engine, "begin", _begin)
    _watch(engine, OpenedFile(path))
    return engine


def _watch(engine: AsyncEngine, file: OpenedFile) -> None:
    """Let the connections of *engine* work on the file that the first of them has opened."""

    def confirm(*_: object) -> None:
        file.confirm()

    def note(*_: object) -> None:
        file.note()

    event.listen(engine.sync_engine, "do_connect", confirm)
    event.listen(engine.sync_engine, "connect", note)
    event.listen(engine.sync_engine, "checkout", confirm)


def _pragmas(options: EngineOptions) -> tuple[str, ...]:
    synchronous = "FULL" if options.durability is Durability.DISK else "NORMAL"
    return (
        _BUSY_TIMEOUT,
        "journal_mode=WAL",
        f"synchronous={synchronous}",
        "secure_delete=ON",
        # A table that a migration rebuilds is dropped first, and its children must survive that.
        f"foreign_keys={'OFF' if options.altering else 'ON'}",
        f"wal_autocheckpoint={1000 if options.checkpoints else 0}",
    )


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _create_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A file that is there must not be opened: closing it would drop the locks that this process's
    # other connections hold on it (fcntl(2); sqlite.org/howtocorrupt.html, 2.2), and the next
    # program that closes the database would take the log away under them.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise _fault(EISDIR, path) from None
        if not path.exists():
            # A link to a disk that is not mounted: a new file there would hide the one on it.
            raise _fault(ENOENT, Path(os.path.realpath(path))) from None
        if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
            raise _fault(EACCES, path) from None


def _fault(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def _postgresql_engine(
    address: Address, options: EngineOptions, pooling: dict[str, Any]
) -> AsyncEngine:
    arguments: dict[str, Any] = {"dsn": address.dsn, "timeout": CONNECT_SECONDS}
    if not options.altering:
        arguments["command_timeout"] = COMMAND_SECONDS
        pooling = {**pooling, "pool_pre_ping": True}
    if address.statement_cache is not None:
        arguments["statement_cache_size"] = address.statement_cache
        arguments["prepared_statement_cache_size"] = address.statement_cache
    engine = create_async_engine("postgresql+asyncpg://", connect_args=arguments, **pooling)
    keep_alive(engine.sync_engine)
    return engine


def _translate(context: ExceptionContext) -> BaseException | None:
    """Say DatabaseUnavailable for what time can heal; SQLAlchemy then raises it `from` the error.

    A lost connection takes the whole pool with it: SQLAlchemy does that for what is marked as a
    disconnect, and a demoted server or a network error means the same for the ones beside it.
    """
    error = context.original_exception
    if context.is_pre_ping or not isinstance(error, Exception):
        return None
    if loses_connection(error):
        context.is_disconnect = True
    if context.is_disconnect or is_transient(error):
        return unavailable(error)
    return None
