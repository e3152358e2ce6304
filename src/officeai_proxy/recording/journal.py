"""Exchanges in, frames at the end of a file out: the write side of the journal, one per worker.

It never parses what it keeps, never waits for a database, and never raises into a call: what cannot
be written now waits in memory, within a bound, and is counted when even that is not possible.

A segment is locked (flock) for as long as its writer lives, so that anybody can tell a segment that
may still grow from one that a dead worker left behind; the kernel frees the lock on `kill -9`.
"""

import asyncio
import fcntl
import logging
import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from officeai_proxy.errors import ConfigurationError
from officeai_proxy.model import Durability, Exchange
from officeai_proxy.recording import frames, segments
from officeai_proxy.recording.frame_seal import FrameSeal

SEGMENT_BYTES = 16 * 1024 * 1024

# macOS has no fdatasync.
_sync = getattr(os, "fdatasync", os.fsync)

log = logging.getLogger(__name__)


class SegmentFile(Protocol):
    """What the journal needs of the operating system; tests hand in a failing one."""

    def write(self, data: bytes) -> int:
        """Append some of *data* and say how much."""

    def truncate(self, size: int) -> None:
        """Cut the file to *size* bytes."""

    def sync(self) -> None:
        """Bring what was written to the disk."""

    def close(self) -> None:
        """Give up the file and its lock."""


class LockedSegment:
    """A new segment on disk, locked before anybody else can see its name."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        """Create *path*; with *durable* its name survives a power loss too."""
        hidden = path.with_suffix(".new")
        self._fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
            if durable:
                _sync_directory(path.parent)
        except OSError:
            self.close()
            raise

    def write(self, data: bytes) -> int:
        """Append some of *data* and say how much."""
        return os.write(self._fd, data)

    def truncate(self, size: int) -> None:
        """Cut the file to *size* bytes."""
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        """Bring what was written to the disk."""
        _sync(self._fd)

    def close(self) -> None:
        """Give up the file and its lock."""
        os.close(self._fd)


class Journal:
    """The journal of one worker. All methods belong to the thread of its event loop."""

    def __init__(
        self,
        directory: Path,
        *,
        durability: Durability = Durability.PROCESS,
        segment_bytes: int = SEGMENT_BYTES,
        backlog_bytes: int = 0,
        seal: FrameSeal | None = None,
        new_segment: type[LockedSegment] = LockedSegment,
    ) -> None:
        """Write segments of about *segment_bytes* into *directory*.

        At most *backlog_bytes* wait in memory while the disk takes nothing. With *seal*, nothing
        that was said is on the disk in the clear.
        """
        self.directory = directory
        self.durability = durability
        self.dropped = 0
        self._segment_bytes = segment_bytes
        self._backlog_bytes = backlog_bytes
        self._seal = seal
        self._new_segment = new_segment
        self._segment: SegmentFile | None = None
        self._name = ""
        self._size = 0
        self._count = 0
        self._worker = uuid4().hex[:12]
        self._backlog: deque[bytes] = deque()
        self._backlog_size = 0
        self._unsynced: list[asyncio.Future[None]] = []
        self._syncing: asyncio.Task[None] | None = None

    @property
    def is_keeping(self) -> bool:
        """Whether the last exchange could be written."""
        return not self._backlog

    @property
    def _is_syncing(self) -> bool:
        return self._syncing is not None and not self._syncing.done()

    def append(self, exchange: Exchange) -> None:
        """Keep *exchange*: when this returns it survives the death of the process.

        When the disk takes nothing the exchange waits in memory for `retry`; when there is no room
        for it either, it is counted in `dropped`.
        """
        frame = frames.encode(exchange, self._seal)
        if self._backlog:
            self.retry()
        if self._backlog or not self._write(frame):
            self._set_back(frame)

    def retry(self) -> None:
        """Write what waits in memory, as far as the disk takes it."""
        while self._backlog and self._write(self._backlog[0]):
            self._backlog_size -= len(self._backlog.popleft())

    async def synced(self) -> None:
        """Return when all that was appended so far is on the disk; callers share one sync."""
        done = asyncio.get_running_loop().create_future()
        self._unsynced.append(done)
        if not self._is_syncing:
            self._syncing = asyncio.ensure_future(self._sync())
        await done

    async def _sync(self) -> None:
        while self._unsynced:
            waiting, self._unsynced = self._unsynced, []
            try:
                if self._segment is not None:
                    await asyncio.to_thread(self._segment.sync)
                if self._segment is not None and self._size >= self._segment_bytes:
                    # What was appended meanwhile must be safe before its file is out of reach.
                    self._segment.sync()
                    self._leave_segment()
            except OSError as exc:
                # After a failed sync the kernel forgets which pages were dirty: a second sync of
                # the same file would succeed and prove nothing. The segment is left to the
                # recorder, which reads it from the page cache, and a new one is begun.
                log.error("journal cannot be synced: %s", exc)  # noqa: TRY400 - the cause is in the line
                self._leave_segment()
            for done in waiting:
                if not done.done():
                    done.set_result(None)

    def tidy(self) -> None:
        """Leave a segment that the recorder has begun to store, so that it is freed soon.

        What was deleted from the database for good would otherwise live on in the journal until
        the segment is full. While the database is away nothing is stored, and nothing is left.
        """
        self.retry()
        if self._segment is None or self._is_syncing:
            return
        if segments.read_stored(self.directory).get(self._name, 0) > 0:
            self._leave_segment()

    def close(self) -> None:
        """Write what waits, count what cannot be written, and let the recorder have the rest."""
        self.retry()
        self.dropped += len(self._backlog)
        self._backlog.clear()
        self._leave_segment()

    def _write(self, frame: bytes) -> bool:
        try:
            segment = self._current()
            written = segment.write(frame)
            while written < len(frame):
                written += segment.write(frame[written:])
        except OSError as exc:
            log.error("journal cannot be written: %s", exc)  # noqa: TRY400 - the cause is in the line
            self._abandon()
            return False
        self._size += len(frame)
        return True

    def _current(self) -> SegmentFile:
        if self._size >= self._segment_bytes and not self._is_syncing:
            self._leave_segment()
        if self._segment is None:
            self._count += 1
            self._name = f"{self._worker}-{self._count:08}{segments.SUFFIX}"
            durable = self.durability is Durability.DISK
            self._segment = self._new_segment(self.directory / self._name, durable=durable)
            self._size = 0
        return self._segment

    def _abandon(self) -> None:
        """Take back half a frame, if there is one, and begin a new segment next time."""
        if self._segment is not None:
            with suppress(OSError):
                self._segment.truncate(self._size)
        self._leave_segment()

    def _leave_segment(self) -> None:
        if self._segment is not None:
            with suppress(OSError):
                self._segment.close()
            self._segment = None

    def _set_back(self, frame: bytes) -> None:
        if self._backlog_size + len(frame) > self._backlog_bytes:
            self.dropped += 1
            return
        self._backlog.append(frame)
        self._backlog_size += len(frame)


def open_directory(directory: Path) -> None:
    """Make the journal's directory and prove that it can be written.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        # `mode` counts for the last folder only: what is made on the way has to be private too.
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        probe = directory / f"{uuid4().hex}.probe"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as exc:
        reason = exc.strerror or exc
        raise ConfigurationError(
            f"OFFICEAI_DATA_DIR: the journal cannot be written in {directory}: {reason}"
        ) from exc


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
