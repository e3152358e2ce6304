"""What all routes work with, in one place at `app.state.services`; it serves nothing itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from officeai_proxy.audit import AuditLog
from officeai_proxy.auth.keyring import Keyring
from officeai_proxy.auth.refresher import KeyRefresher
from officeai_proxy.auth.remembered import RememberedKeys
from officeai_proxy.crypto.master_keys import MasterKeys
from officeai_proxy.exports import ExportSlots
from officeai_proxy.health.pulse import Pulse
from officeai_proxy.metrics.counting import CountedSlots
from officeai_proxy.metrics.worker import Metrics
from officeai_proxy.model import ApiKey, utc_now
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.freshness import JournalFreshness
from officeai_proxy.recording.journal import Journal
from officeai_proxy.recording.setaside import SetAsideFolder
from officeai_proxy.recording.thread import RecorderThread
from officeai_proxy.settings import Settings
from officeai_proxy.storage.access.api_keys import ApiKeyRepository
from officeai_proxy.storage.database import Database


@dataclass(slots=True)
class Services:
    """What the routes work with, at `app.state.services`."""

    settings: Settings
    keyring: Keyring
    database: Database
    freshness: JournalFreshness
    pulse: Pulse
    export_slots: CountedSlots
    metrics: Metrics
    audit: AuditLog
    set_aside: SetAsideFolder
    remembered: RememberedKeys
    clock: Callable[[], datetime] = field(default=utc_now)
    refresher: KeyRefresher = field(init=False)

    def __post_init__(self) -> None:
        """One refresher, so that its readings come one after the other."""
        self.refresher = KeyRefresher(self, self.keyring, remembered=self.remembered)

    async def active_keys(self) -> list[ApiKey]:
        """The managed keys that open something now."""
        async with self.database.read() as connection:
            return await ApiKeyRepository(connection).active(self.clock())

    async def refresh_keys(self) -> None:
        """Bring the keys of this worker to what is stored now; never fails."""
        await self.refresher.refresh()


def services_of(
    settings: Settings, *, journal: Journal, recorder: RecorderThread, metrics: Metrics
) -> Services:
    """The services of a program that serves with *settings*; nothing is opened yet."""
    sealing = MasterKeys.of(settings.encryption_secrets)
    database = Database(
        settings.database, durability=settings.durability, awaited=True, rests=True, keys=sealing
    )
    remembered = RememberedKeys(settings.data_dir, database.identity)
    configured = [key.get_secret_value() for key in settings.api_keys]
    keyring = Keyring(configured, utc_now, remembered.newer)
    pulse = Pulse(
        journal_dir=settings.journal_dir,
        journal=journal,
        database=database,
        dialect=database.dialect.value,
        upstream=settings.upstream_base_url,
        is_recording=lambda: recorder.is_alive,
        knows_keys=lambda: keyring.managed_known,
        lets_nobody_in=lambda: keyring.lets_nobody_in,
    )
    return Services(
        settings=settings,
        keyring=keyring,
        database=database,
        freshness=JournalFreshness(settings.journal_dir, poke=recorder.poke),
        pulse=pulse,
        export_slots=metrics.counted(ExportSlots(settings.max_exports)),
        metrics=metrics,
        audit=AuditLog(database, utc_now),
        set_aside=SetAsideFolder(settings.journal_dir, FrameSeal.of(sealing)),
        remembered=remembered,
    )
