"""A database for one command: opened, brought up to date, closed again."""

import asyncio
import multiprocessing
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TypeVar, cast

import click

from officeai_proxy.audit import COMMAND_LINE, AuditLog, Trail
from officeai_proxy.auth.keys import make_key
from officeai_proxy.cli import ending
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.errors import ProxyError
from officeai_proxy.model import Caller, utc_now
from officeai_proxy.settings import Settings
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.audit.chain import Action, Event
from officeai_proxy.storage.audit.log import append, locked_head
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.schema.migrations import SCHEMA_REVISION, prepare, revision_of

T = TypeVar("T")

_NEW = (
    "officeai-proxy: there was no database {}; it is made now, and empty. Where `serve` has "
    "another one, run this in its folder, or name it in OFFICEAI_DATA_DIR or OFFICEAI_DATABASE_URL."
)


def database_of(settings: Settings) -> Database:
    """The configured database, not opened yet."""
    keys = MasterKeys.of(settings.encryption_secrets)
    return Database(settings.database, durability=settings.durability, rests=True, keys=keys)


def with_database(
    settings: Settings, work: Callable[[Database], Awaitable[T]], *, may_be_new: bool = False
) -> T:
    """What *work* gives, with the configured database at the schema that this version needs.

    A command that is run in another folder than `serve` finds no database there, and makes an empty
    one. So that nobody takes it for the other one, this is told, unless it *may_be_new*.
    """

    async def opened() -> T:
        database = database_of(settings)
        file = None if may_be_new else database.path
        is_new = file is not None and not _is_there(file)
        try:
            await prepare(database)
            if file is not None and is_new:
                click.echo(_NEW.format(file.absolute()), err=True)
            return await work(database)
        finally:
            await database.close()

    return ending.run(opened())


def _is_there(file: Path) -> bool:
    """Whether *file* exists; so does one that cannot be looked at: to open it tells why not."""
    try:
        return file.exists()
    except OSError:
        return True


def trail_of(database: Database, action: Action, workspace: str) -> Trail:
    """What a command that is about to do *action* in *workspace* leaves in the audit log."""
    caller = Caller(COMMAND_LINE, workspace)
    return AuditLog(database, utc_now).trail(action, caller)


def upgrade_apart(settings: Settings) -> None:
    """Change the schema, where it has to be changed, in a process that ends with that.

    Alembic takes 10 MB, which a program that serves for months would never get back. The process
    is a copy of this one, so that it costs no start of its own; a copy made beside other threads
    may hang, and then none is made. Whoever opens the database next does what was not done here,
    and tells what is in the way.

    Raises:
        ConfigurationError: the database cannot be opened.
        DatabaseUnavailable: it cannot be reached right now.
    """
    if threading.active_count() > 1 or asyncio.run(_is_current(settings)):
        return
    copies = multiprocessing.get_context("fork")
    process = copies.Process(target=_upgrade, args=(settings,), daemon=True)
    process.start()
    process.join()


async def _is_current(settings: Settings) -> bool:
    database = Database(settings.database, inline=True)
    try:
        return await revision_of(database) == SCHEMA_REVISION
    finally:
        await database.close()


def _upgrade(settings: Settings) -> None:
    async def nothing(_: Database) -> None:
        pass

    # Alembic's templates would load all of Pygments for error pages that nobody sees here. What
    # stands as None is not found, and they do without (Python reference, 5.3.1).
    sys.modules["mako.ext.pygmentplugin"] = cast("ModuleType", None)
    with suppress(ProxyError):
        with_database(settings, nothing, may_be_new=True)


async def first_key(database: Database, *, now: datetime) -> str | None:
    """A new key when there has never been one; None otherwise."""
    async with database.write() as connection:
        keys = ApiKeyRepository(connection)
        if await keys.all():
            return None
        # Hosts that start at one moment on a new database wait here for the first of them.
        await locked_head(connection)
        if await keys.all():
            return None
        key, stored = make_key("first key", now=now)
        await keys.add(stored)
        event = Event(
            at=now,
            actor=COMMAND_LINE,
            action=Action.CREATE_KEY,
            workspace=stored.workspace,
            target=stored.id,
        )
        await append(connection, event)
        return key
