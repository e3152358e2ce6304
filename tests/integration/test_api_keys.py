"""Managed keys on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from officeai_proxy.errors import KeyMade
from officeai_proxy.model import ApiKey, Scope
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.database import Database

NOW = datetime(2026, 11, 20, 9, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_key(number: int, *, workspace: str = "default", expires: datetime | None = None) -> ApiKey:
    return ApiKey(
        id=f"key-{number}",
        name=f"键 {number}",
        digest=bytes([number]) * 32,
        hint="sk-oai-…abcd",
        workspace=workspace,
        scopes=frozenset({Scope.CHAT, Scope.READ}),
        created_at=NOW + timedelta(seconds=number),
        user="alice" if number % 2 else None,
        expires_at=expires,
    )


async def test_same_key_twice_is_refused(database: Database) -> None:
    """A second key with the same digest is refused, so that one key opens one workspace."""
    async with database.write() as connection:
        await ApiKeyRepository(connection).add(a_key(1))

    with pytest.raises(KeyMade):
        async with database.write() as connection:
            await ApiKeyRepository(connection).add(replace(a_key(2), digest=a_key(1).digest))


async def test_revoke_refuses_the_unknown(database: Database) -> None:
    """What does not exist is not revoked, and nothing else in its place."""
    async with database.write() as connection:
        keys = ApiKeyRepository(connection)
        await keys.add(a_key(1))
        assert not await keys.revoke("nothing", now=NOW)
        assert len(await keys.active(NOW)) == 1


async def test_revoked_once(database: Database) -> None:
    """A revoked key is not active, stays listed with its time, and cannot be revoked again."""
    async with database.write() as connection:
        keys = ApiKeyRepository(connection)
        await keys.add(a_key(1))
        assert await keys.revoke("key-1", now=NOW + HOUR)
        assert not await keys.revoke("key-1", now=NOW + 2 * HOUR)

    async with database.read() as connection:
        keys = ApiKeyRepository(connection)
        assert await keys.active(NOW) == []
        assert [key.revoked_at for key in await keys.all()] == [NOW + HOUR]


async def test_expired_key_is_not_active(database: Database) -> None:
    """At the moment of its expiry a key no longer opens anything."""
    async with database.write() as connection:
        keys = ApiKeyRepository(connection)
        await keys.add(a_key(1, expires=NOW + HOUR))
        assert len(await keys.active(NOW)) == 1
        assert await keys.active(NOW + HOUR) == []


@pytest.mark.parametrize("count", [0, 2, 5])
async def test_many_keys_are_read_in_turns(database: Database, count: int) -> None:
    """Each once, however they are cut: the last turn is full, or not, or there is none."""
    stored = [a_key(number) for number in range(count)]
    async with database.write() as connection:
        keys = ApiKeyRepository(connection)
        for key in stored:
            await keys.add(key)
        assert await keys.active(NOW, at_once=2) == stored


async def test_keys_come_back_as_they_were(database: Database) -> None:
    """What is read equals what was stored, oldest first, whatever the workspace."""
    stored = [a_key(1), a_key(2, workspace="other", expires=NOW + HOUR), a_key(3)]
    async with database.write() as connection:
        for key in reversed(stored):
            await ApiKeyRepository(connection).add(key)

    async with database.read() as connection:
        assert await ApiKeyRepository(connection).all() == stored
