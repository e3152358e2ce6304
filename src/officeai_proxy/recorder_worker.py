"""The recorder with its database, in the loop of its own thread: from the journal into storage.

It brings the schema up to date first, however long the database is away, and keeps retention.
"""

import asyncio
import logging

from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.metrics.counting import CallCounter
from officeai_proxy.model import utc_now
from officeai_proxy.prices.book import PriceBook
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.journal_keys import note_keys
from officeai_proxy.recording.recorder import Recorder
from officeai_proxy.retention.keeper import Keeper
from officeai_proxy.settings import Settings
from officeai_proxy.storage.database import Database, is_transient
from officeai_proxy.storage.engine.failures import ran_out_of_time
from officeai_proxy.storage.exchanges import SqlExchangeStore
from officeai_proxy.storage.schema.migrations import prepare
from officeai_proxy.storage.search.upkeep import purge

log = logging.getLogger(__name__)


class RecorderWorker:
    """The recorder with its database, inside the recorder's own loop."""

    def __init__(self, settings: Settings, prices: PriceBook, counter: CallCounter) -> None:
        self._keys = MasterKeys.of(settings.encryption_secrets)
        self._journal_dir = settings.journal_dir
        self._database = Database(
            settings.database,
            durability=settings.durability,
            checkpoints=True,
            pool_size=3,
            inline=True,
            keys=self._keys,
        )
        self._keeper = Keeper(self._database, settings, clock=utc_now)
        self._is_stopping = asyncio.Event()
        self._recorder = Recorder(
            settings.journal_dir,
            SqlExchangeStore(self._database),
            is_transient=is_transient,
            is_too_much=ran_out_of_time,
            tidy=self._tidy,
            seal=FrameSeal.of(self._keys),
            cost_of=prices.cost,
            on_stored=counter.stored,
            on_event=counter.recorder_event,
        )

    @classmethod
    async def make(
        cls, settings: Settings, prices: PriceBook, counter: CallCounter
    ) -> "RecorderWorker":
        """A worker that belongs to the loop in which it is made."""
        return cls(settings, prices, counter)

    def poke(self) -> None:
        """Look for calls in the journal now."""
        self._recorder.poke()

    def stop(self) -> None:
        """Store what there is, then return from `run`."""
        self._is_stopping.set()
        self._recorder.stop()

    async def run(self) -> None:
        """Store calls as they come, until `stop`."""
        try:
            if await self._prepared():
                async with asyncio.TaskGroup() as tasks:
                    keeping = tasks.create_task(self._keeper.run())
                    await self._recorder.run()
                    keeping.cancel()
        finally:
            await self._database.close()

    async def _prepared(self) -> bool:
        """Bring the schema up to date, however long the database is away; False: stopped."""
        told = ""
        while True:
            try:
                await prepare(self._database)
            except Exception as exc:  # noqa: BLE001 - the recorder must outlive a database that is away
                # Once for each reason, and not at every try.
                if str(exc) != told:
                    log.warning("the database cannot be prepared yet: %s", exc)
                told = str(exc)
            else:
                note_keys(self._journal_dir, self._keys)
                return True
            try:
                async with asyncio.timeout(1.0):
                    await self._is_stopping.wait()
            except TimeoutError:
                continue
            return False

    async def _tidy(self) -> bool:
        """Bring what was deleted for good out of SQLite's index and out of its WAL."""
        self._keeper.lead()
        is_done = await purge(self._database)
        await self._database.checkpoint()
        return is_done
