"""Power losses at random moments of a journal's life, thousands of them, and what is left then.

Each seed is one machine: callers append and wait for level `disk`, a recorder stores and frees
segments, the power goes in the middle of some call to the operating system, and the real reader
reads what the disk still has. Whoever was told that the call is safe must find it stored.
"""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from tests.factories import an_exchange
from tests.faults.report import Row
from tests.faults.seeded_loop import SeededLoop
from tests.faults.simulated_disk import SimulatedDisk

from officeai_proxy.model import Durability, Exchange
from officeai_proxy.recording.journal import Journal
from officeai_proxy.recording.reader import Batch, JournalReader


@dataclass(frozen=True)
class Rules:
    """How the machine is run; anything but the defaults is a seeded bug, or a worse disk."""

    failing_syncs: float = 0.0
    commits_first: bool = True
    is_unique: bool = True


@dataclass
class Store:
    """A database that survives a power loss, as SQLite with synchronous=FULL does."""

    is_unique: bool
    rows: list[Exchange] = field(default_factory=list)

    def insert(self, batch: Batch) -> None:
        known = {row.id for row in self.rows}
        for entry in batch.entries:
            if entry.exchange is not None and not (self.is_unique and entry.exchange.id in known):
                self.rows.append(entry.exchange)
                known.add(entry.exchange.id)


class Machine:
    """One machine from its start to its power loss."""

    def __init__(self, folder: Path, seed: int, rules: Rules) -> None:
        self.chance = random.Random(seed)
        self._rules = rules
        self._journal_dir, self._left = folder / "journal", folder / "left"
        self._journal_dir.mkdir()
        self._left.mkdir()
        self._disk = SimulatedDisk(
            self._journal_dir,
            self.chance,
            last=self.chance.randint(1, 160),
            failing_syncs=rules.failing_syncs,
        )
        self._store = Store(rules.is_unique)
        self.appended: dict[UUID, Exchange] = {}
        self._safe: set[UUID] = set()
        self.acknowledged: set[UUID] = set()
        self._stored: list[Exchange] = []
        self._is_over = False
        # A recorder that keeps up leaves little for a power loss to take.
        self._laziness = self.chance.choice((10, 60, 100_000))

    def run(self) -> None:
        """Live until the power goes, or until all calls are done."""
        loop = SeededLoop(self.chance)
        try:
            with self._disk.watched(self._power_loss):
                loop.run_until_complete(self._live())
                if not self._is_over:
                    self._power_loss()
        finally:
            loop.close()

    def recovered(self) -> list[Exchange]:
        """What is stored once the next start has read what the disk still had."""
        store = Store(self._rules.is_unique, self._stored)
        reader = JournalReader(self._left)
        while not (batch := reader.next_batch(max_entries=3, max_bytes=10_000)).is_empty:
            store.insert(batch)
            reader.commit(batch)
        reader.close()
        return store.rows

    def _power_loss(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._disk.photograph(self._left)
            self.acknowledged = set(self._safe)
            self._stored = list(self._store.rows)

    async def _live(self) -> None:
        journal = Journal(
            self._journal_dir,
            durability=Durability.DISK,
            segment_bytes=self.chance.choice((1_500, 20_000, 10**6)),
            backlog_bytes=10**6,
        )
        callers = [self._call(journal) for _ in range(self.chance.randint(1, 5))]
        recorder = asyncio.ensure_future(self._record(journal))
        await asyncio.gather(*callers)
        recorder.cancel()
        await asyncio.gather(recorder, return_exceptions=True)
        journal.close()

    async def _call(self, journal: Journal) -> None:
        for _ in range(self.chance.randint(1, 8)):
            if self._is_over:
                return
            reply = b"r" * self.chance.choice((1, 700, 3_000, 12_000))
            exchange = an_exchange(reply=reply)
            self.appended[exchange.id] = exchange
            journal.append(exchange)
            if self.chance.random() < 0.2:
                continue  # This caller has left, and waits for nothing.
            await journal.synced()
            if not journal.dropped:
                self._safe.add(exchange.id)

    async def _record(self, journal: Journal) -> None:
        reader = JournalReader(self._journal_dir)
        try:
            while not self._is_over:
                await self._turns()
                batch = reader.next_batch(max_entries=self.chance.randint(1, 6), max_bytes=10_000)
                if not batch.is_empty:
                    await self._keep(reader, batch)
                if self.chance.random() < 0.2:
                    journal.tidy()
        finally:
            reader.close()

    async def _keep(self, reader: JournalReader, batch: Batch) -> None:
        """Store and free, with a while between them, in which the power may go."""
        if self._rules.commits_first:
            self._store.insert(batch)
            await self._turns()
            reader.commit(batch)
        else:
            reader.commit(batch)
            await self._turns()
            self._store.insert(batch)

    async def _turns(self) -> None:
        for _ in range(self.chance.randrange(self._laziness)):
            if not self._is_over:
                await asyncio.sleep(0)


def power_losses(seeds: int, *, first: int = 0, rules: Rules = Rules()) -> Row:
    """Run *seeds* machines, and say what all of them lost, doubled, garbled or made up."""
    row = Row("power loss, simulated", "model")
    for seed in range(first, first + seeds):
        with _scratch() as folder:
            machine = Machine(folder, seed, rules)
            machine.run()
            _count(row, machine, seed)
    row.notes.append(f"{seeds} seeds")
    return row


def _count(row: Row, machine: Machine, seed: int) -> None:
    found = machine.recovered()
    times = Counter(exchange.id for exchange in found)
    lost = machine.acknowledged - times.keys()
    row.calls += len(machine.appended)
    row.seen += len(machine.acknowledged)
    row.lost += len(lost)
    row.duplicated += sum(count > 1 for count in times.values())
    row.corrupted += sum(machine.appended.get(exchange.id) != exchange for exchange in found)
    if lost and len(row.notes) < 3:
        row.notes.append(f"seed {seed} lost {len(lost)}")


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder in memory where there is one: the model decides what the disk does."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="officeai-power-", dir=place) as name:
        yield Path(name)
