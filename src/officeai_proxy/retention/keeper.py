"""The settings in, a pruning about once an hour out, by one process of all that share a database.

It begins when this process is the one of its host that records, and goes on until it is cancelled.
The database remembers when it was last begun, so that neither a restart nor a second host does it
again too soon.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from officeai_proxy.audit import RETENTION
from officeai_proxy.retention.pruning import Pruning, plan_of
from officeai_proxy.settings import Settings
from officeai_proxy.storage.database import Database
from officeai_proxy.storage.retention import RetentionRepository

CHORE = "retention"
"""The name of this work among the chores of the database."""

EVERY = timedelta(hours=1)

LOOK_SECONDS = 60.0
"""How often it is looked whether it is time."""

log = logging.getLogger(__name__)


class Keeper:
    """Keeps a database as the settings want it."""

    def __init__(
        self, database: Database, settings: Settings, *, clock: Callable[[], datetime]
    ) -> None:
        """Prune *database*; *clock* tells the present moment."""
        self._database = database
        self._settings = settings
        self._clock = clock
        self._leads = asyncio.Event()
        self._is_unfinished = False

    def lead(self) -> None:
        """This process is the one that works."""
        self._leads.set()

    async def run(self) -> None:
        """Prune again and again; runs until it is cancelled."""
        await self._leads.wait()
        while True:
            try:
                await self.prune_if_due()
            except Exception as exc:  # noqa: BLE001 - what fails now may well succeed in a minute
                log.warning("what is too old could not be deleted: %s", exc)
            await asyncio.sleep(LOOK_SECONDS)

    async def prune_if_due(self) -> bool:
        """Prune, unless that was begun less than an hour ago; whether it was done.

        Without anything that may go there is nothing to begin.

        Raises:
            ArchiveNotWritten: it was to be archived first, and could not.
            DatabaseUnavailable: the database is away.
        """
        now = self._clock()
        plan = plan_of(self._settings, now)
        if plan.is_empty:
            return False
        # What failed is tried again soon, although the hour has only begun.
        if not self._is_unfinished and not await self._claim(now):
            return False
        self._is_unfinished = True
        pruning = Pruning(self._database, actor=RETENTION, clock=self._clock)
        for amount in await pruning.run(plan):
            log.info(
                "retention: %s: %d conversations with %d messages, %d calls deleted",
                amount.workspace,
                amount.conversations,
                amount.messages,
                amount.calls,
            )
        self._is_unfinished = False
        return True

    async def _claim(self, now: datetime) -> bool:
        async with self._database.write() as connection:
            return await RetentionRepository(connection).claim(CHORE, now=now, every=EVERY)
