"""A database for one command: opened, brought up to date, closed again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from uuid import uuid4

from officeai_proxy.auth.keys import digest, hint, new_key
from officeai_proxy.model import DEFAULT_WORKSPACE, ApiKey, Scope
from officeai_proxy.settings import Settings
from officeai_proxy.storage.api_keys import ApiKeyRepository
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.migrations import prepare

T = TypeVar("T")


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """What *work* gives, with the configured database at the schema that this version needs."""

    async def opened() -> T:
        database = Database(settings.database, durability=settings.durability)
        try:
            await prepare(database)
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(opened())


def make_key(
    name: str,
    *,
    now: datetime,
    workspace: str = DEFAULT_WORKSPACE,
    scopes: frozenset[Scope] = frozenset(Scope),
    user: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[str, ApiKey]:
    """A new key, and what is stored of it."""
    key = new_key()
    stored = ApiKey(
        id=f"key_{uuid4().hex[:16]}",
        name=name,
        digest=digest(key),
        hint=hint(key),
        workspace=workspace,
        scopes=scopes,
        created_at=now,
        user=user,
        expires_at=expires_at,
    )
    return key, stored


async def first_key(database: Database, *, now: datetime) -> str | None:
    """A new key when there has never been one; None otherwise."""
    async with database.write() as connection:
        keys = ApiKeyRepository(connection)
        if await keys.all():
            return None
        key, stored = make_key("first key", now=now)
        await keys.add(stored)
        return key
