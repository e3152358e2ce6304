"""The recorder: empties the journal into the store, batch by batch, for as long as it runs.

There is one that works per host: whoever holds the lock. The others wait for it, so that the work
goes on when its process dies. It never gives up on a store that is away, and never lets one
exchange that cannot be stored hold up its neighbours.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from officeai_proxy import locks
from officeai_proxy.folder_faults import unusable
from officeai_proxy.model import CallRecord
from officeai_proxy.recording import segments
from officeai_proxy.recording.adoption import Adoption, Estate, in_batches
from officeai_proxy.recording.attempt import Attempt
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.reader import Batch, Damage, Entry, JournalReader
from officeai_proxy.recording.setaside import set_aside, set_damage_aside
from officeai_proxy.recording.turns import Turn, read_turn
from officeai_proxy.recording.writer import ExchangeStore, write
from officeai_proxy.wire.encoding import UnknownEncoding

LOCK = "recorder.lock"

_AWAY = "the store is away"
"""The reason of a batch that was not stored before the recorder had to stop."""

_DEADLY = (
    "each process that tried to store it ended meanwhile; where that was for want of memory, give "
    "it more and retry"
)
"""The reason of an exchange that no further process shall die of."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How the recorder works: sizes in exchanges and bytes, times in seconds.

    `rest` is the longest that an exchange waits when nobody asks for it: a batch costs something
    whatever is in it, so that small ones wait until there is more. `poll` is how often a recorder
    looks whether somebody asks, and how long the first exchange after a silence waits.
    """

    max_entries: int = 500
    max_bytes: int = 4 * 1024 * 1024
    poll: float = 0.05
    rest: float = 0.25
    lock_poll: float = 0.5
    first_backoff: float = 0.1
    last_backoff: float = 5.0
    tidy_every: float = 3.0
    tidy_again: float = 0.1


class RecorderEvent(Enum):
    """What an operator may want to know of the recorder's work."""

    INTERRUPTED = "a call that was cut off when its worker died is kept as far as it came"
    WITHHELD = "a call is not stored, because what it belongs to was erased after it began"
    SET_ASIDE = "a call can never be stored and is set aside"
    STORE_FAILED = "the store did not take a batch, which is tried again"


class Leadership:
    """The lock that makes one recorder of a host the one that works; it dies with its process."""

    def __init__(self, directory: Path) -> None:
        """The lock file is *directory*/recorder.lock.

        Raises:
            ConfigurationError: it cannot be opened.
        """
        try:
            self.file = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as exc:
            raise unusable(f"{LOCK} cannot be opened", directory, exc) from exc

    def taken(self) -> bool:
        """Try to take it, and say whether it is ours now."""
        return locks.taken(self.file)

    def close(self) -> None:
        """Give it up."""
        os.close(self.file)


class Recorder:
    """Moves exchanges from one journal directory into one store. Belongs to one event loop."""

    def __init__(
        self,
        directory: Path,
        store: ExchangeStore,
        *,
        is_transient: Callable[[BaseException], bool],
        tidy: Callable[[], Awaitable[bool]],
        pace: Pace = Pace(),
        seal: FrameSeal | None = None,
        cost_of: Callable[[CallRecord], float | None] = lambda _: None,
        on_stored: Callable[[Sequence[CallRecord]], None] = lambda _: None,
        is_too_much: Callable[[BaseException], bool] = lambda _: False,
        on_event: Callable[[RecorderEvent, int], None] = lambda *_: None,
    ) -> None:
        """*is_transient* tells the store's errors that pass from those that stay; *is_too_much*
        says of one that passes that a smaller batch may do better.

        *tidy* is called every few seconds by the one recorder of the host that works, and soon
        again when it says that it is not done. *seal* opens what the journal holds sealed.
        *cost_of* tells what a call cost in US dollars. *on_stored* hears of what was stored, and
        *on_event* of what else happens, and how often.
        """
        self._directory = directory
        self._store = store
        self._is_transient = is_transient
        self._tidy = tidy
        self._next_tidying = 0.0
        self._pace = pace
        self._seal = seal
        self._cost_of = cost_of
        self._on_stored = on_stored
        self._is_too_much = is_too_much
        self._on_event = on_event
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._is_away = False
        self._hurried = 0
        self._attempt = Attempt(most=pace.max_entries)

    def poke(self) -> None:
        """Look at the journal now rather than at the next poll."""
        self._wake.set()

    def stop(self) -> None:
        """Store what is in the journal now, then return from `run`."""
        self._is_stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop`, and then until the journal is empty or the store is away."""
        leadership = Leadership(self._directory)
        try:
            if await self._lead(leadership):
                self._attempt.take_over(leadership.file)
                reader = JournalReader(self._directory, self._seal)
                try:
                    await self._empty(reader, Adoption(self._directory, self._seal))
                finally:
                    reader.close()
        finally:
            leadership.close()

    async def _lead(self, leadership: Leadership) -> bool:
        """Wait for the lock; False when, after `stop`, another one has stored everything."""
        while not leadership.taken():
            if self._is_stopping:
                stored = segments.read_stored(self._directory)
                wanted = segments.sizes(self._directory)
                if not segments.is_behind(stored, wanted, self._directory):
                    return False
            await self._pause(self._pace.poll if self._is_stopping else self._pace.lock_poll)
        return True

    async def _empty(self, reader: JournalReader, adoption: Adoption) -> None:
        while True:
            await self._tidy_now_and_then()
            estate = adoption.found()
            batch = self._next(reader, until_ns=estate.until_ns if estate else None)
            if batch.is_empty and estate is not None:
                if not adoption.has_segments(estate):
                    if not await self._adopt(estate, adoption):
                        return
                    continue
                # Its clock was set back, or a segment of it has only now become final.
                batch = self._next(reader)
            if batch.is_empty:
                if self._is_stopping:
                    return
                await self._pause(self._pace.poll)
                continue
            if not await self._keep_batch(reader, batch):
                return
            await self._rest(batch)

    async def _keep_batch(self, reader: JournalReader, batch: Batch) -> bool:
        """Store *batch*, and let the journal go so far; False: stopped meanwhile."""
        for damage in batch.damage:
            # Twice the same file, if this process dies before the journal goes.
            self._set_damage_aside(damage, reader.bytes_of(damage))
        if not await self._keep(batch.entries):
            return False
        reader.commit(batch)
        return True

    async def _rest(self, batch: Batch) -> None:
        """Wait after *batch* until another may be worth its cost, or somebody asks."""
        if batch.has_more:
            await asyncio.sleep(0)
            return
        until = time.monotonic() + self._pace.rest
        while not self._is_stopping and not self._is_asked() and time.monotonic() < until:
            await self._pause(min(self._pace.poll, self._pace.rest))

    def _is_asked(self) -> bool:
        """Whether somebody asked since the last time, here or in another process."""
        hurried = segments.hurried_at(self._directory)
        is_asked = self._wake.is_set() or hurried != self._hurried
        self._wake.clear()
        self._hurried = hurried
        return is_asked

    def _next(self, reader: JournalReader, *, until_ns: int | None = None) -> Batch:
        return reader.next_batch(
            max_entries=self._attempt.at_once, max_bytes=self._pace.max_bytes, until_ns=until_ns
        )

    async def _adopt(self, estate: Estate, adoption: Adoption) -> bool:
        """Store what a dead worker left of calls that were cut off; False: stopped meanwhile."""
        count = 0
        most = 1 if self._attempt.at_once == 1 else self._pace.max_bytes
        for some in in_batches(adoption.entries(estate), most=most):
            if not await self._keep(some):
                return False
            count += len(some)
        adoption.settle(estate)
        if count:
            self._on_event(RecorderEvent.INTERRUPTED, count)
            log.warning("%d calls were interrupted when a worker died; what came is kept", count)
        return True

    async def _tidy_now_and_then(self) -> None:
        if time.monotonic() < self._next_tidying:
            return
        self._next_tidying = time.monotonic() + self._pace.tidy_every
        try:
            if not await self._tidy():
                self._next_tidying = time.monotonic() + self._pace.tidy_again
        except Exception as exc:
            if not self._is_transient(exc):
                raise
            log.debug("tidying up has to wait: %s", exc)

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        if self._is_stopping:
            await asyncio.sleep(min(seconds, self._pace.poll))
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _keep(self, entries: Sequence[Entry]) -> bool:
        """Store *entries*, waiting for the store as long as it takes; False: stopped meanwhile."""
        self._attempt.begin(entries)
        try:
            return await self._keep_each(entries)
        finally:
            self._attempt.rest()

    async def _keep_each(self, entries: Sequence[Entry]) -> bool:
        """Store those of *entries* that can be stored, and set the others aside."""
        turns = [turn for entry in entries if (turn := self._read(entry)) is not None]
        waiting = [turns] if turns else []
        while waiting:
            some = waiting.pop(0)
            reason = await self._write(some)
            if self._is_stopping and reason is _AWAY:
                return False
            if reason is None:
                continue
            if len(some) > 1:
                middle = len(some) // 2
                waiting[:0] = [some[:middle], some[middle:]]
            else:
                self._set_aside(_entry_of(some[0], entries), reason)
        return True

    async def _write(self, turns: Sequence[Turn]) -> str | None:
        """Write *turns*; the reason when they can never be written like this."""
        backoff = self._pace.first_backoff
        while True:
            try:
                withheld = await write(self._store, turns)
            except Exception as exc:  # noqa: BLE001 - the recorder must outlive any store and any turn
                if not self._is_transient(exc):
                    return f"{type(exc).__name__}: {exc}"[:1000]
                self._on_event(RecorderEvent.STORE_FAILED, 1)
                if self._is_stopping:
                    return _AWAY
                if len(turns) > 1 and self._is_too_much(exc):
                    return f"too much at once: {exc}"
                self._tell_that_it_is_away(exc, is_first=backoff == self._pace.first_backoff)
                self._attempt.rest()
                await self._pause(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                self._attempt.go_on()
                backoff = min(backoff * 2, self._pace.last_backoff)
            else:
                self._tell_that_it_is_back()
                if withheld:
                    self._on_event(RecorderEvent.WITHHELD, len(withheld))
                calls = [turn.call for turn in turns]
                self._on_stored([one for one in calls if one.exchange_id not in withheld])
                return None

    def _tell_that_it_is_away(self, error: Exception, *, is_first: bool) -> None:
        """Say it once and not at every try.

        Not at the first: a deadlock, or somebody who began the same conversation, is past by the
        next one.
        """
        if is_first or self._is_away:
            return
        log.warning("the database is away, calls wait in the journal: %s", error)
        self._is_away = True

    def _tell_that_it_is_back(self) -> None:
        if self._is_away:
            log.warning("the database is back, the journal is being stored")
        self._is_away = False

    def _read(self, entry: Entry) -> Turn | None:
        if entry.exchange is None:
            self._set_aside(entry, entry.fault)
            return None
        if self._attempt.is_deadly(entry):
            self._set_aside(entry, _DEADLY)
            return None
        try:
            turn = read_turn(entry.exchange)
            turn.call.cost = self._cost_of(turn.call)
        except UnknownEncoding as exc:
            self._set_aside(entry, f"cannot be unpacked: {exc}")
            return None
        except Exception as exc:  # noqa: BLE001 - a reply nobody foresaw must not stop its neighbours
            self._set_aside(entry, f"cannot be read: {type(exc).__name__}: {exc}"[:1000])
            return None
        return turn

    def _set_aside(self, entry: Entry, reason: str) -> None:
        kept = set_aside(self._directory, entry, reason=reason, seal=self._seal)
        self._on_event(RecorderEvent.SET_ASIDE, 1)
        log.error("an exchange cannot be stored and is set aside as %s: %s", kept.name, reason)

    def _set_damage_aside(self, damage: Damage, found: bytes) -> None:
        kept = set_damage_aside(self._directory, damage, found, seal=self._seal)
        self._on_event(RecorderEvent.SET_ASIDE, 1)
        log.error(
            "the journal %s is damaged from byte %d to %d; what stands there is set aside as %s",
            damage.segment,
            damage.start,
            damage.end,
            kept.name,
        )


def _entry_of(turn: Turn, entries: Sequence[Entry]) -> Entry:
    wanted = turn.call.exchange_id
    return next(e for e in entries if e.exchange is not None and e.exchange.id == wanted)
