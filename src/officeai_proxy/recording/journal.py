"""Exchanges in, frames at the end of a file out: the write side of the journal, one per worker.

It never parses what it keeps, never waits for a database, and never raises into a call: what cannot
be written now waits in memory, within a bound, and is counted when even that is not possible. What
has to be on the disk is the business of `syncing`.

A segment is locked (flock) for as long as its writer lives, so that anybody can tell a segment that
may still grow from one that a dead worker left behind; the kernel frees the lock on `kill -9`.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from officeai_proxy.folder_faults import unusable
from officeai_proxy.model import Durability, Exchange
from officeai_proxy.recording import boots, frames, locked_file, segments
from officeai_proxy.recording.frame_seal import FrameSeal
from officeai_proxy.recording.pieces import PiecesLog
from officeai_proxy.recording.syncing import SyncedFile, Syncing

SEGMENT_BYTES = 16 * 1024 * 1024

REST_SECONDS = 0.1
"""How long calls do not try the disk again after it took nothing."""

MOST_AT_ONCE = 64
"""Calls that level `memory` holds back at most; ordinarily one turn of the loop ends fewer."""

# macOS has no fdatasync.
_sync = getattr(os, "fdatasync", os.fsync)

log = logging.getLogger(__name__)


class SegmentFile(Protocol):
    """What the journal needs of the operating system; tests hand in a failing one."""

    def write(self, data: bytes) -> int:
        """Append some of *data* and say how much."""

    def truncate(self, size: int) -> None:
        """Cut the file to *size* bytes."""

    def read(self, size: int) -> bytes:
        """The first *size* bytes, also when the file has no name any more."""

    def sync(self) -> None:
        """Bring what was written to the disk."""

    def close(self) -> None:
        """Give up the file and its lock."""


class LockedSegment:
    """A new segment on disk, locked before anybody else can see its name."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        """Create *path*; with *durable* a sync brings its name to the disk as well."""
        self._folder_to_sync = path.parent if durable else None
        self._fd = locked_file.create(path, os.O_RDWR | os.O_APPEND)

    def write(self, data: bytes) -> int:
        """Append some of *data* and say how much."""
        return os.write(self._fd, data)

    def truncate(self, size: int) -> None:
        """Cut the file to *size* bytes."""
        os.ftruncate(self._fd, size)

    def read(self, size: int) -> bytes:
        """The first *size* bytes, also when the file has no name any more."""
        return os.pread(self._fd, size, 0)

    def sync(self) -> None:
        """Bring what was written to the disk, and the first time the name of the file."""
        _sync(self._fd)
        if self._folder_to_sync is not None:
            _sync_directory(self._folder_to_sync)
            self._folder_to_sync = None

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
        rest_seconds: float = REST_SECONDS,
        new_segment: type[LockedSegment] = LockedSegment,
    ) -> None:
        """Write segments of about *segment_bytes* into *directory*.

        At most *backlog_bytes* wait in memory while the disk takes nothing. With *seal*, nothing
        that was said is on the disk in the clear.
        """
        self.directory = directory
        self.durability = durability
        self._worker = f"{boots.this_boot()}{uuid4().hex[:12]}"
        self.pieces = PiecesLog(directory, worker=self._worker, seal=seal)
        self.dropped = 0
        self.append_errors = 0
        self._segment_bytes = segment_bytes
        self._most_backlog = backlog_bytes
        self._seal = seal
        self._rest_seconds = rest_seconds
        self._new_segment = new_segment
        self._segment: SegmentFile | None = None
        self._name = ""
        self._size = 0
        self._count = 0
        self._is_failing = False
        self._rests_until = 0.0
        self._later: list[Exchange] = []
        self._backlog: deque[bytes] = deque()
        self.backlog_bytes = 0
        is_synced = durability is Durability.DISK
        self._syncing = Syncing(self, limit=backlog_bytes) if is_synced else None

    @property
    def is_keeping(self) -> bool:
        """Whether the last exchange could be kept as safely as was asked for."""
        return self.is_syncing and not self._is_failing and not self._backlog

    @property
    def is_syncing(self) -> bool:
        """Whether the last sync succeeded, where there are any."""
        return self._syncing is None or self._syncing.is_safe

    @property
    def sync_errors(self) -> int:
        """How many syncs have failed."""
        return 0 if self._syncing is None else self._syncing.errors

    @property
    def piece_errors(self) -> int:
        """How often what a long call says so far could not be written."""
        return self.pieces.errors

    def append(self, exchange: Exchange) -> None:
        """Keep *exchange*: when this returns it survives the death of the process.

        At level `memory` it does when the loop has turned once more, so that the end of a reply
        waits for no file. When the disk takes nothing the exchange waits in memory for `retry`;
        when there is no room for it either, it is counted in `dropped`.
        """
        if self.durability is not Durability.MEMORY:
            self._keep((frames.encode(exchange, self._seal),))
            return
        self._later.append(exchange)
        if len(self._later) == 1:
            asyncio.get_running_loop().call_soon(self._write_later)
        elif len(self._later) >= MOST_AT_ONCE:
            self._write_later()

    def append_payload(self, payload: bytes) -> None:
        """Keep the payload of a frame that was in a journal before, as it is."""
        self._keep((frames.frame_of(payload),))

    def retry(self) -> None:
        """Write what waits in memory, as far as the disk takes it."""
        while self._backlog and self._write(self._backlog[0]):
            self.backlog_bytes -= len(self._backlog.popleft())

    async def synced(self) -> None:
        """Return when all that was appended so far is on the disk; callers share one sync.

        When the disk fails again and again it returns all the same, and nothing `is_keeping`.
        Below level `disk` there is nothing to wait for.
        """
        if self._syncing is not None:
            await self._syncing.synced()

    def tidy(self) -> None:
        """Write what waits, and leave a segment that the recorder has begun to store.

        What was deleted from the database for good would otherwise live on in the journal until
        the segment is full. While the database is away nothing is stored, and nothing is left.
        """
        self._rescue()
        self.retry()
        if self._is_failing and not self._backlog:
            # Where calls are refused meanwhile, none of them would find out.
            self._write(b"")
        stored = segments.read_stored(self.directory)
        if self._segment is not None and stored.get(self._name, 0) > 0:
            self._leave_segment()
        if self._syncing is not None and self._syncing.is_due:
            self._syncing.begin()

    def close(self) -> None:
        """Write what waits, count what cannot be written, and let the recorder have the rest."""
        self._write_later()
        self._rescue()
        self.retry()
        self.dropped += len(self._backlog)
        self._backlog.clear()
        self.backlog_bytes = 0
        self._leave_segment()
        if self._syncing is not None:
            self._syncing.finish()
        # Of a call that is lost, the next start has at least what was written while it went on.
        self.pieces.close(is_kept=self.dropped > 0)

    # What syncing needs: see `Rewriting`.

    def file_to_sync(self) -> SegmentFile | None:
        """The segment that frames are written to; a new one to prove the disk on, after a fault."""
        if self._segment is None and not self.is_keeping:
            with suppress(OSError):
                self._current()
        return self._segment

    def give_up(self, files: Sequence[SyncedFile]) -> None:
        """Write no more to any of *files*; the recorder reads them as they are."""
        if self._segment in files:
            self._segment = None

    def rewrite(self, frames: Sequence[bytes]) -> None:
        """Write *frames* again, before everything that waits."""
        self._backlog.extendleft(reversed(frames))
        self.backlog_bytes += sum(map(len, frames))
        self.retry()

    def _write_later(self) -> None:
        exchanges, self._later = self._later, []
        if exchanges:
            self._keep([frames.encode(exchange, self._seal) for exchange in exchanges])

    def _keep(self, fresh: Sequence[bytes]) -> None:
        is_resting = self._is_failing and time.monotonic() < self._rests_until
        if self._backlog and not is_resting:
            self.retry()
        data = fresh[0] if len(fresh) == 1 else b"".join(fresh)
        if is_resting or self._backlog or not self._write(data):
            for frame in fresh:
                self._set_back(frame)

    def _write(self, data: bytes) -> bool:
        try:
            segment = self._current()
            written = segment.write(data)
            while written < len(data):
                written += segment.write(data[written:])
        except OSError as exc:
            self._tell(exc)
            self._abandon()
            return False
        self._size += len(data)
        if self._is_failing:
            log.warning("the journal is written again")
            self._is_failing = False
        if self._syncing is not None:
            self._syncing.wrote(data)
        return True

    def _tell(self, error: OSError) -> None:
        """Count each failure, and say it once; calls leave the disk alone for a moment."""
        self.append_errors += 1
        self._rests_until = time.monotonic() + self._rest_seconds
        if not self._is_failing:
            log.error("the journal cannot be written, calls wait in memory: %s", error)
        self._is_failing = True

    def _current(self) -> SegmentFile:
        if self._size >= self._segment_bytes:
            self._leave_segment()
        if self._segment is None:
            self._count += 1
            self._name = f"{self._worker}-{self._count:08}{segments.SUFFIX}"
            self._size = 0
            durable = self.durability is Durability.DISK
            self._segment = self._new_segment(self.directory / self._name, durable=durable)
        return self._segment

    def _rescue(self) -> None:
        """Write anew what is in a segment that was deleted, or moved with its folder.

        The recorder would never find it. What it has stored already is stored once all the same.
        """
        if self._segment is None or segments.is_there(self.directory / self._name):
            return
        log.error("%s was taken out of the journal, and is written anew", self._name)
        self.append_errors += 1
        try:
            data = self._segment.read(self._size)
        except OSError as exc:
            log.error("what is in %s cannot be read: %s", self._name, exc)  # noqa: TRY400 - the words say it all
            data = b""
        self._leave_segment()
        self.rewrite([data[frame.start : frame.end] for frame in frames.scan(data)])

    def _abandon(self) -> None:
        """Take back half a frame, if there is one, and begin a new segment next time."""
        if self._segment is not None:
            with suppress(OSError):
                self._segment.truncate(self._size)
            if self._size == 0:
                with suppress(OSError):
                    (self.directory / self._name).unlink(missing_ok=True)
        self._leave_segment()

    def _leave_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        if self._syncing is not None:
            self._syncing.leave(segment)
            return
        with suppress(OSError):
            segment.close()

    def _set_back(self, frame: bytes) -> None:
        if self.backlog_bytes + len(frame) > self._most_backlog:
            self.dropped += 1
            return
        self._backlog.append(frame)
        self.backlog_bytes += len(frame)


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
        raise unusable("the journal cannot be written", directory, exc) from exc


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
