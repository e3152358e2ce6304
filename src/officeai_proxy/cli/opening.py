"""A database for one command: opened, brought up to date, closed again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from officeai_proxy.audit import COMMAND_LINE
from officeai_proxy.auth.keys import make_key
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.settings import Settings
from officeai_proxy.storage.api_keys import ApiKeyRepository
from officeai_proxy.storage.audit import append
from officeai_proxy.storage.audit_chain import Action, Event
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.migrations import prepare

T = TypeVar("T")


def database_of(settings: Settings) -> Database:
    """The configured database, not opened yet."""
    keys = MasterKeys.of(settings.encryption_secrets)
    return Database(settings.database, durability=settings.durability, keys=keys)


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """What *work* gives, with the configured database at the schema that this version needs."""

    async def opened() -> T:
        database = database_of(settings)
        try:
            await prepare(database)
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(opened())


async def first_key(database: Database, *, now: datetime) -> str | None:
    """A new key when there has never been one; None otherwise."""
    async with database.write() as connection:
        keys = ApiKeyRepository(connection)
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
