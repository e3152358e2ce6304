"""Frames that were written in, frames that are on the disk out: level `disk` of the journal.

A sync that failed is never tried again on the same file: the kernel tells of an error once and then
takes the lost pages for clean, so that a second sync would succeed and prove nothing. What is not
known to be on the disk is written again, to a new file, from memory.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

ATTEMPTS = 5
"""New files that one sync is tried on before its callers go on without it."""

log = logging.getLogger(__name__)


class SyncedFile(Protocol):
    """A file of the journal, as far as syncing is concerned."""

    def sync(self) -> None:
        """Bring what was written to the disk."""

    def close(self) -> None:
        """Give up the file and its lock."""


class Rewriting(Protocol):
    """The journal that is synced."""

    def file_to_sync(self) -> SyncedFile | None:
        """The file that frames are written to now, if there is one."""

    def give_up(self, files: Sequence[SyncedFile]) -> None:
        """Write no more to any of *files*, which are closed after this."""

    def rewrite(self, frames: Sequence[bytes]) -> None:
        """Write *frames* again, before everything that waits."""


class Syncing:
    """What of one journal is not known to be on the disk: frames, and the files they are in."""

    def __init__(self, journal: Rewriting, *, limit: int) -> None:
        """Hold at most *limit* bytes of frames for writing them again."""
        self._journal = journal
        self._limit = limit
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._left: list[SyncedFile] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None
        self.errors = 0
        self.is_safe = True

    @property
    def is_due(self) -> bool:
        """Whether there is something to sync, or the last sync has failed."""
        return bool(self._frames or self._left or not self.is_safe)

    def wrote(self, frame: bytes) -> None:
        """*frame* was written, and may be lost with the power."""
        self._frames.append(frame)
        self._size += len(frame)
        while self._size > self._limit and self._frames:
            self._size -= len(self._frames.popleft())

    def leave(self, file: SyncedFile) -> None:
        """Nothing more is written to *file*; it is closed once it is synced."""
        self._left.append(file)

    async def synced(self) -> None:
        """Return when all that was written so far is on the disk; callers share one sync.

        When the disk fails again and again it returns all the same, and `is_safe` is False.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.begin()
        await done

    def begin(self) -> None:
        """Sync in the background, if that is not under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())

    def finish(self) -> None:
        """Sync and close what was left, at the end of the program."""
        if self._task is not None and not self._task.done():
            return  # A thread is at work on these files, and the kernel closes them in a moment.
        for file in self._left:
            with suppress(OSError):
                file.sync()
        _close(self._left)
        self._left = []

    async def _run(self) -> None:
        while True:
            waiting, self._waiting = self._waiting, []
            try:
                await self._bring_to_disk()
            finally:
                # Whatever went wrong, nobody waits for ever.
                for done in waiting:
                    if not done.done():
                        done.set_result(None)
            if not self._waiting:
                return

    async def _bring_to_disk(self) -> None:
        for _ in range(ATTEMPTS if self.is_safe else 1):
            if await self._attempt():
                if not self.is_safe:
                    log.warning("the journal can be synced again")
                self.is_safe = True
                return
        # They are in files and may well be stored before any power loss; memory has an end.
        self._frames.clear()
        self._size = 0
        self.is_safe = False

    async def _attempt(self) -> bool:
        current = self._journal.file_to_sync()
        left, frames = self._left[:], self._frames
        self._frames, size, self._size = deque(), self._size, 0
        files = left if current is None else [*left, current]
        try:
            await asyncio.to_thread(_sync_all, files)
        except OSError as exc:
            self._tell(exc)
            frames.extend(self._frames)
            self._frames, self._size = deque(), 0
            self._left = [file for file in self._left if file not in files]
            self._journal.give_up(files)
            _close(files)
            self._journal.rewrite(frames)
            return False
        except BaseException:
            self._frames.extendleft(reversed(frames))
            self._size += size
            raise
        # One that was left meanwhile may have got frames after the sync began: it stays.
        self._left = [file for file in self._left if file not in left]
        _close(left)
        return True

    def _tell(self, error: OSError) -> None:
        """Count each failure, and say it once."""
        self.errors += 1
        if self.is_safe:
            log.error("the journal cannot be synced, and is written to a new file: %s", error)


def _sync_all(files: Sequence[SyncedFile]) -> None:
    for file in files:
        file.sync()


def _close(files: Sequence[SyncedFile]) -> None:
    for file in files:
        with suppress(OSError):
            file.close()
