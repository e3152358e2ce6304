"""The managed keys in memory follow those in the database."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.timing import until

from officeai_proxy.auth import refresher
from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.keys import digest
from officeai_proxy.auth.refresher import KeyRefresher
from officeai_proxy.auth.remembered import RememberedKeys
from officeai_proxy.errors import DatabaseUnavailable, InvalidKey, KeysUnavailable
from officeai_proxy.model import ApiKey, Scope

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)

A_KEY = ApiKey(
    id="key_1",
    name="test",
    digest=digest("sk-managed"),
    hint="…",
    workspace="team",
    scopes=frozenset({Scope.CHAT}),
    created_at=NOW,
)


class Source:
    """A key source that gives *keys*, or raises them when they are an error."""

    def __init__(self, keys: list[ApiKey] | Exception) -> None:
        self.keys = keys
        self.readings = 0

    async def active_keys(self) -> list[ApiKey]:
        self.readings += 1
        if isinstance(self.keys, Exception):
            raise self.keys
        return self.keys


def a_keyring() -> Keyring:
    return Keyring([], lambda: NOW)


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (DatabaseUnavailable(), "cannot be reached"),
        (ValueError("an unknown scope"), "an unknown scope"),
        (TimeoutError(), "does not answer in time"),
    ],
)
async def test_a_failed_reading_keeps_the_old_keys(
    failure: Exception, why: str, caplog: pytest.LogCaptureFixture
):
    """While the keys cannot be read, whatever the reason, those read before stay in force."""
    source, keyring = Source([A_KEY]), a_keyring()
    keys = KeyRefresher(source, keyring)
    await keys.refresh()

    source.keys = failure
    await keys.refresh()

    assert keyring.caller_of(b"Bearer sk-managed").key_id == "key_1"
    assert why in caplog.text


async def test_a_key_that_cannot_be_checked_is_not_called_wrong():
    """While the keys cannot be read a strange one may be new; one that ended stays wrong."""
    source, keyring = Source([A_KEY]), a_keyring()
    keys = KeyRefresher(source, keyring)
    await keys.refresh()
    source.keys = []
    await keys.refresh()
    source.keys = DatabaseUnavailable()
    await keys.refresh()

    with pytest.raises(KeysUnavailable):
        keyring.caller_of(b"Bearer sk-other")
    with pytest.raises(InvalidKey):
        keyring.caller_of(b"Bearer sk-managed")
    source.keys = []
    await keys.refresh()
    with pytest.raises(InvalidKey):
        keyring.caller_of(b"Bearer sk-other")


async def test_a_reading_that_began_earlier_does_not_end_later():
    """A key that was made while the keys were read is not forgotten until they are read again."""
    came = [asyncio.Event(), asyncio.Event()]

    class Slow(Source):
        async def active_keys(self) -> list[ApiKey]:
            keys = await super().active_keys()
            if not keys:
                came[0].set()
                await came[1].wait()
            return keys

    source, keyring = Slow([]), a_keyring()
    keys = KeyRefresher(source, keyring)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keys.refresh())
        await came[0].wait()
        source.keys = [A_KEY]
        tasks.create_task(keys.refresh())
        await asyncio.sleep(0)
        came[1].set()

    assert keyring.caller_of(b"Bearer sk-managed").key_id == "key_1"


async def test_a_first_reading_that_fails_knows_nothing():
    """A database that was never read is not a database without keys."""
    keyring = a_keyring()

    await KeyRefresher(Source(DatabaseUnavailable()), keyring).refresh()

    assert not keyring.managed_known


async def test_a_start_without_the_database_knows_the_keys_of_the_last_run(tmp_path: Path):
    """They are in force until the database says otherwise, and never instead of what it said."""
    remembered = RememberedKeys(tmp_path, "here")
    await KeyRefresher(Source([A_KEY]), a_keyring(), remembered=remembered).refresh()
    source, keyring = Source(DatabaseUnavailable()), a_keyring()
    keys = KeyRefresher(source, keyring, remembered=RememberedKeys(tmp_path, "here"))

    await keys.refresh()
    assert keyring.caller_of(b"Bearer sk-managed").workspace == "team"
    with pytest.raises(KeysUnavailable):
        keyring.caller_of(b"Bearer sk-other")
    source.keys = []
    await keys.refresh()
    source.keys = DatabaseUnavailable()
    await keys.refresh()

    assert not _opens(keyring)


async def test_an_outage_is_told_once(caplog: pytest.LogCaptureFixture):
    """A long outage is one line in the log when it begins and one when it ends."""
    caplog.set_level("INFO", refresher.__name__)
    source = Source(DatabaseUnavailable())
    keys = KeyRefresher(source, a_keyring())

    for _ in range(3):
        await keys.refresh()
    source.keys = []
    await keys.refresh()
    await keys.refresh()

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_reading_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch):
    """A database that never answers does not end the refreshing."""

    class Hanging:
        async def active_keys(self) -> list[ApiKey]:
            return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(refresher, "PATIENCE", 0.01)
    keyring = a_keyring()

    async with asyncio.timeout(60):
        await KeyRefresher(Hanging(), keyring).refresh()

    assert not keyring.managed_known


async def test_the_running_refresher_follows_the_database():
    """A key made elsewhere opens soon, one revoked elsewhere soon opens nothing, over outages."""
    source, keyring = Source([]), a_keyring()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(KeyRefresher(source, keyring, interval=0.01).run())
        await until(lambda: keyring.managed_known)
        source.keys = [A_KEY]
        await until(lambda: _opens(keyring))
        source.keys = DatabaseUnavailable()
        seen = source.readings
        await until(lambda: source.readings > seen + 2)
        assert _opens(keyring)
        source.keys = []
        await until(lambda: not _opens(keyring))
        running.cancel()


def test_a_change_is_in_force_within_five_seconds():
    """Reading every two seconds leaves three for a slow reading."""
    assert refresher.INTERVAL <= 2


def _opens(keyring: Keyring) -> bool:
    try:
        keyring.caller_of(b"Bearer sk-managed")
    except InvalidKey:
        return False
    return True
