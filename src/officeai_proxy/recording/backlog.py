"""How much waits in the journal, and since when: for `/health`; it reads frame headers only."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from officeai_proxy.model import NANOSECONDS
from officeai_proxy.recording import frames, pieces, segments


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is in the journal and not in the database. `lag_seconds` is the age of the oldest.

    Of `unreadable` files this program may not even know how many calls are in them.
    """

    pending: int
    lag_seconds: float
    journal_bytes: int
    unreadable: int = 0


@dataclass(slots=True)
class _Cursor:
    """Frames counted from the beginning of a segment up to *offset*."""

    offset: int = 0
    count: int = 0


class BacklogGauge:
    """Measures one journal directory; remembers what it counted and counts nothing twice."""

    def __init__(self, directory: Path) -> None:
        """Measure *directory*."""
        self._directory = directory
        self._written: dict[str, _Cursor] = {}
        self._stored: dict[str, _Cursor] = {}

    def measure(self) -> Backlog:
        """The backlog now."""
        try:
            sizes = segments.sizes(self._directory)
            lasting = segments.sizes(self._directory, suffix=pieces.SUFFIX)
        except OSError:
            return Backlog(0, 0.0, 0, unreadable=1)
        stored = segments.read_stored(self._directory)
        for known in (self._written, self._stored):
            for name in known.keys() - sizes.keys():
                del known[name]
        pending = unreadable = 0
        oldest: int | None = None
        for name, size in sizes.items():
            done = min(stored.get(name, 0), size)
            try:
                count, first = self._look(name, done, size)
            except FileNotFoundError:
                continue
            except OSError:
                unreadable += 1
                continue
            pending += count
            oldest = first if oldest is None else min(oldest, first or oldest)
        lag = 0.0 if oldest is None else max(0.0, (time.time_ns() - oldest) / NANOSECONDS)
        return Backlog(pending, lag, sum(sizes.values()) + sum(lasting.values()), unreadable)

    def _look(self, name: str, done: int, size: int) -> tuple[int, int | None]:
        """Frames of *name* between *done* and *size*, and when the first of them was written."""
        written = self._written.setdefault(name, _Cursor())
        stored = self._stored.setdefault(name, _Cursor(done, 0))
        if written.offset < stored.offset:
            written.offset, written.count = stored.offset, stored.count
        if written.offset >= size and stored.offset >= done == size:
            return 0, None
        descriptor = os.open(self._directory / name, os.O_RDONLY)
        try:
            _advance(descriptor, stored, done)
            _advance(descriptor, written, size)
            first = frames.read_header(os.pread(descriptor, frames.HEADER_SIZE, done))
        finally:
            os.close(descriptor)
        pending = max(0, written.count - stored.count)
        return pending, first.wall_ns if first and pending else None


def _advance(descriptor: int, cursor: _Cursor, until: int) -> None:
    while cursor.offset < until:
        header = frames.read_header(os.pread(descriptor, frames.HEADER_SIZE, cursor.offset))
        if header is None:
            # Damage: how many frames it hides is not known before the recorder has passed over it.
            return
        cursor.offset += header.size
        cursor.count += 1
