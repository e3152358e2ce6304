"""Keeps the keyring's managed keys as fresh as the database has them; never checks a key itself.

Where the database was never reached since the start, the keys are those that this host knew last.
"""

import asyncio
import logging
from typing import Protocol

from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.remembered import RememberedKeys
from officeai_proxy.model import ApiKey

INTERVAL = 2.0
"""Seconds between two readings: a key made or revoked elsewhere is in force within 5 s."""

PATIENCE = 10.0
"""Seconds after which a reading that hangs is given up, so that the next one can succeed."""

_log = logging.getLogger(__name__)


class KeySource(Protocol):
    """What the refresher needs of storage."""

    async def active_keys(self) -> list[ApiKey]:
        """All managed keys that open something now.

        Raises:
            DatabaseUnavailable: they cannot be read at the moment.
        """


class KeyRefresher:
    """Reads the managed keys again and again, and hands them to the keyring."""

    def __init__(
        self,
        source: KeySource,
        keyring: Keyring,
        *,
        remembered: RememberedKeys | None = None,
        interval: float = INTERVAL,
    ) -> None:
        """Read *source* every *interval* seconds into *keyring*, and keep it as *remembered*."""
        self._source = source
        self._keyring = keyring
        self._remembered = remembered
        self._interval = interval
        self._failing = False
        self._reading = asyncio.Lock()

    async def run(self) -> None:
        """Read at once and then for ever; runs until it is cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._interval)

    async def refresh(self) -> None:
        """Read once. When that fails, the keys known so far stay in force."""
        # An older reading must not take the place of a newer one, which has a key made in between.
        async with self._reading:
            await self._read()

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                keys = await self._newest()
        except Exception as exc:  # noqa: BLE001 - calls go on with the old keys, whatever happens here
            self._report_failure(exc)
            self._remember()
            self._keyring.is_outdated = True
            return
        self._keyring.replace_managed(keys)
        self._keyring.is_outdated = False
        if self._failing:
            _log.info("the managed keys can be read again")
        self._failing = False

    async def _newest(self) -> list[ApiKey]:
        if self._remembered is None:
            return await self._source.active_keys()
        while True:
            read_at = self._remembered.version()
            keys = await self._source.active_keys()
            if await asyncio.to_thread(self._remembered.keep, keys, read_at):
                return keys

    def _remember(self) -> None:
        """Begin with the keys of the last run, where nothing was read in this one."""
        if self._remembered is None or self._keyring.managed_known:
            return
        keys = self._remembered.read()
        if keys is not None:
            _log.warning("%d managed keys are known from the last run of this host", len(keys))
            self._keyring.replace_managed(keys)

    def _report_failure(self, reason: Exception) -> None:
        """Say it once and not every two seconds."""
        if not self._failing:
            # A timeout of ours has no words.
            why = str(reason) or "the database does not answer in time"
            _log.warning("the managed keys cannot be read, the old ones stay: %s", why)
        self._failing = True
