"""The schema brought to what this code needs, by one process at a time; and `db check`.

A start-up on a finished schema costs one small query.
"""

import asyncio
import importlib
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from officeai_proxy import locks
from officeai_proxy.errors import ConfigurationError, DatabaseUnavailable
from officeai_proxy.storage.database import Database, Dialect
from officeai_proxy.storage.engine import advisory_locks
from officeai_proxy.storage.engine.failures import unavailable
from officeai_proxy.storage.schema.inspection import broken_rules
from officeai_proxy.storage.tables import metadata

SCHEMA_REVISION = "0011"
"""The schema revision that this code needs; the newest file in `alembic/versions` has it."""

SEALABLE_SINCE = "0005"
"""The revision since which a database may be encrypted."""

_REVISION_OF_OURS = re.compile(r"[0-9]{4}")
"""Other programs keep theirs in a table of that name, too; Alembic makes up twelve letters."""

_WIDE_ENCODINGS = ("UTF8", "SQL_ASCII")
"""What PostgreSQL can keep all text in; SQL_ASCII takes bytes as they come, which are UTF-8."""

_LOCK_SECONDS = 60.0
_LOCK_POLL_SECONDS = 0.05


async def prepare(database: Database) -> bool:
    """Bring the schema to SCHEMA_REVISION; whether anything had to be done.

    Several processes may call this at once on the same empty database.

    Raises:
        ConfigurationError: the database is newer than this code, another program's, cannot keep
            all text, or an encryption key is wrong.
        DatabaseUnavailable: it cannot be reached, or another process is still at it after a minute.
    """
    revision = await revision_of(database)
    if revision is not None and _is_of_ours(revision) and revision >= SEALABLE_SINCE:
        await database.unlock()
    if revision == SCHEMA_REVISION:
        return False
    has_changed = await _upgrade(database)
    await database.unlock()
    return has_changed


async def _upgrade(database: Database) -> bool:
    """Change the schema unless another process has done it meanwhile; whether it was changed."""
    async with _file_lock(database.path), database.alter() as connection:
        if database.dialect is Dialect.POSTGRESQL:
            await _take_turn(connection)
            await _refuse_narrow_encoding(connection)
        if await connection.run_sync(_revision) == SCHEMA_REVISION:
            return False
        if stranger := await connection.run_sync(_stranger):
            raise ConfigurationError(f"OFFICEAI_DATABASE_URL: {stranger}")
        await connection.run_sync(_runner().upgrade)
    return True


async def stranger_in(database: Database) -> str | None:
    """What says that *database* is another program's, and what to do; None: nothing does."""
    async with database.peek() as connection:
        return await connection.run_sync(_stranger)


async def revision_of(database: Database) -> str | None:
    """The revision of the schema as it is; None for a database without one."""
    async with database.peek() as connection:
        return await connection.run_sync(_revision)


async def check(database: Database) -> list[str]:
    """What is wrong with a database, a sentence each; nothing is changed.

    Reads one moment's state and needs little memory, whatever the size.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    if stranger := await stranger_in(database):
        return [stranger]
    revision = await revision_of(database)
    if revision is not None and revision > SCHEMA_REVISION:
        return [
            f"the schema has revision {revision!r}, which is newer than the {SCHEMA_REVISION!r} of "
            "this version: install the version that the database was last used with, or a newer one"
        ]
    if revision != SCHEMA_REVISION:
        has = f"revision {revision!r}" if revision else "no revision"
        return [
            f"the schema has {has}, this version needs {SCHEMA_REVISION!r}: "
            "run `officeai-proxy db upgrade`"
        ]
    async with database.read() as connection:
        drift: Callable[[Connection], list[str]] = _runner().drift
        return [*await connection.run_sync(drift), *await broken_rules(connection)]


def _revision(connection: Connection) -> str | None:
    """Read what Alembic keeps, without Alembic."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _stranger(connection: Connection) -> str | None:
    # The tables first: whoever makes ours meanwhile commits them together with the revision.
    taken = sorted(metadata.tables.keys() & set(inspect(connection).get_table_names()))
    revision = _revision(connection)
    if revision is not None and not _is_of_ours(revision):
        found = f"the schema revision {revision!r}"
    elif revision is None and taken:
        found = f"a table `{taken[0]}`"
    else:
        return None
    return f"the database has {found} of another program; name an empty one, for this program alone"


def _is_of_ours(revision: str) -> bool:
    return _REVISION_OF_OURS.fullmatch(revision) is not None


def _runner() -> ModuleType:
    return importlib.import_module("officeai_proxy.storage.schema.alembic_runner")


async def _take_turn(connection: AsyncConnection) -> None:
    """Wait for others that migrate, but not long for readers: new ones would queue behind us."""
    await advisory_locks.take(connection, advisory_locks.SCHEMA)
    await connection.execute(text("SET LOCAL lock_timeout = '10s'"))


async def _refuse_narrow_encoding(connection: AsyncConnection) -> None:
    """Make no tables where most languages cannot be kept: each call in them would be set aside."""
    encoding = (await connection.execute(text("SHOW server_encoding"))).scalar()
    if encoding not in _WIDE_ENCODINGS:
        raise ConfigurationError(
            f"OFFICEAI_DATABASE_URL: the database has the encoding {encoding}, in which not all "
            "text can be kept; make it anew with ENCODING 'UTF8' TEMPLATE template0"
        )


@asynccontextmanager
async def _file_lock(database: Path | None) -> AsyncIterator[None]:
    """Keep other processes of this host away from a SQLite file; the kernel frees it if we die."""
    if database is None:
        yield
        return
    file = _open_lock(database)
    try:
        await _lock(file)
        yield
    finally:
        os.close(file)


def _open_lock(database: Path) -> int:
    try:
        return os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise unavailable(exc) from exc


async def _lock(file: int) -> None:
    try:
        async with asyncio.timeout(_LOCK_SECONDS):
            while not locks.taken(file):  # noqa: ASYNC110 - the other one is another process
                await asyncio.sleep(_LOCK_POLL_SECONDS)
    except TimeoutError as exc:
        raise DatabaseUnavailable(
            "another process has been changing the database's schema for a minute; try again later"
        ) from exc
