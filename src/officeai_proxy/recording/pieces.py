"""Calls that go on for long in, what came of them so far in a file out: for a `kill -9` in between.

The files are beside the journal's segments, one at a time for each worker, and are not read while
the worker lives: a call that ends is in the journal whole, and its pieces are wiped. Whoever finds
the files of a dead worker makes what can be made of them (`adoption`). Nothing here is ever waited
for, and nothing is lost for a call when a piece cannot be written.
"""

import logging
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

from officeai_proxy.model import Exchange
from officeai_proxy.recording import frames, locked_file
from officeai_proxy.recording.frame_seal import FrameSeal

SUFFIX = ".pieces"

FILE_BYTES = 16 * 1024 * 1024
"""A file is followed by another when it has grown beyond this and twice of what is needed in it."""

REST_SECONDS = 2.0
"""How long the disk is left alone after it took nothing."""

_ZEROS = bytes(1024 * 1024)

log = logging.getLogger(__name__)


class RunningCall(Protocol):
    """A call that goes on, as far as its pieces are concerned."""

    @property
    def id(self) -> UUID:
        """The exchange's id."""

    @property
    def came(self) -> int:
        """How many pieces of the reply have come."""

    def so_far(self, since: int) -> Exchange:
        """The exchange now; of its reply only what came after the first *since* pieces."""


class PiecesFile:
    """One file of pieces, locked for as long as its worker lives."""

    def __init__(self, path: Path) -> None:
        """Create *path*; it is locked before anybody else can see its name."""
        self.path = path
        self.size = 0
        self.needed = 0
        self.calls = 0
        self.wiped: list[tuple[int, int]] = []
        self._fd = locked_file.create(path, os.O_WRONLY)

    def write(self, data: bytes) -> int:
        """Write *data* at the end, and say where it begins."""
        at, done = self.size, 0
        while done < len(data):
            done += os.pwrite(self._fd, data[done:], at + done)
        self.size += len(data)
        return at

    def wipe(self) -> None:
        """Overwrite what is not needed any more, so that nothing of it is in the file."""
        wiped, self.wiped = self.wiped, []
        for at, size in _joined(wiped):
            for start in range(at, at + size, len(_ZEROS)):
                os.pwrite(self._fd, _ZEROS[: min(len(_ZEROS), at + size - start)], start)

    def remove(self) -> None:
        """Delete the file for good."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Give up the file and its lock."""
        os.close(self._fd)


@dataclass(slots=True)
class _Written:
    """What is written of one call: so many pieces of its reply, in so many frames, and where."""

    file: PiecesFile
    came: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)


class PiecesLog:
    """The pieces of one worker's calls. All methods belong to the thread of its event loop."""

    def __init__(
        self,
        directory: Path,
        *,
        worker: str,
        seal: FrameSeal | None = None,
        file_bytes: int = FILE_BYTES,
        rest_seconds: float = REST_SECONDS,
        new_file: type[PiecesFile] = PiecesFile,
    ) -> None:
        """Write files named after *worker*, as its segments are, into *directory*."""
        self._directory = directory
        self._worker = worker
        self._seal = seal
        self._file_bytes = file_bytes
        self._rest_seconds = rest_seconds
        self._new_file = new_file
        self._calls: dict[UUID, _Written] = {}
        self._files: list[PiecesFile] = []
        self._current: PiecesFile | None = None
        self._count = 0
        self._rests_until = 0.0
        self.errors = 0

    def write(self, call: RunningCall) -> None:
        """Write what came of *call* since the last time; all of it to a file that has none of it.

        When the disk takes nothing, the next time writes what this one did not.
        """
        if time.monotonic() < self._rests_until:
            return
        written = self._calls.get(call.id)
        try:
            file = self._file()
            fresh = written if written is not None and written.file is file else _Written(file)
            if fresh.ranges and fresh.came == call.came:
                return
            came = call.came
            piece = frames.Piece(len(fresh.ranges), call.so_far(fresh.came))
            frame = frames.encode_piece(piece, self._seal)
            at = file.write(frame)
        except OSError as exc:
            self._fail(exc)
            return
        if fresh is not written:
            self._forget(written)
            file.calls += 1
            self._calls[call.id] = fresh
        fresh.came = came
        fresh.ranges.append((at, len(frame)))
        file.needed += len(frame)

    def ended(self, call_id: UUID) -> None:
        """The call is in the journal whole; its pieces go at the next `tidy`."""
        self._forget(self._calls.pop(call_id, None))

    def tidy(self) -> None:
        """Delete files that nobody needs, and wipe what of the others is not needed."""
        for file in self._files[:]:
            with suppress(OSError):
                if file.calls == 0:
                    self._files.remove(file)
                    self._current = None if file is self._current else self._current
                    file.remove()
                elif file.wiped:
                    file.wipe()

    def close(self, *, is_kept: bool = False) -> None:
        """Delete all files, for all calls have ended; *is_kept*: leave them to the next start."""
        for file in self._files:
            with suppress(OSError):
                file.close() if is_kept else file.remove()
        self._files, self._current = [], None
        self._calls.clear()

    def _file(self) -> PiecesFile:
        file = self._current
        if file is None or file.size > max(self._file_bytes, 2 * file.needed):
            self._count += 1
            name = f"{self._worker}-{self._count:08}{SUFFIX}"
            file = self._current = self._new_file(self._directory / name)
            self._files.append(file)
        return file

    def _fail(self, error: OSError) -> None:
        """What was written in part is passed over by readers; a new file is begun."""
        if not self.errors:
            log.error("what long calls say so far cannot be written: %s", error)
        self.errors += 1
        self._current = None
        self._rests_until = time.monotonic() + self._rest_seconds

    def _forget(self, written: _Written | None) -> None:
        if written is not None:
            file = written.file
            file.calls -= 1
            file.needed -= sum(size for _, size in written.ranges)
            file.wiped.extend(written.ranges)


def worker_of(name: str) -> str:
    """The worker whose file is called *name*; segments are named in the same way."""
    return name.partition("-")[0]


def _joined(ranges: Iterable[tuple[int, int]]) -> Sequence[tuple[int, int]]:
    """*ranges* in order, those that touch as one."""
    found: list[tuple[int, int]] = []
    for at, size in sorted(ranges):
        if found and sum(found[-1]) == at:
            found[-1] = (found[-1][0], found[-1][1] + size)
        else:
            found.append((at, size))
    return found
